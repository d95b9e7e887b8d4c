"""Amplitudes from elsewhere: of a merged file, or calculated from a model."""

import os
from pathlib import Path

import gemmi
import numpy as np

from vimerge.reflections import hkl as miller
from vimerge.reflections.columns import is_sigma_of, missing_column
from vimerge.reflections.errors import (
    AmbiguousColumnError,
    MissingColumnError,
    ReflectionDataError,
    SymmetryError,
    UnreadableFileError,
)
from vimerge.reflections.joined import JoinedASU
from vimerge.reflections.readers import mtz as mtz_reader
from vimerge.reflections.symmetry import CELL_SPREAD

__all__ = ["reference_amplitudes"]

MODEL_SUFFIXES = (".pdb", ".ent", ".cif", ".mmcif")
# A finer grid and more of each atom's density than gemmi's defaults: amplitudes are good to a part in a thousand.
_RATE = 2.0
_CUTOFF = 1e-7


def reference_amplitudes(asu, path, column=None):
    """
    Find the amplitudes of an ASU's reflections in a merged MTZ file, or calculate them from a model.

    A model's are those of its atoms alone, without bulk solvent, by X-ray form factors and gemmi's fast Fourier
    transform of the density; of several models in a file the first is used. Both Friedel mates then have the same.

    Parameters
    ----------
    asu : ReciprocalASU
        R reflections; of several data sets, each is given the same amplitudes.
    path : path
        Merged MTZ file, or PDB or mmCIF file of a model; its space group and cell must be those of the ASU, the cell
        within 3 % and 3°.
    column : str, optional
        The MTZ column with the amplitudes, or that of F(+); found by type and name if not given. With Friedel mates
        apart F(+) and F(-) are used where they are, and else the mean amplitude for both.

    Returns
    -------
    np.ndarray
        ``[R]`` float64, in the file's units or in electrons, NaN where there is none.

    Raises
    ------
    ReflectionDataError
        With a sentence that names the file, the column and the fix; in particular UnreadableFileError, SymmetryError,
        MissingColumnError or AmbiguousColumnError.
    """
    path = os.fspath(path)
    if isinstance(asu, JoinedASU):
        return np.concatenate([reference_amplitudes(one, path, column) for one in asu.asus])
    if not Path(path).is_file():
        raise UnreadableFileError(f"{path}: there is no such file; check the path.")
    with open(path, "rb") as stream:
        is_mtz = mtz_reader.matches(Path(path), stream.read(4))
    if is_mtz:
        amplitudes = _from_mtz(asu, path, column)
    elif Path(path.lower().removesuffix(".gz")).suffix in MODEL_SUFFIXES:
        if column is not None:
            raise MissingColumnError(f"{path}: a model has no columns; leave out column={column!r}.")
        amplitudes = _from_model(asu, path)
    else:
        raise UnreadableFileError(
            f"{path}: this is neither an MTZ file nor a model ({', '.join(MODEL_SUFFIXES)}); convert it to one of them."
        )
    if np.all(np.isnan(amplitudes)):
        raise ReflectionDataError(f"{path}: it has none of the {len(asu):,} reflections; give a reference that does.")
    return amplitudes


def _from_mtz(asu, path, column):
    mtz = mtz_reader._open(path)
    hkl = miller.as_hkl(mtz.make_miller_array())
    if mtz.batches or any(c.type == "B" for c in mtz.columns) or len(miller.unique(hkl)[0]) < len(hkl):
        raise ReflectionDataError(f"{path}: its reflections are unmerged; merge them first, and give the merged file.")
    _check_lattice(path, mtz_reader._cell(mtz), asu)
    _check_point_group(path, mtz.spacegroup, asu)
    mean, pair = _choose(path, {c.label: c.type for c in mtz.columns}, column)

    def values(label):
        return np.array(mtz.column_with_label(label).array, np.float64)

    both = tuple(values(label) for label in pair) if pair else (np.full(len(hkl), np.nan),) * 2
    if asu.anomalous:
        amplitudes = _average(asu, np.concatenate([hkl, -hkl]), np.concatenate(both))
        rest = _average(asu, np.concatenate([hkl, -hkl]), np.tile(values(mean), 2)) if mean else np.nan
    else:
        amplitudes = _average(asu, hkl, values(mean)) if mean else np.full(len(asu), np.nan)
        rest = _average(asu, np.concatenate([hkl, hkl]), np.concatenate(both))
    return np.where(np.isnan(amplitudes), rest, amplitudes)


def _average(asu, hkl, values):
    """The mean of the values that belong to each reflection, [R]; NaN where there is none."""
    refl_id = asu.refl_id(hkl)
    known = (refl_id >= 0) & np.isfinite(values)
    total = np.bincount(refl_id[known], values[known], minlength=len(asu))
    number = np.bincount(refl_id[known], minlength=len(asu))
    return np.where(number > 0, total / np.maximum(number, 1), np.nan)


