"""The families of q(Σ): what a scaling model leaves uncertain."""

import math

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from vimerge.distributions import kl_divergence
from vimerge.distributions.positive import Positive

tfd = tfp.distributions


class ScalePosterior(keras.layers.Layer):
    """A family of q(Σ) with its prior.

    Attributes
    ----------
    n_parameters : int
        How many numbers the scaling model gives for each prediction; the first is the log of the scale.
    """

    n_parameters = 1

    def distribution(self, raw):
        """Make q(Σ), batch shape [N], from unconstrained parameters [N, n_parameters]."""
        raise NotImplementedError

    def kl_divergence(self, distribution, sample):
        """KL[q(Σ) || p(Σ)] of each prediction, float32 [N]."""
        raise NotImplementedError

    def adapt(self, mean_scale):
        """Centre the prior on a mean scale."""


@keras.saving.register_keras_serializable(package="vimerge.scaling")
class Delta(ScalePosterior):
    """A point: the scale is a deterministic function of the metadata, and there is no KL."""

    def distribution(self, raw):
        """A point mass at the exponential of the log scale."""
        return tfd.Deterministic(tf.exp(raw[..., 0]))

    def kl_divergence(self, distribution, sample):
        """Zero: a deterministic scale has a flat prior, and pays nothing."""
        return tf.zeros_like(sample[0])


@keras.saving.register_keras_serializable(package="vimerge.scaling")
class LogNormal(ScalePosterior):
    """A log-normal scale with a log-normal prior.

    Parameters
    ----------
    sd : float
        Standard deviation of log Σ at the start, positive and less than `prior_sd`.
    prior_sd : float
        Standard deviation of log Σ under the prior, about the log of the mean scale. That of the posterior stays below
        it: to be wider never pays, and an exponential of the network's output would overflow at unusual metadata.
    """

    n_parameters = 2

    def __init__(self, sd=0.05, prior_sd=1.0, **kwargs):
        super().__init__(**kwargs)
        if not 0 < sd < prior_sd:
            raise ValueError(
                f"The standard deviation of a log-normal scale must be positive and below the prior's, {prior_sd}, not "
                f"{sd}."
            )
        self.sd, self.prior_sd = float(sd), float(prior_sd)
        self._prior_scale = Positive(self, "prior_scale", trainable=False)

    def distribution(self, raw):
        """A log-normal about the log scale, its sd learned with it."""
        start = math.log(self.sd / (self.prior_sd - self.sd))
        return tfd.LogNormal(raw[..., 0], self.prior_sd * tf.sigmoid(raw[..., 1] + start))

    def kl_divergence(self, distribution, sample):
        """KL to the prior in closed form."""
        prior = tfd.LogNormal(tf.math.log(self._prior_scale.value), self.prior_sd)
        return kl_divergence(distribution, prior, sample)

    def adapt(self, mean_scale):
        """Centre the prior on a mean scale."""
        self._prior_scale.assign(mean_scale)

    def get_config(self):
        """Arguments that make this layer again."""
        return {**super().get_config(), "sd": self.sd, "prior_sd": self.prior_sd}


POSTERIORS = {"delta": Delta, "log-normal": LogNormal}
