"""Space group and cell from what a user types."""

import gemmi


def find_space_group(space_group):
    """Look up a space group.

    Parameters
    ----------
    space_group : str, int or gemmi.SpaceGroup
        Hermann–Mauguin symbol (``"P 21 21 21"``, ``"R3:H"``) or number.

    Returns
    -------
    gemmi.SpaceGroup

    Raises
    ------
    ValueError
        If there is no such space group.
    """
    if isinstance(space_group, gemmi.SpaceGroup):
        return space_group
    text = str(space_group).strip()
    if text.isdigit():
        found = gemmi.find_spacegroup_by_number(int(text)) if 1 <= int(text) <= 230 else None
    else:
        found = gemmi.find_spacegroup_by_name(text)
    if found is None:
        raise ValueError(f"space_group {space_group!r} is not known; write it like 'P 21 21 21', 'C2' or 'R3:H'.")
    return found


def find_cell(cell, space_group):
    """Check a unit cell against a space group.

    Parameters
    ----------
    cell : sequence of 6 (or 3) floats, or gemmi.UnitCell
        Lengths (Å) and angles (°); three lengths stand for a cell of right angles.
    space_group : gemmi.SpaceGroup
        The space group.

    Returns
    -------
    gemmi.UnitCell

    Raises
    ------
    ValueError
        If the cell is impossible or does not have the space group's symmetry.
    """
    try:
        values = [float(x) for x in (cell.parameters if isinstance(cell, gemmi.UnitCell) else cell)]
    except (TypeError, ValueError):
        values = []
    if len(values) == 3:
        values += [90.0, 90.0, 90.0]
    if len(values) != 6:
        raise ValueError(f"cell must be three lengths (Å) and three angles (°), not {cell!r}.")
    if not all(2 <= x < 1e4 for x in values[:3]) or not all(0 < x < 180 for x in values[3:]):
        raise ValueError(f"cell lengths must lie between 2 and 10000 Å and angles between 0 and 180°, not {values}.")
    unit_cell = gemmi.UnitCell(*values)
    if not unit_cell.volume > 1:
        raise ValueError(f"cell {values} has no volume; its angles are impossible.")
    if not unit_cell.is_compatible_with_spacegroup(space_group):
        raise ValueError(f"cell {values} does not have the symmetry of space group {space_group.xhm()}.")
    return unit_cell
