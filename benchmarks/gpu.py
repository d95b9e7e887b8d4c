"""The training step as one XLA program: written where TensorFlow is, run and timed through JAX wherever that is."""

from pathlib import Path

OUTPUT = Path("~/.cache/vimerge-benchmarks/gpu").expanduser()


def add_arguments(parser):
    """Describe the options; nothing is imported that the other machine may lack."""
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    export = actions.add_parser("export", help="needs vimerge and TensorFlow")
    export.add_argument("--sizes", nargs="+", type=float, default=[1e5, 1e6, 1e7], metavar="N", help="observations")
    export.add_argument("--batch-size", type=int, metavar="N", help="of each step (default: all observations)")
    export.add_argument("--objective", choices=("collapsed", "elbo"), help="default: the model's own")
    export.add_argument("-o", "--output", type=Path, default=OUTPUT, metavar="DIR", help=f"default: {OUTPUT}")
    export.set_defaults(action="gpu_export")
    run = actions.add_parser("run", help="needs NumPy and JAX only")
    run.add_argument("folder", nargs="?", type=Path, default=OUTPUT, help=f"what was exported (default: {OUTPUT})")
    run.add_argument("--steps", type=int, default=50, metavar="N", help="timed (default: 50)")
    run.add_argument("--top", type=int, default=3, metavar="N", help="kernels to list (default: 3)")
    run.set_defaults(action="gpu_run")


def run(options):
    """Do one or the other."""
    import importlib

    importlib.import_module(f"benchmarks.{options.action}").main(options)
