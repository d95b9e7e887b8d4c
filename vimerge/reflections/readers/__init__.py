"""
Readers by file format.

Each is a module here with `matches(path, head)`, whether a file is of its format, from its path and first bytes; and
`read(path, space_group)`, which returns `RawObservations`. A new format is one more module in this folder.
"""

import importlib
import os
import pkgutil
from pathlib import Path

from vimerge.reflections.errors import UnreadableFileError

__all__ = ["FORMATS", "read_raw", "reader_for"]

FORMATS = tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))
_HEAD = 4096


def reader_for(path):
    """
    Find the reader for a file by its content and name.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    module
        With a function ``read(path, space_group=None)``.

    Raises
    ------
    UnreadableFileError
        If the file is missing, empty or of no known format.
    """
    path = Path(path)
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD)
    except FileNotFoundError:
        raise UnreadableFileError(f"{path}: there is no such file; check the path.") from None
    except OSError as error:
        raise UnreadableFileError(f"{path}: the file cannot be read ({error.strerror}); check the path.") from None
    if not head:
        raise UnreadableFileError(f"{path}: the file is empty; copy or write it again.")
    for name in FORMATS:
        module = importlib.import_module(f"{__name__}.{name}")
        if module.matches(path, head):
            return module
    raise UnreadableFileError(
        f"{path}: this is no format that vimerge reads ({', '.join(name.upper() for name in FORMATS)}); convert it to "
        "an unmerged MTZ file."
    )


def read_raw(path, space_group=None):
    """
    Read one file of unmerged observations.

    Parameters
    ----------
    path : path
        The file.
    space_group : str, int or gemmi.SpaceGroup, optional
        Used where the file has none of its own.

    Returns
    -------
    RawObservations
    """
    path = os.fspath(path)
    return reader_for(path).read(path, space_group=space_group)
