"""Tables of the differences of two merged data sets."""

import os

import numpy as np

from vimerge.reflections import hkl as miller
from vimerge.reflections.errors import MissingColumnError, NoObservationsError, SymmetryError
from vimerge.reflections.symmetry import CELL_SPREAD
from vimerge.reflections.tables import make_table
from vimerge.statistics.inputs import _merged_of_any_program, _read


def read_amplitudes(path, amplitude_key=None, uncertainty_key=None):
    """Read the amplitudes of a merged MTZ file, of this or another program.

    Parameters
    ----------
    path : path
        The file.
    amplitude_key, uncertainty_key : str, optional
        The columns of F and SIGF; found by name and type if not given.

    Returns
    -------
    rs.DataSet
        `F SIGF`, and F(+) SIGF(+) F(-) SIGF(-) if they are there, indexed by H, K, L in the asymmetric unit. Systematic
        absences are left out.

    Raises
    ------
    ReflectionDataError
        With a sentence that names the file, the column and the fix.
    """
    path = os.fspath(path)
    table = _merged_of_any_program(_read(path), path, amplitude_key, uncertainty_key)
    if "F" not in table and "F(+)" not in table:
        raise MissingColumnError(
            f"{path}: it has intensities only; name its columns of amplitudes, or work amplitudes out first."
        )
    wanted = [f"{kind}F{sign}" for sign in ("", "(+)", "(-)") for kind in ("", "SIG")]
    return table[[name for name in wanted if name in table]]


def difference_table(first, second, names=("off", "on")):
    """Subtract the amplitudes of two data sets whose errors are independent.

    Parameters
    ----------
    first, second : rs.DataSet
        Indexed by H, K, L in the asymmetric unit, with F and SIGF; of isomorphous crystals.
    names : (str, str), optional
        What to call them, a and b.

    Returns
    -------
    rs.DataSet
        `F_<a> SIGF_<a> F_<b> SIGF_<b> DF SIGDF` of the reflections that both have, in the cell of the first, with
        DF = F_<b> − F_<a>.

    Raises
    ------
    SymmetryError
        If the space groups, or the cells by more than 3 % or 3°, are different.
    NoObservationsError
        If they have no reflection in common.
    """
    if first.spacegroup.operations() != second.spacegroup.operations():
        raise SymmetryError(
            f"The space groups {first.spacegroup.xhm()} and {second.spacegroup.xhm()} are different; merge both in one."
        )
    own, other = (np.array(table.cell.parameters) for table in (first, second))
    if np.any(np.abs(own - other) > [*(CELL_SPREAD * own[:3]), 3.0, 3.0, 3.0]):
        raise SymmetryError("The cells differ by more than 3 %; differences need isomorphous crystals, indexed alike.")
    keys, rows, columns = [], [], {}
    for table in (first, second):
        usable = np.isfinite(table["F"].to_numpy(np.float64)) & (table["SIGF"].to_numpy(np.float64) > 0)
        rows.append(table[usable])
        keys.append(miller.pack(miller.as_hkl(rows[-1].reset_index()[["H", "K", "L"]].to_numpy())))
    _, *common = np.intersect1d(*keys, assume_unique=True, return_indices=True)
    if not len(common[0]):
        raise NoObservationsError("The data sets have no reflection in common; are they of the same crystal?")
    for name, table, index in zip(names, rows, common, strict=True):
        for kind in ("F", "SIGF"):
            columns[f"{kind}_{name}"] = table[kind].to_numpy(np.float64)[index]
    a, b = names
    columns |= {"DF": columns[f"F_{b}"] - columns[f"F_{a}"]}
    columns |= {"SIGDF": np.hypot(columns[f"SIGF_{a}"], columns[f"SIGF_{b}"])}
    hkl = rows[0].reset_index()[["H", "K", "L"]].to_numpy(np.int32)[common[0]]
    types = {name: "Q" if name.startswith("SIG") else "F" for name in columns} | {"DF": "R"}
    return make_table(hkl, columns, types, first.cell, first.spacegroup)
