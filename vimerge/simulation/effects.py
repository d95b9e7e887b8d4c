"""What an experiment does to intensities besides Miller index and geometry: everything that scaling has to undo."""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import lpmv

from vimerge.simulation.checks import check_count, check_real

# Directions at which the largest deviation of an absorption surface is looked for.
_SURFACE_POINTS = 2000
# Streams of random numbers are this far apart from one series of exposures to the next.
_SERIES = 10


@dataclass(frozen=True)
class Effects:
    """Smooth and random variation of the scale; each can be switched off by setting it to zero.

    Parameters
    ----------
    absorption : float, optional
        Largest deviation from 1 of the absorption surface, a sum of real spherical harmonics over the directions of
        the diffracted beam in the crystal's frame.
    absorption_order : int, optional
        Highest order l of these harmonics.
    decay : float, optional
        Fraction of the beam's intensity lost by the end of the scan, exponentially.
    illumination : float, optional
        Largest relative change of the illuminated volume as the crystal turns, a sum of two harmonics in φ.
    damage : float, optional
        Radiation damage: B factor (Å²) gained by the end of the scan, linearly with dose.
    jitter : float, optional
        Standard deviation of the logarithm of each image's own scale.
    sensitivity : float, optional
        Largest relative deviation of the detector's smooth response.

    Raises
    ------
    ValueError
        If an argument is out of range.
    """

    absorption: float = 0.10
    absorption_order: int = 3
    decay: float = 0.20
    illumination: float = 0.10
    damage: float = 3.0
    jitter: float = 0.03
    sensitivity: float = 0.02

    def __post_init__(self):
        for name in ("absorption", "decay", "illumination", "sensitivity"):
            check_real(name, getattr(self, name), low=0, high=1, open_high=True)
        check_count("absorption_order", self.absorption_order, low=1)
        check_real("damage", self.damage, low=0, unit="Å²")
        check_real("jitter", self.jitter, low=0)

    def scale(self, spots, experiment, seed, *, attenuation=1.0, series=0):
        """Product of all effects.

        Parameters
        ----------
        spots : Spots or LaueSpots
            The N recorded reflections, or all their harmonics.
        experiment : RotationExperiment or LaueExperiment
            How they were recorded.
        seed : int
            Fixes the surfaces and the jitter. Each effect has its own random numbers, so that switching one off leaves
            the others as they were.
        attenuation : ndarray, shape [N], or float, optional
            The crystal's attenuation coefficient at each wavelength, relative to the one that `absorption` refers to.
        series : int, optional
            Number of the series of exposures: a crystal exposed again has a jitter of its own, and all else alike.

        Returns
        -------
        ndarray, shape [N]
            Positive scales about 1.
        """
        streams = (0, 1, 2 + _SERIES * series, 3)
        surface, turn, image, response = (np.random.default_rng([seed, 3, stream]) for stream in streams)
        dose = (spots.phi - experiment.start) / experiment.sweep
        scale = absorption_surface(spots.direction, self.absorption, self.absorption_order, surface) ** attenuation
        scale *= (1 - self.decay) ** dose
        scale *= _illumination(np.deg2rad(spots.phi), self.illumination, turn)
        scale *= np.exp(-self.damage * dose * spots.s2 / 2)
        scale *= np.exp(self.jitter * image.normal(size=experiment.images))[spots.image - 1]
        half = experiment.detector.pixels / 2
        scale *= _response(spots.x / half - 1, spots.y / half - 1, self.sensitivity, response)
        return scale


def absorption_surface(directions, amplitude, order, rng):
    """1 + Σ_lm c_lm Y_lm(direction) with random c_lm falling off with l, and `amplitude` its largest deviation from 1.

    Parameters
    ----------
    directions : ndarray, shape [N, 3]
        Unit vectors in the crystal's frame.
    amplitude : float
        Largest deviation over the whole sphere.
    order : int
        Highest l; l = 0 would be an overall scale and is left out.
    rng : numpy.random.Generator
        Source of chance.

    Returns
    -------
    ndarray, shape [N]
    """
    terms = [(degree, m) for degree in range(1, order + 1) for m in range(-degree, degree + 1)]
    coefficients = [rng.normal() / degree for degree, _ in terms]
    if amplitude == 0:
        return np.ones(len(directions))

    def surface(vectors):
        total = np.zeros(len(vectors))
        for (degree, m), coefficient in zip(terms, coefficients, strict=True):
            total += coefficient * real_harmonic(degree, m, vectors)
        return total

    return 1 + amplitude * surface(directions) / np.abs(surface(_fibonacci_sphere(_SURFACE_POINTS))).max()


def real_harmonic(degree, m, vectors):
    """Orthonormal real spherical harmonic Y_lm at unit vectors [N, 3], without the Condon–Shortley phase."""
    azimuth = np.arctan2(vectors[:, 1], vectors[:, 0])
    order = abs(m)
    ratio = math.factorial(degree - order) / math.factorial(degree + order)
    norm = math.sqrt((2 * degree + 1) / (4 * math.pi) * ratio * (2 if m else 1)) * (-1) ** order
    around = np.cos(order * azimuth) if m >= 0 else np.sin(order * azimuth)
    return norm * lpmv(order, degree, np.clip(vectors[:, 2], -1, 1)) * around


def _fibonacci_sphere(count):
    """Evenly spread unit vectors, shape [count, 3]."""
    i = np.arange(count) + 0.5
    z = 1 - 2 * i / count
    azimuth = math.pi * (1 + math.sqrt(5)) * i
    radius = np.sqrt(1 - z * z)
    return np.stack([radius * np.cos(azimuth), radius * np.sin(azimuth), z], axis=1)


def _illumination(phi, amplitude, rng):
    """Vary once a turn for a miscentred crystal and twice for a plate: harmonics 1 and 2 of φ (rad)."""
    first, second = rng.uniform(0, 2 * np.pi, size=2)
    share = rng.uniform(0.3, 0.7)
    return 1 + amplitude * (share * np.cos(phi + first) + (1 - share) * np.cos(2 * phi + second))


def _response(x, y, amplitude, rng):
    """Vary quadratically over the detector, x and y in [−1, 1], of at most `amplitude`."""
    weights = rng.normal(size=5)
    weights /= np.abs(weights).sum()
    return 1 + amplitude * sum(w * term for w, term in zip(weights, (x, y, x * y, x * x, y * y), strict=True))
