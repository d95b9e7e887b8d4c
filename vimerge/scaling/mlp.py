"""A residual multilayer perceptron from metadata to scale."""

import math

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
    which a power law, such as an intensity proportional to the recorded fraction of a reflection, is linear. Columns
    that the scale varies fast along can be encoded besides: sin(2ʲπu) and cos(2ʲπu), with u the column scaled to run
    from 0 to 1, let the network follow detail that it would otherwise learn last [1]_.

    Parameters
    ----------
    metadata_keys : sequence of str
        The columns of `metadata`, in their order; the model refuses data that has others.
    width, depth : int
        Units of each layer and number of residual blocks.
    posterior : ScalePosterior or str
        See `Scaling`.
    encode : dict of str to int, optional
        How many octaves j = 0, 1 … of which columns, such as {"ROT": 4}, whose finest wave is an eighth of the range
        from crest to trough.

    Raises
    ------
    ValueError
        If a size is impossible, or a column to encode is not there.

    References
    ----------
    .. [1] Tancik, M. et al. (2020). Fourier features let networks learn high frequency functions in low dimensional
       domains. NeurIPS 33, 7537–7547.
    """

    def __init__(self, metadata_keys, width=64, depth=4, posterior="delta", encode=None, **kwargs):
        super().__init__(posterior, metadata_keys=metadata_keys, **kwargs)
        self.width, self.depth = int(width), int(depth)
        if self.width < 1 or self.depth < 0:
            raise ValueError(f"An MLP needs width >= 1 and depth >= 0, not {width} and {depth}.")
        if not self.metadata_keys:
            raise ValueError("An MLP needs at least one column of metadata; with none there is only one scale.")
        shape = (len(self.metadata_keys),)
        self._mean, self._sd, self._log_mean, self._log_sd, self._log_offset, self._has_log = (
            self._fixed(name, shape, initializer)
            for name, initializer in (
                ("mean", "zeros"),
                ("sd", "ones"),
                ("log_mean", "zeros"),
                ("log_sd", "ones"),
                ("log_offset", "ones"),
                ("has_log", "zeros"),
            )
        )
        self._start = self._fixed("log_mean_scale")
        self.encode = _checked_octaves(encode)
        self._encoded = [(self._column(name), octaves) for name, octaves in self.encode.items()]
        if self.encode:
            self._low = self._fixed("low", (len(self.encode),))
            self._range = self._fixed("range", (len(self.encode),), "ones")
        self.first = self._dense(2 * len(self.metadata_keys) + 2 * sum(self.encode.values()), name="first")
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
        if self.encode:
            encoded = metadata[:, [column for column, _ in self._encoded]]
            low, width = encoded.min(axis=0), np.ptp(encoded, axis=0)
            self._low.assign(low)
            self._range.assign(np.where(width > 1e-6 * np.abs(encoded).max(axis=0), width, 1.0))

    def _parameters(self, batch):
        x = self.first(self._features(batch["metadata"]))
        for inner, outer in self.blocks:
            x = x + outer(inner(x))
        return self._output(x, batch)

    def _output(self, x, batch):
        """The parameters of the posterior from the last hidden layer, [N, width]."""
        raw = self.last(x)
        offset = tf.one_hot(0, self.posterior.n_parameters) * self._start
        return raw + offset

    def _features(self, metadata):
        logarithm = tf.math.log(tf.maximum(metadata, 0.0) + self._log_offset)
        logarithm = self._has_log * (logarithm - self._log_mean) / self._log_sd
        return tf.concat([(metadata - self._mean) / self._sd, logarithm, *self._waves(metadata)], axis=-1)

    def _waves(self, metadata):
        for i, (column, octaves) in enumerate(self._encoded):
            u = (metadata[:, column, tf.newaxis] - self._low[i]) / self._range[i]
            angle = math.pi * u * tf.constant([2.0**j for j in range(octaves)])
            yield from (tf.sin(angle), tf.cos(angle))

    def get_config(self):
        """Arguments that make this layer again."""
        return {**super().get_config(), "width": self.width, "depth": self.depth, "encode": dict(self.encode)}


def _checked_octaves(encode):
    encode = {} if encode is None else encode
    if not isinstance(encode, dict):
        raise ValueError(f'encode must give the octaves of each column, such as {{"ROT": 4}}, not {encode!r}.')
    for name, octaves in encode.items():
        if not (octaves == int(octaves) and 1 <= octaves <= 16):
            raise ValueError(f"The octaves of {name} to encode must be from 1 to 16, not {octaves}.")
    return {str(name): int(octaves) for name, octaves in encode.items()}
