"""Noise families with one component: the shape of an observation's error."""

import keras
import numpy as np
import tensorflow_probability as tfp

from vimerge.likelihoods.base import Likelihood

tfd = tfp.distributions


@keras.saving.register_keras_serializable(package="vimerge.likelihoods")
class Normal(Likelihood):
    """Normally distributed errors."""

    def _distribution(self, ipred, sigma):
        return tfd.Normal(ipred, sigma)


@keras.saving.register_keras_serializable(package="vimerge.likelihoods")
class Laplace(Likelihood):
    """Errors with Laplace's distribution, whose tails fall off exponentially.

        p(I) = exp(−√2 |I − ΣF²| / σ) / (√2 σ)

    so that σ is the standard deviation.
    """

    def _distribution(self, ipred, sigma):
        return tfd.Laplace(ipred, sigma * np.float32(np.sqrt(0.5)))
