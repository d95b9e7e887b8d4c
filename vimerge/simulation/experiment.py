"""A rotation experiment: which reflections are recorded, on which image, where."""

from dataclasses import dataclass, field

import numpy as np
from scipy.special import ndtr

from vimerge.simulation.checks import check_count, check_real, check_rotation
from vimerge.simulation.detector import Detector
from vimerge.simulation.geometry import (
    diffracted_beam,
    ewald_crossings,
    lorentz_polarization,
    random_orientation,
    reciprocal_points,
    rotate,
    zeta,
)

# DIALS's own limits: reflections nearer to the rotation axis, or recorded less completely, are not exported.
_MIN_ZETA = 0.05
_MIN_FRACTION = 0.99
# Crossings are worked out for so many indices at a time.
_CHUNK = 200_000


@dataclass(frozen=True)
class Spots:
    """Recorded reflections, each an array of shape [N] unless said otherwise.

    Parameters
    ----------
    index : ndarray of int64
        Which of the candidate Miller indices.
    phi : ndarray
        Rotation angle (°) at which the reflection's centre crosses the Ewald sphere.
    image : ndarray of int32
        Image number, from 1.
    x, y : ndarray
        Position on the detector (pixels).
    lp : ndarray
        Lorentz–polarisation factor by which recorded intensities are multiplied to correct them.
    efficiency : ndarray
        Quantum efficiency of the sensor.
    fraction : ndarray
        Fraction of the reflection within the scan.
    direction : ndarray, shape [N, 3]
        Unit vector of the diffracted beam in the crystal's frame, in which the crystal stands as it does at φ = 0.
    s2 : ndarray
        1/d² (1/Å²).
    """

    index: np.ndarray
    phi: np.ndarray
    image: np.ndarray
    x: np.ndarray
    y: np.ndarray
    lp: np.ndarray
    efficiency: np.ndarray
    fraction: np.ndarray
    direction: np.ndarray
    s2: np.ndarray

    def __len__(self):
        return len(self.index)

    def take(self, selection):
        """Select spots by integers or booleans, as new `Spots`."""
        return Spots(**{name: values[selection] for name, values in vars(self).items()})


