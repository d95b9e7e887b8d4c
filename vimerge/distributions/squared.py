"""The square of an amplitude whose structure factor is normally distributed: an intensity about a known mean."""

import math

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp
from tensorflow_probability.python.internal import assert_util, parameter_properties

from .amplitude import GaussianLength
from .bessel import bessel_ratio_derivative, log_bessel_i0e
from .moments import power_moments

tfb = tfp.bijectors
tfd = tfp.distributions


def _log_i0_series() -> np.ndarray:
    """Coefficients of log I0(√y) in powers of y, which converge up to y = 5.8, from I0(√y) = Σ (y/4)^k/k!²."""
    i0 = [0.25**k / math.factorial(k) ** 2 for k in range(24)]
    log_i0 = [0.0]
    # Of I0 = exp(log I0) by differentiating: k c_k = Σ_j j l_j c_{k-j}.
    for k in range(1, len(i0)):
        log_i0.append(i0[k] - sum(j * log_i0[j] * i0[k - j] for j in range(1, k)) / k)
    return np.array(log_i0)


_LOG_I0 = _log_i0_series()


class Squared(tfd.Distribution):
    """Distribution of ``x = z²``, where the amplitude z is the length of a Gaussian vector: Rice or folded normal.

    In units of scale² it is the noncentral χ² distribution with as many degrees of freedom as the vector has
    dimensions, and the noncentrality ``(loc/scale)²`` [1]_. With loc = 0 it is Wilson's distribution of intensities.
    The density of the square of a folded normal is infinite at zero, where its mode therefore is.

    Parameters
    ----------
    amplitude : Rice or FoldedNormal
        Distribution of z.
    validate_args : bool
        Check samples at run time.
    allow_nan_stats : bool
        As in every TFP distribution.
    name : str, optional
        Name of the distribution's scope.

    Raises
    ------
    TypeError
        If the amplitude has another distribution.

    References
    ----------
    .. [1] Johnson, N. L., Kotz, S. & Balakrishnan, N. (1995). Continuous Univariate Distributions, vol. 2, ch. 29.
    """

    def __init__(self, amplitude, validate_args=False, allow_nan_stats=True, name="Squared"):
        parameters = dict(locals())
        if not isinstance(amplitude, GaussianLength):
            raise TypeError(f"Squared needs the distribution of an amplitude, Rice or FoldedNormal, not {amplitude!r}.")
        with tf.name_scope(name) as name:
            self._amplitude = amplitude
            super().__init__(
                dtype=amplitude.dtype,
                reparameterization_type=amplitude.reparameterization_type,
                validate_args=validate_args,
                allow_nan_stats=allow_nan_stats,
                parameters=parameters,
                name=name,
            )

    @classmethod
    def _parameter_properties(cls, dtype, num_classes=None):
        return {"amplitude": parameter_properties.BatchedComponentProperties()}

    @property
    def amplitude(self):
        """Distribution of z."""
        return self._amplitude

    def _event_shape(self):
        return tf.TensorShape([])

    def _event_shape_tensor(self):
        return tf.constant([], dtype=tf.int32)

    def _default_event_space_bijector(self):
        return tfb.Softplus(validate_args=self.validate_args)

    def _sample_control_dependencies(self, x):
        if self.validate_args:
            return [assert_util.assert_non_negative(x, message="Sample must be non-negative.")]
        return []

    def _sample_n(self, n, seed=None):
        return tf.square(self._amplitude.sample(n, seed=seed))

    # Density

    def _log_prob(self, x):
        loc, scale, x = self._amplitude.broadcast_parameters(x)
        inside = x >= 0.0
        # At zero, the value next to it: right where the density is finite, and large where it is infinite.
        x = tf.where(inside, tf.maximum(x, _tiny(self.dtype)), 1.0)
        reduced = self._reduced_log_density_of_rice if self._amplitude.dimension == 2 else self._reduced_log_density
        log_density = reduced(x, loc, scale) - math.log(2.0) - 2.0 * tf.math.log(scale)
        return tf.where(inside, log_density, tf.constant(-np.inf, self.dtype))

    def _reduced_log_density(self, x, loc, scale):
        """Log density of the amplitude less log r."""
        z = tf.sqrt(x)
        r = z / scale
        return self._amplitude.reduced_log_density((z - loc) / scale, loc / scale, r) - tf.math.log(r)

    @staticmethod
    def _reduced_log_density_of_rice(x, loc, scale):
        """The same, without the logarithms of r, which cancel."""
        a, r2 = loc / scale, (x / scale) / scale
        near = a**2 * r2 < 1.0
        # Near zero in powers of x, since the gradient of its root would be large.
        series = tf.math.polyval([tf.constant(c, x.dtype) for c in _LOG_I0[::-1]], tf.where(near, a**2 * r2, 0.0))
        z = tf.sqrt(tf.where(near, scale**2 * (1.0 + a**2), x))
        far = -0.5 * ((z - loc) / scale) ** 2 + log_bessel_i0e(a * (z / scale))
        return tf.where(near, series - 0.5 * (r2 + a**2), far)

    # Tails

    @staticmethod
    def _root(x):
        inside = x > 0.0
        return tf.where(inside, tf.sqrt(tf.where(inside, x, 1.0)), 0.0)

    def _cdf(self, x):
        return self._amplitude.cdf(self._root(x))

    def _log_cdf(self, x):
        return self._amplitude.log_cdf(self._root(x))

    def _survival_function(self, x):
        return self._amplitude.survival_function(self._root(x))

    def _log_survival_function(self, x):
        return self._amplitude.log_survival_function(self._root(x))

    def _quantile(self, p):
        return tf.square(self._amplitude.quantile(p))

    # Moments

    def raw_moment(self, order):
        """``E x^order`` in closed form.

        Parameters
        ----------
        order : float
            A whole number, ½ or 1½.

        Returns
        -------
        tf.Tensor
            Shape `batch_shape`.

        Raises
        ------
        ValueError
            If the order is another.
        """
        if order in (0.5, 1.5):
            return self._amplitude.raw_moment(int(2 * order))
        if order != int(order) or order < 0:
            raise ValueError(f"Squared has raw moments of whole orders, ½ and 1½ in closed form, not {order}.")
        m, half = int(order), 0.5 * self._amplitude.dimension
        loc, scale = self._amplitude.broadcast_parameters()
        # A polynomial in the noncentrality with positive coefficients: nothing cancels.
        coefficients = [
            math.comb(m, j) * 2.0 ** (m - j) * math.gamma(m + half) / math.gamma(j + half) for j in range(m, -1, -1)
        ]
        polynomial = tf.math.polyval([tf.constant(c, self.dtype) for c in coefficients], (loc / scale) ** 2)
        return scale ** (2 * m) * tf.broadcast_to(polynomial, tf.shape(scale))

    def _mean(self):
        return self.raw_moment(1)

    def _stddev(self):
        return power_moments(self._amplitude, 2.0)[1]

    def _variance(self):
        return tf.square(self._stddev())

    def _mode(self):
        loc, scale = self._amplitude.broadcast_parameters()
        if self._amplitude.dimension == 1:
            return tf.zeros_like(loc)
        return tf.square(scale * _reduced_mode_of_rice(self._amplitude, loc / scale))

    def _entropy(self):
        # Of z, and the mean of the logarithm of the Jacobian, 2z.
        loc, scale = self._amplitude.broadcast_parameters()
        mean_log = _reduced_mean_log(self._amplitude, loc / scale) + tf.math.log(scale)
        return self._amplitude.entropy() + mean_log + math.log(2.0)


