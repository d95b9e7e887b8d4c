"""Priors that are broken on purpose, each in one way, are caught by the check that is for it."""

import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from vimerge import testing

from .members import OwnPrior, expect, register

tfd = tfp.distributions


@register
class WithoutJacobian(OwnPrior):
    """Its density over intensity is that over amplitude, at the root."""

    def _distribution(self, refl_id, centric, over):
        amplitude = super()._distribution(refl_id, centric, "amplitude")
        return amplitude if over == "amplitude" else _AtTheRoot(amplitude)


class _AtTheRoot(tfd.TransformedDistribution):
    def __init__(self, amplitude):
        super().__init__(amplitude, tfp.bijectors.Square())

    def log_prob(self, value, name="log_prob"):
        return self.distribution.log_prob(tf.sqrt(value))

    def _mean(self):
        return tf.square(self.distribution.stddev()) + tf.square(self.distribution.mean())


@register
class OtherScale(OwnPrior):
    def _distribution(self, refl_id, centric, over):
        made = super()._distribution(refl_id, centric, over)
        return made if over == "intensity" else tfd.Weibull(made.concentration, 1.1 * made.scale)


@register
class OtherMean(OwnPrior):
    def call(self, refl_id, *, over="amplitude"):
        return 1.1 * super().call(refl_id, over=over)


@pytest.mark.parametrize(
    ("prior", "check", "fault"),
    [
        (WithoutJacobian, "normalisation", r"integrates to .* over intensity .*Jacobian"),
        (OtherScale, "either variate", "its log density over amplitude is .* over intensity with the Jacobian 2F"),
        (OtherMean, "mean intensity", r"calling it gives E\[F²\] = 55 .* has 50"),
    ],
)
def test_a_broken_prior_is_caught(prior, check, fault):
    expect(testing.check_prior, prior, check, fault)
