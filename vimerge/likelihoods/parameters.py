"""Learned numbers of a likelihood, each under its usual name."""

import keras
import numpy as np
import tensorflow as tf

from vimerge.distributions.positive import Positive


class Fraction:
    """A number between 0 and 1 of a Keras layer, held as its logit; the counterpart of `Positive`.

    Parameters
    ----------
    layer : keras.layers.Layer
        The owner, which tracks, trains and saves the weight.
    name : str
        Name of the parameter.
    initial : float
        Initial value.

    Raises
    ------
    ValueError
        If the initial value is not between 0 and 1, both excluded.
    """

    def __init__(self, layer, name, initial):
        self.name = name
        self.weight = layer.add_weight(name=f"logit_{name}", shape=(), initializer="zeros")
        self.assign(initial)

    @property
    def logit(self):
        """The unconstrained value, log p − log(1 − p), a tensor."""
        return tf.convert_to_tensor(self.weight)

    @property
    def value(self):
        """The fraction, a tensor."""
        return tf.sigmoid(self.logit)

    def assign(self, value):
        """Set the fraction."""
        if not 0 < value < 1:
            raise ValueError(f"{self.name} must be between 0 and 1, both excluded, not {value}.")
        self.weight.assign(np.log(value) - np.log1p(-value))


class Real:
    """Unconstrained numbers of a Keras layer.

    Parameters
    ----------
    layer : keras.layers.Layer
        The owner, which tracks, trains and saves the weight.
    name : str
        Name of the parameter.
    shape : tuple of int
        Shape.
    initializer : str or keras.initializers.Initializer
        What it starts from.
    """

    def __init__(self, layer, name, shape=(), initializer="zeros"):
        self.name = name
        self.weight = layer.add_weight(name=name, shape=shape, initializer=initializer)

    @property
    def value(self):
        """The numbers, a tensor."""
        return tf.convert_to_tensor(self.weight)


class Parametric(keras.layers.Layer):
    """A layer that knows its learned numbers by name.

    A subclass makes them in `__init__` with `add_positive`, `add_fraction` and `add_real`; each has a `.value`, a
    tensor.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self._learned = {}

    def add_positive(self, name, initial=1.0, shape=()):
        """Add a positive parameter, learned with the rest."""
        return self._add(Positive(self, name, initial, shape))

    def add_fraction(self, name, initial):
        """Add a parameter between 0 and 1, learned with the rest."""
        return self._add(Fraction(self, name, initial))

    def add_real(self, name, shape=(), initializer="zeros"):
        """Add an unconstrained parameter, learned with the rest."""
        return self._add(Real(self, name, shape, initializer))

    def parameters(self):
        """Learned numbers by their usual names, a dict of floats and (nested) lists of floats."""
        return {name: parameter.value.numpy().tolist() for name, parameter in self._learned.items()}

    def _add(self, parameter):
        self._learned[parameter.name] = parameter
        return parameter
