"""What every public likelihood and every public error model must do."""

import json
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf

from vimerge import VariationalMergingModel, likelihoods

from .conftest import ALL_PAIRS, ERROR_MODELS, FILES, IMAGES, NOISE, PAIRS, batch_of, make, public


@pytest.fixture(params=PAIRS, ids="-".join)
def likelihood(request):
    return make(*request.param)


@pytest.fixture(params=ERROR_MODELS)
def error_model(request):
    return ERROR_MODELS[request.param][1]()


def test_every_public_likelihood_is_in_the_table():
    assert public(likelihoods.Likelihood) == {cls for cls, *_ in NOISE.values()}


def test_every_public_error_model_is_in_the_table():
    assert public(likelihoods.ErrorModel) == {cls for cls, _ in ERROR_MODELS.values()}


@pytest.mark.parametrize("noise", NOISE)
def test_density_is_its_formula(noise, batch, ipred):
    z = (batch["iobs"] - ipred) / batch["sigiobs"]
    expected = NOISE[noise][2](z.numpy().astype(np.float64)) - np.log(batch["sigiobs"])
    log_prob = make(noise)(ipred, batch)
    assert log_prob.shape == (3, 20)
    np.testing.assert_allclose(log_prob, expected, rtol=1e-4, atol=1e-4)


def test_density_integrates_to_one_over_the_observed_intensity(likelihood):
    # z = tan θ takes in the tails of any noise.
    theta = (np.arange(20_000) + 0.5) / 20_000 * np.pi - np.pi / 2
    for predicted, sigma in ((100.0, 3.0), (0.1, 1.0)):
        batch = batch_of(predicted + sigma * np.tan(theta), sigma)
        # One image and one row of metadata, or each point of the grid would have an error of its own.
        batch |= {name: tf.repeat(batch[name][:1], len(theta), axis=0) for name in ("image_id", "metadata")}
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
    order = np.random.default_rng(0).permutation(20)
    harmonics = {name: tf.gather(batch[name], order) for name in ("harmonic_id", "image_id", "metadata")}
    np.testing.assert_allclose(likelihood(ipred[:, order], batch | harmonics), expected, rtol=1e-6)


def test_two_predictions_of_one_observation_add_up(likelihood, batch, ipred):
    expected = likelihood(ipred, batch)
    share = np.random.default_rng(1).uniform(0.1, 0.9, ipred.shape).astype(np.float32)
    order = np.random.default_rng(2).permutation(40)
    parts = np.concatenate([share * ipred, (1 - share) * ipred], axis=1)[:, order]
    harmonics = {name: tf.gather(batch[name], order % 20) for name in ("harmonic_id", "image_id", "metadata")}
    log_prob = likelihood(parts, batch | harmonics)
    assert log_prob.shape == (3, 20)
    np.testing.assert_allclose(log_prob, expected, rtol=1e-4, atol=1e-4)


def test_an_observation_does_not_depend_on_the_rest_of_its_batch(likelihood, batch, ipred):
    expected = likelihood(ipred, batch).numpy()
    rows = np.random.default_rng(6).permutation(20)[:7]
    part = {name: tf.gather(values, rows) for name, values in batch.items()} | {"harmonic_id": tf.range(7)}
    np.testing.assert_allclose(likelihood(ipred[:, rows], part), expected[:, rows], rtol=1e-5)


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


def test_errors_are_positive_and_grow_with_those_of_integration(error_model):
    sigma = np.geomspace(1e-6, 1e6, 400).astype(np.float32)
    for predicted in (0.0, 1.0, 1e3, 1e8):
        batch = batch_of(np.zeros(400), sigma)
        batch |= {name: tf.repeat(batch[name][:1], 400, axis=0) for name in ("image_id", "metadata")}
        error = np.broadcast_to(error_model(tf.fill([1, 400], predicted), batch), (1, 400))
        assert np.all(error > 0)
        # Float32 cannot tell neighbours apart where the prediction makes up the error.
        assert np.all(np.diff(error) >= -1e-6 * error[:, 1:])


