"""One distribution for centric reflections, another for acentric ones."""

import tensorflow as tf
import tensorflow_probability as tfp
from tensorflow_probability.python.internal import parameter_properties, prefer_static, samplers, tensor_util

from .moments import power_moments, raw_moment

tfd = tfp.distributions


class ByCentricity(tfd.Distribution):
    """A batch that follows `if_centric` where `centric` is true and `if_acentric` elsewhere.

    Parameters
    ----------
    centric : tensor_like of bool
        Broadcasts with the batch shapes of the two distributions.
    if_centric, if_acentric : tfd.Distribution
        Scalar distributions of the same dtype and support.
    validate_args : bool
        Check parameters and samples at run time.
    allow_nan_stats : bool
        As in every TFP distribution.
    name : str, optional
        Name of the distribution's scope.

    Raises
    ------
    ValueError
        If the two differ in dtype or are not scalar.
    """

    def __init__(
        self, centric, if_centric, if_acentric, validate_args=False, allow_nan_stats=True, name="ByCentricity"
    ):
        parameters = dict(locals())
        if if_centric.dtype != if_acentric.dtype:
            raise ValueError(
                f"if_centric is {if_centric.dtype} and if_acentric is {if_acentric.dtype}; give both the same dtype."
            )
        if if_centric.event_shape.rank != 0 or if_acentric.event_shape.rank != 0:
            raise ValueError("ByCentricity needs scalar distributions: their event shape must be ().")
        with tf.name_scope(name) as name:
            self._centric = tensor_util.convert_nonref_to_tensor(centric, dtype=tf.bool, name="centric")
            self._if_centric, self._if_acentric = if_centric, if_acentric
            both = if_centric.reparameterization_type == if_acentric.reparameterization_type
            super().__init__(
                dtype=if_centric.dtype,
                reparameterization_type=if_centric.reparameterization_type if both else tfd.NOT_REPARAMETERIZED,
                validate_args=validate_args,
                allow_nan_stats=allow_nan_stats,
                parameters=parameters,
                name=name,
            )

    @classmethod
    def _parameter_properties(cls, dtype, num_classes=None):
        return {
            "centric": parameter_properties.ParameterProperties(
                default_constraining_bijector_fn=parameter_properties.BIJECTOR_NOT_IMPLEMENTED
            ),
            "if_centric": parameter_properties.BatchedComponentProperties(),
            "if_acentric": parameter_properties.BatchedComponentProperties(),
        }

    @property
    def centric(self):
        """Boolean mask: true where the reflection is centric."""
        return self._centric

    @property
    def if_centric(self):
        """Distribution of the centric reflections."""
        return self._if_centric

    @property
    def if_acentric(self):
        """Distribution of the acentric reflections."""
        return self._if_acentric

    def _event_shape(self):
        return tf.TensorShape([])

    def _event_shape_tensor(self):
        return tf.constant([], dtype=tf.int32)

    def _default_event_space_bijector(self):
        return self._if_centric.experimental_default_event_space_bijector()

    def select(self, function):
        """Evaluate a function of each distribution and choose by centricity.

        Parameters
        ----------
        function : callable
            Takes a distribution and returns a tensor that broadcasts with the batch shape.

        Returns
        -------
        tf.Tensor
            Shape `batch_shape`, or that of the function where it is larger.
        """
        return self._choose(function(self._if_centric), function(self._if_acentric))

    def _choose(self, if_centric, if_acentric):
        value = tf.where(self._centric, if_centric, if_acentric)
        shape = prefer_static.broadcast_shape(prefer_static.shape(value), self.batch_shape_tensor())
        return tf.broadcast_to(value, shape)

    def _pointwise(self, method, x):
        # Each distribution sees x only where it is chosen, and its own mean elsewhere: at the edge of the support one
        # of the two may have an infinite gradient, which the zero from tf.where would turn into NaN.
        def evaluate(distribution, chosen):
            return getattr(distribution, method)(tf.where(chosen, x, tf.stop_gradient(distribution.mean())))

        centric = tf.convert_to_tensor(self._centric)
        return tf.where(
            centric, evaluate(self._if_centric, centric), evaluate(self._if_acentric, tf.logical_not(centric))
        )

    def _log_prob(self, x):
        return self._pointwise("log_prob", x)

    def _cdf(self, x):
        return self._pointwise("cdf", x)

    def _log_cdf(self, x):
        return self._pointwise("log_cdf", x)

    def _survival_function(self, x):
        return self._pointwise("survival_function", x)

    def _log_survival_function(self, x):
        return self._pointwise("log_survival_function", x)

    def _quantile(self, p):
        return tf.where(self._centric, self._if_centric.quantile(p), self._if_acentric.quantile(p))

    def _sample_n(self, n, seed=None):
        seeds = iter(samplers.split_seed(seed, n=2, salt="ByCentricity"))
        batch_shape = self.batch_shape_tensor()

        def draw(distribution):
            # A distribution of smaller batch shape still needs its own draw for every member of the batch.
            if not self.batch_shape.is_fully_defined() or distribution.batch_shape != self.batch_shape:
                distribution = tfd.BatchBroadcast(distribution, batch_shape)
            return distribution.sample(n, seed=next(seeds))

        return tf.where(self._centric, draw(self._if_centric), draw(self._if_acentric))

    def raw_moment(self, order):
        """``E x^order`` in closed form.

        Parameters
        ----------
        order : int or float
            An order that both distributions have.

        Returns
        -------
        tf.Tensor
            Shape `batch_shape`.
        """
        return self.select(lambda d: raw_moment(d, order))

    def _mean(self):
        return self.select(lambda d: d.mean())

    def _variance(self):
        return self.select(lambda d: d.variance())

    def _stddev(self):
        return self.select(lambda d: d.stddev())

    def _mode(self):
        # TFP's HalfNormal.mode is float32 whatever its dtype.
        return self.select(lambda d: tf.cast(d.mode(), self.dtype))

    def _entropy(self):
        return self.select(lambda d: d.entropy())


@power_moments.register
def _(distribution: ByCentricity, power):
    both = (power_moments(d, power) for d in (distribution.if_centric, distribution.if_acentric))
    return tuple(distribution._choose(*values) for values in zip(*both, strict=True))
