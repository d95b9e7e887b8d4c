"""Options that several commands share."""

import logging
from pathlib import Path


def add_free_flags(group):
    """Add the options of free flags to a group of arguments."""
    group.add_argument("--free-flags", action="store_true", help="add FreeR_flag, 0 for the free set")
    group.add_argument("--free-fraction", type=float, default=0.05, metavar="X", help="of reflections in that set")
    group.add_argument("--free-flags-from", metavar="FILE", help="merged MTZ whose flags to copy and extend")


def free_flags(arguments):
    """What the options ask for: arguments of `reflections.free_flags.add_free_flags`, or None for no flags."""
    if not (arguments.free_flags or arguments.free_flags_from):
        return None
    return {"fraction": arguments.free_fraction, "reference": arguments.free_flags_from}


def add_data(parser, intensities="found by type"):
    """Describe what to read: options that all commands have which merge unmerged files; the group of options."""
    parser.add_argument("-o", "--output", required=True, metavar="DIR", help="folder for the results")
    data = parser.add_argument_group("data")
    data.add_argument("--anomalous", action="store_true", help="keep Friedel mates apart")
    data.add_argument("--dmin", type=float, metavar="Å", help="high-resolution limit (default: all)")
    data.add_argument("--space-group", metavar="NAME", help="in place of the files' own")
    data.add_argument("--intensity-key", metavar="COLUMN", help=f"intensities (default: {intensities})")
    data.add_argument("--uncertainty-key", metavar="COLUMN", help="their sigmas (default: found by name)")
    data.add_argument("--image-key", metavar="COLUMN", help="image numbers (default: found by type)")
    return data


def open_folder(path):
    """Make the folder of results, with a log.txt of all that is logged from now on."""
    folder = Path(path)
    folder.mkdir(parents=True, exist_ok=True)
    to_file = logging.FileHandler(folder / "log.txt", mode="w", encoding="utf-8")
    to_file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logging.getLogger("vimerge").addHandler(to_file)
    return folder
