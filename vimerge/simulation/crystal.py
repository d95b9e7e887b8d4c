"""Crystals of random atoms whose structure factors are known."""

from dataclasses import dataclass

import gemmi
import numpy as np
import reciprocalspaceship as rs

from vimerge.simulation.atoms import anomalous_atoms, build_structure, default_count, light_atoms
from vimerge.simulation.checks import check_count, check_real
from vimerge.simulation.lattice import find_cell, find_space_group
from vimerge.simulation.structure_factors import friedel_pair, normal_scattering, site_sums

# Keeps the crystal's random numbers apart from the experiment's under the same seed.
_STREAM = 1


@dataclass(frozen=True)
class Crystal:
    """Atoms in a cell, with a few anomalous scatterers.

    Parameters
    ----------
    structure : gemmi.Structure
        All atoms of the asymmetric unit, with cell and space group.
    sites : gemmi.Structure
        The anomalous scatterers alone; they are in `structure` too.
    f_prime, f_double_prime : float
        Anomalous scattering factors f′ and f″ (electrons) of `sites`. All other atoms scatter normally.
    """

    structure: gemmi.Structure
    sites: gemmi.Structure
    f_prime: float = 0.0
    f_double_prime: float = 0.0

    @classmethod
    def random(
        cls,
        *,
        space_group="P 21 21 21",
        cell=(34.0, 45.0, 55.0, 90.0, 90.0, 90.0),
        n_atoms=None,
        n_anomalous=3,
        anomalous_element="Se",
        wavelength=0.9790,
        b_range=(15.0, 40.0),
        seed=0,
    ):
        """Put atoms at random into the asymmetric unit.

        Parameters
        ----------
        space_group : str, int or gemmi.SpaceGroup, optional
            The space group.
        cell : sequence of 6 floats or gemmi.UnitCell, optional
            Cell lengths (Å) and angles (°); three lengths stand for a cell of right angles.
        n_atoms : int, optional
            Light atoms (C, N, O, S) in the asymmetric unit. None: as many as a protein crystal of that volume has.
        n_anomalous : int, optional
            Anomalous scatterers in the asymmetric unit, besides the light atoms.
        anomalous_element : str, optional
            Their element.
        wavelength : float, optional
            Wavelength (Å) for f′ and f″, by the method of Cromer & Liberman (Acta Cryst. A37, 267, 1981).
        b_range : (float, float), optional
            Smallest and largest isotropic B factor (Å²).
        seed : int, optional
            Fixes the result.

        Returns
        -------
        Crystal

        Raises
        ------
        ValueError
            If an argument is out of range, or the cell does not fit the space group.
        """
        space_group = find_space_group(space_group)
        cell = find_cell(cell, space_group)
        n_anomalous = check_count("n_anomalous", n_anomalous, low=0)
        n_atoms = default_count(cell, space_group) if n_atoms is None else check_count("n_atoms", n_atoms, low=0)
        if n_atoms + n_anomalous == 0:
            raise ValueError("n_atoms and n_anomalous are both 0; a crystal needs at least one atom.")
        if np.shape(b_range) != (2,):
            raise ValueError(f"b_range must be two numbers (Å²), not {b_range!r}.")
        b_low = check_real("the lower end of b_range", b_range[0], low=0, unit="Å²")
        b_high = check_real("the upper end of b_range", b_range[1], low=b_low, unit="Å²")
        element = find_element(anomalous_element)
        wavelength = check_real("wavelength", wavelength, low=0.1, high=10, unit="Å")
        rng = np.random.default_rng([check_count("seed", seed, low=0), _STREAM])

        light = light_atoms(n_atoms, (b_low, b_high), rng)
        heavy = anomalous_atoms(n_anomalous, element.name, (b_low, b_high), cell, space_group, rng)
        f_prime, f_double_prime = gemmi.cromer_liberman(element.atomic_number, gemmi.hc / wavelength)
        return cls(
            structure=build_structure([heavy, light], cell, space_group),
            sites=build_structure([heavy], cell, space_group),
            f_prime=f_prime if n_anomalous else 0.0,
            f_double_prime=f_double_prime if n_anomalous else 0.0,
        )

    @property
    def cell(self):
        """gemmi.UnitCell: the unit cell."""
        return self.structure.cell

    @property
    def space_group(self):
        """gemmi.SpaceGroup: the space group."""
        return gemmi.find_spacegroup_by_name(self.structure.spacegroup_hm)

    def complex_structure_factors(self, dmin):
        """F(h) and F(−h) of the unique reflections as complex numbers.

        Parameters
        ----------
        dmin : float
            Resolution limit (Å).

        Returns
        -------
        hkl : ndarray of int32, shape [U, 3]
            Miller indices in the CCP4 asymmetric unit, without systematic absences.
        plus, minus : ndarray of complex128, shape [U]
            F(h) and F(−h) in electrons.

        Raises
        ------
        ValueError
            If `dmin` is not positive, or no reflection has a spacing that large.
        """
        dmin = check_real("dmin", dmin, low=0.4, unit="Å")
        hkl = gemmi.make_miller_array(self.cell, self.space_group, dmin)
        if len(hkl) == 0:
            raise ValueError(f"No reflection of this cell lies within dmin = {dmin:g} Å; choose a smaller dmin.")
        atoms = [site.atom for site in self.sites[0].all()]
        fractional = [self.cell.fractionalize(atom.pos).tolist() for atom in atoms]
        b_factors, occupancies = [atom.b_iso for atom in atoms], [atom.occ for atom in atoms]
        unit = site_sums(fractional, b_factors, occupancies, hkl, self.cell, self.space_group)
        normal = normal_scattering(self.structure, hkl, dmin)
        plus, minus = friedel_pair(normal, unit, self.f_prime, self.f_double_prime)
        # |F(h)| = |F(−h)| where symmetry makes them equivalent; the transform leaves a difference of its rounding.
        centric = self.space_group.operations().centric_flag_array(hkl)
        amplitude = (np.abs(plus) + np.abs(minus)) / 2
        plus[centric] = (amplitude * np.exp(1j * np.angle(plus)))[centric]
        minus[centric] = (amplitude * np.exp(1j * np.angle(minus)))[centric]
        return hkl, plus, minus

    def structure_factors(self, dmin):
        """Amplitudes and phases of the unique reflections.

        Parameters
        ----------
        dmin : float
            Resolution limit (Å).

        Returns
        -------
        rs.DataSet
            Indexed by H, K, L in the CCP4 asymmetric unit, [U] rows: ``F(+)`` and ``F(-)`` are |F(h)| and |F(−h)| in
            electrons, ``PHI(+)`` and ``PHI(-)`` the phases (°) of F(h) and F(−h) themselves (without f″, PHI(-) =
            −PHI(+)), ``F`` the mean of the two amplitudes and ``I`` that of the two intensities.

        Raises
        ------
        ValueError
            If `dmin` is not positive, or no reflection has a spacing that large.
        """
        return truth_table(*self.complex_structure_factors(dmin), self.cell, self.space_group)


