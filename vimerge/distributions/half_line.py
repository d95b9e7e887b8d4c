"""What every scalar distribution on the positive half line shares."""

import tensorflow as tf
import tensorflow_probability as tfp
from tensorflow_probability.python.internal import (
    assert_util,
    dtype_util,
    parameter_properties,
    prefer_static,
    tensor_util,
)

tfb = tfp.bijectors
tfd = tfp.distributions


class HalfLine(tfd.Distribution):
    """Scalar distribution of z ≥ 0, reparameterized, with two parameters.

    A subclass names its parameters in `positive_names`, and in `real_names` those of any sign, as its constructor
    calls them. The constructor ends in `_build`.
    """

    positive_names: tuple[str, ...] = ()
    real_names: tuple[str, ...] = ()

    def _build(self, parameters, values, validate_args, allow_nan_stats, name):
        """Do what a constructor has to; TFP would take the arguments of another `__init__` for the parameters.

        Parameters
        ----------
        parameters : dict
            Arguments of the subclass's constructor, as TFP wants them.
        values : dict of tensor_like
            Value of each named parameter.
        validate_args, allow_nan_stats, name
            As in every TFP distribution.
        """
        with tf.name_scope(name or type(self).__name__) as name:
            dtype = dtype_util.common_dtype(list(values.values()), dtype_hint=tf.float32)
            values = {
                key: tensor_util.convert_nonref_to_tensor(value, dtype=dtype, name=key) for key, value in values.items()
            }
            # Attributes one by one: TFP's tracking would wrap a dictionary.
            for key, value in values.items():
                setattr(self, f"_{key}", value)
            tfd.Distribution.__init__(
                self,
                dtype=dtype,
                reparameterization_type=tfd.FULLY_REPARAMETERIZED,
                validate_args=validate_args,
                allow_nan_stats=allow_nan_stats,
                parameters=parameters,
                name=name,
            )

    @classmethod
    def _properties(cls, dtype):
        """Return what `_parameter_properties` has to, which TFP wants to be defined beside the constructor."""
        real = {
            key: parameter_properties.ParameterProperties(default_constraining_bijector_fn=tfb.Identity)
            for key in cls.real_names
        }
        positive = {
            key: parameter_properties.ParameterProperties(
                default_constraining_bijector_fn=lambda: tfb.Softplus(low=dtype_util.eps(dtype))
            )
            for key in cls.positive_names
        }
        return real | positive

    def _event_shape(self):
        return tf.TensorShape([])

    def _event_shape_tensor(self):
        return tf.constant([], dtype=tf.int32)

    def _default_event_space_bijector(self):
        return tfb.Softplus(validate_args=self.validate_args)

    def _parameter_control_dependencies(self, is_init):
        values = {key: getattr(self, f"_{key}") for key in self.positive_names}
        return [
            assert_util.assert_positive(value, message=f"Argument `{key}` must be positive.")
            for key, value in values.items()
            if self.validate_args and is_init != tensor_util.is_ref(value)
        ]

    def _sample_control_dependencies(self, x):
        if self.validate_args:
            return [assert_util.assert_non_negative(x, message="Sample must be non-negative.")]
        return []

    def broadcast_parameters(self, *others):
        """Both parameters as tensors of their common shape with `others`, and these."""
        names = (*self.real_names, *self.positive_names)
        return broadcast(*(tf.convert_to_tensor(getattr(self, f"_{key}")) for key in names), *others)


def broadcast(*xs):
    """Broadcast tensors to their common shape."""
    shape = prefer_static.shape(xs[0])
    for x in xs[1:]:
        shape = prefer_static.broadcast_shape(shape, prefer_static.shape(x))
    return tuple(tf.broadcast_to(x, shape) for x in xs)
