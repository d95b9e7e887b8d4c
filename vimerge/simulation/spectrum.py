"""The spectrum of a polychromatic beam."""

from dataclasses import dataclass

import numpy as np

from vimerge.simulation.checks import check_real


@dataclass(frozen=True)
class Spectrum:
    """One harmonic of an undulator: a steep edge towards short wavelengths, a long tail towards long ones.

    The curve is exp(1 − u − e^−u) with u = (λ − peak)/width, which is smooth and 1 at its maximum; its tail falls by e
    over a width. Anything callable in its stead will do for a `LaueExperiment`.

    Parameters
    ----------
    peak : float
        Wavelength (Å) of the maximum.
    width : float
        Fall-off of the tail (Å).

    Raises
    ------
    ValueError
        If an argument is not positive.
    """

    peak: float
    width: float

    def __post_init__(self):
        check_real("peak", self.peak, low=0, open_low=True, unit="Å")
        check_real("width", self.width, low=0, open_low=True, unit="Å")

    @classmethod
    def within(cls, wavelength_min, wavelength_max):
        """Choose a spectrum that rises and falls within a band (Å), as the limits of a data set are chosen."""
        band = wavelength_max - wavelength_min
        return cls(peak=wavelength_min + 0.2 * band, width=0.25 * band)

    def __call__(self, wavelength):
        """Photons of each wavelength (Å, any shape) for each Å of band, relative to the maximum."""
        u = (np.asarray(wavelength, dtype=float) - self.peak) / self.width
        # Far below the peak e^−u overflows, where the curve is 0 all the same.
        return np.exp(1 - u - np.exp(np.minimum(-u, 700)))
