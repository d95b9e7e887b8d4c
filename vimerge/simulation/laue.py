"""A Laue experiment: stills in a polychromatic beam, each spot the sum of the harmonics that fall on it."""

from dataclasses import dataclass, field

import numpy as np
from scipy.spatial import cKDTree

from vimerge.reflections.hkl import pack
from vimerge.simulation.checks import check_count, check_real, check_rotation
from vimerge.simulation.detector import Detector
from vimerge.simulation.geometry import (
    BEAM,
    laue_lorentz,
    polarization_factor,
    random_orientation,
    reciprocal_points,
    rotate,
)
from vimerge.simulation.laue_spots import LaueSpots
from vimerge.simulation.spectrum import Spectrum

# Points at which a spectrum is looked at to find its maximum.
_SPECTRUM_POINTS = 1000


@dataclass(frozen=True)
class LaueExperiment:
    """A crystal that stands still in a polychromatic beam for each exposure and is turned between them.

    Every reciprocal-lattice point between the Ewald spheres of the shortest and the longest wavelength diffracts, at
    the wavelength of its own. The harmonics n·h₁ of an index lie on one line through the origin and diffract along
    one beam, at λ₁/n, so that their photons add. Such a spot is named after the lowest order it holds.

    Parameters
    ----------
    detector : Detector
        The detector; its thickness refers to the middle of the band, and its attenuation goes with λ³.
    orientation : ndarray, shape [3, 3]
        U: rotation from the crystal's Cartesian frame (x along a, z along c*, as in PDB files) to the laboratory's at
        φ = 0.
    wavelength_min, wavelength_max : float, optional
        Limits of the band (Å).
    spectrum : callable, optional
        Relative photons for each Å of band at wavelengths of any shape, such as a `Spectrum`. None: one that rises and
        falls within the band.
    images : int, optional
        Number of exposures.
    step : float, optional
        Rotation about the spindle between them (°).
    start : float, optional
        Spindle angle (°) of the first.
    polarization : float, optional
        Fraction of the beam polarised along the spindle.
    separation : float, optional
        Spots nearer than this to one another (pixels) are left out, as integration programs leave them out. 0: none.
    softness : float, optional
        Resolution falls off where the spectrum is weak: nothing beyond dmin · (maximum/spectrum(λ))^softness is
        recorded, where dmin is the resolution of the indices considered. 0: dmin everywhere.

    Raises
    ------
    ValueError
        If an argument is out of range.
    """

    detector: Detector
    orientation: np.ndarray = field(default_factory=lambda: np.eye(3))
    wavelength_min: float = 1.00
    wavelength_max: float = 1.25
    spectrum: object = None
    images: int = 40
    step: float = 4.5
    start: float = 0.0
    polarization: float = 0.99
    separation: float = 5.0
    softness: float = 0.0

    def __post_init__(self):
        low = check_real("wavelength_min", self.wavelength_min, low=0.1, high=10, unit="Å")
        check_real("wavelength_max", self.wavelength_max, low=low, high=10, open_low=True, unit="Å")
        check_count("images", self.images, low=1)
        check_real("step", self.step, low=0, high=180, open_low=True, unit="°")
        check_real("start", self.start, unit="°")
        check_real("polarization", self.polarization, low=0, high=1)
        check_real("separation", self.separation, low=0, unit="pixels")
        check_real("softness", self.softness, low=0)
        check_rotation("orientation", self.orientation)
        if self.spectrum is None:
            object.__setattr__(self, "spectrum", Spectrum.within(self.wavelength_min, self.wavelength_max))
        photons = self.spectrum(self._band())
        if np.shape(photons) != (_SPECTRUM_POINTS,) or not (np.isfinite(photons).all() and np.min(photons) >= 0):
            raise ValueError("spectrum must give a number of at least 0 for every wavelength of an array in the band.")
        if not np.max(photons) > 0:
            raise ValueError("spectrum has no photons within the band; choose other limits of the band.")

    @classmethod
    def random(cls, *, dmin=2.0, seed=0, **options):
        """Orient the crystal at random and place the detector so that its edges reach `dmin` in the middle of the band.

        Parameters
        ----------
        dmin : float, optional
            Resolution (Å).
        seed : int, optional
            Fixes the orientation.
        **options
            Other arguments of the class.

        Returns
        -------
        LaueExperiment

        Raises
        ------
        ValueError
            If an argument is out of range, or a flat detector cannot reach `dmin`.
        """
        check_real("dmin", dmin, low=0.4, unit="Å")
        rng = np.random.default_rng([check_count("seed", seed, low=0), 2])
        options.setdefault("orientation", random_orientation(rng))
        if "detector" not in options:
            # Made with any detector first, which checks the band.
            middle = cls(detector=Detector(distance=100.0), **options).wavelength
            options["detector"] = Detector.reaching(dmin, middle)
        return cls(**options)

    @property
    def wavelength(self):
        """float: middle of the band (Å)."""
        return (self.wavelength_min + self.wavelength_max) / 2

    @property
    def sweep(self):
        """float: rotation (°) over all exposures and the steps after them."""
        return self.images * self.step

    def angles(self, image):
        """Spindle angles (°) at which an image, numbered from 1, begins and ends: the same."""
        phi = self.start + (image - 1) * self.step
        return phi, phi

    def attenuation(self, wavelength):
        """Attenuation coefficient (any matter's) at a wavelength, relative to the middle of the band: about λ³."""
        return (wavelength / self.wavelength) ** 3

    def spots(self, hkl, cell):
        """Every spot that is recorded, with all its harmonics.

        Parameters
        ----------
        hkl : ndarray of int, shape [H, 3]
            All Miller indices to consider, symmetry equivalents and Friedel mates included, systematic absences not.
        cell : gemmi.UnitCell
            The unit cell.

        Returns
        -------
        LaueSpots
            Spots within the band, on the detector and far enough from others, sorted by image.
        """
        hkl = np.ascontiguousarray(hkl, dtype=np.int32)
        r0 = reciprocal_points(hkl, cell, self.orientation)
        s2 = np.einsum("ni,ni->n", r0, r0)
        exposures = [self._exposure(image, r0, s2) for image in range(1, self.images + 1)]
        columns = {name: np.concatenate([e[name] for e in exposures]) for name in exposures[0]}
        order = np.gcd.reduce(hkl[columns["index"]], axis=1).astype(np.int64)
        spot = _number(hkl[columns["index"]] // order[:, None], columns["image"])
        rows = np.lexsort((order, spot))
        columns = {name: values[rows] for name, values in columns.items()}
        spot, order = spot[rows], order[rows]
        soft = self._resolved(columns["wavelength"], columns["s2"], s2.max(initial=0.0))
        with_name, first = np.unique(spot[soft], return_index=True)
        named = np.full(int(spot.max(initial=-1)) + 1, -1)
        named[with_name] = np.flatnonzero(soft)[first]
        spots = LaueSpots(**columns, spot=spot, order=order, named=named).take(named >= 0)
        return self._without_overlaps(spots)

    def _exposure(self, image, r0, s2):
        phi = self.angles(image)[0]
        radians = np.deg2rad(phi)
        # It is the beam that turns in the crystal's frame. On the sphere 2 s0·r + r² = 0 with |s0| = 1/λ.
        beam = rotate(BEAM[None], np.array([-radians]))[0]
        wavelength = -2 * (r0 @ beam) / s2
        row = np.flatnonzero((wavelength >= self.wavelength_min) & (wavelength <= self.wavelength_max))
        wavelength = wavelength[row]
        direction = beam + wavelength[:, None] * r0[row]
        s1 = rotate(direction, np.full(len(row), radians))
        x, y = self.detector.project(s1)
        seen = self.detector.contains(x, y)
        row, wavelength, s1 = row[seen], wavelength[seen], s1[seen]
        efficiency = self.detector.efficiency(s1, self.attenuation(wavelength))
        photons = self.spectrum(wavelength) * laue_lorentz(s1, wavelength)
        return {
            "index": row,
            "wavelength": wavelength,
            "image": np.full(len(row), image, dtype=np.int32),
            "phi": np.full(len(row), phi),
            "x": x[seen],
            "y": y[seen],
            "beam": photons * polarization_factor(s1, self.polarization) * efficiency,
            "direction": direction[seen],
            "s2": s2[row],
        }

    def _band(self):
        return np.linspace(self.wavelength_min, self.wavelength_max, _SPECTRUM_POINTS)

    def _resolved(self, wavelength, s2, s2_max):
        if self.softness == 0:
            return np.ones(len(s2), dtype=bool)
        relative = np.minimum(self.spectrum(wavelength) / self.spectrum(self._band()).max(), 1.0)
        return s2 <= s2_max * relative ** (2 * self.softness)

    def _without_overlaps(self, spots):
        if self.separation == 0 or len(spots) == 0:
            return spots
        x, y, image = (values[spots.named] for values in (spots.x, spots.y, spots.image))
        # Images far apart along a third axis: one tree for all.
        gap = 2 * self.separation + 1
        pairs = cKDTree(np.stack([x, y, gap * image], axis=1)).query_pairs(self.separation, output_type="ndarray")
        crowded = np.zeros(len(spots), dtype=bool)
        crowded[pairs.ravel()] = True
        kept = spots.take(~crowded)
        return LaueSpots(**(vars(kept) | {"overlaps": int(crowded.sum())}))


def _number(primitive, image):
    """Number the spots, 0, 1 …, of primitive indices [N, 3] on images [N]: by image, then index."""
    _, ray = np.unique(pack(np.ascontiguousarray(primitive, dtype=np.int32)), return_inverse=True)
    _, spot = np.unique(image.astype(np.int64) * (ray.max(initial=0) + 1) + ray, return_inverse=True)
    return spot
