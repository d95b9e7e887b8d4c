"""The gamma distribution, with its digits at high concentration."""

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp
from tensorflow_probability.python.internal import prefer_static

from . import gamma_functions

tfd = tfp.distributions

# Above it a sample's derivative is from its expansion in 1/√α, to a few parts in 1e5 of the sample's sd.
LARGE = 1000.0


class Gamma(tfd.Gamma):
    """Gamma distribution whose density, entropy and sample gradients stay accurate at any concentration.

    The same distribution as `tfd.Gamma`, with the same arguments and samples. There, terms of the size α log α cancel,
    so that in float32 the log density is off by about one unit at α = 1e6, and the derivative of a sample in α is
    dominated by rounding from α = 1e4; here they cancel on paper (see `gamma_functions`). A strong reflection reaches
    that: α is (I/σ)² for a posterior over intensity.
    """

    def _sample_n(self, n, seed=None):
        alpha = tf.convert_to_tensor(self.concentration)
        large, constant = alpha > LARGE, tf.stop_gradient(alpha)
        quiet = tfd.Gamma(tf.where(large, constant, alpha), self.rate, self.log_rate, allow_nan_stats=True)
        x = quiet.sample(n, seed=seed)
        rate = tf.stop_gradient(tf.exp(log_rate(self)) if self.rate is None else tf.convert_to_tensor(self.rate))
        slope = _slope(tf.stop_gradient(x) * rate, tf.maximum(constant, LARGE)) / rate
        # Zero, but with the derivative of the sample.
        return x + tf.where(large, slope * (alpha - constant), tf.zeros_like(x))

    def _log_prob(self, x):
        alpha = tf.convert_to_tensor(self.concentration)
        log_rate_ = log_rate(self)
        shape = prefer_static.broadcast_shape(prefer_static.shape(x), self.batch_shape_tensor())
        alpha, log_rate_, x = (tf.broadcast_to(t, shape) for t in (alpha, log_rate_, x))
        inside = x > 0.0
        scaled = x * (tf.exp(log_rate_) if self.rate is None else tf.convert_to_tensor(self.rate))
        log_prob = gamma_functions.log_density(alpha, tf.where(inside, scaled, alpha)) + log_rate_
        # At zero the density is infinite, the rate, or zero as α is below, at or above one.
        at_zero = tf.where(alpha == 1.0, log_rate_, tf.where(alpha < 1.0, tf.constant(np.inf, self.dtype), -np.inf))
        outside = tf.where(x == 0.0, at_zero, tf.constant(-np.inf, self.dtype))
        return tf.where(inside, log_prob, outside)

    def _entropy(self):
        alpha = tf.convert_to_tensor(self.concentration)
        return gamma_functions.entropy(alpha) - log_rate(self)


def log_rate(distribution):
    """Log of the rate of a gamma distribution, which holds either the rate or its logarithm.

    Parameters
    ----------
    distribution : tfd.Gamma
        The distribution.
    """
    if distribution.rate is None:
        return tf.convert_to_tensor(distribution.log_rate)
    return tf.math.log(distribution.rate)


def _slope(x, alpha):
    """dx/dα of a sample of unit rate at a fixed quantile, for large α.

    Cornish and Fisher's expansion about a normal quantile z [1]_,

        x = α + z √α + (z² − 1)/3 + (z³ − 7z)/(36 √α) + …

    is inverted for z and differentiated.

    References
    ----------
    .. [1] Abramowitz, M. & Stegun, I. A. (1964). Handbook of Mathematical Functions, equation 26.2.49.
    """
    root = tf.sqrt(alpha)
    u = (x - alpha) / root
    z = u - (tf.square(u) - 1.0) / (3.0 * root)
    return 1.0 + z / (2.0 * root) - z * (tf.square(z) - 7.0) / (72.0 * alpha * root)
