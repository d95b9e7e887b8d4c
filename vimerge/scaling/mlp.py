"""A residual multilayer perceptron from metadata to scale."""

import keras
import numpy as np
import tensorflow as tf

from vimerge.scaling.base import Scaling

LOG_OFFSET = 0.01


@keras.saving.register_keras_serializable(package="vimerge.scaling")
class MLP(Scaling):
    """A residual multilayer perceptron whose output is the logarithm of the scale.

        x₀ = W f(m),   xₗ₊₁ = xₗ + Bₗ relu(Aₗ xₗ),   log Σ = w·x_depth + log(mean scale)

    with w = 0 at the start, so that training begins at the data's mean scale whatever the hidden weights. The features
    f are the standardised metadata, and once more the standardised logarithm of those that are never negative, in
    which a power law, such as an intensity proportional to the recorded fraction of a reflection, is linear.

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
        shape = (len(self.metadata_keys),)
        self._mean, self._sd, self._log_mean, self._log_sd, self._log_offset, self._has_log = (
            self.add_weight(name=name, shape=shape, initializer=initializer, trainable=False)
            for name, initializer in (
                ("mean", "zeros"),
                ("sd", "ones"),
                ("log_mean", "zeros"),
                ("log_sd", "ones"),
                ("log_offset", "ones"),
                ("has_log", "zeros"),
            )
        )
        self._start = self.add_weight(name="log_mean_scale", shape=(), initializer="zeros", trainable=False)
        self.first = self._dense(2 * len(self.metadata_keys), name="first")
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
        not_negative = metadata.min(axis=0) >= 0
        # A hundredth of the mean keeps the logarithm of a zero at an unremarkable distance.
        offset = np.where(not_negative, LOG_OFFSET * metadata.mean(axis=0), 1.0)
        offset = np.where(offset > 0, offset, 1.0)
        logarithm = np.log(np.maximum(metadata, 0.0) + offset)
        for values, mean, sd in ((metadata, self._mean, self._sd), (logarithm, self._log_mean, self._log_sd)):
            spread = values.std(axis=0)
            # What float32 cannot tell from a constant is one.
            spread = np.where(spread > 1e-6 * np.abs(values).max(axis=0), spread, 1.0)
            mean.assign(values.mean(axis=0).astype(np.float32))
            sd.assign(spread.astype(np.float32))
        self._log_offset.assign(offset.astype(np.float32))
        self._has_log.assign(not_negative.astype(np.float32))
        self._start.assign(float(np.log(mean_scale)))

    def _parameters(self, batch):
        x = self.first(self._features(batch["metadata"]))
        for inner, outer in self.blocks:
            x = x + outer(inner(x))
        raw = self.last(x)
        offset = tf.one_hot(0, self.posterior.n_parameters) * self._start
        return raw + offset

    def _features(self, metadata):
        logarithm = tf.math.log(tf.maximum(metadata, 0.0) + self._log_offset)
        logarithm = self._has_log * (logarithm - self._log_mean) / self._log_sd
        return tf.concat([(metadata - self._mean) / self._sd, logarithm], axis=-1)

    def get_config(self):
        """Arguments that make this layer again."""
        return {
            **super().get_config(),
            "metadata_keys": list(self.metadata_keys),
            "width": self.width,
            "depth": self.depth,
        }
