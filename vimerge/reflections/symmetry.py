"""The space group and the cell of the observations: found, checked against each other, averaged over files."""

import gemmi
import numpy as np

from vimerge.reflections.errors import SymmetryError

__all__ = ["common_cell", "common_spacegroup", "resolve_spacegroup"]

# Cells refined without their symmetry's constraints miss them by a few parts in a thousand. (gemmi's own check wants
# them within a few thousandths of an Å.)
CELL_TOLERANCE = 0.01
# Crystals whose cells differ by more are not isomorphous enough to share structure factors.
CELL_SPREAD = 0.03


def resolve_spacegroup(space_group, cell=None, source="these observations"):
    """
    Turn a name or number into a space group, in the setting that fits the cell.

    Parameters
    ----------
    space_group : str, int or gemmi.SpaceGroup
        A Hermann-Mauguin symbol ("P 43 21 2", "R 3", "H3"), a number of the International Tables, or the thing itself.
    cell : gemmi.UnitCell, optional
        Tells hexagonal from rhombohedral axes where the name does not.
    source : str, optional
        The file, for the error message.

    Returns
    -------
    gemmi.SpaceGroup

    Raises
    ------
    SymmetryError
        If there is no such space group.
    """
    if isinstance(space_group, gemmi.SpaceGroup):
        return space_group
    name = str(space_group).strip()
    alpha, gamma = (cell.alpha, cell.gamma) if cell is not None else (0.0, 0.0)
    found = None
    if name.isdigit() and 1 <= int(name) <= 230:
        name = gemmi.find_spacegroup_by_number(int(name)).hm
    if name and not name.isdigit():
        try:
            found = gemmi.find_spacegroup_by_name(name, alpha, gamma)
        except ValueError:
            found = None
    if found is None:
        raise SymmetryError(
            f"{source}: there is no space group {str(space_group)!r}; give a symbol such as 'P 43 21 2' or a number "
            "from 1 to 230 with --space-group (space_group=)."
        )
    return found


def _is_compatible(cell, spacegroup):
    """Whether all rotations of the space group leave the cell's metric tensor as it is, within the tolerance."""
    lengths = np.array(cell.parameters[:3])
    cosines = np.cos(np.radians(cell.parameters[3:]))
    metric = np.eye(3)
    for (i, j), cosine in zip(((1, 2), (0, 2), (0, 1)), cosines, strict=True):
        metric[i, j] = metric[j, i] = cosine
    metric *= np.outer(lengths, lengths)
    for op in spacegroup.operations().sym_ops:
        rotation = np.array(op.rot) / gemmi.Op.DEN
        change = np.abs(rotation.T @ metric @ rotation - metric)
        # Lengths enter squared.
        if np.any(change > 2 * CELL_TOLERANCE * np.outer(lengths, lengths)):
            return False
    return True


def _describe(cell):
    return " ".join(f"{x:.6g}" for x in cell.parameters)


def common_spacegroup(raws, space_group=None):
    """
    Agree on the space group that all sources share, or take the one that was asked for.

    Parameters
    ----------
    raws : sequence of RawObservations
        The sources.
    space_group : str, int or gemmi.SpaceGroup, optional
        Overrides what the sources say.

    Returns
    -------
    gemmi.SpaceGroup

    Raises
    ------
    SymmetryError
        If a source has none, two differ, or a cell contradicts it.
    """
    if space_group is not None:
        chosen = resolve_spacegroup(space_group, raws[0].cell, raws[0].path)
    else:
        for raw in raws:
            if raw.spacegroup is None:
                raise SymmetryError(
                    f"{raw.path}: the file has no space group; give one with --space-group (space_group=)."
                )
        chosen = raws[0].spacegroup
        for raw in raws[1:]:
            if raw.spacegroup.xhm() != chosen.xhm():
                raise SymmetryError(
                    f"{raw.path}: its space group {raw.spacegroup.xhm()} differs from {chosen.xhm()} in "
                    f"{raws[0].path}; give the one that is right for both with --space-group (space_group=)."
                )
    for raw in raws:
        if raw.cell is None or not raw.cell.is_crystal():
            raise SymmetryError(f"{raw.path}: the file has no unit cell; write one into its header.")
        if not _is_compatible(raw.cell, chosen):
            raise SymmetryError(
                f"{raw.path}: the cell {_describe(raw.cell)} is incompatible with the space group {chosen.xhm()}; "
                "give the right space group with --space-group (space_group=)."
            )
    return chosen


def common_cell(raws):
    """
    Average the cells of all sources, weighted by their numbers of observations.

    Parameters
    ----------
    raws : sequence of RawObservations
        The sources, each with a cell.

    Returns
    -------
    gemmi.UnitCell

    Raises
    ------
    SymmetryError
        If a length differs from the mean by more than 3 %, or an angle by more than 3 degrees.
    """
    if len(raws) == 1:
        return raws[0].cell
    cells = np.array([raw.cell.parameters for raw in raws])
    mean = np.average(cells, axis=0, weights=[max(len(raw), 1) for raw in raws])
    off = np.abs(cells - mean) > np.array([*(CELL_SPREAD * mean[:3]), 3.0, 3.0, 3.0])
    if off.any():
        worst = int(np.argmax(off.any(axis=1)))
        raise SymmetryError(
            f"{raws[worst].path}: its cell {_describe(raws[worst].cell)} differs by more than 3 % from the files' mean "
            f"{_describe(gemmi.UnitCell(*mean))}; merge this file by itself, or reindex it first."
        )
    return gemmi.UnitCell(*mean)
