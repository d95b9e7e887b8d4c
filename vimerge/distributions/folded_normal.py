"""The folded normal distribution: the magnitude of a real number with a Gaussian error."""

import math

import tensorflow as tf

from .amplitude import GaussianLength


class FoldedNormal(GaussianLength):
    """Folded normal distribution of ``z = |loc + scale n|``, with n standard normal.

    The density is ``φ((z - loc)/scale)/scale + φ((z + loc)/scale)/scale`` for z ≥ 0 [1]_. In crystallography it is the
    centric distribution of an amplitude around a calculated structure factor (Woolfson).

    Parameters
    ----------
    loc : tensor_like
        Value without error; its sign makes no difference.
    scale : tensor_like
        Standard deviation before folding, > 0.
    validate_args : bool
        Check parameters and samples at run time.
    allow_nan_stats : bool
        As in every TFP distribution.
    name : str, optional
        Name of the distribution's scope.

    References
    ----------
    .. [1] Leone, F. C., Nelson, L. S. & Nottingham, R. B. (1961). The folded normal distribution. Technometrics 3,
       543–550.
    """

    dimension = 1

    def reduced_log_density(self, d, a, r):
        """Log density of r."""
        return -0.5 * d**2 + tf.math.softplus(-2.0 * a * r) - 0.5 * math.log(2.0 * math.pi)

    def ratio_complement(self, x):
        """``1 - tanh(x)``."""
        return 2.0 * tf.math.sigmoid(-2.0 * x)

    def _reduced_moment(self, a, order):
        if order == 2:
            return 1.0 + a**2
        if order == 4:
            return 3.0 + a**2 * (6.0 + a**2)
        erf = tf.math.erf(a * math.sqrt(0.5))
        density = math.sqrt(2.0 / math.pi) * tf.exp(-0.5 * a**2)
        if order == 1:
            return a * erf + density
        return a * (3.0 + a**2) * erf + (2.0 + a**2) * density

    def _reduced_variance(self, a):
        # E r = a + excess, so that a² drops out of 1 + a² - (E r)² before anything is rounded.
        excess = math.sqrt(2.0 / math.pi) * tf.exp(-0.5 * a**2) - a * tf.math.erfc(a * math.sqrt(0.5))
        return 1.0 - excess * (2.0 * a + excess)

    def _reduced_mode(self, a):
        # Zero up to a = 1, then the root of r = a tanh(a r). r - a tanh(a r) is convex, so Newton from above the root
        # descends to it; sqrt(5 (a² - 1))/a² is above it near a = 1, where starting from a would be slow.
        fixed = tf.stop_gradient(a)
        folded = fixed <= 1.0
        safe = tf.where(folded, tf.constant(2.0, a.dtype), fixed)
        r = tf.where(safe**2 < 1.2, tf.sqrt(5.0 * (safe - 1.0) * (safe + 1.0)) / safe**2, safe)
        for _ in range(8):
            tanh = tf.tanh(safe * r)
            r = r - (r - safe * tanh) / (1.0 - safe**2 * (1.0 - tanh**2))
        sech2 = 1.0 - tf.tanh(safe * r) ** 2
        gradient = (tf.tanh(safe * r) + safe * r * sech2) / (1.0 - safe**2 * sech2)
        return tf.where(folded, tf.zeros_like(a), r + tf.stop_gradient(gradient) * (a - fixed))
