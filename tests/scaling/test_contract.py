"""What every public scaling model and every public family of q(Σ) must do."""

import inspect
import json
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf

from vimerge import scaling
from vimerge.scaling.posteriors import POSTERIORS

KEYS = ("ROT", "dHKL", "XDET")

MODELS = [pytest.param(lambda posterior: scaling.MLP(KEYS, width=8, depth=2, posterior=posterior), id="MLP")]
MODEL_TABLE = {scaling.MLP}
POSTERIOR_TABLE = {"delta": scaling.Delta, "log-normal": scaling.LogNormal}


@pytest.fixture(params=POSTERIOR_TABLE)
def posterior(request):
    return request.param


@pytest.fixture(params=MODELS)
def model(request, posterior):
    return request.param(posterior)


@pytest.fixture(scope="module")
def observed(simulation):
    from vimerge.reflections import Reflections

    return Reflections.from_dataset(simulation.observations, metadata=list(KEYS))


@pytest.fixture(scope="module")
def batch(observed):
    return next(iter(observed[:100].dataset()))


def randomize(layer, seed=0):
    """Give every trained weight a value, the last layer's too."""
    rng = np.random.default_rng(seed)
    for weight in layer.trainable_variables:
        weight.assign(rng.normal(0, 0.3, weight.shape))


def public(base):
    members = {getattr(scaling, name) for name in scaling.__all__}
    return {c for c in members if inspect.isclass(c) and issubclass(c, base)} - {base}


def test_every_public_scaling_model_is_in_the_table():
    assert public(scaling.Scaling) == MODEL_TABLE


def test_every_public_posterior_is_in_the_table_and_has_a_name():
    assert public(scaling.ScalePosterior) == set(POSTERIOR_TABLE.values())
    assert POSTERIORS == POSTERIOR_TABLE


def test_training_starts_at_the_mean_scale_whatever_the_metadata(model, observed, batch):
    for mean_scale in (1e-6, 3.7, 1e6):
        model.adapt(observed, mean_scale)
        for metadata in (batch["metadata"], 1e3 * batch["metadata"], tf.zeros_like(batch["metadata"])):
            median = tf.exp(model._parameters({"metadata": metadata})[:, 0])
            np.testing.assert_allclose(median, mean_scale, rtol=1e-5)
            scale = model({"metadata": metadata}).numpy()
            assert scale.shape == (100,)
            # A log-normal with the median 1 and sd 0.05 has the mean exp(0.05²/2).
            np.testing.assert_allclose(scale, mean_scale * np.exp(0.05**2 / 2), rtol=2e-3)
            np.testing.assert_allclose(scale, scale[0], rtol=1e-6)


@pytest.mark.parametrize(("shift", "origin"), [(0.0, 0.0), (5000.0, -7.0)], ids=["never negative", "of both signs"])
def test_the_unit_of_the_metadata_does_not_matter_nor_an_origin_that_is_arbitrary(
    model, observed, batch, shift, origin
):
    randomize(model)
    unit = np.array([4.0, 0.01, 1e3], np.float32)
    # Exact in float32, that the shift may lose no digits.
    grid = {
        name: np.round(64 * np.asarray(m)) / 64 - shift
        for name, m in (("all", observed.metadata), ("batch", batch["metadata"]))
    }
    scales = []
    for convert in (lambda m: m, lambda m: m * unit + origin):
        metadata = {name: convert(m).astype(np.float32) for name, m in grid.items()}
        model.adapt(replace(observed, metadata=metadata["all"]), 2.0)
        scales.append(model({"metadata": metadata["batch"]}).numpy())
    assert np.std(np.log(scales[0])) > 0.05
    np.testing.assert_allclose(scales[1], scales[0], rtol=5e-3)


def test_metadata_reach_the_network_with_zero_mean_and_unit_sd(model, observed):
    model.adapt(observed)
    features = model._features(observed.metadata).numpy()
    assert features.shape[1] >= len(KEYS)
    np.testing.assert_allclose(features.mean(axis=0, dtype=np.float64), 0.0, atol=1e-3)
    np.testing.assert_allclose(features.std(axis=0, dtype=np.float64), 1.0, rtol=1e-3)


