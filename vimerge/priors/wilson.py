"""Wilson's prior."""

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from vimerge.distributions import ByCentricity
from vimerge.distributions.positive import Positive
from vimerge.priors.base import Prior
from vimerge.priors.falloff import smooth_falloff

tfd = tfp.distributions


@keras.saving.register_keras_serializable(package="vimerge.priors")
class Wilson(Prior):
    """Amplitudes of a crystal of many randomly placed atoms [1]_.

    With Σ(d) the mean of F²/ε at that resolution, an acentric intensity is exponential with mean εΣ and a centric one
    is εΣ times a χ² of one degree of freedom.

    Parameters
    ----------
    asu : ReciprocalASU
        The reflections.
    mean_intensity : array_like, [R] or float, optional
        Σ(d) of each reflection. If it is not given it is 1 until `adapt` estimates it from data.

    References
    ----------
    .. [1] Wilson, A. J. C. (1949). Acta Cryst. 2, 318–321.
    """

    def __init__(self, asu, mean_intensity=None, **kwargs):
        super().__init__(asu, **kwargs)
        self._given = None if mean_intensity is None else np.asarray(mean_intensity, np.float64)
        self._mean_intensity = Positive(self, "mean_intensity", shape=(len(self.asu),), trainable=False)
        self._epsilon = tf.constant(self.asu.epsilon, tf.float32)
        if self._given is not None:
            self._mean_intensity.assign(self._given)

    @property
    def mean_intensity(self):
        """Σ(d) of each reflection, float32 [R]."""
        return self._mean_intensity.value

    def _adapt(self, reflections):
        if self._given is not None:
            return
        observed = np.asarray(self.asu.s2)[reflections.refl_id]
        epsilon = np.asarray(self.asu.epsilon)[reflections.refl_id]
        self._mean_intensity.assign(
            smooth_falloff(observed, reflections.iobs.astype(np.float64) / epsilon, np.asarray(self.asu.s2))
        )

    def _distribution(self, refl_id, centric, over):
        expected = self._mean_intensity.gather(refl_id) * tf.gather(self._epsilon, refl_id)
        if over == "intensity":
            shape = tf.where(centric, 0.5, 1.0)
            return tfd.Gamma(shape, shape / expected)
        root = tf.sqrt(expected)
        return ByCentricity(centric, tfd.HalfNormal(root), tfd.Weibull(tf.constant(2.0), root))

    def get_config(self):
        """Arguments that make this layer again."""
        given = None if self._given is None else self._given.tolist()
        return {**super().get_config(), "mean_intensity": given}
