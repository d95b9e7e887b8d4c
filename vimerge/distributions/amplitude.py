"""What Rice and folded normal share: both are the length of a Gaussian vector."""

import abc

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp
from tensorflow_probability.python.internal import (
    assert_util,
    dtype_util,
    parameter_properties,
    prefer_static,
    samplers,
    tensor_util,
)

from .tails import log_tails, reduced_entropy, reduced_quantile

tfb = tfp.bijectors
tfd = tfp.distributions


@tf.custom_gradient
def attach_implicit_gradient(z, ratio_complement, loc, scale):
    """Return z with the gradient of the quantile function with respect to loc and scale.

    With A the ratio ``I1/I0`` (or its one-dimensional analogue tanh) at ``z loc/scale²``, implicit differentiation of
    ``cdf(z; loc, scale) = u`` gives ``dz/dloc = A`` and, since the family is scale equivariant,
    ``dz/dscale = (z - loc A)/scale`` [1]_. A comes in as ``1 - A``, which keeps its digits where A rounds to one.

    References
    ----------
    .. [1] Figurnov, Mohamed & Mnih (2018). Implicit reparameterization gradients. NeurIPS.
    """

    def grad(upstream):
        d_scale = ((z - loc) + loc * ratio_complement) / scale
        return None, None, upstream * (1.0 - ratio_complement), upstream * d_scale

    return tf.identity(z), grad


class GaussianLength(tfd.Distribution, metaclass=abc.ABCMeta):
    """Distribution of the length z of an isotropic Gaussian vector.

    The vector has `dimension` components of standard deviation `scale`, and its mean has the length `loc`. One
    component gives the folded normal, two give the Rice distribution. Everything is computed from the reduced
    variables ``r = z/scale``, ``a = loc/scale`` and ``d = (z - loc)/scale``, the last of which keeps its digits when
    `loc` is much larger than `scale`.

    Parameters
    ----------
    loc : tensor_like
        Length of the mean; the sign makes no difference.
    scale : tensor_like
        Standard deviation of each component, positive.
    validate_args, allow_nan_stats : bool
        As in every TFP distribution.
    name : str, optional
        Name of the distribution's scope.
    """

    dimension: int
    _loc_bijector = staticmethod(tfb.Identity)

    def __init__(self, loc, scale, validate_args=False, allow_nan_stats=True, name=None):
        parameters = dict(locals())
        with tf.name_scope(name or type(self).__name__) as name:
            dtype = dtype_util.common_dtype([loc, scale], dtype_hint=tf.float32)
            self._loc = tensor_util.convert_nonref_to_tensor(loc, dtype=dtype, name="loc")
            self._scale = tensor_util.convert_nonref_to_tensor(scale, dtype=dtype, name="scale")
            super().__init__(
                dtype=dtype,
                reparameterization_type=tfd.FULLY_REPARAMETERIZED,
                validate_args=validate_args,
                allow_nan_stats=allow_nan_stats,
                parameters=parameters,
                name=name,
            )

    @classmethod
    def _parameter_properties(cls, dtype, num_classes=None):
        return {
            "loc": parameter_properties.ParameterProperties(default_constraining_bijector_fn=cls._loc_bijector),
            "scale": parameter_properties.ParameterProperties(
                default_constraining_bijector_fn=lambda: tfb.Softplus(low=dtype_util.eps(dtype))
            ),
        }

    @property
    def loc(self):
        """Length of the mean vector."""
        return self._loc

    @property
    def scale(self):
        """Standard deviation of each component."""
        return self._scale

    # The hooks: all that tells one dimension from two.

    @abc.abstractmethod
    def reduced_log_density(self, d, a, r):
        """Log density of r, at r > 0."""

    @abc.abstractmethod
    def ratio_complement(self, x):
        """``1 - A(x)``, where A(x) is the gradient of a quantile with respect to loc."""

    @abc.abstractmethod
    def _reduced_moment(self, a, order):
        """``E r^order`` for order 1 to 4."""

    @abc.abstractmethod
    def _reduced_variance(self, a):
        """Variance of r, without cancellation at large a."""

    @abc.abstractmethod
    def _reduced_mode(self, a):
        """Mode of r."""

    # Shapes and checks

    def _event_shape(self):
        return tf.TensorShape([])

    def _event_shape_tensor(self):
        return tf.constant([], dtype=tf.int32)

    def _default_event_space_bijector(self):
        return tfb.Softplus(validate_args=self.validate_args)

    def _parameter_control_dependencies(self, is_init):
        if self.validate_args and is_init != tensor_util.is_ref(self._scale):
            return [assert_util.assert_positive(self._scale, message="Argument `scale` must be positive.")]
        return []

    def _sample_control_dependencies(self, x):
        if self.validate_args:
            return [assert_util.assert_non_negative(x, message="Sample must be non-negative.")]
        return []

    def broadcast_parameters(self, *others):
        """Loc (non-negative) and scale as tensors of their common shape with `others`."""
        loc, scale = tf.abs(tf.convert_to_tensor(self._loc)), tf.convert_to_tensor(self._scale)
        shape = prefer_static.shape(loc)
        for x in (scale, *others):
            shape = prefer_static.broadcast_shape(shape, prefer_static.shape(x))
        return tuple(tf.broadcast_to(x, shape) for x in (loc, scale, *others))

    # Density and samples

    def _log_prob(self, z):
        loc, scale, z = self.broadcast_parameters(z)
        inside = z >= 0.0
        z = tf.where(inside, z, scale)
        log_prob = self.reduced_log_density((z - loc) / scale, loc / scale, z / scale) - tf.math.log(scale)
        return tf.where(inside, log_prob, tf.constant(-np.inf, self.dtype))

    def _implicit(self, z, loc, scale):
        z, x = tf.stop_gradient(z), tf.stop_gradient((z / scale) * (loc / scale))
        return attach_implicit_gradient(z, self.ratio_complement(x), loc, scale)

    def _sample_n(self, n, seed=None):
        loc, scale = self.broadcast_parameters()
        shape = prefer_static.concat([[n], prefer_static.shape(loc)], axis=0)
        loc, scale = tf.broadcast_to(loc, shape), tf.broadcast_to(scale, shape)
        # One call for all components: a call of the stateless generator costs more than the numbers.
        normals = samplers.normal(prefer_static.concat([[self.dimension], shape], axis=0), dtype=self.dtype, seed=seed)
        along = loc / scale + normals[0]
        r = tf.abs(along) if self.dimension == 1 else tf.sqrt(along**2 + tf.reduce_sum(normals[1:] ** 2, axis=0))
        return self._implicit(scale * r, loc, scale)

    # Tails

    def _log_tails(self, z):
        """Log cdf and log survival function, with the exact gradients of the cdf."""
        loc, scale, z = self.broadcast_parameters(z)
        inside = z > 0.0
        safe_z = tf.where(inside, z, scale)
        log_cdf, log_sf = (
            tf.stop_gradient(t) for t in log_tails(self, (safe_z - loc) / scale, loc / scale, safe_z / scale)
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
        z = tf.stop_gradient(scale * reduced_quantile(self, safe_p, loc / scale))
        z = self._implicit(z, loc, scale) + (safe_p - tf.stop_gradient(safe_p)) / tf.stop_gradient(self.prob(z))
        edge = tf.where(p == 0.0, tf.zeros_like(p), tf.where(p == 1.0, tf.constant(np.inf, self.dtype), np.nan))
        return tf.where(inside, z, edge)

    def _entropy(self):
        loc, scale = self.broadcast_parameters()
        return reduced_entropy(self, loc / scale) + tf.math.log(scale)

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
