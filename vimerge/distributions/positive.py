"""Positive parameters of Keras layers."""

import numpy as np
import tensorflow as tf


class Positive:
    """A positive parameter of a Keras layer, held as its logarithm.

    Keras 3 tracks Keras variables only, so a `tfp.util.TransformedVariable` would never train. This is the
    replacement: the layer owns an unconstrained weight, and the positive value is made when it is asked for. A step of
    the optimiser is then a relative change, whatever the units.

    Parameters
    ----------
    layer : keras.layers.Layer
        The owner, which tracks, trains and saves the weight.
    name : str
        Name of the parameter.
    initial : float or array_like
        Initial value, positive.
    shape : tuple of int
        Shape; a scalar by default.
    trainable : bool
        Whether the optimiser may change it.

    Raises
    ------
    ValueError
        If the initial value is not positive.
    """

    def __init__(self, layer, name, initial=1.0, shape=(), trainable=True):
        self.name = name
        self.log = layer.add_weight(name=f"log_{name}", shape=shape, initializer="zeros", trainable=trainable)
        self.assign(initial)

    @property
    def value(self):
        """The positive value, a tensor."""
        return tf.exp(tf.convert_to_tensor(self.log))

    def gather(self, ids=None):
        """The values at the given positions of the first axis, or all of them."""
        if ids is None:
            return self.value
        return tf.exp(tf.gather(tf.convert_to_tensor(self.log), ids))

    def assign(self, value):
        """Set the positive value, broadcast to the parameter's shape."""
        value = np.asarray(value, np.float64)
        if not np.all(value > 0):
            raise ValueError(f"{self.name} must be positive everywhere.")
        self.log.assign(np.broadcast_to(np.log(value), self.log.shape).astype(self.log.dtype))
