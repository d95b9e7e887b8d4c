"""Random atoms: what they are, where they sit and how much they move."""

from dataclasses import dataclass

import gemmi
import numpy as np

# Non-hydrogen atoms of an average protein, and how many of them a crystal has per Å³: 0.057 within protein, of which
# it is about half.
_LIGHT = {"C": 0.63, "N": 0.17, "O": 0.19, "S": 0.01}
_LIGHT_DENSITY = 0.028


@dataclass(frozen=True)
class Atoms:
    """Isotropic atoms at full occupancy.

    Parameters
    ----------
    elements : sequence of str
        Element of each of the A atoms.
    fractional : ndarray, shape [A, 3]
        Fractional coordinates.
    b_factors : ndarray, shape [A]
        Isotropic B factors (Å²).
    """

    elements: tuple
    fractional: np.ndarray
    b_factors: np.ndarray


def default_count(cell, space_group):
    """Light atoms in the asymmetric unit of a protein crystal of this cell (gemmi.UnitCell) and space group."""
    volume = cell.volume / len(space_group.operations())
    return max(1, round(volume * _LIGHT_DENSITY))


def light_atoms(count, b_range, rng):
    """C, N, O and S, uniformly distributed, which gives exactly Wilson's statistics.

    Parameters
    ----------
    count : int
        How many.
    b_range : (float, float)
        Smallest and largest B (Å²).
    rng : numpy.random.Generator
        Source of chance.

    Returns
    -------
    Atoms
    """
    elements = rng.choice(list(_LIGHT), size=count, p=list(_LIGHT.values()))
    return Atoms(tuple(elements.tolist()), rng.random((count, 3)), _draw_b(count, b_range, rng))


def anomalous_atoms(count, element, b_range, cell, space_group, rng, candidates=10):
    """Anomalous scatterers kept apart from each other and from special positions.

    Each is the best of a few random candidates, the one farthest from the sites so far and from its own symmetry
    mates, since two that overlap, or one on a special position, are not the sites they seem.

    Parameters
    ----------
    count : int
        How many.
    element : str
        Their element.
    b_range : (float, float)
        Smallest and largest B (Å²).
    cell : gemmi.UnitCell
        The cell.
    space_group : gemmi.SpaceGroup
        The space group.
    rng : numpy.random.Generator
        Source of chance.
    candidates : int, optional
        Random positions tried for each.

    Returns
    -------
    Atoms
    """
    operations = [(np.array(op.rot) / op.DEN, np.array(op.tran) / op.DEN) for op in space_group.operations()]
    orthogonalization = np.array(cell.orth.mat)
    sites = np.zeros((0, 3))
    for _ in range(count):
        trials = rng.random((candidates, 3))
        room = [_nearest(trial, sites, operations, orthogonalization) for trial in trials]
        sites = np.vstack([sites, trials[int(np.argmax(room))]])
    return Atoms((element,) * count, sites, _draw_b(count, b_range, rng))


def build_structure(groups, cell, space_group):
    """Build a gemmi structure with a chain (A, B, …) for each group of atoms and a residue for each atom.

    Parameters
    ----------
    groups : sequence of Atoms
        The atoms.
    cell : gemmi.UnitCell
        The cell.
    space_group : gemmi.SpaceGroup
        The space group.

    Returns
    -------
    gemmi.Structure
    """
    structure = gemmi.Structure()
    structure.cell = cell
    structure.spacegroup_hm = space_group.xhm()
    model = gemmi.Model(1)
    for letter, atoms in zip("ABC", groups, strict=False):
        chain = gemmi.Chain(letter)
        for i, (element, position, b) in enumerate(zip(atoms.elements, atoms.fractional, atoms.b_factors, strict=True)):
            chain.add_residue(_residue(i + 1, element, cell.orthogonalize(gemmi.Fractional(*position)), b))
        model.add_chain(chain)
    structure.add_model(model)
    structure.setup_cell_images()
    return structure


def _draw_b(count, b_range, rng):
    low, high = b_range
    # Beta(2, 2) is a hump between the two ends: few atoms are as sharp or as loose as the extremes.
    return low + (high - low) * rng.beta(2, 2, size=count)


def _nearest(trial, sites, operations, orthogonalization):
    """Distance (Å) from a position to the nearest other site or symmetry mate."""
    images = np.array([rotation @ trial + translation for rotation, translation in operations])
    mates = _distances(images[1:] - trial, orthogonalization)
    others = _distances((images[:, None] - sites[None]).reshape(-1, 3), orthogonalization)
    return min(mates.min(initial=np.inf), others.min(initial=np.inf))


def _distances(differences, orthogonalization):
    return np.linalg.norm((differences - np.round(differences)) @ orthogonalization.T, axis=1)


def _residue(number, element, position, b):
    residue = gemmi.Residue()
    residue.name = residue_name = element.upper()
    residue.seqid = gemmi.SeqId(number, " ")
    residue.het_flag = "H"
    atom = gemmi.Atom()
    atom.name = residue_name
    atom.element = gemmi.Element(element)
    atom.pos = position
    atom.b_iso = b
    atom.occ = 1.0
    residue.add_atom(atom)
    return residue
