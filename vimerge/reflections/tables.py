"""Tables of merged reflections: their columns and MTZ types, Friedel mates side by side, and records of a run."""

import hashlib
import importlib.metadata
import platform

import numpy as np
import reciprocalspaceship as rs

__all__ = [
    "AMPLITUDE",
    "ANOMALOUS",
    "FRIEDEL",
    "anomalous_difference",
    "file_digest",
    "friedel_pairs",
    "make_table",
    "versions",
]

AMPLITUDE = {"F": "F", "SIGF": "Q", "I": "J", "SIGI": "Q", "N": "I"}
# In the order that PHENIX and REFMAC expect.
FRIEDEL = {
    "F(+)": "G",
    "SIGF(+)": "L",
    "F(-)": "G",
    "SIGF(-)": "L",
    "I(+)": "K",
    "SIGI(+)": "M",
    "I(-)": "K",
    "SIGI(-)": "M",
    "N(+)": "I",
    "N(-)": "I",
}
# F(+) less F(-), as phasing programs read it.
ANOMALOUS = {"DANO": "D", "SIGDANO": "Q"}


def anomalous_difference(columns, centric):
    """
    Work out DANO and its standard deviation from both Friedel mates, taken to be independent.

    Parameters
    ----------
    columns : dict of str to np.ndarray
        F(+), SIGF(+), F(-) and SIGF(-), ``[R]`` each, NaN where there is none.
    centric : np.ndarray
        ``[R]`` bool: reflections that have no mate; their DANO is NaN.

    Returns
    -------
    dict of str to np.ndarray
        DANO and SIGDANO.
    """
    difference = np.where(centric, np.nan, columns["F(+)"] - columns["F(-)"])
    sd = np.hypot(columns["SIGF(+)"], columns["SIGF(-)"])
    return {"DANO": difference, "SIGDANO": np.where(np.isfinite(difference), sd, np.nan)}


def friedel_pairs(asu):
    """
    Pair Friedel mates, as rows of a table with F(+) and F(-).

    Parameters
    ----------
    asu : ReciprocalASU
        With Friedel mates apart.

    Returns
    -------
    plus, minus : np.ndarray
        ``[P]``: refl_ids of the mates of each pair, −1 where one is not in the ASU; centric reflections are both.
    hkl : np.ndarray
        ``[P, 3]`` int32: the pair's index in the asymmetric unit.
    """
    ids, mate = np.arange(len(asu)), asu.friedel_mate
    is_plus = ~asu.friedel_minus
    alone = ~is_plus & (mate < 0)
    plus = np.concatenate([ids[is_plus], np.full(np.count_nonzero(alone), -1)])
    minus = np.concatenate([mate[is_plus], ids[alone]])
    # A minus reflection is stored as its negated index.
    hkl = np.where((plus >= 0)[:, None], asu.miller_index[plus], -asu.miller_index[minus])
    return plus, minus, hkl


def make_table(hkl, columns, types, cell, spacegroup, merged=True):
    """
    Make an `rs.DataSet` of single-precision columns.

    Parameters
    ----------
    hkl : np.ndarray
        ``[R, 3]``.
    columns : dict of str to array_like
        ``[R]`` each; those that `types` does not name are left out.
    types : dict of str to str
        Their MTZ types, in the order of the columns.
    cell : gemmi.UnitCell
        The unit cell.
    spacegroup : gemmi.SpaceGroup
        The space group.
    merged : bool, optional
        Whether the table is of merged reflections, which are then sorted by index.

    Returns
    -------
    rs.DataSet
        Indexed by H, K, L.
    """
    data = {name: rs.DataSeries(np.asarray(columns[name], np.float32), dtype=types[name]) for name in types}
    for i, name in enumerate("HKL"):
        data[name] = rs.DataSeries(np.asarray(hkl)[:, i].astype(np.int32), dtype="H")
    table = rs.DataSet(data, cell=cell, spacegroup=spacegroup, merged=merged).set_index(["H", "K", "L"])
    return table.sort_index() if merged else table


def file_digest(path):
    """SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def versions(packages):
    """Versions of Python and of installed packages, by name."""
    return {"python": platform.python_version(), **{name: importlib.metadata.version(name) for name in packages}}
