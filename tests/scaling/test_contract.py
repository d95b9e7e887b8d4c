"""What every public scaling model and every public family of q(Σ) must do."""

import inspect
import json
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from vimerge import scaling
from vimerge.scaling.posteriors import POSTERIORS

KEYS = ("ROT", "dHKL", "XDET", "YDET", "Hobs", "Kobs", "Lobs")
# Of the observed indices, the direction is as good as any.
DIRECTION = ("Hobs", "Kobs", "Lobs")
IMAGES = 90

NETWORKS = {
    "MLP": lambda **kw: scaling.MLP(KEYS, width=8, depth=2, encode={"ROT": 3, "XDET": 1}, **kw),
    "ImageLayers": lambda **kw: scaling.ImageLayers(KEYS, IMAGES, width=8, depth=1, **kw),
}
MODELS = {
    **NETWORKS,
    "ImageScale": lambda **kw: scaling.ImageScale(KEYS, IMAGES, **kw),
    "Smooth": lambda **kw: scaling.Smooth(KEYS, [(0, 180)], spacing=20.0, **kw),
    "Absorption": lambda **kw: scaling.Absorption(KEYS, DIRECTION, degree=3, **kw),
    "Detector": lambda **kw: scaling.Detector(KEYS, nodes=(3, 4), **kw),
    "Sum": lambda **kw: scaling.Sum(
        [
            scaling.MLP(KEYS, width=4, depth=1, **kw),
            scaling.ImageScale(KEYS, IMAGES, **kw),
            scaling.Detector(KEYS, **kw),
        ]
    ),
}
POSTERIOR_TABLE = {
    "delta": scaling.Delta,
    "log-normal": scaling.LogNormal,
    "gamma": scaling.Gamma,
    "folded-normal": scaling.FoldedNormal,
}


@pytest.fixture(params=POSTERIOR_TABLE)
def posterior(request):
    return request.param


@pytest.fixture(params=MODELS)
def model(request, posterior):
    return MODELS[request.param](posterior=posterior)


@pytest.fixture(scope="module")
def observed(simulation):
    from vimerge.reflections import Reflections

    return Reflections.from_dataset(simulation.observations, metadata=list(KEYS))


@pytest.fixture(scope="module")
def batch(observed):
    return next(iter(observed[:100].dataset()))


def randomize(layer, seed=0, size=0.3):
    """Give every trained weight a value, the last layer's too."""
    rng = np.random.default_rng(seed)
    for weight in layer.trainable_variables:
        weight.assign(rng.normal(0, size, weight.shape))


def public(base):
    members = {getattr(scaling, name) for name in scaling.__all__}
    return {c for c in members if inspect.isclass(c) and issubclass(c, base)} - {base}


def test_every_public_posterior_is_in_the_table_and_has_a_name():
    assert public(scaling.ScalePosterior) == set(POSTERIOR_TABLE.values())
    assert POSTERIORS == POSTERIOR_TABLE


def test_training_starts_at_the_mean_scale_whatever_the_metadata(model, observed, batch):
    for mean_scale in (1e-6, 1e6):
        model.adapt(observed, mean_scale)
        for metadata in (1e3 * batch["metadata"], tf.zeros_like(batch["metadata"])):
            moved = {**batch, "metadata": metadata}
            np.testing.assert_allclose(tf.exp(model._parameters(moved)[:, 0]), mean_scale, rtol=1e-5)
            distribution = model.distribution(moved)
            scale = distribution.mean().numpy()
            assert scale.shape == (100,)
            # A log-normal with the median 1 and sd 0.05 has the mean exp(0.05²/2).
            np.testing.assert_allclose(scale, mean_scale * np.exp(0.05**2 / 2), rtol=2e-3)
            np.testing.assert_allclose(scale, scale[0], rtol=1e-6)
            relative = 0.0 if isinstance(model.posterior, scaling.Delta) else 0.05
            np.testing.assert_allclose(distribution.stddev() / scale, relative, rtol=2e-3)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(("shift", "origin"), [(0.0, 0.0), (5000.0, -7.0)], ids=["never negative", "of both signs"])
def test_the_unit_of_the_metadata_does_not_matter_to_a_network_nor_an_origin_that_is_arbitrary(
    name, posterior, observed, batch, shift, origin
):
    model = NETWORKS[name](posterior=posterior)
    randomize(model)
    unit = np.array([4.0, 0.01, 1e3, 10.0, 2.0, 1.0, 0.5], np.float32)
    # Exact in float32, that the shift may lose no digits.
    grid = {
        name: np.round(64 * np.asarray(m)) / 64 - shift
        for name, m in (("all", observed.metadata), ("batch", batch["metadata"]))
    }
    scales = []
    for convert in (lambda m: m, lambda m: m * unit + origin):
        metadata = {name: convert(m).astype(np.float32) for name, m in grid.items()}
        model.adapt(replace(observed, metadata=metadata["all"]), 2.0)
        scales.append(model({**batch, "metadata": metadata["batch"]}).numpy())
    assert np.std(np.log(scales[0])) > 0.05
    np.testing.assert_allclose(scales[1], scales[0], rtol=5e-3)


