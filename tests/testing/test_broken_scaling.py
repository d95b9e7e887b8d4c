"""Scaling models that are broken on purpose, each in one way, are caught by the check that is for it."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from vimerge import testing
from vimerge.scaling import LogNormal as LogNormalScale
from vimerge.scaling import ScalePosterior

from .members import OwnScaling, expect, register

tfd = tfp.distributions
IMAGES = testing.reflections().n_images


@register
class Signed(ScalePosterior):
    """Forgets the exponential: scales of either sign."""

    def distribution(self, raw):
        return tfd.Deterministic(tf.sin(20.0 * raw[..., 0]))

    def kl_divergence(self, distribution, sample):
        return tf.zeros_like(sample[0])


@register
class NegativeKL(LogNormalScale):
    def kl_divergence(self, distribution, sample):
        return -super().kl_divergence(distribution, sample)


@register
class HalfKL(LogNormalScale):
    def kl_divergence(self, distribution, sample):
        return 0.5 * super().kl_divergence(distribution, sample)


@register
class ByTheBatch(OwnScaling):
    def _parameters(self, batch):
        raw = super()._parameters(batch)
        return raw + batch["metadata"][:, :1] / tf.reduce_mean(batch["metadata"][:, 0]) - 1.0


@register
class WithoutStart(OwnScaling):
    def _adapt(self, reflections, mean_scale):
        pass


@register
class Unbuilt(OwnScaling):
    def __init__(self, n_images, posterior="delta", **kwargs):
        super().__init__(n_images, posterior, **kwargs)
        self.dense = keras.layers.Dense(1, name="dense")

    def _parameters(self, batch):
        return super()._parameters(batch) + self.dense(batch["metadata"])


@register
class Forgetful(OwnScaling):
    """Keeps what it takes from the data in an attribute, which is not saved."""

    log_mean = 0.0

    def _adapt(self, reflections, mean_scale):
        self.log_mean = float(np.log(mean_scale))

    def _parameters(self, batch):
        return super()._parameters(batch) + self.log_mean


@pytest.mark.parametrize(
    ("make", "check", "fault"),
    [
        (lambda keys: OwnScaling(IMAGES, Signed()), "support", r"a sample is -.* must be one of positive values"),
        (lambda keys: OwnScaling(IMAGES, NegativeKL()), "divergence", r"is -.*: a divergence is not negative"),
        (lambda keys: OwnScaling(IMAGES, HalfKL()), "divergence", "by quadrature"),
        (lambda keys: ByTheBatch(IMAGES), "observations alone", "must not depend on the rest of the batch"),
        (lambda keys: WithoutStart(IMAGES), "start at the mean scale", r"add log\(mean_scale\) in _adapt"),
        (lambda keys: Unbuilt(IMAGES), "construction", r"its part dense has no weights yet: call its build"),
        (lambda keys: Forgetful(IMAGES), "configuration", "what adapt or training learns must be a weight"),
    ],
    ids=["negative scales", "negative KL", "half the KL", "by the batch", "no start", "unbuilt", "forgetful"],
)
def test_a_broken_scaling_model_is_caught(make, check, fault):
    expect(testing.check_scaling, make, check, fault)


def test_nothing_of_keras_is_taken_for_a_member():
    with pytest.raises(testing.ConformanceError, match=r"which is no Scaling: subclass vimerge\.scaling\.Scaling"):
        testing.check_scaling(lambda keys: keras.layers.Dense(1))
