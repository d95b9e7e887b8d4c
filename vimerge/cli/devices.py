"""List what TensorFlow can train on, and how its step would be run there."""

import os

HELP = "list the devices that TensorFlow sees"


def add_arguments(parser):
    """Describe the options of `vimerge devices`: there are none."""


def run(arguments):
    """Run `vimerge devices`."""
    from vimerge.cli.quiet import import_tensorflow

    import_tensorflow()
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    print(f"TensorFlow {tf.__version__}, {'with' if tf.test.is_built_with_cuda() else 'without'} CUDA")
    print(f"CPU: {os.cpu_count()} cores")
    for gpu in gpus:
        details = tf.config.experimental.get_device_details(gpu)
        capability = ".".join(map(str, details.get("compute_capability", ())))
        print(f"{gpu.name.removeprefix('/physical_device:')}: {details.get('device_name', 'unknown')}", end="")
        print(f", compute capability {capability}" if capability else "")
    if gpus:
        print("Training runs on the first GPU, a step being one program compiled by XLA.")
    else:
        print('No GPU: training runs on the CPU. For an NVIDIA GPU: pip install "vimerge[cuda]".')
