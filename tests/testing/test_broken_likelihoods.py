"""Likelihoods and error models that are broken on purpose, each in one way, are caught by the check that is for it."""

import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from vimerge import testing
from vimerge.likelihoods import Normal

from .members import OwnErrorModel, OwnLikelihood, expect, register

tfd = tfp.distributions


@register
class IgnoresHarmonics(OwnLikelihood):
    def prediction(self, ipred, batch):
        return ipred, batch["sigiobs"]


@register
class Standardising(OwnLikelihood):
    def prediction(self, ipred, batch):
        total, sigma = super().prediction(ipred, batch)
        return total, sigma * tf.math.reduce_std(batch["iobs"]) / 100.0


@register
class WithoutNormaliser(OwnLikelihood):
    def _distribution(self, ipred, sigma):
        return _Bare(ipred, sigma)


class _Bare(tfd.Normal):
    def _log_prob(self, x):
        return -0.5 * tf.square((x - self.loc) / self.scale)


@register
class Deaf(OwnLikelihood):
    def _distribution(self, ipred, sigma):
        return tfd.Normal(tf.zeros_like(ipred), 100.0 * sigma)


@register
class Overflowing(OwnLikelihood):
    def _distribution(self, ipred, sigma):
        return tfd.Normal(ipred, sigma / tf.minimum(1.0, tf.exp(1e4 - ipred)))


@pytest.mark.parametrize(
    ("make", "check", "fault"),
    [
        (IgnoresHarmonics, "single harmonics", "in another order than their observations.* by harmonic_id"),
        (Standardising, "observations alone", "must not depend on the rest of the batch"),
        (WithoutNormaliser, "normalisation", r"integrates to .* over the observed intensity.*lacks a normaliser"),
        (Deaf, "gradient in the prediction", "does not depend on the predicted intensity"),
        (Overflowing, "extremes", "overflows or divides by zero"),
    ],
    ids=["harmonics", "standardising", "normaliser", "deaf", "overflow"],
)
def test_a_broken_likelihood_is_caught(make, check, fault):
    expect(testing.check_likelihood, make, check, fault)


@register
class Decreasing(OwnErrorModel):
    """Divides where it should multiply."""

    def _sigma(self, sigiobs, ipred, batch):
        return 1.0 / sigiobs + self.learned.value * ipred + 1.0


@register
class SeesTheObservation(OwnErrorModel):
    def _sigma(self, sigiobs, ipred, batch):
        return tf.sqrt(tf.square(sigiobs) + tf.square(self.learned.value * batch["iobs"]))


@register
class MaybeZero(OwnErrorModel):
    def _sigma(self, sigiobs, ipred, batch):
        return self.learned.value * sigiobs * tf.sqrt(ipred)


@register
class Double(OwnErrorModel):
    def _sigma(self, sigiobs, ipred, batch):
        return tf.cast(super()._sigma(sigiobs, ipred, batch), tf.float64)


@register
class NotJSON(OwnErrorModel):
    def get_config(self):
        return {**super().get_config(), "fraction": {self.fraction}}


@register
class Frozen(OwnErrorModel):
    def _sigma(self, sigiobs, ipred, batch):
        return tf.sqrt(tf.square(sigiobs) + tf.square(tf.stop_gradient(self.learned.value) * ipred))


class UnregisteredErrors(OwnErrorModel):
    pass


@pytest.mark.parametrize(
    ("make", "check", "fault"),
    [
        (Decreasing, "growth with sigma", "its σ falls from .* must not be trusted more"),
        (SeesTheObservation, "errors", "its σ changes with iobs"),
        (MaybeZero, "growth with sigma", "its σ is 0 at sigiobs .* and a prediction of 0: it must be positive"),
        (Double, "errors", "its σ is float64, not float32"),
        (NotJSON, "configuration", "its configuration is not JSON"),
        (Frozen, "gradient in the parameters", r"along log_fraction is 0, but by finite differences"),
        (UnregisteredErrors, "registration", "its part UnregisteredErrors is not registered with Keras: decorate"),
    ],
    ids=["decreasing", "sees iobs", "zero", "float64", "json", "stopped", "unregistered"],
)
def test_a_broken_error_model_is_caught(make, check, fault):
    expect(testing.check_error_model, make, check, fault)


def test_an_unregistered_error_model_is_caught_in_a_likelihood_too():
    expect(testing.check_likelihood, lambda: Normal(error_model=UnregisteredErrors()), "registration", "not registered")
