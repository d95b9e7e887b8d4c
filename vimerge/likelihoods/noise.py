"""Noise families: the shape of an observation's error."""

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from vimerge.likelihoods.base import Likelihood

tfd = tfp.distributions


@keras.saving.register_keras_serializable(package="vimerge")
class Normal(Likelihood):
    """Normally distributed errors."""

    def _distribution(self, ipred, sigma):
        return tfd.Normal(ipred, sigma)


@keras.saving.register_keras_serializable(package="vimerge")
class StudentT(Likelihood):
    """Errors with Student's t distribution, whose tails make outliers harmless.

    Parameters
    ----------
    dof : float
        Degrees of freedom, positive: 1 is Cauchy's distribution, 16 forgives an outlier in some hundreds, and the
        normal distribution is the limit.
    error_model : ErrorModel, optional
        See `Likelihood`.
    """

    def __init__(self, dof=16.0, error_model=None, **kwargs):
        super().__init__(error_model=error_model, **kwargs)
        if not dof > 0:
            raise ValueError(f"The degrees of freedom of a Student's t must be positive, not {dof}.")
        self.dof = float(dof)

    def _distribution(self, ipred, sigma):
        return tfd.StudentT(tf.constant(self.dof, ipred.dtype), ipred, sigma)

    def get_config(self):
        """Arguments that make this layer again."""
        return {**super().get_config(), "dof": self.dof}
