"""Crystals that differ from another by a known little."""

import math

import gemmi
import numpy as np

from vimerge.simulation.checks import check_count, check_real
from vimerge.simulation.crystal import Crystal

# Keeps these random numbers apart from the crystal's and the experiment's under the same seed.
_STREAM = 5
# Atoms of two structures within this distance (Å) are the same atom.
_SAME = 1e-3


def related_crystal(crystal, *, atoms=12, shift=1.5, fraction=0.3, seed=0):
    """Excite a part of a crystal: F = F_ground + fraction · (F_excited − F_ground), exactly.

    In the excited cells a compact group of light atoms has moved or left. The result is a crystal of two conformers,
    whose occupancies are what is mixed; its structure factors and PDB file follow as for any other.

    Parameters
    ----------
    crystal : Crystal
        The crystal in the ground state.
    atoms : int, optional
        Atoms in the group: one at random and its nearest neighbours. Anomalous scatterers stay.
    shift : float, optional
        Distance (Å) that each moves, in a direction of its own. None: they leave, as a ligand does.
    fraction : float, optional
        Fraction of the cells that is excited.
    seed : int, optional
        Fixes which atoms, and their directions.

    Returns
    -------
    Crystal

    Raises
    ------
    ValueError
        If an argument is out of range, or the crystal has fewer light atoms.
    """
    atoms = check_count("atoms", atoms, low=1)
    fraction = check_real("fraction", fraction, low=0, high=1)
    shift = None if shift is None else check_real("shift", shift, low=0, unit="Å")
    rng = np.random.default_rng([check_count("seed", seed, low=0), _STREAM])
    structure = crystal.structure.clone()
    light = [site for site, i in zip(structure[0].all(), _site_numbers(crystal), strict=True) if i < 0]
    if len(light) < atoms:
        raise ValueError(f"The crystal has {len(light)} light atoms; choose atoms of at most that many, not {atoms}.")
    positions = np.array([site.atom.pos.tolist() for site in light])
    centre = positions[rng.integers(len(light))]
    group = np.argsort(np.linalg.norm(positions - centre, axis=1), kind="stable")[:atoms]
    directions = rng.normal(size=(atoms, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    # Copies first: adding an atom to a residue moves the others in memory.
    chosen = [(light[i].residue, light[i].atom.name, light[i].atom.altloc, light[i].atom.clone()) for i in group]
    for (residue, name, altloc, original), direction in zip(chosen, directions, strict=True):
        ground = residue.find_atom(name, altloc)
        ground.occ = original.occ * (1 - fraction)
        if shift is None:
            continue
        used = {atom.altloc for atom in residue}
        if altloc == "\0":
            ground.altloc = "A"
            used.add("A")
        original.altloc = next(letter for letter in "BCDEFGHIJ" if letter not in used)
        original.occ *= fraction
        original.pos += gemmi.Position(*(shift * direction))
        residue.add_atom(original)
    structure.setup_cell_images()
    return Crystal(structure, crystal.sites, crystal.f_prime, crystal.f_double_prime)


def correlated_crystal(crystal, correlation, *, seed=0):
    """Draw a crystal whose structure factors correlate with another's: F = r F₁ + √(1 − r²) F₂.

    F₂ is of a crystal with the same atoms at other random positions, so that given F₁ the normalised structure factor
    is a complex (centric: real) Gaussian about r E₁ with the variance 1 − r², and the marginal distribution is Wilson's
    again. It is written as atoms at the occupancies r and √(1 − r²).

    Parameters
    ----------
    crystal : Crystal
        The first crystal.
    correlation : float
        r, from 0 to 1, at all resolutions.
    seed : int, optional
        Fixes the result.

    Returns
    -------
    Crystal

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    correlation = check_real("correlation", correlation, low=0, high=1)
    rng = np.random.default_rng([check_count("seed", seed, low=0), _STREAM])
    numbers = _site_numbers(crystal)
    places = rng.random((len(numbers), 3))
    of_sites = np.zeros((max(numbers, default=-1) + 1, 3))
    for place, number in zip(places, numbers, strict=True):
        if number >= 0:
            of_sites[number] = place
    return Crystal(
        _mix(crystal.structure, places, correlation),
        _mix(crystal.sites, of_sites, correlation),
        crystal.f_prime,
        crystal.f_double_prime,
    )


def _site_numbers(crystal):
    """Which of the anomalous scatterers each atom of the structure is, −1 if none."""
    sites = np.array([site.atom.pos.tolist() for site in crystal.sites[0].all()]).reshape(-1, 3)
    numbers = []
    for site in crystal.structure[0].all():
        near = np.flatnonzero(np.linalg.norm(sites - site.atom.pos.tolist(), axis=1) < _SAME)
        numbers.append(int(near[0]) if len(near) else -1)
    return numbers


def _mix(structure, places, correlation):
    """A structure at the occupancy r, and its atoms at other fractional coordinates, [A, 3], at √(1 − r²)."""
    mixed = structure.clone()
    others = structure.clone()
    for site, place in zip(others[0].all(), places, strict=True):
        site.atom.pos = structure.cell.orthogonalize(gemmi.Fractional(*place))
        site.atom.occ *= math.sqrt(1 - correlation**2)
    for site in mixed[0].all():
        site.atom.occ *= correlation
    for chain in others[0]:
        chain.name = chain.name.lower()
        mixed[0].add_chain(chain)
    mixed.setup_cell_images()
    return mixed
