"""Difference maps: density in units of its standard deviation, its peaks, and what is around atoms."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import gemmi
import numpy as np
import pandas as pd

from vimerge.reflections.errors import MissingColumnError, OptionError
from vimerge.statistics.difference_coefficients import LABELS
from vimerge.statistics.interpolation import Interpolant
from vimerge.statistics.peaks import find_peaks, local_extremum, near_atoms, nearest_atoms, select_atoms

_EMPTY = {"chain": "", "residue": "", "seqid": "", "atom": "", "altloc": "", "distance": np.nan}


class Surroundings(NamedTuple):
    """Outcome of `DifferenceMap.around`.

    Parameters
    ----------
    maximum, minimum : float
        The largest and the smallest value within the radius of any atom (σ).
    maximum_atom, minimum_atom : str
        The atom around which that was found, as ``chain/residue number/atom``.
    maximum_distance, minimum_distance : float
        How far it is from that atom (Å).
    rms : float
        Root mean square of the map at the atoms (σ).
    atoms : int
        How many atoms.
    gained, lost : float
        The density above 3 σ and below −3 σ within the radius, integrated; in electrons if the map is in e/Å³.
    """

    maximum: float
    maximum_atom: str
    maximum_distance: float
    minimum: float
    minimum_atom: str
    minimum_distance: float
    rms: float
    atoms: int
    gained: float
    lost: float


@dataclass(frozen=True, eq=False)
class DifferenceMap:
    """A difference map.

    Parameters
    ----------
    grid : gemmi.FloatGrid
        The cell, with mean 0 and standard deviation 1.
    sigma : float
        The standard deviation of the density over the cell, in e/Å³ if the coefficients are in electrons.
    """

    grid: gemmi.FloatGrid
    sigma: float

    @classmethod
    def from_coefficients(cls, coefficients, sample_rate=3.0):
        """Transform coefficients by gemmi's fast Fourier transform.

        Parameters
        ----------
        coefficients : rs.DataSet
            Indexed by H, K, L, with DELFWT and PHDELWT or FAN and PHAN, as of `difference_coefficients` or read from
            a refinement program's MTZ file.
        sample_rate : float, optional
            Grid points for d_min, at least; 2 is what the sampling theorem asks for.

        Returns
        -------
        DifferenceMap

        Raises
        ------
        ReflectionDataError
            If the columns are missing, the rate is below 2, or the map is zero everywhere.
        """
        labels = next((pair for pair in LABELS.values() if set(pair) <= set(coefficients.columns)), None)
        if labels is None:
            raise MissingColumnError(
                f"There are no coefficients of a difference map ({' or '.join(map(' '.join, LABELS.values()))}) among "
                f"{', '.join(coefficients.columns)}."
            )
        if not 2 <= sample_rate < np.inf:
            raise OptionError(f"sample_rate must be 2 or more, but is {sample_rate!r}; 3 is usual.")
        amplitude, phase = (coefficients[label].to_numpy(np.float64) for label in labels)
        known = np.isfinite(amplitude) & np.isfinite(phase)
        hkl = coefficients.reset_index()[["H", "K", "L"]].to_numpy(np.int32)
        values = (amplitude * np.exp(1j * np.deg2rad(phase))).astype(np.complex64)
        if not np.any(values[known]):
            raise OptionError("All coefficients are zero: both data sets are the same, or none has any weight.")
        data = gemmi.ComplexAsuData(
            coefficients.cell, coefficients.spacegroup, np.ascontiguousarray(hkl[known]), values[known]
        )
        data.ensure_asu()
        data.ensure_sorted()
        grid = data.transform_f_phi_to_map(sample_rate=sample_rate)
        sigma = float(np.std(grid.array, dtype=np.float64))
        grid.normalize()
        return cls(grid, sigma)

    def peaks(self, number=20, *, minimum=3.5, separation=1.5, model=None, around=None, radius=3.0):
        """The strongest peaks and holes, each once whatever the symmetry.

        Parameters
        ----------
        number : int, optional
            How many peaks, and how many holes, at most.
        minimum : float, optional
            The least height (σ).
        separation : float, optional
            Of two peaks, or two holes, within this distance (Å) the weaker one is left out.
        model : gemmi.Structure, optional
            As of `read_model`. Of equivalent positions the one next to it is then given.
        around : str or list of str, optional
            Residues of the model, as of `around`: the column `near` then tells what is close to them.
        radius : float, optional
            How close (Å).

        Returns
        -------
        pandas.DataFrame
            In order of |height|, numbered from 1 in `peak`: `height` (σ), `density` (e/Å³), `x y z` (Å), `u v w`
            (fractional), and with a model `chain residue seqid atom altloc distance`, the nearest of its atoms other
            than hydrogen and how far that is (Å). Heights and positions are those between grid points.
        """
        heights, positions = find_peaks(self.grid, self._interpolant, number, minimum, separation)
        columns = {}
        if model is not None:
            positions, atoms = nearest_atoms(model, positions)
            found = pd.DataFrame(atoms, columns=list(_EMPTY))
            columns = {name: found[name].to_numpy() for name in _EMPTY}
            if around is not None:
                columns["near"] = near_atoms(model, positions, select_atoms(model, around), radius)
        elif around is not None:
            raise OptionError("Residues are looked for in a model; give model= with around=.")
        fractional = positions @ np.array(self.grid.unit_cell.frac.mat.tolist()).T
        table = {"height": heights, "density": heights * self.sigma}
        table |= dict(zip("xyz", positions.T, strict=True)) | dict(zip("uvw", fractional.T, strict=True)) | columns
        return pd.DataFrame(table, index=pd.RangeIndex(1, len(heights) + 1, name="peak"))

    def around(self, model, residues, radius=3.0):
        """What the map has to say about residues.

        The integrals of density beyond ±3 σ are what Wickstrand et al. [1]_ compare states and radii by.

        Parameters
        ----------
        model : gemmi.Structure
            As of `read_model`.
        residues : str or list of str
            Names of residues (``HC4``), numbers of them in a chain (``A/69``), or several, with spaces.
        radius : float, optional
            How far from each atom to look for extrema (Å).

        Returns
        -------
        Surroundings

        References
        ----------
        .. [1] Wickstrand, C. et al. (2020). Struct. Dyn. 7, 024701.
        """
        selected = select_atoms(model, residues)
        extrema = []
        for sign in (1, -1):
            found = [(*local_extremum(self._interpolant, atom.pos, radius, sign), name) for name, atom in selected]
            extrema.append(max(found, key=lambda one, sign=sign: sign * one[0]))
        (high, high_distance, high_atom), (low, low_distance, low_atom) = extrema
        at_atoms = self.at([atom.pos for _, atom in selected])
        within = self._within([atom.pos for _, atom in selected], radius)
        element = self.sigma * self.grid.unit_cell.volume / self.grid.point_count
        return Surroundings(
            high,
            high_atom,
            high_distance,
            low,
            low_atom,
            low_distance,
            float(np.sqrt(np.mean(at_atoms**2))),
            len(selected),
            float(within[within > 3].sum() * element),
            float(within[within < -3].sum() * element),
        )

    def at(self, positions):
        """The map at positions (Å), [N, 3] or a list of gemmi.Position, between grid points; σ, [N]."""
        points = np.array([p.tolist() if isinstance(p, gemmi.Position) else p for p in positions], np.float64)
        return self._interpolant.at_positions(points.reshape(-1, 3))

    def sites(self, model, elements=None, radius=1.0):
        """Heights at atoms, such as the anomalous scatterers of a model.

        Parameters
        ----------
        model : gemmi.Structure
            As of `read_model`.
        elements : sequence of str, optional
            Only atoms of these.
        radius : float, optional
            How far from each to look for the largest value (Å).

        Returns
        -------
        pandas.DataFrame
            A row an atom: `site`, `element`, `occupancy`, `at` (the map there, σ), `height` (the largest value nearby,
            σ) and its `distance` (Å).
        """
        wanted = None if elements is None else {gemmi.Element(name).name for name in elements}
        rows = []
        for found in model[0].all():
            atom = found.atom
            if wanted is None or atom.element.name in wanted:
                height, distance = local_extremum(self._interpolant, atom.pos, radius, 1)
                site = f"{found.chain.name}/{found.residue.name} {found.residue.seqid}/{atom.name}"
                rows.append((site, atom.element.name, atom.occ, self.at([atom.pos])[0], height, distance))
        if not rows:
            raise OptionError(f"The model has no atoms of {', '.join(sorted(wanted or ()))}; choose other elements.")
        return pd.DataFrame(rows, columns=["site", "element", "occupancy", "at", "height", "distance"])

    def write_ccp4(self, path):
        """Write the map as a CCP4 file, in σ."""
        file = gemmi.Ccp4Map()
        file.grid = self.grid
        file.update_ccp4_header()
        file.write_ccp4_map(str(path))

    @cached_property
    def _interpolant(self):
        return Interpolant(self.grid)

    def _within(self, positions, radius):
        """The map's grid points within the radius of any position."""
        mask = gemmi.FloatGrid()
        mask.copy_metadata_from(self.grid)
        mask.set_size(*self.grid.shape)
        for position in positions:
            mask.set_points_around(position, radius, 1.0)
        return np.asarray(self.grid.array)[np.asarray(mask.array) > 0].astype(np.float64)
