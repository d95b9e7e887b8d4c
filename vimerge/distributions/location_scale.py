"""Distributions of z ≥ 0 with a location and a scale, in terms of reduced variables."""

import abc

import numpy as np
import tensorflow as tf

from .half_line import HalfLine


@tf.custom_gradient
def attach_implicit_gradient(z, d_loc, d_scale, loc, scale):
    """Return z with given derivatives with respect to loc and scale.

    Those of the quantile function come from implicit differentiation of ``cdf(z; loc, scale) = u`` [1]_.

    References
    ----------
    .. [1] Figurnov, Mohamed & Mnih (2018). Implicit reparameterization gradients. NeurIPS.
    """

    def grad(upstream):
        return None, None, None, upstream * d_loc, upstream * d_scale

    return tf.identity(z), grad


class LocationScale(HalfLine, metaclass=abc.ABCMeta):
    """Distribution of z ≥ 0 that keeps its form when z, loc and scale are multiplied by the same number.

    Everything is computed from the reduced variables ``r = z/scale``, ``a = loc/scale`` and ``d = (z - loc)/scale``,
    the last of which keeps its digits when `loc` is much larger than `scale`.

    Parameters
    ----------
    loc : tensor_like
        Location.
    scale : tensor_like
        Scale, positive.
    validate_args, allow_nan_stats : bool
        As in every TFP distribution.
    name : str, optional
        Name of the distribution's scope.
    """

    positive_names = ("scale",)
    real_names = ("loc",)

    def __init__(self, loc, scale, validate_args=False, allow_nan_stats=True, name=None):
        parameters = dict(locals())
        self._build(parameters, {"loc": loc, "scale": scale}, validate_args, allow_nan_stats, name)

    @classmethod
    def _parameter_properties(cls, dtype, num_classes=None):
        return cls._properties(dtype)

    @property
    def loc(self):
        """Location."""
        return self._loc

    @property
    def scale(self):
        """Scale."""
        return self._scale

    # The hooks. Those of `_reduced_…` take a, and are of r.

    @abc.abstractmethod
    def reduced_log_density(self, d, a, r):
        """Log density of r, at r > 0."""

    @abc.abstractmethod
    def _implicit_derivatives(self, z, loc, scale):
        """Derivatives of the quantile z with respect to loc and to scale."""

    @abc.abstractmethod
    def _reduced_log_tails(self, d, a, r):
        """Log cdf and log survival function at r > 0."""

    @abc.abstractmethod
    def _reduced_quantile(self, p, a):
        """Quantile of r, 0 < p < 1."""

    @abc.abstractmethod
    def _reduced_entropy(self, a):
        """Entropy of r."""

    @abc.abstractmethod
    def _reduced_moment(self, a, order):
        """``E r^order`` for order 1 to 4."""

    @abc.abstractmethod
    def _reduced_variance(self, a):
        """Variance of r, without cancellation at large a."""

    @abc.abstractmethod
    def _reduced_mode(self, a):
        """Mode of r."""

    # Density

    def _log_prob(self, z):
        loc, scale, z = self.broadcast_parameters(z)
        inside = z >= 0.0
        z = tf.where(inside, z, scale)
        log_prob = self.reduced_log_density((z - loc) / scale, loc / scale, z / scale) - tf.math.log(scale)
        return tf.where(inside, log_prob, tf.constant(-np.inf, self.dtype))

    def _implicit(self, z, loc, scale):
        """Z with the gradient of the quantile function."""
        derivatives = self._implicit_derivatives(*(tf.stop_gradient(x) for x in (z, loc, scale)))
        return attach_implicit_gradient(tf.stop_gradient(z), *derivatives, loc, scale)

    # Tails

    def _log_tails(self, z):
        """Log cdf and log survival function, with the exact gradients of the cdf."""
        loc, scale, z = self.broadcast_parameters(z)
        inside = z > 0.0
        safe_z = tf.where(inside, z, scale)
        log_cdf, log_sf = (
            tf.stop_gradient(t) for t in self._reduced_log_tails((safe_z - loc) / scale, loc / scale, safe_z / scale)
        )
        # d cdf = density (dz - dz/dloc dloc - dz/dscale dscale): the bracket is zero in value.
        step = safe_z - self._implicit(safe_z, loc, scale)
        log_density = tf.stop_gradient(self._log_prob(safe_z))
        # The bound is for tails below exp(-1e7), where rounding alone would make the exponential infinite.
        log_cdf += tf.exp(tf.minimum(log_density - log_cdf, 80.0)) * step
        log_sf -= tf.exp(tf.minimum(log_density - log_sf, 80.0)) * step
        return tf.where(inside, log_cdf, tf.constant(-np.inf, self.dtype)), tf.where(inside, log_sf, 0.0)

    def _log_cdf(self, z):
        return self._log_tails(z)[0]

    def _log_survival_function(self, z):
        return self._log_tails(z)[1]

    def _quantile(self, p):
        loc, scale, p = self.broadcast_parameters(p)
        inside = (p > 0.0) & (p < 1.0)
        safe_p = tf.where(inside, p, 0.5)
        z = tf.stop_gradient(scale * self._reduced_quantile(safe_p, loc / scale))
        z = self._implicit(z, loc, scale) + (safe_p - tf.stop_gradient(safe_p)) / tf.stop_gradient(self.prob(z))
        edge = tf.where(p == 0.0, tf.zeros_like(p), tf.where(p == 1.0, tf.constant(np.inf, self.dtype), np.nan))
        return tf.where(inside, z, edge)

    # Moments

    def raw_moment(self, order):
        """``E z^order`` in closed form.

        Parameters
        ----------
        order : int
            1, 2, 3 or 4.

        Returns
        -------
        tf.Tensor
            Shape `batch_shape`.

        Raises
        ------
        ValueError
            If the order is another.
        """
        if order not in (1, 2, 3, 4):
            raise ValueError(f"{type(self).__name__} has raw moments of order 1 to 4 in closed form, not {order}.")
        loc, scale = self.broadcast_parameters()
        return scale**order * self._reduced_moment(loc / scale, order)

    def _mean(self):
        return self.raw_moment(1)

    def _stddev(self):
        loc, scale = self.broadcast_parameters()
        return scale * tf.sqrt(self._reduced_variance(loc / scale))

    def _variance(self):
        loc, scale = self.broadcast_parameters()
        return scale**2 * self._reduced_variance(loc / scale)

    def _mode(self):
        loc, scale = self.broadcast_parameters()
        return scale * self._reduced_mode(loc / scale)

    def _entropy(self):
        loc, scale = self.broadcast_parameters()
        return self._reduced_entropy(loc / scale) + tf.math.log(scale)
