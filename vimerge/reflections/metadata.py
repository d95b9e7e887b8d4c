"""What else is known of each observation that can inform its scale."""

import logging

import numpy as np

from vimerge.reflections.columns import is_sigma_of, missing_column
from vimerge.reflections.errors import MissingColumnError
from vimerge.reflections.geometry import GEOMETRY, beam_columns

__all__ = [
    "COMPUTED",
    "FILE",
    "choose_metadata",
    "detector_position",
    "informative_columns",
    "metadata_matrix",
]

logger = logging.getLogger("vimerge")

COMPUTED = ("dHKL", "Hobs", "Kobs", "Lobs")
FILE = "file"
# Columns that hold where on the detector an observation was.
_POSITIONS = (("XDET", "YDET"), ("X", "Y"))
# MTZ types of columns that describe how an observation was made: batch number, integer, real.
_INFORMATIVE_TYPES = frozenset("BIR")


def informative_columns(raw):
    """
    Columns of a file that may inform the scale of an observation.

    All of them that are real or integer (MTZ types R, I and B), except intensities, anything named as the standard
    deviation of another column, M/ISYM and flags.

    Parameters
    ----------
    raw : RawObservations
        The source.

    Returns
    -------
    list of str
    """
    return [
        name
        for name in raw.columns
        if raw.types.get(name) in _INFORMATIVE_TYPES
        and not any(is_sigma_of(name, other) for other in raw.columns)
        and name not in (*COMPUTED, FILE)
        and not _is_intensity(raw, name)
        and "flag" not in name.lower()
        and "isym" not in name.lower()
        and not name.lower().startswith(("freer", "free_r"))
    ]


def detector_position(names):
    """
    The two columns that hold where on the detector an observation was.

    Parameters
    ----------
    names : iterable of str
        Columns that are there.

    Returns
    -------
    tuple of (str, str) or None
        XDET and YDET, or X and Y; None if neither pair is there.
    """
    names = set(names)
    return next((pair for pair in _POSITIONS if names.issuperset(pair)), None)


def _is_intensity(raw, name):
    """Whether a column is an intensity by its name, of a general type: one must not inform the scale of another."""
    return name.upper().startswith("I") and any(is_sigma_of(other, name) for other in raw.columns)


def choose_metadata(raws, keys, metadata=None):
    """
    Names of the metadata to use, before any is found to be constant.

    Parameters
    ----------
    raws : sequence of RawObservations
        The sources.
    keys : sequence of Keys
        The columns to merge from each, which are no metadata (but for the image number).
    metadata : sequence of str, optional
        Names to take, among the columns, "dHKL", "Hobs", "Kobs", "Lobs", "file" and, where batch headers tell the
        geometry, "S0X" … "S1Z": unit vectors of the incident and the diffracted beam in the crystal's frame.

    Returns
    -------
    list of str

    Raises
    ------
    MissingColumnError
        If a name is not in one of the sources.
    """
    if metadata is not None:
        names = list(dict.fromkeys([metadata] if isinstance(metadata, str) else metadata))
        _add_beams(raws, keys, names)
        for name in names:
            for raw in raws:
                if name not in raw.columns and name not in (*COMPUTED, FILE):
                    raise missing_column(
                        raw.path, name, [*raw.columns, *COMPUTED, FILE], "--metadata (metadata=)", "metadata column"
                    )
        return names
    found = []
    for raw, key in zip(raws, keys, strict=True):
        names = informative_columns(raw)
        if key.image not in names:
            names.insert(0, key.image)
        found.append([name for name in names if name not in (key.intensity, key.uncertainty)])
    common = [name for name in found[0] if all(name in names for names in found[1:])]
    partial = sorted({name for names in found for name in names} - set(common))
    if partial:
        logger.info("Metadata left out because not every file has them: %s", ", ".join(partial))
    return [*common, *COMPUTED]


def _add_beams(raws, keys, names):
    """Add the beams' directions to the columns of those sources that lack them, if they were asked for."""
    wanted = [name for name in names if name in GEOMETRY]
    for raw, key in zip(raws, keys, strict=True):
        if all(name in raw.columns for name in wanted):
            continue
        try:
            beams = beam_columns(raw, key.image)
        except ValueError as error:
            raise MissingColumnError(
                f"{raw.path}: {wanted[0]} cannot be computed, for {error}; leave it out of --metadata (metadata=)."
            ) from None
        raw.columns.update({name: beams[name] for name in wanted})


def metadata_matrix(names, columns, explicit=False, drop_constant=True):
    """
    Stack metadata, leaving out what cannot inform a scale.

    Parameters
    ----------
    names : sequence of str
        Names in order.
    columns : callable
        Gives the ``[N]`` values of a name.
    explicit : bool, optional
        Whether the names were asked for, and a missing one deserves a warning.
    drop_constant : bool, optional
        Whether to leave out what is the same throughout.

    Returns
    -------
    matrix : np.ndarray
        ``[N, D]`` float32, raw values.
    keys : tuple of str
        The D names that are left.
    """
    kept, values = [], []
    level = logging.WARNING if explicit else logging.INFO
    for name in names:
        value = np.asarray(columns(name), dtype=np.float32)
        bad = np.count_nonzero(~np.isfinite(value))
        if bad:
            logger.log(level, "Metadata %s left out: %s of its values are not finite", name, f"{bad:,}")
        elif drop_constant and value.size and value.min() == value.max():
            logger.log(level, "Metadata %s left out: it is %g throughout", name, value[0])
        else:
            kept.append(name)
            values.append(value)
    count = len(np.asarray(columns("dHKL")))
    matrix = np.stack(values, axis=1) if values else np.zeros((count, 0), dtype=np.float32)
    return np.ascontiguousarray(matrix), tuple(kept)