def truth_table(hkl, plus, minus, cell, space_group):
    """Make the merged table of `Crystal.structure_factors` from complex F(h) and F(−h), each of shape [U]."""
    f_plus, f_minus = np.abs(plus), np.abs(minus)
    columns = {
        "H": (hkl[:, 0], "H"),
        "K": (hkl[:, 1], "H"),
        "L": (hkl[:, 2], "H"),
        "F": ((f_plus + f_minus) / 2, "F"),
        "I": ((f_plus**2 + f_minus**2) / 2, "J"),
        "F(+)": (f_plus, "G"),
        "F(-)": (f_minus, "G"),
        "PHI(+)": (np.angle(plus, deg=True), "P"),
        "PHI(-)": (np.angle(minus, deg=True), "P"),
    }
    table = rs.DataSet({name: rs.DataSeries(values, dtype=kind) for name, (values, kind) in columns.items()})
    table.cell, table.spacegroup, table.merged = cell, space_group, True
    return table.set_index(["H", "K", "L"])


def find_element(name):
    """Look up the ``gemmi.Element`` of a symbol such as ``"Se"``; a ``ValueError`` if its f′ and f″ are unknown."""
    element = gemmi.Element(str(name).strip())
    if not 3 <= element.atomic_number <= 92:
        raise ValueError(f"anomalous_element {name!r} must be the symbol of an element from Li to U, such as 'Se'.")
    return element
