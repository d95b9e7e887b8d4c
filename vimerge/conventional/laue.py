"""Laue diffraction: reflections that lie on top of their harmonics."""

import numpy as np

__all__ = ["has_harmonics"]


def has_harmonics(hkl, wavelength, d, wavelength_range=None, dmin=None):
    """
    Find observations in which other orders of the same planes were recorded on the same spot.

    The index h = n h₁, with n the greatest common divisor, was observed at λ; order m of h₁ diffracts in the same
    direction at n λ / m, with a spacing of n d / m. It is there if the beam has that wavelength, and the crystal
    diffracts to that resolution.

    Parameters
    ----------
    hkl : np.ndarray
        ``[M, 3]`` Miller indices, not 0 0 0.
    wavelength, d : np.ndarray
        ``[M]``, Å.
    wavelength_range : (float, float), optional
        Of the beam, Å; that of the observations by default.
    dmin : float, optional
        To which the crystal diffracts, Å; the smallest d by default.

    Returns
    -------
    np.ndarray
        ``[M]`` bool.
    """
    low, high = (wavelength.min(), wavelength.max()) if wavelength_range is None else wavelength_range
    dmin = d.min() if dmin is None else dmin
    order = np.gcd.reduce(np.abs(np.asarray(hkl, dtype=np.int64)), axis=1)
    first, spacing = order * np.asarray(wavelength, dtype=np.float64), order * np.asarray(d, dtype=np.float64)
    # Orders m with low ≤ nλ/m ≤ high and nd/m ≥ dmin, limits included.
    slack = 1e-6
    least = np.maximum(np.ceil(first / high * (1 - slack)), 1)
    most = np.minimum(np.floor(first / low * (1 + slack)), np.floor(spacing / dmin * (1 + slack)))
    others = np.maximum(most - least + 1, 0) - ((order >= least) & (order <= most))
    return others > 0
