"""A flat square detector, perpendicular to the beam and centred on it."""

from dataclasses import dataclass

import numpy as np

from vimerge.simulation.checks import check_count, check_real
from vimerge.simulation.geometry import BEAM


@dataclass(frozen=True)
class Detector:
    """Where diffracted beams land.

    Parameters
    ----------
    distance : float
        From the crystal (mm).
    pixels : int, optional
        Pixels along each side.
    pixel_size : float, optional
        Side of a pixel (mm).
    thickness : float, optional
        Sensor thickness in attenuation lengths of the radiation; sets the quantum efficiency.

    Raises
    ------
    ValueError
        If an argument is out of range.
    """

    distance: float
    pixels: int = 2048
    pixel_size: float = 0.15
    thickness: float = 4.0

    def __post_init__(self):
        check_real("distance", self.distance, low=0, open_low=True, unit="mm")
        check_count("pixels", self.pixels, low=1)
        check_real("pixel_size", self.pixel_size, low=0, open_low=True, unit="mm")
        check_real("thickness", self.thickness, low=0, open_low=True, unit="attenuation lengths")

    @classmethod
    def reaching(cls, dmin, wavelength, **options):
        """Place a detector so that its edges, not only its corners, just reach a resolution.

        Parameters
        ----------
        dmin : float
            Resolution (Å) at the middle of an edge.
        wavelength : float
            Wavelength (Å).
        **options
            Other arguments of the class.

        Returns
        -------
        Detector

        Raises
        ------
        ValueError
            If such beams would be diffracted by more than 80°, almost past a flat detector.
        """
        two_theta = 2 * np.arcsin(min(1.0, wavelength / (2 * dmin)))
        if two_theta > np.deg2rad(80):
            raise ValueError(
                f"dmin = {dmin:g} Å diffracts by {np.rad2deg(two_theta):.0f}° at {wavelength:g} Å, more than a flat "
                "detector records; choose a larger dmin or a shorter wavelength."
            )
        unit = cls(distance=1.0, **options)
        half_side = unit.pixels * unit.pixel_size / 2
        return cls(distance=float(half_side / np.tan(two_theta)), **options)

    @property
    def centre(self):
        """float: where the beam hits the detector, in pixels along either side."""
        return self.pixels / 2

    def project(self, s1):
        """Pixel coordinates of diffracted beams.

        Parameters
        ----------
        s1 : ndarray, shape [N, 3]
            Their unit vectors.

        Returns
        -------
        x, y : ndarray, shape [N]
            Position (pixels) along the fast axis (laboratory +x) and the slow one (laboratory −y), NaN for beams that
            go backwards.
        """
        forward = s1 @ BEAM
        with np.errstate(divide="ignore"):
            per_unit = np.where(forward > 0, self.distance / (forward * self.pixel_size), np.nan)
        return self.centre + per_unit * s1[:, 0], self.centre - per_unit * s1[:, 1]

    def contains(self, x, y):
        """Whether pixel coordinates, shape [N], are on the detector."""
        return (x >= 0) & (x < self.pixels) & (y >= 0) & (y < self.pixels)

    def efficiency(self, s1, attenuation=1.0):
        """Fraction of the photons absorbed by the sensor, 1 − exp(−μt/cos 2θ).

        Parameters
        ----------
        s1 : ndarray, shape [N, 3]
            Unit vectors of the diffracted beams.
        attenuation : ndarray, shape [N], or float, optional
            Attenuation coefficient μ at their wavelength, relative to the one that `thickness` refers to.

        Returns
        -------
        ndarray, shape [N]
        """
        return 1 - np.exp(-self.thickness * attenuation / np.abs(s1 @ BEAM))