@pytest.mark.parametrize("pair", ALL_PAIRS, ids="-".join)
def test_parameters_are_all_that_is_learned(pair):
    likelihood = make(*pair)
    parameters = json.loads(json.dumps(likelihood.parameters()))
    assert parameters == likelihood.parameters()
    assert sum(np.size(value) for value in parameters.values()) == sum(
        np.prod(w.shape, dtype=int) for w in likelihood.trainable_variables
    )
    assert all(np.asarray(value).dtype == float for value in parameters.values())


@pytest.mark.parametrize("pair", ALL_PAIRS, ids="-".join)
def test_configuration_makes_it_again(pair, batch, ipred):
    likelihood = make(*pair)
    for weight in likelihood.trainable_variables:
        weight.assign(weight + 0.3)
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(likelihood)))
    again = keras.saving.deserialize_keras_object(config)
    assert type(again) is type(likelihood)
    assert type(again.error_model) is type(likelihood.error_model)
    again.set_weights(likelihood.get_weights())
    np.testing.assert_array_equal(again(ipred, batch), likelihood(ipred, batch))
    assert again.parameters() == likelihood.parameters()


@pytest.fixture(scope="module")
def few(reflections):
    """Some images, the first of them in one file and the rest in another."""
    few = reflections[reflections.image_id < IMAGES]
    images = reflections.images.iloc[:IMAGES].assign(file_id=np.arange(IMAGES) * FILES // IMAGES)
    return replace(few, images=images)


@pytest.mark.parametrize(
    "pair", [*((noise, "none") for noise in NOISE), *(("contaminated", e) for e in ERROR_MODELS)], ids="-".join
)
def test_trains_without_a_skipped_step_and_is_saved(pair, few, make_model, tmp_path):
    likelihood = make(*pair)
    if pair[1] == "neural":
        likelihood = NOISE[pair[0]][1](error_model=likelihoods.Neural(units=3, n_metadata=few.metadata.shape[1]))
    model = make_model(few, likelihood=likelihood)
    before = likelihood.parameters()
    model.compile(keras.optimizers.Adam(0.01), run_eagerly=True)
    history = model.fit(few.dataset(300), epochs=2, verbose=0).history
    assert history["skipped"] == [0, 0]
    after = likelihood.parameters()
    assert all(np.all(np.asarray(after[name]) != value) for name, value in before.items())
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(loaded, VariationalMergingModel)
    assert loaded.likelihood.parameters() == after
    batch = next(iter(few.dataset(shuffle=False)))
    predicted = model(batch)[tf.newaxis]
    np.testing.assert_array_equal(loaded.likelihood(predicted, batch), likelihood(predicted, batch))


@pytest.mark.parametrize("jit", [False, True], ids=["graph", "xla"])
@pytest.mark.parametrize(
    "pair",
    [("student-t-learned", "xds-by-file"), ("contaminated", "neural"), ("laplace", "evans-by-image")],
    ids="-".join,
)
def test_compiled_is_the_same(pair, jit, batch, ipred):
    likelihood, ipred = make(*pair), tf.constant(ipred)

    def gradients():
        with tf.GradientTape() as tape:
            log_prob = likelihood(ipred, batch)
        gradients = tape.gradient(log_prob, likelihood.trainable_variables)
        return log_prob, *(tf.convert_to_tensor(gradient) for gradient in gradients)

    for compiled, eager in zip(tf.function(gradients, jit_compile=jit)(), gradients(), strict=True):
        np.testing.assert_allclose(compiled, eager, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("noise", NOISE)
def test_only_an_error_model_may_be_one(noise):
    with pytest.raises(TypeError, match="must be an ErrorModel or None, not str"):
        NOISE[noise][1](error_model="evans")
