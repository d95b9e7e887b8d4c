"""What every public likelihood and every public error model must do."""

import json
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from .conftest import ALL_PAIRS, ERROR_MODELS, FILES, IMAGES, NOISE, PAIRS, batch_of, make


@pytest.fixture(params=PAIRS, ids="-".join)
def likelihood(request):
    return make(*request.param)


@pytest.fixture(params=ERROR_MODELS)
def error_model(request):
    return ERROR_MODELS[request.param][1]()


@pytest.mark.parametrize("noise", NOISE)
def test_density_is_its_formula(noise, batch, ipred):
    z = (batch["iobs"] - ipred) / batch["sigiobs"]
    expected = NOISE[noise][2](z.numpy().astype(np.float64)) - np.log(batch["sigiobs"])
    log_prob = make(noise)(ipred, batch)
    assert log_prob.shape == (3, 20)
    np.testing.assert_allclose(log_prob, expected, rtol=1e-4, atol=1e-4)


def test_distribution_and_call_agree(likelihood, batch, ipred):
    distribution = likelihood.distribution(ipred, batch)
    assert distribution.batch_shape == (3, 20)
    np.testing.assert_array_equal(distribution.log_prob(batch["iobs"]), likelihood(ipred, batch))
    np.testing.assert_allclose(distribution.mean(), ipred, rtol=1e-6)


@pytest.mark.parametrize("pair", ALL_PAIRS, ids="-".join)
def test_gradients_reach_the_prediction_and_every_parameter(pair, batch, ipred):
    likelihood, ipred = make(*pair), tf.constant(ipred)
    with tf.GradientTape() as tape:
        tape.watch(ipred)
        value = tf.reduce_sum(likelihood(ipred, batch))
    for gradient in tape.gradient(value, [ipred, *likelihood.trainable_variables]):
        gradient = np.asarray(tf.convert_to_tensor(gradient))
        assert np.all(np.isfinite(gradient))
        assert np.all(gradient != 0)


@pytest.mark.parametrize("pair", ALL_PAIRS, ids="-".join)
def test_extremes_have_finite_densities_and_gradients(pair):
    likelihood = make(*pair)
    sigma, predicted, observed = np.meshgrid(
        [1e-6, 1e-3, 1.0, 1e3, 1e6], [0.0, 1e-30, 1.0, 1e4, 1e8], [-5.0, 0.0, 1.0, 1e6], indexing="ij"
    )
    batch, ipred = batch_of(observed.ravel(), sigma.ravel()), tf.constant(predicted.reshape(1, -1), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(ipred)
        log_prob = likelihood(ipred, batch)
    assert np.all(np.isfinite(log_prob))
    for gradient in tape.gradient(log_prob, [ipred, *likelihood.trainable_variables]):
        assert np.all(np.isfinite(tf.convert_to_tensor(gradient)))


@pytest.mark.parametrize("pair", ALL_PAIRS, ids="-".join)
def test_parameters_are_all_that_is_learned(pair):
    likelihood = make(*pair)
    parameters = json.loads(json.dumps(likelihood.parameters()))
    assert parameters == likelihood.parameters()
    assert sum(np.size(value) for value in parameters.values()) == sum(
        np.prod(w.shape, dtype=int) for w in likelihood.trainable_variables
    )
    assert all(np.asarray(value).dtype == float for value in parameters.values())


@pytest.fixture(scope="module")
def few(reflections):
    """Some images, the first of them in one file and the rest in another."""
    few = reflections[reflections.image_id < IMAGES]
    images = reflections.images.iloc[:IMAGES].assign(file_id=np.arange(IMAGES) * FILES // IMAGES)
    return replace(few, images=images)


@pytest.mark.parametrize("noise", NOISE)
def test_only_an_error_model_may_be_one(noise):
    with pytest.raises(TypeError, match="must be an ErrorModel or None, not str"):
        NOISE[noise][1](error_model="evans")
