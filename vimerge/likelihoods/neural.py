"""An error model that is a small neural network."""

import keras
import numpy as np
import tensorflow as tf

from vimerge.likelihoods.error_model import ErrorModel


@keras.saving.register_keras_serializable(package="vimerge.likelihoods")
class Neural(ErrorModel):
    """A small network of σ, the predicted intensity and, if wanted, metadata; positive, and increasing with σ.

    With u a typical σ and ℓ = log(σ/u),

        log(σ'/u) = s [ℓ + Σ_k ρ_k tanh(w_k ℓ + a_k(x)) / w_k] + c(x),

    where a_k and c are the outputs of a layer of tanh units that sees x: log(1 + I/u) and the metadata. The slope in ℓ
    is s (1 + Σ_k ρ_k sech²(…)). It is positive because ρ_k = r_k / (1 + Σ_j |r_j|), whose sizes add up to less than
    one; this bounds a residual's slope without bounding its sign, as in invertible residual networks [1]_. With r and
    c zero and s one, which is the start, σ' = σ.

    Parameters
    ----------
    units : int
        Hidden units, and the terms of the sum.
    n_metadata : int
        Columns of metadata that the network sees too: all of `reflections.metadata_keys`, or 0 for none. Harmonics of
        an observation are averaged.

    References
    ----------
    .. [1] Behrmann, J. et al. (2019). Invertible residual networks. Proc. Mach. Learn. Res. 97, 573–582.
    """

    def __init__(self, units=8, n_metadata=0, **kwargs):
        super().__init__(**kwargs)
        self.units, self.n_metadata = int(units), int(n_metadata)
        self.hidden = self.add_real("hidden", (1 + self.n_metadata, self.units), "glorot_uniform")
        self.hidden_bias = self.add_real("hidden_bias", (self.units,))
        self.shift = self.add_real("shift", (self.units, self.units), "glorot_uniform")
        # Spread over the span of sigmas, so that no two units bend the same part.
        spread = keras.initializers.RandomUniform(-2.0, 2.0)
        self.shift_bias = self.add_real("shift_bias", (self.units,), spread)
        self.sharpness = self.add_positive("sharpness", 1.0, (self.units,))
        self.bend = self.add_real("bend", (self.units,))
        self.factor = self.add_real("factor", (self.units,))
        self.factor_bias = self.add_real("factor_bias")
        self.slope = self.add_positive("slope", 1.0)
        self.unit = self._fixed("unit", (), "ones")
        self.centre = self._fixed("centre", (1 + self.n_metadata,), "zeros")
        self.width = self._fixed("width", (1 + self.n_metadata,), "ones")

    def _fixed(self, name, shape, initializer):
        return self.add_weight(name=name, shape=shape, initializer=initializer, trainable=False)

    def _adapt(self, reflections):
        if self.n_metadata not in (0, reflections.metadata.shape[1]):
            columns = reflections.metadata.shape[1]
            raise ValueError(f"The data have {columns} columns of metadata: make Neural with n_metadata={columns}.")
        unit = float(np.median(reflections.sigiobs))
        intensity = np.log1p(np.maximum(reflections.iobs.astype(np.float64), 0.0) / unit)
        seen = np.column_stack([intensity, reflections.metadata[:, : self.n_metadata]])
        sd = seen.std(axis=0)
        self.unit.assign(unit)
        self.centre.assign(seen.mean(axis=0))
        # What does not vary must not be blown up.
        self.width.assign(np.where(sd > 1e-6 * np.abs(seen).max(axis=0), sd, 1.0))

    def _sigma(self, sigiobs, ipred, batch):
        unit, centre, width = (tf.convert_to_tensor(x) for x in (self.unit, self.centre, self.width))
        log_sigma = tf.math.log(sigiobs / unit)
        intensity = (tf.math.log1p(tf.nn.relu(ipred) / unit) - centre[0]) / width[0]
        total = intensity[..., tf.newaxis] * self.hidden.value[0] + self.hidden_bias.value
        if self.n_metadata:
            metadata = tf.math.unsorted_segment_mean(batch["metadata"], batch["harmonic_id"], tf.shape(sigiobs)[0])
            total += tf.matmul((metadata - centre[1:]) / width[1:], self.hidden.value[1:])
        hidden = tf.tanh(total)
        shift = tf.tensordot(hidden, self.shift.value, 1) + self.shift_bias.value
        sharpness, bend = self.sharpness.value, self.bend.value
        bend = bend / (1.0 + tf.reduce_sum(tf.abs(bend)))
        bent = tf.reduce_sum(bend / sharpness * tf.tanh(sharpness * log_sigma[:, tf.newaxis] + shift), axis=-1)
        log_factor = tf.tensordot(hidden, self.factor.value, 1) + self.factor_bias.value
        # As a factor on σ, so that the start is the identity to the last digit.
        slope = self.slope.value
        return sigiobs * tf.exp((slope - 1.0) * log_sigma + slope * bent + log_factor)

    def get_config(self):
        """Arguments that make this layer again."""
        return {**super().get_config(), "units": self.units, "n_metadata": self.n_metadata}
