"""What Rice and folded normal share: both are the length of a Gaussian vector."""

import abc

import tensorflow as tf
from tensorflow_probability.python.internal import prefer_static, samplers

from .half_line import broadcast
from .location_scale import LocationScale
from .tails import log_tails, reduced_entropy, reduced_quantile


class GaussianLength(LocationScale):
    """Distribution of the length z of an isotropic Gaussian vector.

    The vector has `dimension` components of standard deviation `scale`, and its mean has the length `loc`. One
    component gives the folded normal, two give the Rice distribution.

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

    @abc.abstractmethod
    def ratio_complement(self, x):
        """``1 - A(x)``, where A(x) is the gradient of a quantile with respect to loc."""

    def broadcast_parameters(self, *others):
        """Loc (non-negative) and scale as tensors of their common shape with `others`, and these."""
        return broadcast(tf.abs(tf.convert_to_tensor(self.loc)), tf.convert_to_tensor(self.scale), *others)

    def _implicit_derivatives(self, z, loc, scale):
        # With A the ratio I1/I0, or its one-dimensional analogue tanh, at z loc/scale²: dz/dloc = A and, since the
        # family is scale equivariant, dz/dscale = (z - loc A)/scale. 1 - A keeps its digits where A rounds to one.
        complement = self.ratio_complement((z / scale) * (loc / scale))
        return 1.0 - complement, ((z - loc) + loc * complement) / scale

    def _sample_n(self, n, seed=None):
        loc, scale = self.broadcast_parameters()
        shape = prefer_static.concat([[n], prefer_static.shape(loc)], axis=0)
        loc, scale = tf.broadcast_to(loc, shape), tf.broadcast_to(scale, shape)
        # One call for all components: a call of the stateless generator costs more than the numbers.
        normals = samplers.normal(prefer_static.concat([[self.dimension], shape], axis=0), dtype=self.dtype, seed=seed)
        along = loc / scale + normals[0]
        r = tf.abs(along) if self.dimension == 1 else tf.sqrt(along**2 + tf.reduce_sum(normals[1:] ** 2, axis=0))
        return self._implicit(scale * r, loc, scale)

    def _reduced_log_tails(self, d, a, r):
        return log_tails(self, d, a, r)

    def _reduced_quantile(self, p, a):
        return reduced_quantile(self, p, a)

    def _reduced_entropy(self, a):
        return reduced_entropy(self, a)
