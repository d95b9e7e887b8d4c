"""Another choice of axes: reindexing where the lattice has more symmetry than the crystal."""

from dataclasses import replace

import gemmi
import numpy as np

from vimerge.reflections import hkl as miller
from vimerge.reflections.asu import ReciprocalASU
from vimerge.reflections.errors import OptionError, SymmetryError
from vimerge.reflections.metadata import COMPUTED

__all__ = ["matrix_of", "reindex"]

# Absences of all indices to this one tell space groups apart whose point groups are the same.
_HIGHEST = 6


def matrix_of(operator):
    """
    Read a reindexing operator.

    Parameters
    ----------
    operator : str or gemmi.Op
        Such as "k,h,-l".

    Returns
    -------
    np.ndarray
        ``[3, 3]`` int32 P: the new indices are ``hkl @ P``.

    Raises
    ------
    OptionError
        If it is no operator on h, k, l, or none between right-handed cells of the same volume.
    """
    try:
        op = operator if isinstance(operator, gemmi.Op) else gemmi.Op(str(operator))
    except (RuntimeError, ValueError):
        op = None
    if op is None or not op.is_hkl() or any(op.tran):
        raise OptionError(f"{operator!r} is no reindexing operator; write one on h, k and l, such as 'k,h,-l'.")
    matrix = np.array(op.rot) / gemmi.Op.DEN
    if not np.array_equal(matrix, np.rint(matrix)) or round(np.linalg.det(matrix)) != 1:
        raise OptionError(
            f"The reindexing operator {op.triplet()} changes the hand or the volume of the cell; give one whose "
            "determinant is 1, such as 'k,h,-l'."
        )
    return matrix.astype(np.int32)


def reindex(reflections, operator):
    """
    Give observations the indices of another choice of axes.

    Parameters
    ----------
    reflections : Reflections
        The table.
    operator : str or gemmi.Op
        What makes the new indices of the old, such as "k,h,-l".

    Returns
    -------
    Reflections
        With new indices, numbers of reflections, cell (the same if the lattice has this symmetry), and Hobs, Kobs, Lobs
        among the metadata.

    Raises
    ------
    OptionError
        If it is no reindexing operator.
    SymmetryError
        If it does not keep the space group.
    """
    asu, matrix = reflections.asu, matrix_of(operator)
    if not _keeps(asu.spacegroup, matrix):
        raise SymmetryError(
            f"The reindexing operator {operator} does not keep the symmetry {asu.spacegroup.xhm()}; choose another, "
            "or read the file in the other setting, with --space-group (space_group=)."
        )
    # A normaliser of the group takes each reflection, and each Friedel mate, to one.
    mapped, plus = miller.to_asu(miller.as_hkl(asu.miller_index @ matrix), asu.spacegroup)
    new_asu, new_id = ReciprocalASU._from_mapped(mapped, plus, _cell(asu.cell, matrix), asu.spacegroup, asu.anomalous)
    metadata = reflections.metadata.copy()
    harmonic_hkl = reflections.harmonic_hkl @ matrix
    for i, name in enumerate(COMPUTED[1:]):
        if name in reflections.metadata_keys:
            metadata[:, reflections.metadata_keys.index(name)] = harmonic_hkl[:, i]
    return replace(
        reflections,
        asu=new_asu,
        refl_id=new_id[reflections.refl_id],
        hkl=miller.as_hkl(reflections.hkl @ matrix),
        metadata=metadata,
    )


def _keeps(spacegroup, matrix):
    """Whether the rotations and the absences are the same in the new axes."""
    operations = spacegroup.operations()
    rotations = {tuple(np.array(op.rot).ravel() // gemmi.Op.DEN) for op in operations.sym_ops}
    inverse = np.rint(np.linalg.inv(matrix)).astype(int)
    changed = {tuple((inverse @ np.reshape(rotation, (3, 3)) @ matrix).ravel()) for rotation in rotations}
    axis = np.arange(-_HIGHEST, _HIGHEST + 1, dtype=np.int32)
    hkl = np.stack(np.meshgrid(axis, axis, axis), axis=-1).reshape(-1, 3)
    new = miller.as_hkl(hkl @ matrix)
    absences = (operations.systematic_absences(np.ascontiguousarray(x)) for x in (hkl, new))
    return changed == rotations and np.array_equal(*absences)


def _cell(cell, matrix):
    """The cell of the new axes, A P, where the columns of A are the old ones; the old cell if it is the same."""
    axes = np.array(cell.orth.mat.tolist()) @ matrix
    lengths = np.linalg.norm(axes, axis=0)
    unit = axes / lengths
    angles = [np.degrees(np.arccos(np.clip(unit[:, i] @ unit[:, j], -1, 1))) for i, j in ((1, 2), (0, 2), (0, 1))]
    parameters = [*lengths, *angles]
    return cell if np.allclose(parameters, cell.parameters, rtol=1e-9) else gemmi.UnitCell(*parameters)