@pytest.mark.parametrize("constant", [0.0, 0.25, 1.7, 1e6, -3.0])
def test_a_column_that_is_constant_here_does_no_harm(model, observed, constant):
    metadata = observed.metadata.copy()
    metadata[:, 1] = constant
    model.adapt(replace(observed, metadata=metadata))
    assert np.abs(model._features(metadata)).max() < 20
    randomize(model)
    metadata[:, 1] = constant + 1.0
    assert np.all(np.isfinite(model({"metadata": tf.constant(metadata)})))


def test_scales_are_positive_and_vary(model, observed, batch):
    model.adapt(observed, 5.0)
    randomize(model)
    distribution = model.distribution(batch)
    assert distribution.batch_shape == (100,)
    sample = distribution.sample(7, seed=1).numpy()
    assert sample.shape == (7, 100)
    assert np.all(sample > 0)
    assert np.std(model(batch)) > 0.1


def test_gradients_reach_every_weight_once_a_step_has_been_taken(model, observed, batch):
    model.adapt(observed, 2.0)
    assert model.trainable_variables
    optimizer = keras.optimizers.SGD(0.1)
    target = tf.exp(tf.sin(tf.range(100.0)))
    for _ in range(2):
        with tf.GradientTape() as tape:
            distribution = model.distribution(batch)
            sample = distribution.sample(8, seed=3)
            kl = model.kl_divergence(distribution, sample)
            loss = tf.reduce_mean((tf.math.log(sample) - target) ** 2) + tf.reduce_mean(kl)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
    for gradient, weight in zip(gradients, model.trainable_variables, strict=True):
        assert np.all(np.isfinite(gradient)), weight.path
        assert np.any(np.asarray(gradient) != 0), weight.path


def test_kl_is_that_of_monte_carlo(model, observed, batch):
    model.adapt(observed, 3.0)
    randomize(model)
    distribution = model.distribution(batch)
    sample = distribution.sample(20_000, seed=5)
    kl = model.kl_divergence(distribution, sample).numpy()
    assert kl.shape == (100,)
    if isinstance(model.posterior, scaling.Delta):
        np.testing.assert_array_equal(kl, 0.0)
        return
    log_sample = np.log(sample.numpy().astype(np.float64))
    mu, sd = distribution.loc.numpy(), distribution.scale.numpy()
    log_q = -np.log(sd) - (log_sample - mu) ** 2 / (2 * sd**2)
    log_p = -np.log(model.posterior.prior_sd) - (log_sample - np.log(3.0)) ** 2 / (2 * model.posterior.prior_sd**2)
    error = (log_q - log_p).std(axis=0) / np.sqrt(len(log_sample))
    assert np.all(np.abs((log_q - log_p).mean(axis=0) - kl) < 5 * error + 1e-4)


def test_configuration_makes_it_again(model, observed, batch):
    model.adapt(observed, 3.0)
    randomize(model)
    again = keras.saving.deserialize_keras_object(json.loads(json.dumps(keras.saving.serialize_keras_object(model))))
    assert type(again) is type(model)
    assert again.get_config() == model.get_config()
    again.set_weights(model.get_weights())
    for ours, theirs in ((model, again),):
        a, b = ours.distribution(batch), theirs.distribution(batch)
        np.testing.assert_array_equal(a.mean(), b.mean())
        np.testing.assert_array_equal(a.variance(), b.variance())
        x = a.sample(2, seed=1)
        np.testing.assert_array_equal(ours.kl_divergence(a, x), theirs.kl_divergence(b, x))


def test_an_unknown_posterior_is_refused_with_the_names_there_are():
    with pytest.raises(ValueError, match=r"no scale posterior 'gamma'; there are: delta, log-normal\."):
        scaling.MLP(KEYS, posterior="gamma")
    with pytest.raises(TypeError, match="must be a ScalePosterior or its name, not int"):
        scaling.MLP(KEYS, posterior=3)
