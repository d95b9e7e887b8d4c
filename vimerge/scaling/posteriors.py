"""The families of q(Σ): what a scaling model leaves uncertain."""

import math

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from vimerge.distributions import FoldedNormal as FoldedNormalDistribution
from vimerge.distributions import Gamma as GammaDistribution
from vimerge.distributions import kl_divergence
from vimerge.distributions.positive import Positive

tfd = tfp.distributions

# In single precision a relative spread below this is lost beside the rounding of the scale itself.
LEAST_SD = 1e-4


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


class _Spread(ScalePosterior):
    """A family with a spread, and a prior of the same family about the mean scale.

    The spread is learned with the scale, and stays below the prior's: to be wider never pays, and an exponential of a
    network's output would overflow at unusual metadata. A subclass fills `_make`.
    """

    n_parameters = 2
    least_sd = 0.0

    def __init__(self, sd=0.05, prior_sd=1.0, **kwargs):
        super().__init__(**kwargs)
        if not self.least_sd < sd < prior_sd:
            low = f"above {self.least_sd:g}" if self.least_sd else "positive"
            raise ValueError(
                f"The standard deviation of a {self._called} scale must be {low} and below the prior's, {prior_sd}, "
                f"not {sd}."
            )
        self.sd, self.prior_sd = float(sd), float(prior_sd)
        self._prior_scale = Positive(self, "prior_scale", trainable=False)

    def distribution(self, raw):
        """A distribution about the log scale, its spread learned with it."""
        start = math.log((self.sd - self.least_sd) / (self.prior_sd - self.sd))
        return self._make(
            raw[..., 0], self.least_sd + (self.prior_sd - self.least_sd) * tf.sigmoid(raw[..., 1] + start)
        )

    def kl_divergence(self, distribution, sample):
        """KL to the prior, in closed form where there is one, else by Monte Carlo from the samples [S, N]."""
        return kl_divergence(distribution, self.prior, sample)

    @property
    def prior(self):
        """p(Σ), a scalar tfd.Distribution."""
        return self._make(tf.math.log(self._prior_scale.value), tf.constant(self.prior_sd))

    def adapt(self, mean_scale):
        """Centre the prior on a mean scale."""
        self._prior_scale.assign(mean_scale)

    def _make(self, log_scale, sd):
        """Make the distribution of the family, from tensors."""
        raise NotImplementedError

    def get_config(self):
        """Arguments that make this layer again."""
        return {**super().get_config(), "sd": self.sd, "prior_sd": self.prior_sd}


@keras.saving.register_keras_serializable(package="vimerge.scaling")
class LogNormal(_Spread):
    """A log-normal scale with a log-normal prior.

    Parameters
    ----------
    sd : float
        Standard deviation of log Σ at the start, positive and less than `prior_sd`.
    prior_sd : float
        Standard deviation of log Σ under the prior, about the log of the mean scale. That of the posterior stays below
        it: to be wider never pays, and an exponential of the network's output would overflow at unusual metadata.
    """

    _called = "log-normal"

    def _make(self, log_scale, sd):
        return tfd.LogNormal(log_scale, sd)


@keras.saving.register_keras_serializable(package="vimerge.scaling")
class Gamma(_Spread):
    """A gamma distributed scale with a gamma prior; the KL is in closed form.

    The mean is the scale of the model, and the relative standard deviation s gives the concentration 1/s².

    Parameters
    ----------
    sd : float
        Relative standard deviation of Σ at the start, above 1e-4 and less than `prior_sd`.
    prior_sd : float
        That of the prior, whose mean is the mean scale: 1 is an exponential distribution. The posterior's stays below
        it.
    """

    _called = "gamma"
    least_sd = LEAST_SD

    def _make(self, log_scale, sd):
        concentration = 1.0 / tf.square(sd)
        return GammaDistribution(concentration, concentration * tf.exp(-log_scale))


@keras.saving.register_keras_serializable(package="vimerge.scaling")
class FoldedNormal(_Spread):
    """A folded normal scale, |N(loc, scale²)|, with a folded normal prior; the KL is by Monte Carlo.

    The scale of the model is `loc`, which is the mean but for what is folded over: 0.03% at a scale/loc of a third,
    0.8% at a half, 17% at one.

    Parameters
    ----------
    sd : float
        scale/loc at the start, above 1e-4 and less than `prior_sd`.
    prior_sd : float
        scale/loc of the prior, whose loc is the mean scale. The posterior's stays below it.
    """

    _called = "folded normal"
    least_sd = LEAST_SD

    def _make(self, log_scale, sd):
        loc = tf.exp(log_scale)
        return FoldedNormalDistribution(loc, sd * loc)


POSTERIORS = {"delta": Delta, "log-normal": LogNormal, "gamma": Gamma, "folded-normal": FoldedNormal}
