"""The normal distribution truncated to positive values."""

import math

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp
from tensorflow_probability.python.internal import prefer_static, samplers

from .location_scale import LocationScale
from .mills import (
    LOG_SQRT_2PI,
    inverse_mills,
    left_end,
    legendre,
    log_inverse_mills,
    log_ndtr,
    near_ratio,
    tail_ratios,
    truncated_mean,
)


class TruncatedNormal(LocationScale):
    """Normal distribution of mean loc and standard deviation scale before it is truncated to z > 0.

    The density is ``φ((z - loc)/scale)/(scale Φ(loc/scale))`` for z ≥ 0; far to the left, ``loc ≪ -scale``, it is
    exponential with the mean ``scale²/|loc|``. Over intensity it is the posterior of an acentric reflection that was
    measured with a normal error and has Wilson's prior: ``loc = I - σ²/Σ`` and ``scale = σ`` [1]_.

    `tfd.TruncatedNormal` samples by rejection or from a cdf that rounds to one; this inverts the survival function in
    either tail.

    Parameters
    ----------
    loc : tensor_like
        Mean before truncation, of any sign.
    scale : tensor_like
        Standard deviation before truncation, > 0.
    validate_args : bool
        Check parameters and samples at run time.
    allow_nan_stats : bool
        As in every TFP distribution.
    name : str, optional
        Name of the distribution's scope.

    References
    ----------
    .. [1] French, S. & Wilson, K. (1978). Acta Cryst. A34, 517–525.
    """

    def reduced_log_density(self, d, a, r):
        """Log density of r."""
        # -d²/2 - log Φ(a), whose terms of the size a²/2 cancel for negative a and are left out there.
        negative = tf.minimum(a, 0.0)
        left = r * (negative - 0.5 * r) + log_inverse_mills(negative)
        return tf.where(a < 0.0, left, -0.5 * d**2 - LOG_SQRT_2PI - log_ndtr(tf.maximum(a, 0.0)))

    def _log_prob(self, z):
        # λ(a) is dear: it is evaluated once for each member of the batch instead of for each sample.
        loc, scale = tf.convert_to_tensor(self.loc), tf.convert_to_tensor(self.scale)
        inside = z >= 0.0
        z = tf.where(inside, z, scale)
        log_prob = self.reduced_log_density((z - loc) / scale, loc / scale, z / scale) - tf.math.log(scale)
        return tf.where(inside, log_prob, tf.constant(-np.inf, self.dtype))

    # Samples: the survival function Φ(a - r)/Φ(a) is uniform.

    def _implicit_derivatives(self, z, loc, scale):
        # Φ(a - r)/Φ(a) is constant: dr/da = 1 - λ(a)/λ(a - r).
        d, a, r = (z - loc) / scale, loc / scale, z / scale
        hazard = inverse_mills(-d)
        is_left = a < left_end(a.dtype)[0]
        # The difference of the λ, which are nearly equal far to the left, is r and that of truncated means.
        left = (r + truncated_mean(-d) - tail_ratios(a)[0]) / hazard
        complement = near_ratio(a) / hazard
        # dz/dscale = r - a dr/da, in whichever form does not cancel.
        left, slope = tf.maximum(left, 0.0), tf.where(is_left, a, 0.0)
        return tf.where(is_left, left, 1.0 - complement), tf.where(is_left, r - slope * left, d + a * complement)

    def _reduced_draw(self, log_survival, a):
        """Return d and r at which the survival function has this logarithm."""
        energy = -log_survival
        hazard = inverse_mills(a)
        # λ(a - t) rises with t at a rate of at most one, and is convex.
        lowest = 2.0 * energy / (hazard + tf.sqrt(hazard**2 + 2.0 * energy))
        is_left = a < left_end(a.dtype)[0]
        left_a = tf.where(is_left, a, -2.0 * tf.ones_like(a))
        left_mean = tail_ratios(left_a)[0]
        start = left_mean - left_a
        r = 2.0 * energy / (start + tf.sqrt(start**2 + 2.0 * start * left_mean * energy))
        highest = r
        for _ in range(2):
            now = inverse_mills(left_a - r)
            # log S = r (a - r/2) + log λ(a)/λ(a - r), and its slope is -λ(a - r).
            r += (r * (left_a - 0.5 * r) - tf.math.log1p((now - start) / start) + energy) / now
            r = tf.clip_by_value(r, lowest, highest)
        # To the right the smaller tail of the untruncated normal is inverted.
        below = tf.math.erfc(math.sqrt(0.5) * tf.maximum(a, -6.0)) * 0.5
        above = tf.math.erfc(-math.sqrt(0.5) * tf.maximum(a, -6.0)) * 0.5
        is_lower = energy < math.log(2.0)
        tail = tf.where(is_lower, below - above * tf.math.expm1(-energy), above * tf.exp(-energy))
        d = tf.where(is_lower, tf.ones_like(a), -tf.ones_like(a)) * tf.math.ndtri(tail)
        return tf.where(is_left, r - left_a, d), tf.where(is_left, r, tf.maximum(a + d, lowest))

    def _sample_n(self, n, seed=None):
        loc, scale = self.broadcast_parameters()
        shape = prefer_static.concat([[n], prefer_static.shape(loc)], axis=0)
        eps = np.finfo(self.dtype.as_numpy_dtype).eps
        uniform = samplers.uniform(shape, dtype=self.dtype, seed=seed)
        # Neither end: a quarter of the generator's step away from zero, half a step from one.
        uniform = tf.clip_by_value(uniform, 0.25 * eps, 1.0 - 0.5 * eps)
        a = loc / scale
        d, r = self._reduced_draw(tf.math.log(uniform), tf.broadcast_to(a, shape))
        # Where z is close to loc, d has the digits; where it is close to zero, r.
        z = tf.where(r < 0.5 * tf.maximum(a, 1.0), scale * r, loc + scale * d)
        return self._implicit(z, tf.broadcast_to(loc, shape), tf.broadcast_to(scale, shape))

    # Tails

    def _reduced_log_tails(self, d, a, r):
        negative = tf.minimum(a, 0.0)
        # For negative a without the squares that cancel.
        left = r * (negative - 0.5 * r) + log_inverse_mills(negative) - log_inverse_mills(tf.minimum(-d, 0.0))
        log_survival = tf.where(a < 0.0, left, log_ndtr(-d) - log_ndtr(tf.maximum(a, 0.0)))
        # The cdf is the smaller one up to the median: integrate the density over what matters of [0, r].
        n, fall = (20, 20.0) if d.dtype == tf.float32 else (48, 42.0)
        nodes, weights = (x.reshape([n] + [1] * d.shape.rank) for x in legendre(n))
        steepness = tf.maximum(-d, 0.0)
        width = tf.minimum(2.0 * fall / (steepness + tf.sqrt(steepness**2 + 2.0 * fall)), r)
        step = width * tf.constant(nodes, d.dtype)
        log_density = self.reduced_log_density(d - step, a, r - step) + tf.constant(np.log(weights), d.dtype)
        log_lower = tf.reduce_logsumexp(log_density, axis=0) + tf.math.log(width)
        is_lower = log_survival > -math.log(2.0)
        log_cdf = tf.where(is_lower, log_lower, tfp.math.log1mexp(tf.minimum(log_survival, -1e-3)))
        # And in the lower tail its complement has the more digits.
        complement = tf.math.log1p(-tf.exp(tf.minimum(log_lower, -0.6)))
        return log_cdf, tf.where(is_lower, complement, log_survival)

    def _reduced_quantile(self, p, a):
        log_p, log_q = tf.math.log(p), tf.math.log1p(-p)
        d, r = self._reduced_draw(log_q, a)
        for _ in range(4):
            log_cdf, log_survival = self._reduced_log_tails(d, a, r)
            log_density = self.reduced_log_density(d, a, r)
            # Newton on log cdf against log r below the median, on log survival against r above it.
            down = tf.clip_by_value((log_p - log_cdf) * tf.exp(log_cdf - log_density) / r, -40.0, 40.0)
            up = (log_survival - log_q) * tf.exp(log_survival - log_density)
            d += tf.where(p < 0.5, r * tf.math.expm1(down), up)
            r = tf.where(p < 0.5, r * tf.exp(down), r + up)
        return r

    # Moments

    def _reduced_moment(self, a, order):
        ratios = tail_ratios(a)
        left = math.factorial(order) * math.prod(ratios[:order])
        near = tf.maximum(a, tf.constant(left_end(a.dtype)[0], a.dtype))
        moments = [tf.ones_like(a), near + near_ratio(near)]
        for n in range(2, order + 1):
            moments.append(near * moments[-1] + (n - 1.0) * moments[-2])
        return tf.where(a < left_end(a.dtype)[0], left, moments[order])

    def _reduced_variance(self, a):
        first, second = tail_ratios(a)[:2]
        ratio = near_ratio(a)
        near = tf.maximum(a, tf.constant(left_end(a.dtype)[0], a.dtype))
        return tf.where(a < left_end(a.dtype)[0], first * (2.0 * second - first), 1.0 - ratio * (near + ratio))

    def reduced_square_variance(self, a):
        """Variance of r²."""
        end = tf.constant(left_end(a.dtype)[0], a.dtype)
        r1, r2, r3, r4 = tail_ratios(a)
        left = r1 * r2 * (24.0 * r3 * r4 - 4.0 * r1 * r2)
        near, ratio = tf.maximum(a, end), near_ratio(a)
        return tf.where(a < end, left, 2.0 + 4.0 * near**2 + near * ratio * (3.0 - near * (near + ratio)))

    def reduced_root_moments(self, a):
        """Mean and variance of √r, by quadrature in √r, about the root of the mean of r."""
        n, fall = (32, 20.0) if a.dtype == tf.float32 else (80, 42.0)
        nodes, weights = (tf.constant(x.reshape([n] + [1] * a.shape.rank), a.dtype) for x in legendre(n))
        half = math.sqrt(2.0 * fall)
        above = tf.sqrt(tf.minimum(a, 0.0) ** 2 + 2.0 * fall)
        # From the lowest r that matters to the highest, where a is negative 2 fall/(|a| + above).
        low = tf.maximum(a - half, 0.0)
        high = tf.where(a < 0.0, 2.0 * fall / (above - tf.minimum(a, 0.0)), tf.maximum(a, 0.0) + above)
        root_low = tf.sqrt(tf.where(low > 0.0, low, 1.0)) * tf.where(low > 0.0, tf.ones_like(a), 0.0)
        span = tf.where(a > half, 2.0 * half, high) / (root_low + tf.sqrt(high))
        step = span * nodes * (2.0 * root_low + span * nodes)
        d, t = tf.where(a > half, -half, -a) + step, root_low + span * nodes
        mass = weights * span * 2.0 * t * tf.exp(self.reduced_log_density(d, a, low + step))
        mean = truncated_mean(a)
        # √r - √mean, with the difference r - mean = d - λ(a).
        gap = tf.where(a < 0.0, low + step - mean, d - near_ratio(a)) / (t + tf.sqrt(mean))
        bias = tf.reduce_sum(mass * gap, axis=0)
        return tf.sqrt(mean) + bias, tf.reduce_sum(mass * (gap - bias) ** 2, axis=0)

    def _reduced_mode(self, a):
        return tf.maximum(a, 0.0)

    def _reduced_entropy(self, a):
        # From E r² = 1 + a E r; the logarithm of λ for negative a, of Φ for positive.
        negative, positive = tf.minimum(a, 0.0), tf.maximum(a, 0.0)
        left = 0.5 - 0.5 * negative * truncated_mean(negative) - log_inverse_mills(negative)
        right = 0.5 + LOG_SQRT_2PI + log_ndtr(positive) - 0.5 * positive * near_ratio(positive)
        return tf.where(a < 0.0, left, right)