@pytest.mark.parametrize("constant", [0.0, 0.25, 1.7, 1e6, -3.0])
@pytest.mark.parametrize("name", MODELS)
def test_a_column_that_is_constant_here_does_no_harm(name, observed, constant):
    model = MODELS[name](posterior="log-normal")
    metadata = observed.metadata.copy()
    metadata[:, 1:3] = constant
    flat = replace(observed, metadata=metadata)
    model.adapt(flat)
    randomize(model)
    metadata[:, 1:3] = constant + 1.0
    for values in (flat.metadata, metadata):
        scale = model({"metadata": tf.constant(values), "image_id": tf.constant(observed.image_id)}).numpy()
        assert np.all(np.isfinite(scale))
        assert np.abs(np.log(scale)).max() < 50


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
        gradients = [tf.convert_to_tensor(g) for g in tape.gradient(loss, model.trainable_variables)]
        optimizer.apply(gradients, model.trainable_variables)
    for gradient, weight in zip(gradients, model.trainable_variables, strict=True):
        assert np.all(np.isfinite(gradient)), weight.path
        assert np.any(np.asarray(gradient) != 0), weight.path


def scipy_of(distribution):
    """SciPy's distributions of the same parameters."""
    name = type(distribution).__name__
    if name == "LogNormal":
        return stats.lognorm(
            distribution.scale.numpy().astype(float), scale=np.exp(distribution.loc.numpy(), dtype=float)
        )
    if name == "Gamma":
        return stats.gamma(distribution.concentration.numpy().astype(float), scale=1.0 / distribution.rate.numpy())
    loc, scale = distribution.loc.numpy().astype(float), distribution.scale.numpy().astype(float)
    return stats.foldnorm(loc / scale, scale=scale)


def test_kl_is_that_of_monte_carlo_to_a_prior_about_the_mean_scale(model, observed, batch):
    model.adapt(observed, 3.0)
    randomize(model, size=0.1)
    distribution = model.distribution(batch)
    assert np.std(np.log(distribution.mean())) > 0.01
    sample = distribution.sample(1000, seed=5)
    kl = model.kl_divergence(distribution, sample).numpy()
    assert kl.shape == (100,)
    if isinstance(model.posterior, scaling.Delta):
        np.testing.assert_array_equal(kl, 0.0)
        return
    sd = model.posterior.prior_sd
    prior = {
        scaling.LogNormal: stats.lognorm(sd, scale=3.0),
        scaling.Gamma: stats.gamma(1 / sd**2, scale=3.0 * sd**2),
        scaling.FoldedNormal: stats.foldnorm(1 / sd, scale=3.0 * sd),
    }[type(model.posterior)]
    x = sample.numpy().astype(np.float64)
    difference = scipy_of(distribution).logpdf(x) - prior.logpdf(x)
    error = difference.std(axis=0) / np.sqrt(len(x))
    assert np.all(np.abs(difference.mean(axis=0) - kl) < 5 * error + 1e-4)


def test_a_compiled_step_is_that_without_compiling(observed, batch):
    # Compiling takes its time: all at once, and a network only as small as it can be.
    parts = [MODELS[name](posterior="delta") for name in ("ImageScale", "Smooth", "Detector")]
    parts.append(scaling.Absorption(KEYS, DIRECTION, degree=2))
    parts.append(scaling.ImageLayers(KEYS, IMAGES, width=2, depth=0, encode={"ROT": 1}))
    model = scaling.Sum(parts)
    model.adapt(observed, 3.0)
    randomize(model)

    def step(batch):
        with tf.GradientTape() as tape:
            loss = tf.add_n([tf.reduce_sum(tf.sin(model._parameters(batch))), *model.losses])
        return [loss, *(tf.convert_to_tensor(g) for g in tape.gradient(loss, model.trainable_variables))]

    inputs = {key: batch[key] for key in ("metadata", "image_id")}
    for ours, theirs in zip(tf.function(step, jit_compile=True)(inputs), step(inputs), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", MODELS)
def test_learned_numbers_are_fit_for_a_run_record(name, observed):
    model = MODELS[name](posterior="delta")
    model.adapt(observed, 3.0)
    randomize(model)
    learned = model.parameters()
    assert json.loads(json.dumps(learned)) == learned
    assert bool(learned) == (name not in NETWORKS)


@pytest.mark.parametrize("name", MODELS)
def test_other_metadata_are_refused_with_the_fix(name, reflections):
    model = MODELS[name](posterior="delta")
    for _ in range(2):
        with pytest.raises(ValueError, match=r"read them with metadata=\['ROT', 'dHKL', .*\]\.$") as caught:
            model.adapt(reflections)
        assert ", ".join(reflections.metadata_keys) in str(caught.value)
        model.trainable = False


def test_an_unknown_posterior_is_refused_with_the_names_there_are():
    with pytest.raises(ValueError, match=r"no scale posterior 'beta'; there are: delta, log-normal, gamma, folded-n"):
        scaling.MLP(KEYS, posterior="beta")
    with pytest.raises(TypeError, match="must be a ScalePosterior or its name, not int"):
        scaling.MLP(KEYS, posterior=3)
