"""Cumulative distribution, quantile and entropy of a Gaussian length, by Gauss–Legendre quadrature.

TensorFlow has no Marcum Q function. The smaller of the two tails is integrated directly, over the stretch next to its
end that holds all but a negligible part of it; the other tail is the complement. Logarithms are kept throughout, so
that both tails are accurate in relative terms and far beyond the underflow of the probability itself.
"""

import math

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp


def _quadrature(dtype):
    """Return nodes and weights on [0, 1], and the fall of the log density at which the tail is cut."""
    n, fall = (20, 20.0) if dtype == tf.float32 else (48, 42.0)
    nodes, weights = np.polynomial.legendre.leggauss(n)
    return 0.5 * (1.0 + nodes), 0.5 * weights, fall


def log_tails(family, d, a, r):
    """Log of the cdf and of the survival function of the reduced length r.

    Parameters
    ----------
    family : GaussianLength
        Gives the reduced log density and its slope.
    d, a, r : tf.Tensor
        ``r - a``, the reduced location, and the reduced length, r > 0, all of one shape.

    Returns
    -------
    log_cdf, log_survival : tf.Tensor
        Each of the same shape.
    """
    nodes, weights, fall = _quadrature(d.dtype)
    column = [len(nodes)] + [1] * d.shape.rank
    nodes, weights = (tf.constant(x.reshape(column), d.dtype) for x in (nodes, weights))
    # Both tails are of order one at sqrt(1 + a²), which is near the mode.
    lower = d < 1.0 / (a + tf.sqrt(1.0 + a**2))
    sign = tf.where(lower, tf.constant(-1.0, d.dtype), 1.0)
    slope = (family.dimension - 1.0) / r - d - a * family.ratio_complement(a * r)
    steepness = tf.maximum(-sign * slope, 0.0)
    # The log density falls at least as steepness·w + w²/2 over a distance w from the end of the tail.
    larger, smaller = tf.maximum(steepness, math.sqrt(2.0 * fall)), tf.minimum(steepness, math.sqrt(2.0 * fall))
    width = 2.0 * fall / (steepness + larger * tf.sqrt(1.0 + (smaller / larger) ** 2))
    width = tf.where(lower, tf.minimum(width, r), width)
    step = sign * width * nodes
    log_density = family.reduced_log_density(d + step, tf.broadcast_to(a, tf.shape(step)), r + step)
    log_tail = tf.reduce_logsumexp(log_density + tf.math.log(weights), axis=0) + tf.math.log(width)
    log_other = tfp.math.log1mexp(tf.minimum(log_tail, -1e-3))
    return tf.where(lower, log_tail, log_other), tf.where(lower, log_other, log_tail)


def reduced_quantile(family, p, a):
    """Quantile of the reduced length r: a bracketed root, then polished by Newton's method.

    The length lies between the component along the mean and a plus the length of the noise, and so do the quantiles.

    Parameters
    ----------
    family : GaussianLength
        Gives the distribution.
    p, a : tf.Tensor
        Probability in (0, 1) and reduced location, of one shape.
    """
    low = tf.maximum(-a, tf.math.ndtri(p))
    if family.dimension == 1:
        # TF's erfinv is zero below the rounding of 1 + p; 1.26 p is a bound there, and below the quantile elsewhere.
        high = tf.maximum(math.sqrt(2.0) * tf.math.erfinv(p), 1.26 * p)
    else:
        high = tf.sqrt(-2.0 * tf.math.log1p(-p))
    is_lower = p < 0.5
    target = tf.where(is_lower, tf.math.log(p), tf.math.log1p(-p))
    tiny = tf.constant(np.finfo(a.dtype.as_numpy_dtype).tiny, a.dtype)

    def objective(d):
        log_cdf, log_survival = log_tails(family, d, a, tf.maximum(d + a, tiny))
        return tf.where(is_lower, log_cdf - target, target - log_survival)

    def bisect(low, high):
        middle = 0.5 * (low + high)
        below = objective(middle) < 0.0
        return tf.where(below, middle, low), tf.where(below, high, middle)

    def newton(r):
        log_cdf, log_survival = log_tails(family, r - a, a, r)
        log_density = family.reduced_log_density(r - a, a, r)
        # Newton on log cdf against log r keeps r positive and its relative accuracy near zero.
        down = (target - log_cdf) * tf.exp(log_cdf - log_density) / r
        up = (log_survival - target) * tf.exp(log_survival - log_density)
        return (tf.where(is_lower, r * tf.exp(tf.clip_by_value(down, -40.0, 40.0)), r + up),)

    low, high = tf.while_loop(lambda *_: True, bisect, (low, high), maximum_iterations=12)
    start = tf.maximum(a + 0.5 * (low + high), tiny)
    return tf.while_loop(lambda *_: True, newton, (start,), maximum_iterations=4)[0]


def reduced_entropy(family, a):
    """Entropy of the reduced length r.

    Parameters
    ----------
    family : GaussianLength
        Gives the reduced log density.
    a : tf.Tensor
        Reduced location.
    """
    nodes, weights, fall = _quadrature(a.dtype)
    column = [len(nodes)] + [1] * a.shape.rank
    nodes, weights = (tf.constant(x.reshape(column), a.dtype) for x in (nodes, weights))
    half = math.sqrt(2.0 * fall)
    tiny = tf.constant(np.finfo(a.dtype.as_numpy_dtype).tiny, a.dtype)
    low = -tf.minimum(a, half)
    # Squared nodes, since the integrand may start as r log r; a second panel, since it may be narrow.
    weights, nodes = 2.0 * nodes * weights, nodes**2
    result = tf.zeros_like(a)
    for start, width in ((low, -low), (tf.zeros_like(a), tf.fill(tf.shape(a), tf.constant(half, a.dtype)))):
        d = start + width * nodes
        r = tf.maximum(a + d, tiny)
        log_density = family.reduced_log_density(d, tf.broadcast_to(a, tf.shape(d)), r)
        result -= width * tf.reduce_sum(weights * tf.exp(log_density) * log_density, axis=0)
    return result
