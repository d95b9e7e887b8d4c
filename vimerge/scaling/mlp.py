"""A residual multilayer perceptron from metadata to scale."""

import keras
import numpy as np
import tensorflow as tf

from vimerge.scaling.base import Scaling


@keras.saving.register_keras_serializable(package="vimerge")
class MLP(Scaling):
    """A residual multilayer perceptron whose output is the logarithm of the scale.

        x₀ = W (m − mean)/sd,   xₗ₊₁ = xₗ + Bₗ relu(Aₗ xₗ),   log Σ = w·x_depth + log(mean scale)

    with w = 0 at the start, so that training begins at the data's mean scale whatever the hidden weights.

    Parameters
    ----------
    metadata_keys : sequence of str
        The columns of `metadata`, in their order; the model refuses data that has others.
    width, depth : int
        Units of each layer and number of residual blocks.
    posterior : ScalePosterior or {"delta", "log-normal"}
        See `Scaling`.
    """

    def __init__(self, metadata_keys, width=64, depth=4, posterior="delta", **kwargs):
        super().__init__(posterior=posterior, **kwargs)
        self.metadata_keys = tuple(metadata_keys)
        self.width, self.depth = int(width), int(depth)
        if self.width < 1 or self.depth < 0:
            raise ValueError(f"An MLP needs width >= 1 and depth >= 0, not {width} and {depth}.")
        if not self.metadata_keys:
            raise ValueError("An MLP needs at least one column of metadata; with none there is only one scale.")
        features = len(self.metadata_keys)
        self._mean = self.add_weight(name="mean", shape=(features,), initializer="zeros", trainable=False)
        self._sd = self.add_weight(name="sd", shape=(features,), initializer="ones", trainable=False)
        self._start = self.add_weight(name="log_mean_scale", shape=(), initializer="zeros", trainable=False)
        self.first = self._dense(features, name="first")
        self.blocks = [
            (
                self._dense(self.width, activation="relu", name=f"block_{i}_a"),
                self._dense(self.width, name=f"block_{i}_b"),
            )
            for i in range(self.depth)
        ]
        self.last = keras.layers.Dense(self.posterior.n_parameters, kernel_initializer="zeros", name="last")
        self.last.build((None, self.width))

    def _dense(self, inputs, **kwargs):
        dense = keras.layers.Dense(self.width, **kwargs)
        dense.build((None, inputs))
        return dense

    def _adapt(self, reflections, mean_scale):
        if tuple(reflections.metadata_keys) != self.metadata_keys:
            raise ValueError(
                f"The scaling model was made for the metadata {', '.join(self.metadata_keys)}, but the reflections "
                f"have {', '.join(reflections.metadata_keys)}: read them with metadata={list(self.metadata_keys)}."
            )
        metadata = reflections.metadata.astype(np.float64)
        sd = metadata.std(axis=0)
        self._mean.assign(metadata.mean(axis=0).astype(np.float32))
        self._sd.assign(np.where(sd > 0, sd, 1.0).astype(np.float32))
        self._start.assign(float(np.log(mean_scale)))

    def _parameters(self, batch):
        x = (batch["metadata"] - self._mean) / self._sd
        x = self.first(x)
        for inner, outer in self.blocks:
            x = x + outer(inner(x))
        raw = self.last(x)
        offset = tf.one_hot(0, self.posterior.n_parameters) * self._start
        return raw + offset

    def get_config(self):
        """Arguments that make this layer again."""
        return {
            **super().get_config(),
            "metadata_keys": list(self.metadata_keys),
            "width": self.width,
            "depth": self.depth,
        }
