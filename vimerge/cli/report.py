"""Put folders of results side by side on one page that opens in any browser, without a network."""

import argparse

HELP = "write an HTML page about results, side by side"


def add_arguments(parser):
    """Describe the options of `vimerge report`."""
    parser.add_argument("folders", nargs="+", metavar="DIR", help="folders of results")
    parser.add_argument("-o", "--output", default="report.html", metavar="FILE", help="the page")
    parser.add_argument(
        "--names",
        metavar="A,B,…",
        type=lambda text: [name.strip() for name in text.split(",")],
        help="what to call the folders (default: by their own names)",
    )
    parser.add_argument("--shells", type=int, default=10, metavar="N", help="resolution shells of equal count")
    parser.add_argument("--quiet", action="store_true", default=argparse.SUPPRESS, help="print warnings only")


def run(arguments):
    """Run `vimerge report`."""
    import logging

    from vimerge.report.html import write_report

    path = write_report(arguments.folders, arguments.output, arguments.names, arguments.shells)
    logging.getLogger("vimerge").info("written: %s", path)
