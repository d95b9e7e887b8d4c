"""Restraints: priors of a scaling model's own weights."""

import tensorflow as tf


class Restraint:
    """The prior of a weight as a Keras regulariser, in nats per observation.

    The loss is per observation whatever the batch, so that −log p(weight) is divided by the number of observations
    that are trained on: minibatches stay unbiased, and the weight is that of the posterior's maximum. (What Keras has
    for regularisation asks no batch and leaves out frozen weights, where `add_loss` in a call would keep every loss
    that was ever added.)

    Parameters
    ----------
    layer : keras.layers.Layer
        The owner of the weight, which also keeps the number of observations.
    penalty : callable
        −log p of the weight, a tensor, but for a constant.

    Examples
    --------
    >>> restraint = Restraint(layer, lambda w: normal(w, 0.5))
    >>> layer.add_weight(name="w", shape=(3,), regularizer=restraint)
    >>> restraint.adapt(reflections)
    """

    def __init__(self, layer, penalty):
        self.penalty = penalty
        self._observations = layer.add_weight(name="observations", shape=(), initializer="ones", trainable=False)

    def adapt(self, reflections):
        """Take the number of observations that are trained on."""
        self._observations.assign(float(max(len(reflections), 1)))

    def __call__(self, weight):
        """The restraint's share of the loss, a scalar."""
        return self.penalty(tf.convert_to_tensor(weight)) / tf.convert_to_tensor(self._observations)


def normal(x, sd):
    """−log of a normal density of mean zero at x, summed and without its constant."""
    return 0.5 * tf.reduce_sum(tf.square(x / sd))


def check_sd(name, value):
    """A restraint's standard deviation as a float; raise a ValueError if it is not positive."""
    if not value > 0:
        raise ValueError(f"{name} must be positive, not {value}: it is the standard deviation of a restraint.")
    return float(value)