def _choose(path, types, column):
    """Name the column of mean amplitudes, or None, and the pair of columns of Friedel mates, or None."""
    amplitudes = [label for label, kind in types.items() if kind == "F"]
    pairs = {label: _mate(label) for label, kind in types.items() if kind == "G" and types.get(_mate(label)) == "G"}
    if column is None:
        column = _guess(path, types, amplitudes, pairs)
    elif column not in types:
        raise missing_column(path, column, types, "column=")
    elif types[column] not in "FGR":
        raise MissingColumnError(
            f"{path}: the column {column} has the MTZ type {types[column]}, which is not of amplitudes (F or G); give "
            f"another with column= ({', '.join(amplitudes + list(pairs)) or 'this file has none'})."
        )
    if column in pairs:
        return None, (column, pairs[column])
    own = [plus for plus in pairs if plus.replace("(+)", "").replace("+", "") == column]
    plus = own[0] if own else next(iter(pairs)) if len(pairs) == 1 else None
    return column, (plus, pairs[plus]) if plus else None


def _mate(label):
    return label.replace("+", "-") if "+" in label else None


def _guess(path, types, amplitudes, pairs):
    # Measured amplitudes have standard deviations; map coefficients and calculated ones do not.
    measured = [label for label in amplitudes if any(is_sigma_of(other, label) for other in types)]
    for candidates in (measured, amplitudes, list(pairs)):
        if len(candidates) == 1:
            return candidates[0]
        if candidates:
            raise AmbiguousColumnError(
                f"{path}: several columns could be the amplitudes ({', '.join(candidates)}); choose with "
                f"column={candidates[0]!r}."
            )
    raise MissingColumnError(
        f"{path}: there is no column of amplitudes (MTZ type F or G) among {', '.join(types)}; name one with column=, "
        "or convert the intensities to amplitudes first."
    )


def _from_model(asu, path):
    try:
        structure = gemmi.read_structure(path)
    except (RuntimeError, ValueError) as error:
        raise UnreadableFileError(f"{path}: the model cannot be read ({error}); copy or write it again.") from error
    if not len(structure) or not structure[0].count_atom_sites():
        raise UnreadableFileError(f"{path}: there are no atoms in it; give a PDB or mmCIF file of a model.")
    _check_lattice(path, structure.cell if structure.cell.is_crystal() else None, asu)
    spacegroup = structure.find_spacegroup()
    if spacegroup is None or spacegroup.xhm() != asu.spacegroup.xhm():
        # Screw axes as well: the atoms of another space group scatter otherwise.
        raise _other_space_group(path, spacegroup, asu)
    # Copies by strict noncrystallographic symmetry may be in the file as operations alone.
    structure.expand_ncs(gemmi.HowToNameCopiedChain.Dup)
    calculator = gemmi.DensityCalculatorX()
    calculator.d_min = float(1.0 / np.sqrt(structure.cell.calculate_1_d2_array(asu.miller_index).max()))
    calculator.rate, calculator.cutoff = _RATE, _CUTOFF
    calculator.set_grid_cell_and_spacegroup(structure)
    calculator.set_refmac_compatible_blur(structure[0])
    calculator.put_model_density_on_grid(structure[0])
    transform = gemmi.transform_map_to_f_phi(calculator.grid)
    hkl = np.ascontiguousarray(asu.miller_index, np.int32)
    return np.abs(transform.get_value_by_hkl(hkl, unblur=calculator.blur)).astype(np.float64)


def _check_lattice(path, cell, asu):
    if cell is None:
        raise SymmetryError(f"{path}: the file has no unit cell; write one into it.")
    own, wanted = np.array(cell.parameters), np.array(asu.cell.parameters)
    if np.any(np.abs(own - wanted) > [*(CELL_SPREAD * wanted[:3]), 3.0, 3.0, 3.0]):
        its, theirs = (" ".join(f"{x:.6g}" for x in parameters) for parameters in (own, wanted))
        raise SymmetryError(
            f"{path}: its cell {its} differs by more than 3 % from that of the reflections, {theirs}; give a reference "
            "of an isomorphous crystal, or reindex it first."
        )


def _check_point_group(path, spacegroup, asu):
    """Screw axes make no difference to which amplitudes are equivalent."""

    def symmetry(group):
        operations = group.operations()
        return {str(op.rot) for op in operations.sym_ops}, {str(shift) for shift in operations.cen_ops}

    if spacegroup is None or symmetry(spacegroup) != symmetry(asu.spacegroup):
        raise _other_space_group(path, spacegroup, asu)


def _other_space_group(path, spacegroup, asu):
    found = "it has no space group" if spacegroup is None else f"its space group is {spacegroup.xhm()}"
    return SymmetryError(
        f"{path}: {found}, but that of the reflections is {asu.spacegroup.xhm()}; give a reference in this one, or "
        "read the observations with the other (space_group=)."
    )
