"""The error model of SCALA and AIMLESS."""

import keras
import numpy as np
import tensorflow as tf

from vimerge.likelihoods.error_model import ErrorModel


@keras.saving.register_keras_serializable(package="vimerge.likelihoods")
class Evans2011(ErrorModel):
    """The error model of SCALA and AIMLESS [1]_.

        σ'² = SdFac² (σ² + SdB ⟨I⟩ + (SdAdd ⟨I⟩)²)

    with the predicted intensity in place of the mean ⟨I⟩ of the equivalents. SdFac and SdAdd are pure numbers; SdB has
    the unit of an intensity.

    Parameters
    ----------
    sdfac, sdadd : float
        Values at the start, positive.
    sdb : float, optional
        Value at the start, positive; if it is not given, `adapt` starts it where it adds a hundredth to a typical σ².

    References
    ----------
    .. [1] Evans, P. R. (2011). Acta Cryst. D67, 282–292, equation 5.
    """

    def __init__(self, sdfac=1.0, sdb=None, sdadd=0.03, **kwargs):
        super().__init__(**kwargs)
        self.initial = {"sdfac": sdfac, "sdb": sdb, "sdadd": sdadd}
        self.sdfac = self.add_positive("SdFac", sdfac)
        self.sdb = self.add_positive("SdB", 1e-3 if sdb is None else sdb)
        self.sdadd = self.add_positive("SdAdd", sdadd)

    def _adapt(self, reflections):
        if self.initial["sdb"] is None:
            self.sdb.assign(0.01 * np.median(reflections.sigiobs**2) / np.mean(np.abs(reflections.iobs)))

    def _sigma(self, sigiobs, ipred, batch):
        variance = tf.square(sigiobs) + self.sdb.value * ipred + tf.square(self.sdadd.value * ipred)
        return self.sdfac.value * tf.sqrt(variance)

    def get_config(self):
        """Arguments that make this layer again."""
        return {**super().get_config(), **self.initial}
