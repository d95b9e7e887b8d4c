"""Surrogates that are broken on purpose, each in one way, are caught by the check that is for it."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from vimerge import testing
from vimerge.distributions import power_moments

from .members import OwnSurrogate, expect, register

tfd = tfp.distributions


class _LogNormal(tfd.LogNormal):
    """Log-normal with its density and its samples apart, so that one can be broken without the other."""

    def prob_factor(self):
        return 1.0

    def log_prob(self, value, name="log_prob"):
        return super().log_prob(value) + np.log(self.prob_factor()).astype(np.float32)

    def draw(self, normal):
        return tf.exp(self.loc + self.scale * normal)

    def sample(self, sample_shape=(), seed=None, name="sample"):
        shape = tf.concat([tf.reshape(sample_shape, [-1]), self.batch_shape_tensor()], axis=0)
        return self.draw(tf.random.stateless_normal(shape, tf.cast(seed, tf.int32)))


class Unnormalised(_LogNormal):
    def prob_factor(self):
        return 1.27


class TooWide(_LogNormal):
    def draw(self, normal):
        return tf.exp(self.loc + 1.2 * self.scale * normal)


class StoppedScale(_LogNormal):
    def draw(self, normal):
        return tf.exp(self.loc + tf.stop_gradient(self.scale) * normal)


class SlightlyBiased(_LogNormal):
    def draw(self, normal):
        scale = 0.9 * self.scale + 0.1 * tf.stop_gradient(self.scale)
        return tf.exp(self.loc + scale * normal)


class Unattached(_LogNormal):
    def draw(self, normal):
        return tf.stop_gradient(super().draw(normal))


class StoppedDensity(_LogNormal):
    def log_prob(self, value, name="log_prob"):
        return tfd.LogNormal(self.loc, tf.stop_gradient(self.scale)).log_prob(value)


class Symmetric(_LogNormal):
    def draw(self, normal):
        return tf.exp(self.loc) * normal


class WrongMoments(_LogNormal):
    pass


@power_moments.register
def _(distribution: WrongMoments, power):
    mean, sd = power_moments(tfd.LogNormal(distribution.loc, distribution.scale), power)
    return mean, (1.2 if power == 2.0 else 1.0) * sd


class WrongKL(_LogNormal):
    pass


@tfd.RegisterKL(WrongKL, tfd.HalfNormal)
@tfd.RegisterKL(WrongKL, tfd.Weibull)
def _(q, p, name=None):
    return 1.0 + tfd.kl_divergence(tfd.LogNormal(q.loc, q.scale), p)


def with_distribution(make):
    """A factory of surrogates that differ from the correct one in their distribution."""

    @register
    class Broken(OwnSurrogate):
        def _distribution(self, centric, *, median, scale):
            return make(tf.math.log(median), scale)

    return Broken


BROKEN_DISTRIBUTIONS = {
    "unnormalised": (Unnormalised, "normalisation", r"density integrates to 1\.27 at refl_id \d+ \(mean .*normaliser"),
    "samples of another width": (TooWide, "samples", "samples do not follow its density"),
    "a gradient stopped in samples": (StoppedScale, "gradient of the samples", "no gradient along log_scale"),
    "a small bias": (SlightlyBiased, "gradient of the samples", "is biased: along log_scale, that of E"),
    "samples not reparameterized": (Unattached, "gradient of the samples", "no gradient along log_median"),
    "a gradient stopped in the density": (StoppedDensity, "gradient of the density", "log_prob along log_scale is 0"),
    "moments of another sd": (WrongMoments, "moments", r"moments\(\) has SIGI .*, but its density gives"),
    "a wrong divergence": (WrongKL, "divergence", r"closed form of KL\[q \|\| p\] .* by quadrature"),
    "float64": (
        lambda loc, scale: tfd.LogNormal(tf.cast(loc, tf.float64), tf.cast(scale, tf.float64)),
        "shapes and dtypes",
        "its distribution is of float64, not float32",
    ),
    "a column": (
        lambda loc, scale: tfd.LogNormal(loc[..., tf.newaxis], scale[..., tf.newaxis]),
        "shapes and dtypes",
        r"batch shape \[\d+, 1\]",
    ),
    "negative samples": (
        Symmetric,
        "support",
        r"a sample is -.* of all samples .* must be one of positive values",
    ),
    "dependent on the batch": (
        lambda loc, scale: tfd.LogNormal(loc - 0.1 * tf.reduce_mean(loc), scale),
        "gathering",
        "gather what belongs to each reflection",
    ),
    "numpy inside": (
        lambda loc, scale: tfd.LogNormal(loc, scale + 0.0 * tf.numpy_function(np.sum, [scale], tf.float32)),
        "compilation",
        "it raises .*Error: .*PyFunc",
    ),
}


@pytest.mark.parametrize("name", BROKEN_DISTRIBUTIONS)
def test_a_surrogate_of_a_broken_distribution_is_caught(name):
    make, check, fault = BROKEN_DISTRIBUTIONS[name]
    expect(testing.check_surrogate, with_distribution(make), check, fault)


@register
class WrongStart(OwnSurrogate):
    def _parameters_from_moments(self, mean, sd, centric):
        return {"median": mean, "scale": 2.0 * sd / mean}


@register
class LosesItsOption(OwnSurrogate):
    def __init__(self, asu, factor=1.0, **kwargs):
        super().__init__(asu, **kwargs)
        self.factor = factor

    def _distribution(self, centric, *, median, scale):
        return tfd.LogNormal(tf.math.log(median) + self.factor, scale)

    def _parameters_from_moments(self, mean, sd, centric):
        return super()._parameters_from_moments(mean * np.exp(-self.factor), sd * np.exp(-self.factor), centric)


@register
class NeedsItsOption(LosesItsOption):
    def __init__(self, asu, factor, **kwargs):
        super().__init__(asu, factor, **kwargs)


class Unregistered(OwnSurrogate):
    pass


@register
class Idle(OwnSurrogate):
    def __init__(self, asu, **kwargs):
        super().__init__(asu, **kwargs)
        self.idle = self.add_weight(name="idle", shape=(), initializer="zeros")


@pytest.mark.parametrize(
    ("make", "check", "fault"),
    [
        (WrongStart, "assigned moments", "assign_moments with the mean .* gave .* at refl_id"),
        (lambda asu: LosesItsOption(asu, 2.0), "configuration", "made again from its configuration.* every argument"),
        (lambda asu: NeedsItsOption(asu, 2.0), "configuration", "cannot be made again .*missing.*'factor'"),
        (
            Unregistered,
            "registration",
            "not registered with Keras: decorate with @keras.saving.register_keras_serializable",
        ),
        (Idle, "training", "weight idle did not move in training"),
    ],
    ids=["start", "lost option", "needed option", "unregistered", "idle weight"],
)
def test_a_broken_surrogate_is_caught(make, check, fault):
    expect(testing.check_surrogate, make, check, fault)


def test_the_report_names_every_fault_at_once():
    table = testing.check_surrogate(with_distribution(Unnormalised), report=True)
    failed = table[~table["passed"].fillna(True)]
    assert "normalisation" in set(failed["check"])
    assert len(table) - len(failed) > 10
    assert (failed["message"].str.len() > 0).all()
