"""Log-normal surrogate posterior."""

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from vimerge.surrogates.base import Surrogate


@keras.saving.register_keras_serializable(package="vimerge.surrogates")
class LogNormal(Surrogate):
    """Log-normal posterior of the amplitude or of the intensity, ``median exp(scale n)`` with n standard normal.

    Log-normal amplitudes are log-normal intensities too, with twice the scale: both choices of `over` are the same
    family. Its density is zero at F = 0, where that of a weak reflection is not.

    Parameters
    ----------
    asu : ReciprocalASU
        The reflections to infer.
    over : {"amplitude", "intensity"}
        What the parameters are of.
    """

    parameter_names = ("median", "scale")
    allowed_over = ("amplitude", "intensity")

    def _distribution(self, centric, *, median, scale):
        return tfp.distributions.LogNormal(tf.math.log(median), scale)

    def _parameters_from_moments(self, mean, sd, centric):
        variance = np.log1p((sd / mean) ** 2)
        return {"median": mean * np.exp(-0.5 * variance), "scale": np.sqrt(variance)}
