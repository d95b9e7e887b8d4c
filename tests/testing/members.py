"""Small members of every family, as a user of the package would write them, and how a broken one is caught."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from vimerge import testing
from vimerge.likelihoods import ErrorModel, Likelihood
from vimerge.priors import Prior
from vimerge.scaling import Scaling
from vimerge.surrogates import Surrogate

tfd = tfp.distributions
register = keras.saving.register_keras_serializable(package="test_testing")


@register
class OwnSurrogate(Surrogate):
    """A log-normal amplitude."""

    parameter_names = ("median", "scale")

    def _distribution(self, centric, *, median, scale):
        return tfd.LogNormal(tf.math.log(median), scale)

    def _parameters_from_moments(self, mean, sd, centric):
        variance = np.log1p((sd / mean) ** 2)
        return {"median": mean * np.exp(-0.5 * variance), "scale": np.sqrt(variance)}


@register
class OwnPrior(Prior):
    """An exponential intensity of mean 50 for all reflections."""

    def _distribution(self, refl_id, centric, over):
        mean = tf.fill(tf.shape(refl_id), 50.0)
        if over == "intensity":
            return tfd.Exponential(1.0 / mean)
        return tfd.Weibull(2.0 * tf.ones_like(mean), tf.sqrt(mean))


@register
class OwnScaling(Scaling):
    """A scale factor for each image."""

    def __init__(self, n_images, posterior="delta", **kwargs):
        super().__init__(posterior, **kwargs)
        self.n_images = n_images
        self.log_scale = self.add_weight(name="log_scale", shape=(n_images,), initializer="zeros")
        self.start = self.add_weight(name="start", shape=(), initializer="zeros", trainable=False)

    def _adapt(self, reflections, mean_scale):
        self.start.assign(np.log(mean_scale))

    def _parameters(self, batch):
        log_scale = tf.gather(tf.convert_to_tensor(self.log_scale), batch["image_id"]) + self.start
        return tf.pad(log_scale[:, tf.newaxis], [[0, 0], [0, self.posterior.n_parameters - 1]])

    def get_config(self):
        return {**super().get_config(), "n_images": self.n_images}


@register
class OwnLikelihood(Likelihood):
    """Cauchy noise."""

    def _distribution(self, ipred, sigma):
        return tfd.Cauchy(ipred, sigma)


@register
class OwnErrorModel(ErrorModel):
    """σ² and the square of a learned fraction of the intensity."""

    def __init__(self, fraction=0.05, **kwargs):
        super().__init__(**kwargs)
        self.fraction = fraction
        self.learned = self.add_positive("fraction", fraction)

    def _sigma(self, sigiobs, ipred, batch):
        return tf.sqrt(tf.square(sigiobs) + tf.square(self.learned.value * ipred))

    def get_config(self):
        return {**super().get_config(), "fraction": self.fraction}


def expect(check, member, name, fault):
    """The check of this name catches it, and says so in one sentence that names the member and the fault."""
    with pytest.raises(testing.ConformanceError, match=fault) as caught:
        check(member)
    assert caught.value.check == name
    message = str(caught.value)
    assert message.startswith(f"{caught.value.member} fails '{caught.value.check}': ")
    assert message.endswith(".")
    assert "\n" not in message
