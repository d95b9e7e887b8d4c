"""Priors that are broken on purpose, each in one way, are caught by the check that is for it."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from vimerge import testing
from vimerge.priors import MultivariateWilson

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


@register
class Pairs(MultivariateWilson):
    """Acentric reflections in pairs."""

    def __init__(self, asu, parents=None, correlation=0.5, **kwargs):
        if parents is None:
            acentric = np.flatnonzero(~asu.centric)
            parents = np.full(len(asu), -1)
            parents[acentric[1::2]] = acentric[: len(acentric) - 1 : 2]
        super().__init__(asu, parents, correlation, **kwargs)


@register
class TooNarrow(Pairs):
    """Its scale has 1 − r where it should have 1 − r²."""

    def _pair(self, refl_id):
        known, expected, r, _, ratio = super()._pair(refl_id)
        return known, expected, r, 1.0 - r, ratio


@register
class RootsDepend(Pairs):
    """Its roots are correlated with themselves."""

    def _pair(self, refl_id):
        _, expected, r, complement, ratio = super()._pair(refl_id)
        return tf.ones_like(r, tf.bool), expected, tf.maximum(r, 0.5), tf.minimum(complement, 0.75), ratio


@register
class WithoutPull(Pairs):
    """No gradient reaches the parent."""

    def _conditional(self, refl_id, centric, parent_amplitude, over):
        return super()._conditional(refl_id, centric, tf.stop_gradient(parent_amplitude), over)


@register
class WithoutNormaliser(Pairs):
    """Given the parent, the density of a child is too large."""

    def _conditional(self, refl_id, centric, parent_amplitude, over):
        conditional = super()._conditional(refl_id, centric, parent_amplitude, over)
        return _TooLarge(conditional, tf.gather(self._known_of_all, refl_id))


class _TooLarge(tfd.TransformedDistribution):
    def __init__(self, distribution, where):
        super().__init__(distribution, tfp.bijectors.Identity())
        self.where = where

    def log_prob(self, value, name="log_prob"):
        return self.distribution.log_prob(value) + tf.where(self.where, 0.1, 0.0)


@register
class OneForAll(Pairs):
    """It looks at the first of the parent's amplitudes alone."""

    def _conditional(self, refl_id, centric, parent_amplitude, over):
        first = parent_amplitude if parent_amplitude.shape.rank == 1 else parent_amplitude[0]
        return super()._conditional(refl_id, centric, first, over)


@pytest.mark.parametrize(
    ("prior", "check", "fault"),
    [
        (WithoutJacobian, "normalisation", r"integrates to .* over intensity .*Jacobian"),
        (OtherScale, "either variate", "its log density over amplitude is .* over intensity with the Jacobian 2F"),
        (OtherMean, "mean intensity", r"calling it gives E\[F²\] = 55 .* has 50"),
        (OneForAll, "conditional shapes", r"has the batch shape .* for amplitudes of shape \[2, "),
        (
            RootsDepend,
            "conditional shapes",
            "which has no parent, is .* in its conditional, but .* in its distribution",
        ),
        (WithoutNormaliser, "conditional densities", "integrates to 1.105 .* over amplitude given F = "),
        (TooNarrow, "marginal of children", "averaged over its parent, a child must have its own distribution"),
        (WithoutPull, "gradient in the parent", "along the logarithm of the parent's amplitude is 0, but by finite"),
    ],
)
def test_a_broken_prior_is_caught(prior, check, fault):
    expect(testing.check_prior, prior, check, fault)
