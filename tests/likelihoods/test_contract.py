"""What every public likelihood and every public error model must do."""

import inspect
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from vimerge import likelihoods

NOISE = {
    likelihoods.Normal: (likelihoods.Normal, stats.norm),
    likelihoods.StudentT: (lambda **kw: likelihoods.StudentT(4.0, **kw), stats.t(4.0)),
}
ERROR_MODELS = {likelihoods.Evans2011: lambda: likelihoods.Evans2011(sdfac=1.4, sdb=0.7, sdadd=0.05)}


def named(table):
    return [pytest.param(*v, id=k.__name__) for k, v in table.items()]


@pytest.fixture(params=[None, *ERROR_MODELS], ids=lambda cls: cls.__name__ if cls else "none")
def error_model(request):
    return ERROR_MODELS[request.param]() if request.param else None


@pytest.fixture(params=NOISE, ids=lambda cls: cls.__name__)
def likelihood(request, error_model):
    return NOISE[request.param][0](error_model=error_model)


def batch_of(iobs, sigiobs, harmonic_id=None):
    iobs = np.asarray(iobs, np.float32)
    harmonic_id = np.arange(len(iobs)) if harmonic_id is None else harmonic_id
    return {
        "iobs": tf.constant(iobs),
        "sigiobs": tf.constant(np.broadcast_to(np.asarray(sigiobs, np.float32), iobs.shape)),
        "harmonic_id": tf.constant(harmonic_id, tf.int32),
    }


@pytest.fixture
def batch():
    rng = np.random.default_rng(3)
    return batch_of(rng.normal(50.0, 30.0, 20), rng.uniform(1.0, 10.0, 20))


@pytest.fixture
def ipred():
    return np.random.default_rng(4).gamma(1.0, 50.0, (3, 20)).astype(np.float32)


def public(base):
    members = {getattr(likelihoods, name) for name in likelihoods.__all__}
    return {c for c in members if inspect.isclass(c) and issubclass(c, base)} - {base}


def test_every_public_likelihood_is_in_the_table():
    assert public(likelihoods.Likelihood) == set(NOISE)


def test_every_public_error_model_is_in_the_table():
    assert public(likelihoods.ErrorModel) == set(ERROR_MODELS)


@pytest.mark.parametrize(("make", "reference"), named(NOISE))
def test_density_is_that_of_scipy(make, reference, batch, ipred):
    z = (batch["iobs"] - ipred) / batch["sigiobs"]
    expected = reference.logpdf(z.numpy().astype(np.float64)) - np.log(batch["sigiobs"])
    log_prob = make()(ipred, batch)
    assert log_prob.shape == (3, 20)
    np.testing.assert_allclose(log_prob, expected, rtol=1e-4, atol=1e-4)


def test_density_integrates_to_one_over_the_observed_intensity(likelihood):
    # z = tan θ takes in the tails of any noise.
    theta = (np.arange(20_000) + 0.5) / 20_000 * np.pi - np.pi / 2
    for predicted, sigma in ((100.0, 3.0), (0.1, 1.0)):
        batch = batch_of(predicted + sigma * np.tan(theta), sigma)
        density = np.exp(likelihood(np.full((1, len(theta)), predicted, np.float32), batch).numpy().astype(np.float64))
        integral = np.sum(density * sigma / np.cos(theta) ** 2, axis=1) * np.pi / len(theta)
        np.testing.assert_allclose(integral, 1.0, rtol=1e-3)


def test_distribution_and_call_agree(likelihood, batch, ipred):
    distribution = likelihood.distribution(ipred, batch)
    assert distribution.batch_shape == (3, 20)
    np.testing.assert_array_equal(distribution.log_prob(batch["iobs"]), likelihood(ipred, batch))
    np.testing.assert_allclose(distribution.mean(), ipred, rtol=1e-6)


def test_single_harmonics_are_monochromatic_data(likelihood, batch, ipred):
    expected = likelihood(ipred, batch)
    shuffled = np.random.default_rng(0).permutation(20)
    harmonics = {**batch, "harmonic_id": tf.constant(shuffled, tf.int32)}
    np.testing.assert_array_equal(likelihood(ipred[:, shuffled], harmonics), expected)


def test_two_predictions_of_one_observation_add_up(likelihood, batch, ipred):
    expected = likelihood(ipred, batch)
    share = np.random.default_rng(1).uniform(0.1, 0.9, ipred.shape).astype(np.float32)
    order = np.random.default_rng(2).permutation(40)
    parts = np.concatenate([share * ipred, (1 - share) * ipred], axis=1)[:, order]
    harmonics = {**batch, "harmonic_id": tf.constant(np.tile(np.arange(20), 2)[order], tf.int32)}
    log_prob = likelihood(parts, harmonics)
    assert log_prob.shape == (3, 20)
    np.testing.assert_allclose(log_prob, expected, rtol=1e-4, atol=1e-4)


def test_gradients_reach_the_prediction_and_every_parameter(likelihood, batch, ipred):
    ipred = tf.constant(ipred)
    with tf.GradientTape() as tape:
        tape.watch(ipred)
        value = tf.reduce_sum(likelihood(ipred, batch))
    for gradient in tape.gradient(value, [ipred, *likelihood.trainable_variables]):
        assert np.all(np.isfinite(gradient))
        assert np.all(np.asarray(gradient) != 0)


def test_extreme_predictions_have_finite_densities_and_gradients(likelihood):
    batch = batch_of([-5.0, 0.0, 1e6, 1.0], [1e-3, 1.0, 1e3, 1e6])
    ipred = tf.constant([[1e-30, 1e6, 1e-30, 1e7]])
    with tf.GradientTape() as tape:
        tape.watch(ipred)
        log_prob = likelihood(ipred, batch)
    assert np.all(np.isfinite(log_prob))
    assert np.all(np.isfinite(tape.gradient(log_prob, ipred)))


def test_parameters_are_the_error_models_by_name(likelihood):
    parameters = likelihood.parameters()
    assert len(parameters) == len(likelihood.trainable_variables)
    assert all(isinstance(value, float) for value in parameters.values())


def test_configuration_makes_it_again(likelihood, batch, ipred):
    for weight in likelihood.trainable_variables:
        weight.assign(weight + 0.3)
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(likelihood)))
    again = keras.saving.deserialize_keras_object(config)
    assert type(again) is type(likelihood)
    assert type(again.error_model) is type(likelihood.error_model)
    again.set_weights(likelihood.get_weights())
    np.testing.assert_array_equal(again(ipred, batch), likelihood(ipred, batch))
    assert again.parameters() == likelihood.parameters()


@pytest.mark.parametrize(("make", "reference"), named(NOISE))
def test_only_an_error_model_may_be_one(make, reference):
    with pytest.raises(TypeError, match="must be an ErrorModel or None, not str"):
        make(error_model="evans")
