"""The Rice distribution: the amplitude of a complex number with a Gaussian error."""

import math

import numpy as np
import tensorflow as tf

from .amplitude import GaussianLength
from .bessel import bessel_ratio_complement, bessel_ratio_derivative, log_bessel_i0e

_N_TERMS = 16


def _variance_series() -> np.ndarray:
    """Coefficients ``v_k`` of ``var(r) ~ sum_k v_k (2/a²)^k``, k ≥ 0.

    ``E r = a S(u)`` with ``u = 2/a²`` and ``S = sum_k ((-1/2)_k)²/k! u^k``, the asymptotic series of the confluent
    hypergeometric function (DLMF 13.7.2), so that ``var(r) = 2 + a² - a² S² = 2 - 2 (S² - 1)/u``.
    """
    s = [1.0]
    for k in range(1, _N_TERMS + 2):
        s.append(s[-1] * (k - 1.5) ** 2 / k)
    square = np.convolve(s, s)[: _N_TERMS + 2]
    v = -2.0 * square[1:]
    v[0] += 2.0
    return v


_VARIANCE = _variance_series()


class Rice(GaussianLength):
    """Rice distribution of ``z = |loc + scale (n1 + i n2)|``, with n1 and n2 standard normal.

    The density is ``z/scale² exp(-(z² + loc²)/(2 scale²)) I0(z loc/scale²)`` for z ≥ 0 [1]_. In crystallography it is
    the acentric distribution of an amplitude around a calculated structure factor (Sim, Luzzati, Woolfson).

    Parameters
    ----------
    loc : tensor_like
        Amplitude without error, ≥ 0.
    scale : tensor_like
        Standard deviation of the real and of the imaginary part, > 0.
    validate_args : bool
        Check parameters and samples at run time.
    allow_nan_stats : bool
        As in every TFP distribution.
    name : str, optional
        Name of the distribution's scope.

    References
    ----------
    .. [1] Rice, S. O. (1945). Mathematical analysis of random noise. Bell Syst. Tech. J. 24, 46–156.
    """

    dimension = 2

    def reduced_log_density(self, d, a, r):
        """Log density of r."""
        # Double where: log(0) is right, and its infinite gradient would meet a zero.
        log_r = tf.where(r > 0.0, tf.math.log(tf.where(r > 0.0, r, 1.0)), -np.inf)
        return log_r - 0.5 * d**2 + log_bessel_i0e(a * r)

    def ratio_complement(self, x):
        """``1 - I1(x)/I0(x)``."""
        return bessel_ratio_complement(x)

    def _reduced_moment(self, a, order):
        if order == 2:
            return 2.0 + a**2
        if order == 4:
            return 8.0 + a**2 * (8.0 + a**2)
        # Laguerre functions L_{1/2} and L_{3/2} of -a²/2; every term is positive, so nothing cancels.
        t = 0.25 * a**2
        i0e, i1e = tf.math.bessel_i0e(t), tf.math.bessel_i1e(t)
        if order == 1:
            return math.sqrt(0.5 * math.pi) * ((1.0 + 2.0 * t) * i0e + 2.0 * t * i1e)
        return math.sqrt(2.0 * math.pi) * ((1.5 + t * (6.0 + 4.0 * t)) * i0e + 4.0 * t * (1.0 + t) * i1e)

    def _reduced_variance(self, a):
        # 2 + a² - (E r)² loses a² digits' worth; from the threshold on the asymptotic series has more.
        threshold = 6.0 if self.dtype == tf.float32 else 9.0
        near = tf.minimum(a, threshold)
        direct = 2.0 + near**2 - self._reduced_moment(near, 1) ** 2
        u = 2.0 / tf.maximum(a, threshold) ** 2
        series = tf.math.polyval([tf.constant(v, self.dtype) for v in _VARIANCE[::-1]], u)
        return tf.where(a > threshold, series, direct)

    def _reduced_mode(self, a):
        # The density is log-concave: its slope 1/r - r + aA(ar) has one root, near sqrt(1 + a²). Newton's method runs
        # on d = r - a, which keeps its digits; the gradient is that of the implicit function.
        fixed = tf.stop_gradient(a)
        d = 1.0 / (fixed + tf.sqrt(1.0 + fixed**2))
        for _ in range(6):
            r = fixed + d
            curvature = 1.0 + 1.0 / r**2 - fixed**2 * bessel_ratio_derivative(fixed * r)
            d = d - (d + fixed * bessel_ratio_complement(fixed * r) - 1.0 / r) / curvature
        r = fixed + d
        # d mode/da = -(∂slope/∂a)/(∂slope/∂r), the slope being r - aA(ar) - 1/r.
        ratio, derivative = 1.0 - bessel_ratio_complement(fixed * r), bessel_ratio_derivative(fixed * r)
        gradient = (ratio + fixed * r * derivative) / (1.0 + 1.0 / r**2 - fixed**2 * derivative)
        return r + tf.stop_gradient(gradient) * (a - fixed)
