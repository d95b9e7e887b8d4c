"""Combinations of gamma functions that lose all their digits when written out.

``log Γ(α)`` is about α log α: at α = 1e6 a float32 holds it to ±1, while the entropy of a gamma distribution or the
variance of the square root of its variate, differences of such terms, are of order one. Above a threshold each is
evaluated from Stirling's series with the large terms cancelled on paper.
"""

import math

import numpy as np
import tensorflow as tf
from scipy.special import bernoulli

_N_TERMS = 7
_K = np.arange(1, _N_TERMS + 1)
_B2K = bernoulli(2 * _N_TERMS)[2::2]
# log Γ(α) = (α - ½) log α - α + ½ log 2π + Σ _STIRLING_k α^(1-2k)                         (DLMF 5.11.1)
_STIRLING = _B2K / (2 * _K * (2 * _K - 1))
# ψ(α) = log α - 1/(2α) - Σ _DIGAMMA_k α^(-2k)                                             (DLMF 5.11.2)
_DIGAMMA = _B2K / (2 * _K)
# log Γ(α + ½) - log Γ(α) - ½ log α = Σ _HALF_k α^(1-2k), from DLMF 5.11.8 and B_n(½) = (2^(1-n) - 1) B_n
_HALF = (2.0 ** (1 - 2 * _K) - 2.0) * _STIRLING


def _threshold(dtype) -> int:
    return 6 if dtype == tf.float32 else 18


def _odd_series(coefficients, alpha):
    """``Σ c_k α^(1-2k)``."""
    inverse = 1.0 / alpha
    return inverse * tf.math.polyval([tf.constant(c, alpha.dtype) for c in coefficients[::-1]], inverse**2)


def _split(alpha):
    """Where α is above the threshold, and α made harmless for either side of it."""
    threshold = tf.constant(_threshold(alpha.dtype), alpha.dtype)
    return alpha > threshold, tf.minimum(alpha, threshold), tf.maximum(alpha, threshold)


def sqrt_moments(alpha):
    """Mean and standard deviation of the square root of a gamma variate of unit rate.

    Parameters
    ----------
    alpha : tf.Tensor
        Concentration.

    Returns
    -------
    mean, stddev : tf.Tensor
        ``Γ(α+½)/Γ(α)`` and ``sqrt(α - mean²)``, both to a few units of the last place times ten.
    """
    is_large, small, large = _split(alpha)
    shift = _threshold(alpha.dtype)
    # Small α: Γ(α+½)/Γ(α) at α + shift by the series, then down by the recurrence of Γ.
    mean_small = tf.sqrt(small + shift) * tf.exp(_odd_series(_HALF, small + shift))
    for j in range(shift):
        mean_small = mean_small * ((small + j) / (small + (j + 0.5)))
    excess = _odd_series(_HALF, large)
    mean = tf.where(is_large, tf.sqrt(large) * tf.exp(excess), mean_small)
    variance = tf.where(is_large, -large * tf.math.expm1(2.0 * excess), small - mean_small**2)
    return mean, tf.sqrt(variance)


def log_half_power_excess(alpha):
    """``log Γ(α + ½) - log Γ(α) - ½ log α``, which vanishes as α grows, to its own relative precision.

    Parameters
    ----------
    alpha : tf.Tensor
        Positive.
    """
    shift = _threshold(alpha.dtype)
    # The series at α + shift, then down by the recurrence of Γ, whose terms are small where α is large.
    below = alpha[..., tf.newaxis] + tf.range(shift, dtype=alpha.dtype)
    down = 0.5 * tf.math.log1p(shift / alpha) - tf.reduce_sum(tf.math.log1p(0.5 / below), axis=-1)
    return _odd_series(_HALF, alpha + shift) + down


def log_power_moment(alpha, order):
    """``log E x^order = log Γ(α + order) - log Γ(α)`` of a gamma variate of unit rate.

    Parameters
    ----------
    alpha, order : tf.Tensor
        Concentration, and the order of the moment, with ``alpha + order > 0``.
    """
    is_large, small, large = _split(alpha)
    direct = tf.math.lgamma(small + order) - tf.math.lgamma(small)
    ratio = order / large
    # (α+k-½) log(α+k) - (α-½) log α - k, arranged so that α log α never appears.
    stirling = (
        order * tf.math.log(large)
        + (large + order - 0.5) * tf.math.log1p(ratio)
        - order
        + _odd_series(_STIRLING, large + order)
        - _odd_series(_STIRLING, large)
    )
    return tf.where(is_large, stirling, direct)


def entropy(alpha):
    """Entropy ``α + log Γ(α) + (1 - α) ψ(α)`` of a gamma variate of unit rate.

    Parameters
    ----------
    alpha : tf.Tensor
        Concentration.
    """
    is_large, small, large = _split(alpha)
    direct = small + tf.math.lgamma(small) + (1.0 - small) * tf.math.digamma(small)
    # Σ _DIGAMMA_k α^(-2k) (α - 1) has its leading factor of 1/α taken into the odd series.
    series = (
        0.5 * tf.math.log(2.0 * math.pi * large)
        + 0.5
        - 0.5 / large
        + _odd_series(_STIRLING, large)
        + (1.0 - 1.0 / large) * _odd_series(_DIGAMMA, large)
    )
    return tf.where(is_large, series, direct)


def mean_log(alpha):
    """``ψ(α) - log α``: the mean logarithm of a gamma variate less the logarithm of its mean.

    Parameters
    ----------
    alpha : tf.Tensor
        Concentration.
    """
    is_large, small, large = _split(alpha)
    direct = tf.math.digamma(small) - tf.math.log(small)
    return tf.where(is_large, -(0.5 + _odd_series(_DIGAMMA, large)) / large, direct)


def log_density(alpha, x):
    """Log density ``(α - 1) log x - x - log Γ(α)`` of a gamma variate of unit rate.

    Parameters
    ----------
    alpha, x : tf.Tensor
        Concentration and value of the same shape, x > 0.
    """
    is_large, small, large = _split(alpha)
    direct = (small - 1.0) * tf.math.log(x) - x - tf.math.lgamma(small)
    # With x = α(1 + e): α log x - x - α log α + α = -α (e - log1p(e)), which is about -α e²/2.
    # Elsewhere any x will do whose logarithms have gradients: that of an unused infinity would be NaN.
    x = tf.where(is_large, x, large)
    e = (x - large) / large
    series = 0.5 * tf.math.log(large / (2.0 * math.pi)) - _odd_series(_STIRLING, large)
    series += -large * log1p_remainder(e) - tf.math.log(x)
    return tf.where(is_large, series, direct)


def log1p_remainder(e):
    """``e - log(1 + e)`` for e > -1, without cancellation near zero.

    Parameters
    ----------
    e : tf.Tensor
        Arguments.
    """
    near = tf.abs(e) < 0.3
    # log(1+e) = 2 atanh(s) with s = e/(2+e), hence e - log(1+e) = s e - 2 (s³/3 + s⁵/5 + …).
    safe = tf.where(near, e, tf.zeros_like(e))
    s = safe / (2.0 + safe)
    s2 = s * s
    tail = tf.math.polyval([tf.constant(2.0 / (2 * k + 1), e.dtype) for k in range(12, 0, -1)], s2)
    far = tf.where(near, tf.ones_like(e), e)
    return tf.where(near, s * (safe - s2 * tail), far - tf.math.log1p(far))