def _tiny(dtype):
    return tf.constant(np.finfo(dtype.as_numpy_dtype).tiny, dtype)


def _reduced_mode_of_rice(family, a):
    """Root of ``r = a A(a r)``, A being I1/I0, where the density of r² has its mode: zero up to a = √2."""
    fixed = tf.stop_gradient(a)
    at_zero = fixed <= math.sqrt(2.0)
    safe = tf.where(at_zero, tf.constant(2.0, a.dtype), fixed)
    # r - a A(a r) is convex, so that Newton's method from above descends; from a it would be slow near a = √2.
    excess = tf.maximum(safe**2 - 2.0, 0.0)
    r = tf.minimum(safe, tf.sqrt(12.0 * excess) / safe**2)
    r = tf.where(excess < 0.5, r, safe)
    for _ in range(8):
        ratio, derivative = 1.0 - family.ratio_complement(safe * r), bessel_ratio_derivative(safe * r)
        r = r - (r - safe * ratio) / (1.0 - safe**2 * derivative)
    ratio, derivative = 1.0 - family.ratio_complement(safe * r), bessel_ratio_derivative(safe * r)
    gradient = (ratio + safe * r * derivative) / (1.0 - safe**2 * derivative)
    return tf.where(at_zero, tf.zeros_like(a), r + tf.stop_gradient(gradient) * (a - fixed))


def _reduced_mean_log(family, a):
    """``E log r`` of the reduced amplitude r, by Gauss–Legendre quadrature."""
    n, fall = (32, 20.0) if a.dtype == tf.float32 else (64, 42.0)
    nodes, weights = np.polynomial.legendre.leggauss(n)
    nodes, weights = 0.5 * (1.0 + nodes), 0.5 * weights
    # Fourth powers of the nodes, since the integrand may start as log r.
    nodes, weights = nodes**4, 4.0 * nodes**3 * weights
    nodes, weights = (tf.constant(x.reshape([n] + [1] * a.shape.rank), a.dtype) for x in (nodes, weights))
    half = math.sqrt(2.0 * fall)
    low = -tf.minimum(a, half)
    result = tf.zeros_like(a)
    for start, width in ((low, -low), (tf.zeros_like(a), tf.fill(tf.shape(a), tf.constant(half, a.dtype)))):
        d = start + width * nodes
        r = tf.maximum(a + d, _tiny(a.dtype))
        density = tf.exp(family.reduced_log_density(d, tf.broadcast_to(a, tf.shape(d)), r))
        result += width * tf.reduce_sum(weights * density * tf.math.log(r), axis=0)
    return result


@power_moments.register
def _(distribution: Squared, power):
    if power not in (0.5, 1.0):
        raise ValueError(f"Squared has no closed form for the moments of x^{power}, but for powers ½ and 1.")
    return power_moments(distribution.amplitude, 2.0 * power)
