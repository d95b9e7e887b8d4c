"""The command line. Only what a command needs is imported, when it runs: help is instant."""

import argparse
import gc
import logging
import os
import sys

from vimerge.cli import conventional, demo, deposit, devices, difference, merge, report, simulate, stats, sweep

COMMANDS = {
    "merge": merge,
    "conventional": conventional,
    "sweep": sweep,
    "difference": difference,
    "stats": stats,
    "report": report,
    "deposit": deposit,
    "simulate": simulate,
    "demo": demo,
    "devices": devices,
}


def main(arguments=None):
    """Run `vimerge`.

    Parameters
    ----------
    arguments : sequence of str, optional
        The command line after the program's name; that of the process if not given.

    Returns
    -------
    int
        The exit status: 0, or 2 if the input was wrong.
    """
    parsed = _parser().parse_args(arguments)
    log = logging.getLogger("vimerge")
    log.setLevel(logging.DEBUG)
    console = logging.StreamHandler()
    console.setLevel(logging.WARNING if getattr(parsed, "quiet", False) else logging.INFO)
    console.setFormatter(logging.Formatter("%(message)s"))
    console.addFilter(lambda record: record.levelno != logging.DEBUG)
    log.addHandler(console)
    try:
        parsed.run(parsed)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read the output has seen enough. What is left in the buffer must not be complained of at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (ValueError, OSError, ArithmeticError) as error:
        log.debug("", exc_info=True)
        print(f"vimerge: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("vimerge: interrupted", file=sys.stderr)
        return 130
    finally:
        for handler in list(log.handlers):
            log.removeHandler(handler)
            handler.close()
    return 0


def command():
    """Run `vimerge` as a process of its own, and end it."""
    status = main()
    # At its end Python would look for cycles among all that TensorFlow has made, for two seconds; the system takes the
    # memory back anyway.
    gc.freeze()
    sys.exit(status)


def _parser():
    parser = argparse.ArgumentParser(
        prog="vimerge", description="Scale and merge diffraction data in one variational inference."
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, module in COMMANDS.items():
        command = commands.add_parser(
            name, help=module.HELP, description=module.__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
        )
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return parser


class _Version(argparse.Action):
    def __call__(self, parser, *_):
        import vimerge

        print(f"vimerge {vimerge.__version__}")
        parser.exit()