@dataclass(frozen=True)
class RotationExperiment:
    """A crystal turned about one axis perpendicular to a monochromatic beam.

    Reflections are whole: all of one is on the image where its centre crosses the Ewald sphere, as after
    three-dimensional integration.

    Parameters
    ----------
    detector : Detector
        The detector.
    orientation : ndarray, shape [3, 3]
        U: rotation from the crystal's Cartesian frame (x along a, z along c*, as in PDB files) to the laboratory's at
        φ = 0.
    wavelength : float, optional
        Wavelength (Å).
    images : int, optional
        Number of images.
    oscillation : float, optional
        Rotation in each (°).
    start : float, optional
        Angle (°) at which the first begins.
    mosaicity : float, optional
        Mosaic spread as a standard deviation (°); decides how much of a reflection falls off the ends of the scan.
    polarization : float, optional
        Fraction of the beam polarised along the rotation axis.

    Raises
    ------
    ValueError
        If an argument is out of range.
    """

    detector: Detector
    orientation: np.ndarray = field(default_factory=lambda: np.eye(3))
    wavelength: float = 0.9790
    images: int = 360
    oscillation: float = 0.6
    start: float = 0.0
    mosaicity: float = 0.1
    polarization: float = 0.99

    def __post_init__(self):
        check_real("wavelength", self.wavelength, low=0.1, high=10, unit="Å")
        check_count("images", self.images, low=1)
        check_real("oscillation", self.oscillation, low=0, high=180, open_low=True, unit="°")
        check_real("start", self.start, unit="°")
        check_real("mosaicity", self.mosaicity, low=0, high=5, unit="°")
        check_real("polarization", self.polarization, low=0, high=1)
        check_rotation("orientation", self.orientation)

    @classmethod
    def random(cls, *, dmin=2.0, wavelength=0.9790, seed=0, **options):
        """Orient the crystal at random and place the detector so that its edges reach `dmin`.

        Parameters
        ----------
        dmin : float, optional
            Resolution (Å).
        wavelength : float, optional
            Wavelength (Å).
        seed : int, optional
            Fixes the orientation.
        **options
            Other arguments of the class.

        Returns
        -------
        RotationExperiment

        Raises
        ------
        ValueError
            If an argument is out of range, or a flat detector cannot reach `dmin`.
        """
        check_real("dmin", dmin, low=0.4, unit="Å")
        check_real("wavelength", wavelength, low=0.1, high=10, unit="Å")
        rng = np.random.default_rng([check_count("seed", seed, low=0), 2])
        options.setdefault("detector", Detector.reaching(dmin, wavelength))
        options.setdefault("orientation", random_orientation(rng))
        return cls(wavelength=wavelength, **options)

    @property
    def sweep(self):
        """float: rotation (°) of the whole scan."""
        return self.images * self.oscillation

    def angles(self, image):
        """Rotation angles (°) at which an image, numbered from 1, begins and ends."""
        begin = self.start + (image - 1) * self.oscillation
        return begin, begin + self.oscillation

    def reciprocal_points(self, hkl, cell):
        """Reciprocal-lattice points U B h (1/Å) at φ = 0 in the laboratory frame, shape [N, 3]."""
        return reciprocal_points(hkl, cell, self.orientation)

    def spots(self, hkl, cell):
        """Every recorded crossing of the Ewald sphere.

        Parameters
        ----------
        hkl : ndarray of int, shape [M, 3]
            All Miller indices to consider, symmetry equivalents and Friedel mates included.
        cell : gemmi.UnitCell
            The unit cell.

        Returns
        -------
        Spots
            Crossings within the scan and on the detector, not too near the rotation axis and at least 99 % recorded;
            in no particular order.
        """
        chunks = [self._spots(hkl[i : i + _CHUNK], cell, i) for i in range(0, max(len(hkl), 1), _CHUNK)]
        return Spots(*(np.concatenate(parts) for parts in zip(*(vars(c).values() for c in chunks), strict=True)))

    def _spots(self, hkl, cell, offset):
        r0 = self.reciprocal_points(hkl, cell)
        row, phi = self._crossings(r0)
        r0, radians = r0[row], np.deg2rad(phi)
        s1 = diffracted_beam(r0, radians, self.wavelength)
        x, y = self.detector.project(s1)
        with np.errstate(divide="ignore", invalid="ignore"):
            speed = np.abs(zeta(s1))
        fraction = self._fraction(phi, speed)
        seen = self.detector.contains(x, y) & (speed >= _MIN_ZETA) & (fraction >= _MIN_FRACTION)
        row, phi, s1, r0 = row[seen], phi[seen], s1[seen], r0[seen]
        image = np.floor((phi - self.start) / self.oscillation).astype(np.int32) + 1
        return Spots(
            index=row + offset,
            phi=phi,
            image=np.clip(image, 1, self.images),
            x=x[seen],
            y=y[seen],
            lp=lorentz_polarization(s1, self.polarization),
            efficiency=self.detector.efficiency(s1),
            fraction=fraction[seen],
            direction=rotate(s1, -radians[seen]),
            s2=np.einsum("ni,ni->n", r0, r0),
        )

    def _crossings(self, r0):
        """Rows of `r0` and angles (°) of all crossings within the scan, every turn of it."""
        angles = np.rad2deg(ewald_crossings(r0, self.wavelength))
        row, which = np.nonzero(np.isfinite(angles))
        first = self.start + (angles[row, which] - self.start) % 360
        rows, phis = [], []
        for turn in range(int(np.ceil(self.sweep / 360))):
            phi = first + 360 * turn
            inside = phi < self.start + self.sweep
            rows.append(row[inside])
            phis.append(phi[inside])
        return np.concatenate(rows), np.concatenate(phis)

    def _fraction(self, phi, speed):
        """How much of each reflection, a Gaussian of width mosaicity/ζ in φ, the scan covers."""
        if self.mosaicity == 0:
            return np.ones(len(phi))
        with np.errstate(invalid="ignore"):
            before = (phi - self.start) * speed / self.mosaicity
            after = (self.start + self.sweep - phi) * speed / self.mosaicity
        return ndtr(before) + ndtr(after) - 1
