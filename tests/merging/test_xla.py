"""A step as one XLA program: what GPUs run."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from vimerge import VariationalMergingModel, likelihoods, priors, scaling, surrogates
from vimerge.merging import recipe
from vimerge.merging.collapsed import collapsed_elbo

SCALINGS = {
    "mlp": lambda r: scaling.MLP(r.metadata_keys, width=8, depth=1),
    "physical": scaling.physical,
    "image": lambda r: scaling.ImageScale(r.metadata_keys, r.n_images),
}
# The default of each part, and each of the others once.
MODELS = {
    "french-wilson": (surrogates.FrenchWilson, lambda **errors: likelihoods.StudentT(learn_dof=True, **errors), "mlp"),
    "gamma": (surrogates.Gamma, likelihoods.Normal, "physical"),
    "rice": (surrogates.RiceWoolfson, likelihoods.ContaminatedNormal, "image"),
}


@pytest.fixture(scope="module")
def data(simulation):
    from vimerge.reflections import Reflections

    return Reflections.from_dataset(simulation.observations, anomalous=True)


@pytest.fixture(params=["french-wilson", *(pytest.param(name, marks=pytest.mark.slow) for name in ("gamma", "rice"))])
def model(request, data):
    surrogate, likelihood, scale = MODELS[request.param]
    made = VariationalMergingModel(
        surrogate(data.asu),
        priors.Wilson(data.asu),
        SCALINGS[scale](data),
        likelihood(error_model=likelihoods.PerGroup(likelihoods.Evans2011, "image", data.n_images)),
        mc_samples=20,
        seed=4,
    )
    made.initialize(data)
    return made


def gradient(model, batch, objective, compiled, times=1):
    """Loss and gradient of a batch, for as many draws of the samples."""

    def loss(batch):
        with tf.GradientTape() as tape:
            bound = model.elbo(batch) if objective == "elbo" else collapsed_elbo(model, batch)
            value = model.loss_of(bound)
        variables = [*model.scaling.trainable_variables, *model.likelihood.trainable_variables]
        gradients = tape.gradient(value, variables)
        return value, tf.concat([tf.reshape(tf.convert_to_tensor(g), [-1]) for g in gradients], 0)

    function = tf.function(loss, jit_compile=compiled, autograph=False)
    losses, gradients = zip(*(function(batch) for _ in range(times)), strict=True)
    return np.array(losses), np.array(gradients)


def test_the_integral_over_f_is_the_same_when_compiled(model, data):
    batch = next(iter(data.dataset(1000, by="reflection", static=True)))
    (plain, slope), (compiled, compiled_slope) = (gradient(model, batch, "collapsed", how) for how in (False, True))
    np.testing.assert_allclose(compiled, plain, rtol=1e-4)
    assert np.linalg.norm(compiled_slope - slope) < 1e-3 * np.linalg.norm(slope)


@pytest.mark.slow
def test_the_elbo_has_the_same_distribution_when_compiled(model, data):
    """XLA draws other numbers from the same seed."""
    batch = next(iter(data.dataset(1000, static=True)))
    (plain, slope), (compiled, compiled_slope) = (gradient(model, batch, "elbo", how, 12) for how in (False, True))
    assert abs(plain.mean() - compiled.mean()) < 4 * np.hypot(plain.std(), compiled.std()) / np.sqrt(12)
    error = np.sqrt((slope.var(axis=0) + compiled_slope.var(axis=0)) / 12)
    z = (slope.mean(axis=0) - compiled_slope.mean(axis=0))[error > 0] / error[error > 0]
    assert 0.6 < z.std() < 1.6
    assert abs(z).max() < 8


COMPILED = """
from vimerge.merging import recipe
from vimerge.reflections import Reflections
from vimerge.simulation import simulate

made = simulate(cell=(26.0, 30.0, 34.0, 90.0, 90.0, 90.0), dmin=2.8, images=90, oscillation=2.0, seed=3)
data = Reflections.from_dataset(made.observations, anomalous=True)
model = recipe.make_model(data, width=8, depth=1, seed=1)
history = recipe.train(model, data, epochs=2, batch_size=1000, jit_compile=True)
assert model.jit_compile
assert history["skipped"].sum() == 0
assert history["elbo"].iloc[-1] > history["elbo"].iloc[0]
"""


@pytest.mark.slow
def test_a_compiled_training_learns():
    """In a process of its own: operations once made deterministic, as seeds make them here, are never compiled."""
    subprocess.run([sys.executable, "-c", COMPILED], check=True, capture_output=True)


@pytest.mark.parametrize("by", ["observation", "reflection"])
def test_all_batches_of_a_compiled_training_have_one_shape(data, by):
    shapes = {batch["iobs"].shape for batch in data.dataset(1000, by=by, static=True)}
    assert len(shapes) == 1


def test_what_fills_a_batch_up_counts_for_nothing(data):
    made = recipe.make_model(data, width=8, depth=1, seed=1)

    def mean(static):
        batches = data.dataset(1000, by="reflection", shuffle=False, static=static)
        return np.mean([collapsed_elbo(made, batch) for batch in batches], axis=0)

    np.testing.assert_allclose(mean(True), mean(False), rtol=1e-4)
