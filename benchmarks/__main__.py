"""`python -m benchmarks`: one command for each question."""

import argparse
import importlib
import sys

COMMANDS = {
    "run": ("compare", "vimerge, and another program, on the same data: quality, time and memory"),
    "scale": ("scale", "simulated sets of 10⁵, 10⁶ and 10⁷ observations: seconds of reading and training, and memory"),
    "profile": ("profile", "where the time of a merge and of a training step goes"),
    "gpu": ("gpu", "write the XLA program of a training step (export), or time it through JAX's runtime (run)"),
}


def main(arguments=None):
    """Run a command; only its own module is imported, for `gpu run` does without vimerge."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure vimerge.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, (module, text) in COMMANDS.items():
        command = commands.add_parser(name, help=text)
        if arguments and arguments[0] == name:
            module = importlib.import_module(f"benchmarks.{module}")
            command.description = module.__doc__
            module.add_arguments(command)
            command.set_defaults(run=module.run)
    parsed = parser.parse_args(arguments)
    try:
        parsed.run(parsed)
    except (FileNotFoundError, ValueError, RuntimeError) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
