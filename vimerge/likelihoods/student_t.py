"""Student's t: errors with heavy tails."""

import math

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp
from scipy.special import ndtri, stdtr

from vimerge.distributions.gamma_functions import log_half_power_excess
from vimerge.likelihoods.base import Likelihood

tfd = tfp.distributions


@keras.saving.register_keras_serializable(package="vimerge.likelihoods")
class StudentT(Likelihood):
    """Errors with Student's t distribution, whose tails make outliers harmless.

        p(I) = Γ((ν + 1)/2) / (Γ(ν/2) √(πν) σ) · (1 + z²/ν)^(−(ν + 1)/2),   z = (I − ΣF²)/σ

    σ is the scale; the standard deviation is σ √(ν/(ν − 2)).

    Parameters
    ----------
    dof : float
        Degrees of freedom ν, positive: 1 is Cauchy's distribution, 16 forgives an outlier in some hundreds, and the
        normal distribution is the limit.
    error_model : ErrorModel, optional
        See `Likelihood`.
    learn_dof : bool
        Whether the degrees of freedom are learned, from `dof` on. They and the factor of an error model are told
        apart by the tails alone, which takes thousands of observations.
    """

    def __init__(self, dof=16.0, error_model=None, learn_dof=False, **kwargs):
        super().__init__(error_model=error_model, **kwargs)
        if not dof > 0:
            raise ValueError(f"The degrees of freedom of a Student's t must be positive, not {dof}.")
        self.initial_dof, self.learn_dof = float(dof), bool(learn_dof)
        self._dof = self.add_positive("dof", dof) if learn_dof else None

    @property
    def dof(self):
        """Degrees of freedom, a scalar tensor."""
        return tf.constant(self.initial_dof) if self._dof is None else self._dof.value

    def _distribution(self, ipred, sigma):
        return _StudentT(self.dof, ipred, sigma)

    def normal_scores(self, ipred, batch):
        """See `Likelihood`; by SciPy, for TFP's incomplete beta function is a loop of many operations."""
        total, sigma = self.prediction(ipred, batch)
        t = ((batch["iobs"] - total) / sigma).numpy().astype(np.float64)
        return -np.sign(t) * ndtri(stdtr(float(self.dof), -np.abs(t)))

    def get_config(self):
        """Arguments that make this layer again."""
        return {**super().get_config(), "dof": self.initial_dof, "learn_dof": self.learn_dof}


class _StudentT(tfd.StudentT):
    """Student's t with a normaliser whose gradient in the degrees of freedom can be trusted.

    TFP takes the difference of two digamma functions in float32: beyond some 1,000 degrees of freedom, where normal
    errors lead, the gradient is rounding error.
    """

    def _log_prob(self, value):
        df, scale = tf.convert_to_tensor(self.df), tf.convert_to_tensor(self.scale)
        log_normaliser = 0.5 * math.log(2.0 * math.pi) - log_half_power_excess(0.5 * df)
        z = (value - self.loc) / scale
        shape = -0.5 * (df + 1.0) * tfp.math.log1psquare(z * tf.math.rsqrt(df))
        return shape - tf.math.log(scale) - log_normaliser
