"""What every public prior must do."""

import inspect
import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from vimerge import priors

from .conftest import MEMBERS, log_density


@pytest.fixture
def observations(asu, table):
    """Three observations of each reflection, some of them negative, and two gross outliers."""
    rng = np.random.default_rng(4)
    refl_id = np.repeat(np.arange(60), 3)
    true = 50.0 * asu.epsilon * np.exp(-4.0 * asu.s2) * rng.exponential(size=60)
    iobs = true[refl_id] + 10.0 * rng.normal(size=180)
    iobs[[20, 90]] = 1e5, -1e5
    return table(asu, refl_id, iobs, 10.0)


def test_every_public_fall_off_is_in_the_table(asu):
    public = {c for c in (getattr(priors, name) for name in priors.__all__) if inspect.isclass(c)}
    falloffs = {c for c in public if issubclass(c, priors.FallOff)} - {priors.FallOff}
    assert {type(make(asu).falloff) for make in MEMBERS.values()} == falloffs


def test_every_public_correlation_is_in_the_table(asu):
    public = {c for c in (getattr(priors, name) for name in priors.__all__) if inspect.isclass(c)}
    correlations = {c for c in public if issubclass(c, priors.Correlation)} - {priors.Correlation}
    made = [make(asu) for make in MEMBERS.values()]
    assert {type(p.correlation) for p in made if isinstance(p, priors.MultivariateWilson)} == correlations


def test_other_variates_are_refused(prior):
    with pytest.raises(ValueError, match="'amplitude' or 'intensity', not over 'phase'"):
        prior.distribution(over="phase")


def test_it_takes_what_it_needs_from_data_with_outliers(prior, observations, asu):
    prior.adapt(observations)
    assert np.all(np.isfinite(prior(tf.range(60))))
    log_prob = prior.distribution().log_prob(np.sqrt(prior(tf.range(60))))
    assert np.all(np.isfinite(log_prob))
    if not isinstance(prior.falloff, priors.GivenFallOff):
        typical = 50.0 * np.exp(-4.0 * asu.s2.mean())
        assert 0.5 * typical < np.exp(np.mean(np.log(prior.falloff.mean_intensity()))) < 2.0 * typical


def test_parameters_are_those_that_are_trained(prior):
    parameters = json.loads(json.dumps(prior.parameters()))
    assert parameters == prior.parameters()
    assert bool(parameters) == bool(prior.trainable_variables)
    assert all(np.asarray(value).dtype == float for value in parameters.values())


def test_every_trained_weight_matters_and_is_reported(prior):
    refl_id = np.arange(60, dtype=np.int32)
    with tf.GradientTape() as tape:
        log_prob = tf.reduce_sum(log_density(prior, refl_id, 0.7 * tf.ones(60)))
    for gradient in tape.gradient(log_prob, prior.trainable_variables):
        assert np.all(np.isfinite(gradient))
        assert np.all(gradient != 0)
    before = prior.parameters()
    for weight in prior.trainable_variables:
        weight.assign(weight + 0.1 * np.arange(1, 1 + np.prod(weight.shape)).reshape(weight.shape))
    after = prior.parameters()
    # The resolutions at which numbers are reported stay.
    assert all((np.asarray(after[name]) == value).all() == name.endswith("_d") for name, value in before.items())


def test_overall_level_of_a_learned_fall_off_is_fixed(prior):
    def level():
        return np.mean(np.log(prior.falloff.mean_intensity().numpy().astype(np.float64)))

    before = level()
    for weight in prior.falloff.trainable_variables:
        weight.assign(weight + np.linspace(-1.0, 1.0, weight.shape[0] + 1)[1:])
    assert level() == pytest.approx(before, abs=1e-5)


@pytest.mark.parametrize(
    ("name", "over"),
    [
        ("wilson-anisotropic-learned", "amplitude"),
        ("wilson-smooth-learned", "intensity"),
        pytest.param("reference-all-learned", "amplitude", marks=pytest.mark.slow),
        ("reference-all-learned", "intensity"),
        ("multivariate-all-learned", "intensity"),
    ],
)
def test_compiled_by_xla_it_is_the_same(name, over, asu):
    prior, refl_id, x = MEMBERS[name](asu), np.arange(60, dtype=np.int32), tf.linspace(0.1, 5.0, 60)

    def run():
        with tf.GradientTape() as tape:
            tape.watch(x)
            log_prob = log_density(prior, refl_id, x, over)
        gradients = tape.gradient(log_prob, [x, *prior.trainable_variables])
        return log_prob, prior.distribution(refl_id, over="intensity").mean(), *gradients

    for compiled, eager in zip(tf.function(run, jit_compile=True)(), run(), strict=True):
        np.testing.assert_allclose(compiled, eager, rtol=1e-4, atol=1e-5 * np.abs(eager).max())


def test_configuration_and_weights_make_it_again(prior, observations):
    prior.adapt(observations)
    for weight in prior.trainable_variables:
        weight.assign(weight + 0.3)
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(prior), allow_nan=False))
    again = keras.saving.deserialize_keras_object(config)
    assert type(again) is type(prior)
    assert again.asu.matches(prior.asu)
    again.set_weights(prior.get_weights())
    x = np.sqrt(prior(tf.range(60)))
    for over in ("amplitude", "intensity"):
        np.testing.assert_array_equal(
            again.distribution(over=over).log_prob(x), prior.distribution(over=over).log_prob(x)
        )
        refl_id = np.arange(60, dtype=np.int32)
        np.testing.assert_array_equal(log_density(again, refl_id, x, over), log_density(prior, refl_id, x, over))
    assert again.parameters() == prior.parameters()
