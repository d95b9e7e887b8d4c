"""Files that are complete or not there."""

import os
from pathlib import Path


def write_together(writers):
    """Write files under temporary names beside their own, and rename them into place once all are complete.

    Parameters
    ----------
    writers : dict of path to callable
        Each callable writes the file whose name (str) it is given; the temporary name has the same suffix.
    """
    temporary = {Path(p): Path(p).with_name(f".{os.getpid()}.{Path(p).name}") for p in writers}
    try:
        for path, write in writers.items():
            write(str(temporary[Path(path)]))
        for path, part in temporary.items():
            os.replace(part, path)
    finally:
        for part in temporary.values():
            part.unlink(missing_ok=True)
