"""Modified Bessel functions of the first kind in the forms the Rice distribution needs."""

import numpy as np
import tensorflow as tf

_N_TERMS = 14


def _complement_series() -> np.ndarray:
    """Coefficients ``c_n`` of ``1 - I1(x)/I0(x) ~ sum_n c_n x^-n`` (n ≥ 1).

    ``A = I1/I0`` obeys the Riccati equation ``A' = 1 - A/x - A²``; matching powers of 1/x gives the recurrence.
    """
    a = np.zeros(_N_TERMS + 1)
    a[0] = 1.0
    for n in range(1, _N_TERMS + 1):
        a[n] = 0.5 * ((n - 2) * a[n - 1] - np.dot(a[1:n], a[n - 1 : 0 : -1]))
    return -a[1:]


_COMPLEMENT = _complement_series()


def _series_threshold(dtype) -> float:
    """Return the argument above which the series beats the subtraction ``i0e - i1e``."""
    return 12.0 if dtype == tf.float32 else 40.0


def bessel_ratio_derivative(x):
    """Return the derivative of ``A(x) = I1(x)/I0(x)``: ``A'(x) = 1 - A/x - A²``, for x ≥ 0.

    Parameters
    ----------
    x : tf.Tensor
        Non-negative arguments.

    Returns
    -------
    tf.Tensor
        ``A'(x)``, which is 1/2 at zero and falls off as ``1/(2x²)``.
    """
    threshold = _series_threshold(x.dtype)
    # Below 1e-3 the two terms of 1 - A/x - 1/2 - A² round; the Taylor series is exact to 1e-12 there.
    tiny = x < 1e-3
    middle = tf.clip_by_value(x, 1e-3, threshold)
    a = tf.math.bessel_i1e(middle) / tf.math.bessel_i0e(middle)
    direct = 1.0 - a / middle - a**2
    inverse = 1.0 / tf.maximum(x, threshold)
    n = np.arange(1, _N_TERMS + 1)
    series = tf.math.polyval([tf.constant(c, x.dtype) for c in (n * _COMPLEMENT)[::-1]], inverse) * inverse**2
    return tf.where(x > threshold, series, tf.where(tiny, 0.5 - 0.1875 * tf.minimum(x, 1e-3) ** 2, direct))


@tf.custom_gradient
def bessel_ratio_complement(x):
    """``1 - I1(x)/I0(x)`` for x ≥ 0, accurate in relative terms at any x.

    Parameters
    ----------
    x : tf.Tensor
        Non-negative arguments.

    Returns
    -------
    tf.Tensor
        Falls from 1 at zero as ``1/(2x) + 1/(8x²) + …``: above a threshold by this asymptotic series, because the
        ratio rounds to one there.
    """
    threshold = _series_threshold(x.dtype)
    i0e = tf.math.bessel_i0e(tf.minimum(x, threshold))
    i1e = tf.math.bessel_i1e(tf.minimum(x, threshold))
    inverse = 1.0 / tf.maximum(x, threshold)
    series = tf.math.polyval([tf.constant(c, x.dtype) for c in _COMPLEMENT[::-1]], inverse) * inverse

    def grad(upstream):
        return -upstream * bessel_ratio_derivative(x)

    return tf.where(x > threshold, series, (i0e - i1e) / i0e), grad


@tf.custom_gradient
def log_bessel_i0e(x):
    """``log(exp(-x) I0(x))`` for x ≥ 0.

    Parameters
    ----------
    x : tf.Tensor
        Non-negative arguments.

    Returns
    -------
    tf.Tensor
        The logarithm, whose gradient ``I1/I0 - 1`` is evaluated without cancellation.
    """

    def grad(upstream):
        return -upstream * bessel_ratio_complement(x)

    return tf.math.log(tf.math.bessel_i0e(x)), grad
