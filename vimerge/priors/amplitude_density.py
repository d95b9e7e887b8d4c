"""Log densities of amplitudes about a known one in double precision, for quadrature."""

import numpy as np
from scipy.special import i0e


def log_amplitude_density(f, loc, variance, centric):
    """Log density of the length of a normal structure factor whose mean has a given length.

    Parameters
    ----------
    f : array_like
        Amplitudes, F ≥ 0.
    loc : array_like
        Length of the mean; zero gives Wilson's distribution.
    variance : array_like
        E|F − ⟨F⟩|² of the complex number, or the real one where it is centric.
    centric : array_like of bool

    Returns
    -------
    array, float64
        Of the arguments' common shape; −inf at F = 0 where it is acentric.
    """
    f, loc, variance = (np.asarray(x, np.float64) for x in (f, loc, variance))
    # The product of two small numbers may underflow where their quotients do not.
    exponent, overlap = (f - loc) * ((f - loc) / variance), 2.0 * f * (loc / variance)
    with np.errstate(divide="ignore"):
        acentric = np.log(2.0 * f / variance) - exponent + np.log(i0e(overlap))
    folded = np.log1p(np.exp(-overlap)) - 0.5 * exponent - 0.5 * np.log(2.0 * np.pi * variance)
    return np.where(centric, folded, acentric)
