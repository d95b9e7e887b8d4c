"""One seed for everything."""

import keras
import tensorflow as tf


def set_seed(seed):
    """Make what follows reproducible bit for bit on a CPU: initial weights, samples, batches and operations.

    Parameters
    ----------
    seed : int
        Sets Python's, NumPy's and TensorFlow's seeds, and without a GPU TensorFlow's deterministic operations. On a GPU
        these would rule out XLA.
    """
    keras.utils.set_random_seed(seed)
    if not tf.config.list_physical_devices("GPU"):
        tf.config.experimental.enable_op_determinism()
