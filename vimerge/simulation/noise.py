"""Counting photons, and the errors that counting does not know of."""

from dataclasses import dataclass

import numpy as np

from vimerge.simulation.checks import check_real

# Background pixels for each pixel of the peak in a typical integration box.
_BACKGROUND_PIXELS = 3.0
# Share of the background that does not fall off with resolution, and 1/d² (1/Å²) at which the rest is down to 1/e.
_FLAT_BACKGROUND = 0.25
_BACKGROUND_S2 = 0.08
# Streams of random numbers are this far apart from one series of exposures to the next.
_SERIES = 10


@dataclass(frozen=True)
class Noise:
    """What stands between true and measured intensity; each can be switched off by setting it to zero.

    Parameters
    ----------
    signal : float, optional
        Mean photons in a reflection over the experiment, which sets the exposure.
    background : float, optional
        Photons of background under a peak near the beam; they fall off with resolution.
    gain : float, optional
        Detector counts for each photon. Photons are what fluctuates; counts are what is written.
    multiplicative_error : float, optional
        Standard deviation of each observation's own relative error, which SIGI does not include.
    outliers : float, optional
        Fraction of observations spoilt: half by extra photons (zingers, overlaps), half by a shadow.

    Raises
    ------
    ValueError
        If an argument is out of range.
    """

    signal: float = 500.0
    background: float = 60.0
    gain: float = 1.0
    multiplicative_error: float = 0.03
    outliers: float = 0.003

    def __post_init__(self):
        check_real("signal", self.signal, low=0, open_low=True, unit="photons")
        check_real("background", self.background, low=0, unit="photons")
        check_real("gain", self.gain, low=0, open_low=True, unit="counts a photon")
        check_real("multiplicative_error", self.multiplicative_error, low=0, high=1)
        check_real("outliers", self.outliers, low=0, high=1)

    def record(self, photons, s2, seed, *, series=0):
        """Count reflections as an integration program would.

        The peak holds n photons, the mean background beneath it is estimated as b from three times as many pixels, and
        I = n − b has the variance n + b/3: estimated from what was counted, so a low count also claims a low σ.

        Parameters
        ----------
        photons : ndarray, shape [N]
            Expected photons of signal.
        s2 : ndarray, shape [N]
            1/d² (1/Å²).
        seed : int
            Fixes the noise.
        series : int, optional
            Number of the series of exposures, each with noise of its own.

        Returns
        -------
        Counts
        """
        error, spoilt, counting, beneath = (
            np.random.default_rng([seed, 4, stream + _SERIES * series]) for stream in range(4)
        )
        signal = photons * np.maximum(1 + self.multiplicative_error * error.normal(size=len(photons)), 0)
        signal, outlier = self._spoil(signal, spoilt)
        fall_off = _FLAT_BACKGROUND + (1 - _FLAT_BACKGROUND) * np.exp(-s2 / _BACKGROUND_S2)
        expected = self.background * fall_off
        peak = counting.poisson(signal + expected).astype(np.float64)
        background = beneath.poisson(expected * _BACKGROUND_PIXELS) / _BACKGROUND_PIXELS
        # No photon at all still does not make an infinitely precise zero.
        variance = np.maximum(peak + background / _BACKGROUND_PIXELS, 1.0)
        background_sigma = np.sqrt(np.maximum(background, 1 / _BACKGROUND_PIXELS) / _BACKGROUND_PIXELS)
        return Counts(
            intensity=self.gain * (peak - background),
            sigma=self.gain * np.sqrt(variance),
            background=self.gain * background,
            background_sigma=self.gain * background_sigma,
            outlier=outlier,
        )

    def _spoil(self, signal, rng):
        # All numbers are drawn for all observations, so that more outliers are the same ones and others besides.
        draw, kind, depth = rng.random(len(signal)), rng.random(len(signal)), rng.random(len(signal))
        extra = rng.exponential(5 * signal.mean() if len(signal) else 1.0, size=len(signal))
        outlier = draw < self.outliers
        spoilt = np.where(kind < 0.5, signal + extra, signal * depth / 2)
        return np.where(outlier, spoilt, signal), outlier


@dataclass(frozen=True)
class Counts:
    """Counted reflections, each an array of shape [N] in detector counts, before the Lorentz–polarisation correction.

    Parameters
    ----------
    intensity, sigma : ndarray
        Peak less background, and its standard uncertainty from counting.
    background, background_sigma : ndarray
        Estimated background beneath the peak, and its standard uncertainty.
    outlier : ndarray of bool
        Which were spoilt.
    """

    intensity: np.ndarray
    sigma: np.ndarray
    background: np.ndarray
    background_sigma: np.ndarray
    outlier: np.ndarray
