"""Peaks of maps, and the atoms they are near."""

import gemmi
import numpy as np
from scipy import ndimage, optimize

from vimerge.reflections.errors import OptionError

_STEP = 0.2


def find_peaks(grid, interpolant, number, minimum, separation):
    """Find the strongest symmetry-unique maxima and minima.

    Grid points above all their 26 neighbours are where to start; the extremum is within a step of them.

    Parameters
    ----------
    grid : gemmi.FloatGrid
        The whole cell.
    interpolant : Interpolant
        Of the grid.
    number : int
        How many of each sign, at most.
    minimum : float
        The least height.
    separation : float
        The least distance (Å) between two of the same sign.

    Returns
    -------
    heights : array, [P]
        In order of their magnitude.
    positions : array, [P, 3]
        Orthogonal coordinates (Å).
    """
    if number < 1 or not minimum > 0 or not separation >= 0:
        raise OptionError("Peaks need number ≥ 1, minimum > 0 and separation ≥ 0.")
    array = np.asarray(grid.array)
    heights, points = [], []
    for sign in (1, -1):
        signed = sign * array
        # Between grid points the map is at most a little higher; what is not high enough goes later.
        maxima = (signed == ndimage.maximum_filter(signed, size=3, mode="wrap")) & (signed > 0.8 * minimum)
        index = np.argwhere(maxima)
        index = index[np.argsort(-signed[tuple(index.T)], kind="stable")]
        for point in _unique(grid, index / np.array(array.shape), number, separation):
            height, point = _refine(interpolant, point, sign)
            if sign * height >= minimum:
                heights.append(height)
                points.append(point)
    order = np.argsort(-np.abs(heights), kind="stable")
    positions = np.array(points).reshape(-1, 3) @ np.array(grid.unit_cell.orth.mat.tolist()).T
    return np.array(heights, np.float64)[order], positions[order]


def local_extremum(interpolant, position, radius, sign):
    """The largest (sign 1) or smallest (−1) value within a radius.

    Parameters
    ----------
    interpolant : Interpolant
        Of the map.
    position : gemmi.Position
        The centre.
    radius : float
        In Å.
    sign : int
        1 or −1.

    Returns
    -------
    value, distance : float
        The largest or smallest at points 0.2 Å apart, and how far from the centre it is.
    """
    line = np.arange(-radius, radius + 1e-6, _STEP)
    offsets = np.stack(np.meshgrid(line, line, line, indexing="ij"), axis=-1).reshape(-1, 3)
    length = np.linalg.norm(offsets, axis=1)
    inside = length <= radius + 1e-9
    offsets, length = offsets[inside], length[inside]
    values = interpolant.at_positions(offsets + position.tolist())
    best = np.argmax(sign * values)
    return float(values[best]), float(length[best])


def nearest_atoms(model, positions):
    """Find the nearest atom to each position, over the crystal's symmetry, and the equivalent position next to it.

    Parameters
    ----------
    model : gemmi.Structure
        With symmetry images set up. Hydrogen atoms are left out.
    positions : array, [P, 3]
        Orthogonal coordinates (Å).

    Returns
    -------
    positions : array, [P, 3]
        Equivalent ones, next to the atom as it is in the model.
    atoms : list of tuple
        Chain, residue, number, atom, alternative location, and the distance (Å).
    """
    search = gemmi.NeighborSearch(model[0], model.cell, 5.0).populate(include_h=False)
    moved, atoms = [], []
    for position in positions:
        position = gemmi.Position(*position)
        found = search.find_nearest_atom(position).to_cra(model[0])
        image = model.cell.find_nearest_image(found.atom.pos, position)
        moved.append(model.cell.find_nearest_pbc_position(found.atom.pos, position, image.sym_idx).tolist())
        altloc = found.atom.altloc.strip("\0")
        names = (found.chain.name, found.residue.name, str(found.residue.seqid), found.atom.name, altloc)
        atoms.append((*names, image.dist()))
    return np.array(moved, np.float64).reshape(-1, 3), atoms


def select_atoms(model, residues):
    """The atoms of residues.

    Parameters
    ----------
    model : gemmi.Structure
        The model.
    residues : str or list of str
        Names of residues (``HC4``) or their numbers in a chain (``A/69``), several with spaces.

    Returns
    -------
    list of (str, gemmi.Atom)
        ``chain/residue number/atom`` and the atom.

    Raises
    ------
    OptionError
        If one of them is not in the model.
    """
    wanted = residues.split() if isinstance(residues, str) else list(residues)
    selected, met = [], set()
    for found in model[0].all():
        chain, residue, atom = found.chain.name, found.residue, found.atom
        names = {residue.name, f"{chain}/{residue.seqid}", f"{chain}/{residue.seqid.num}"} & set(wanted)
        if names:
            met |= names
            selected.append((f"{chain}/{residue.name} {residue.seqid}/{atom.name}", atom))
    missing = [name for name in wanted if name not in met]
    if missing or not selected:
        raise OptionError(
            f"The model has no residue {' '.join(missing)}; give names of residues (HC4) or numbers in a chain (A/69)."
        )
    return selected


def near_atoms(model, positions, selected, radius):
    """Which positions, [P, 3] (Å), are within a radius of any of selected atoms or its symmetry mates; bool [P]."""
    atoms = np.array([atom.pos.tolist() for _, atom in selected]) @ np.array(model.cell.frac.mat.tolist()).T
    operations = model.find_spacegroup().operations()
    orthogonal = np.array(model.cell.orth.mat.tolist())
    fractional = positions @ np.array(model.cell.frac.mat.tolist()).T
    near = [_distances(_images(point, operations), atoms, orthogonal).min() <= radius for point in fractional]
    return np.array(near, bool)


def _unique(grid, candidates, number, separation):
    """The first candidates, [C, 3] fractional, that are no closer to each other than the separation."""
    operations = grid.spacegroup.operations()
    orthogonal = np.array(grid.unit_cell.orth.mat.tolist())
    taken = np.zeros((0, 3))
    unique = []
    for point in candidates:
        if len(taken) and _distances(taken, point[None], orthogonal).min() < separation:
            continue
        unique.append(point)
        if len(unique) == number:
            break
        taken = np.concatenate([taken, _images(point, operations)])
    return unique


def _images(point, operations):
    """All equivalent fractional positions in the cell, [G, 3]."""
    return np.array([op.apply_to_xyz(point.tolist()) for op in operations])


def _distances(first, second, orthogonal):
    """Distances (Å) between fractional positions, [N, 3] and [M, 3], over lattice translations; [N, M].

    They are exact where they are less than half the least distance between lattice planes.
    """
    difference = first[:, None] - second[None]
    return np.linalg.norm((difference - np.round(difference)) @ orthogonal.T, axis=-1)


def _refine(interpolant, point, sign):
    """The extremum within a grid step of a fractional position."""
    step = 1.0 / interpolant.shape

    def target(offset):
        return -sign * float(interpolant.at([point + offset * step])[0])

    found = optimize.minimize(target, np.zeros(3), method="L-BFGS-B", bounds=[(-1, 1)] * 3)
    return -sign * float(found.fun), point + found.x * step
