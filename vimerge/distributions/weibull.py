"""The Weibull distribution, with its digits at high concentration."""

import numpy as np
import tensorflow as tf
from scipy.special import zeta
from tensorflow_probability.python.internal import prefer_static, samplers

from .half_line import HalfLine


class Weibull(HalfLine):
    """Weibull distribution of ``z = scale e^(1/k)``, with e exponential and k the concentration.

    The density is ``k/scale (z/scale)^(k-1) exp(-(z/scale)^k)`` for z ≥ 0. The same distribution as `tfd.Weibull`,
    whose variance and log density lose their digits in float32 where it is narrow, for there the moments of z and
    the powers of its scale are large terms that cancel.

    Parameters
    ----------
    concentration : tensor_like
        The shape parameter k, > 0; the mean is about 1.28 k standard deviations where it is large.
    scale : tensor_like
        Scale, > 0.
    validate_args : bool
        Check parameters and samples at run time.
    allow_nan_stats : bool
        As in every TFP distribution.
    name : str, optional
        Name of the distribution's scope.
    """

    positive_names = ("concentration", "scale")

    def __init__(self, concentration, scale, validate_args=False, allow_nan_stats=True, name=None):
        parameters = dict(locals())
        values = {"concentration": concentration, "scale": scale}
        self._build(parameters, values, validate_args, allow_nan_stats, name)

    @classmethod
    def _parameter_properties(cls, dtype, num_classes=None):
        return cls._properties(dtype)

    @property
    def concentration(self):
        """Shape parameter."""
        return self._concentration

    @property
    def scale(self):
        """Scale."""
        return self._scale

    def _energy(self, z):
        """``(z/scale)^k`` and log(z/scale), at z > 0."""
        k, scale, z = self.broadcast_parameters(z)
        log_ratio = tf.math.log(z / scale)
        return tf.exp(k * log_ratio), log_ratio

    def _log_prob(self, z):
        k, scale, z = self.broadcast_parameters(z)
        inside = z > 0.0
        energy, log_ratio = self._energy(tf.where(inside, z, scale))
        log_prob = tf.math.log(k / scale) + (k - 1.0) * log_ratio - energy
        at_zero = tf.where(k == 1.0, -tf.math.log(scale), tf.where(k < 1.0, tf.constant(np.inf, self.dtype), -np.inf))
        return tf.where(inside, log_prob, tf.where(z == 0.0, at_zero, tf.constant(-np.inf, self.dtype)))

    def _log_survival_function(self, z):
        _, scale, z = self.broadcast_parameters(z)
        return tf.where(z > 0.0, -self._energy(tf.where(z > 0.0, z, scale))[0], 0.0)

    def _survival_function(self, z):
        return tf.exp(self._log_survival_function(z))

    def _cdf(self, z):
        return -tf.math.expm1(self._log_survival_function(z))

    def _log_cdf(self, z):
        _, scale, z = self.broadcast_parameters(z)
        energy = self._energy(tf.where(z > 0.0, z, scale))[0]
        return tf.where(z > 0.0, tf.math.log(-tf.math.expm1(-energy)), tf.constant(-np.inf, self.dtype))

    def _from_energy(self, energy):
        k, scale, energy = self.broadcast_parameters(energy)
        return scale * tf.exp(tf.math.log(energy) / k)

    def _quantile(self, p):
        inside = (p > 0.0) & (p < 1.0)
        z = self._from_energy(-tf.math.log1p(-tf.where(inside, p, 0.5)))
        edge = tf.where(p == 0.0, tf.zeros_like(p), tf.where(p == 1.0, tf.constant(np.inf, self.dtype), np.nan))
        return tf.where(inside, z, edge)

    def _sample_n(self, n, seed=None):
        shape = prefer_static.concat([[n], self.batch_shape_tensor()], axis=0)
        eps = np.finfo(self.dtype.as_numpy_dtype).eps
        # Neither end of [0, 1), whose energies have no logarithm.
        uniform = tf.clip_by_value(samplers.uniform(shape, dtype=self.dtype, seed=seed), 0.25 * eps, 1.0 - 0.5 * eps)
        return self._from_energy(-tf.math.log(uniform))

    def _entropy(self):
        k, scale = self.broadcast_parameters()
        return np.euler_gamma * (1.0 - 1.0 / k) + tf.math.log(scale / k) + 1.0

    def _mode(self):
        k, scale = self.broadcast_parameters()
        return tf.where(k > 1.0, scale * tf.exp(tf.math.log1p(-1.0 / tf.maximum(k, 1.0 + 1e-6)) / k), 0.0)

    def raw_moment(self, order):
        """``E z^order = scale^order Γ(1 + order/k)``.

        Parameters
        ----------
        order : float
            Any number above -k.

        Returns
        -------
        tf.Tensor
            Shape `batch_shape`.
        """
        k, scale = self.broadcast_parameters()
        return scale**order * tf.exp(tf.math.lgamma(1.0 + order / k))

    def _mean(self):
        return self.raw_moment(1.0)

    def _stddev(self):
        return self.raw_moment(1.0) * relative_spread(1.0 / self.broadcast_parameters()[0])

    def _variance(self):
        return self._stddev() ** 2


def relative_spread(h):
    """Standard deviation over mean of ``e^h``, with e exponential: ``sqrt(Γ(1+2h)/Γ(1+h)² - 1)``.

    Parameters
    ----------
    h : tf.Tensor
        Power, > 0.
    """
    # log Γ(1+h) = -γh + Σ ζ(k) (-h)^k/k, so that the linear terms cancel on paper.
    coefficients = [zeta(k) * (-1.0) ** k * (2.0**k - 2.0) / k for k in range(2, 16)]
    near, far = tf.minimum(h, 0.1), tf.maximum(h, 0.1)
    series = near**2 * tf.math.polyval([tf.constant(c, h.dtype) for c in coefficients[::-1]], near)
    log_ratio = tf.where(h < 0.1, series, tf.math.lgamma(1.0 + 2.0 * far) - 2.0 * tf.math.lgamma(1.0 + far))
    return tf.sqrt(tf.math.expm1(log_ratio))
