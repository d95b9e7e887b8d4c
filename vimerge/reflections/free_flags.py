"""The free set: reflections that refinement must not see."""

import os
from pathlib import Path

import numpy as np
import reciprocalspaceship as rs

from vimerge.reflections import hkl as miller
from vimerge.reflections.columns import missing_column
from vimerge.reflections.errors import (
    AmbiguousColumnError,
    MissingColumnError,
    OptionError,
    ReflectionDataError,
    UnreadableFileError,
)
from vimerge.reflections.readers import mtz as mtz_reader
from vimerge.reflections.reference import _check_lattice, _check_point_group

__all__ = ["COLUMN", "add_free_flags", "free_flags", "free_value"]

COLUMN = "FreeR_flag"
# As CCP4, PHENIX, SHARP and others name the column, in lower case.
_NAMES = ("freer_flag", "free", "r-free-flags", "rfree_flag", "r_free_flags", "freer", "rfree", "freeflag")
# Streams of random numbers: which reflections, and those that a reference lacks.
_NEW, _EXTENDED = 0, 1


def free_flags(table, fraction=0.05, reference=None, seed=0, column=None):
    """
    Assign reflections to free sets.

    New flags follow CCP4: n = 1/`fraction` sets of equal probability, numbered 0 … n − 1, of which set 0 is the free
    one. A reflection's set depends on its index in the asymmetric unit and the seed alone, so that data sets of one
    crystal form get the same free set whatever was measured; Friedel mates and equivalents are always in one set.

    Flags of a reference are copied as they are, in its own convention: with more than two values 0 is the free set
    (CCP4); of two values the rarer one is (PHENIX: 1 of 0 and 1). Reflections that it lacks are assigned at random,
    among all its sets or with its proportion.

    Parameters
    ----------
    table : rs.DataSet
        Merged, indexed by H, K, L; only its indices, cell and space group matter.
    fraction : float, optional
        Of the reflections to be in the free set; rounded so that there is a whole number of sets.
    reference : path, optional
        Merged MTZ file with flags, of the same point group and a cell within 3 % and 3°.
    seed : int, optional
        Fixes the choice.
    column : str, optional
        The reference's column of flags; found by name if not given.

    Returns
    -------
    np.ndarray
        ``[N]`` int32.

    Raises
    ------
    OptionError
        If the fraction is not above 0 and at most 0.3 (three sets).
    ReflectionDataError
        With a sentence that names the reference and the fix: if it has no flags, several columns of them, another
        lattice, or equivalent reflections with different flags.
    """
    if not 0 < fraction <= 0.3:
        raise OptionError(
            f"The free fraction must be above 0 and at most 0.3, not {fraction:g}; correct --free-fraction."
        )
    hkl = np.ascontiguousarray(table.reset_index()[["H", "K", "L"]].to_numpy(np.int32))
    mapped, _ = miller.to_asu(hkl, table.spacegroup)
    if reference is None:
        return np.floor(_uniform(mapped, seed, _NEW) * round(1 / fraction)).astype(np.int32)
    keys, flags = _reference_flags(table, os.fspath(reference), column)
    wanted = miller.pack(mapped)
    position = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    known = keys[position] == wanted
    if not known.any():
        raise ReflectionDataError(
            f"{reference}: it has flags for none of the reflections; give another --free-flags-from."
        )
    values, counts = np.unique(flags, return_counts=True)
    # Of two sets the proportion is the reference's; of many each is as likely.
    share = counts / counts.sum() if len(values) == 2 else np.full(len(values), 1 / len(values))
    drawn = np.searchsorted(np.cumsum(share)[:-1], _uniform(mapped, seed, _EXTENDED), side="right")
    return np.where(known, flags[position], values[drawn]).astype(np.int32)


def free_value(flags):
    """
    Tell which value marks the free set.

    Parameters
    ----------
    flags : array_like
        ``[N]`` flags of a whole data set.

    Returns
    -------
    int
        The rarer one of two values (PHENIX's 1, or −1); 0 of more (CCP4).

    Raises
    ------
    ReflectionDataError
        If there is only one value, or none of several is 0.
    """
    values, counts = np.unique(np.asarray(flags), return_counts=True)
    if len(values) == 2:
        return int(values[np.argmin(counts)])
    if len(values) > 2 and 0 in values:
        return 0
    raise ReflectionDataError(
        f"Which flags mark the free set cannot be told from the values {', '.join(f'{v:g}' for v in values[:10])}; "
        "there must be two, or 0 and others."
    )


def add_free_flags(merged, fraction=0.05, reference=None, seed=0, column=None):
    """
    Add the column FreeR_flag to merged reflections.

    Parameters
    ----------
    merged : rs.DataSet
        Indexed by H, K, L.
    fraction, reference, seed, column
        See `free_flags`.

    Returns
    -------
    rs.DataSet
        A copy with the column of integers (MTZ type I) after the others.
    """
    flags = free_flags(merged, fraction, reference, seed, column)
    result = merged.copy()
    result[COLUMN] = rs.DataSeries(flags, index=merged.index, dtype="I")
    return result


def _reference_flags(table, path, column):
    """Sorted packed indices in the asymmetric unit, and the flags, of a reference."""
    if not Path(path).is_file():
        raise UnreadableFileError(f"{path}: there is no such file; check the path of --free-flags-from.")
    mtz = mtz_reader._open(path)
    _check_lattice(path, mtz_reader._cell(mtz), table)
    _check_point_group(path, mtz.spacegroup, table)
    values = np.array(mtz.column_with_label(_choose(path, mtz, column)).array, np.float64)
    hkl = np.ascontiguousarray(mtz.make_miller_array(), np.int32)
    known = np.isfinite(values)
    if not known.any() or np.any(values[known] != np.rint(values[known])):
        raise ReflectionDataError(f"{path}: its flags are not whole numbers; choose another column of flags.")
    distinct, inverse = miller.unique(miller.to_asu(hkl[known], table.spacegroup)[0])
    flags = np.zeros(len(distinct))
    flags[inverse] = values[known]
    if np.any(flags[inverse] != values[known]):
        raise ReflectionDataError(
            f"{path}: equivalent reflections or Friedel mates have different flags; make new ones in the point group "
            f"of {table.spacegroup.xhm()}."
        )
    free_value(flags)
    return miller.pack(distinct), flags.astype(np.int32)


def _choose(path, mtz, column):
    labels = [c.label for c in mtz.columns]
    if column is not None:
        if column not in labels:
            raise missing_column(path, column, labels, "the flags")
        return column
    found = [label for label in labels if label.lower() in _NAMES]
    if not found:
        raise MissingColumnError(
            f"{path}: no column of free flags (FreeR_flag, FREE, R-free-flags …) is among {', '.join(labels)}; rename "
            "the one that is."
        )
    if len(found) > 1:
        raise AmbiguousColumnError(f"{path}: several columns could be the free flags ({', '.join(found)}); keep one.")
    return found[0]


def _uniform(hkl, seed, stream):
    """A number in [0, 1) for each index, by mixing its bits and the seed's as SplitMix64 does [1]_.

    .. [1] Steele, G. L., Lea, D. & Flood, C. H. (2014). ACM SIGPLAN Notices, 49(10), 453–472.
    """
    start = np.random.SeedSequence([seed, stream]).generate_state(1, np.uint64)[0]
    z = miller.pack(hkl).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + start
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        z = (z ^ (z >> np.uint64(shift))) * np.uint64(factor)
    z ^= z >> np.uint64(31)
    return (z >> np.uint64(11)).astype(np.float64) * 2.0**-53
