"""The inverse Mills ratio of the normal distribution and what follows from it, in both tails.

For a standard normal Φ and its density φ, ``λ(a) = φ(a)/Φ(a)``. In terms of ``x = -a`` and
``I_n(x) = ∫_0^∞ t^n/n! exp(-t²/2 - x t) dt`` it is ``1/I_0``, and a normal variate of mean a and unit variance,
truncated to r > 0, has ``E r^n = n! I_n/I_0``.
"""

import math

import numpy as np
import tensorflow as tf

LOG_SQRT_2PI = 0.5 * math.log(2.0 * math.pi)


def left_end(dtype):
    """Return the a below which a continued fraction replaces closed forms, whose terms cancel there, and its length."""
    return (-1.25, 24) if dtype == tf.float32 else (-3.0, 40)


def tail_ratios(a):
    """``ρ_n = I_n/I_(n-1)``, n = 1 to 4, for a at or below `left_end`.

    Integration by parts gives ``I_(n-1) = x I_n + (n+1) I_(n+1)``, hence the continued fraction
    ``ρ_n = 1/(x + (n+1) ρ_(n+1))`` (DLMF 7.18, 7.9), all of whose terms are positive.

    Parameters
    ----------
    a : tf.Tensor
        Arguments; those above `left_end` are moved there.

    Returns
    -------
    list of tf.Tensor
        Four, of the shape of a.
    """
    end, length = left_end(a.dtype)
    x = -tf.minimum(a, tf.constant(end, a.dtype))
    # Far out ρ changes slowly with n: start from the value that would repeat itself.
    ratio = 2.0 / (x + tf.sqrt(x**2 + 4.0 * (length + 1)))
    ratios = []
    for n in range(length, 0, -1):
        ratio = 1.0 / (x + (n + 1.0) * ratio)
        ratios.append(ratio)
    return ratios[:-5:-1]


def near_ratio(a):
    """``λ(a)`` from its definition, for a at or above `left_end`."""
    a = tf.maximum(a, tf.constant(left_end(a.dtype)[0], a.dtype))
    return math.sqrt(2.0 / math.pi) * tf.exp(-0.5 * a**2) / tf.math.erfc(-math.sqrt(0.5) * a)


def inverse_mills(a):
    """``λ(a) = φ(a)/Φ(a)``, accurate in relative terms until it underflows.

    Parameters
    ----------
    a : tf.Tensor
        Any argument.
    """
    return tf.where(a < left_end(a.dtype)[0], tail_ratios(a)[0] - a, near_ratio(a))


def truncated_mean(a):
    """``a + λ(a)``: the mean of a normal variate of mean a and unit variance truncated to r > 0.

    Parameters
    ----------
    a : tf.Tensor
        Any argument.
    """
    return tf.where(a < left_end(a.dtype)[0], tail_ratios(a)[0], a + near_ratio(a))


@tf.custom_gradient
def log_inverse_mills(a):
    """``log λ(a)``, whose gradient ``-(a + λ)`` is evaluated without cancellation.

    Parameters
    ----------
    a : tf.Tensor
        Arguments ≤ 0, or so small that λ does not underflow.
    """

    def grad(upstream):
        return -upstream * truncated_mean(a)

    return tf.math.log(inverse_mills(a)), grad


def log_ndtr(a):
    """``log Φ(a)``, with relative accuracy in both tails.

    Parameters
    ----------
    a : tf.Tensor
        Any argument.
    """
    negative = tf.minimum(a, 0.0)
    below = -0.5 * negative**2 - LOG_SQRT_2PI - log_inverse_mills(negative)
    above = tf.math.log1p(-0.5 * tf.math.erfc(math.sqrt(0.5) * tf.maximum(a, 0.0)))
    return tf.where(a < 0.0, below, above)


def legendre(n):
    """Nodes and weights of Gauss and Legendre on [0, 1]."""
    nodes, weights = np.polynomial.legendre.leggauss(n)
    return 0.5 * (1.0 + nodes), 0.5 * weights
