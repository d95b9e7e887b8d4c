"""The ELBO with F integrated out."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from vimerge import VariationalMergingModel, evidence, likelihoods, surrogates
from vimerge.merging.collapsed import collapsed_elbo, integrate_out

LIKELIHOODS = {
    "normal": likelihoods.Normal,
    "student-t and evans": lambda: likelihoods.StudentT(4.0, likelihoods.Evans2011(1.5, 0.5, 0.05)),
    "contaminated and xds": lambda: likelihoods.ContaminatedNormal(0.02, error_model=likelihoods.XDS(1.3, 2e-3)),
    "laplace": likelihoods.Laplace,
}


@pytest.fixture(params=LIKELIHOODS)
def likelihood(request):
    return LIKELIHOODS[request.param]()


def smooth(likelihood):
    """Whether the density is: a sum over nodes is exponentially accurate then, but not for one with a kink."""
    return not isinstance(likelihood, likelihoods.Laplace)


def honest(reflections):
    """Equivalents that agree within their errors: the posteriors have one peak."""
    from dataclasses import replace

    rng = np.random.default_rng(8)
    truth = 50.0 * rng.exponential(size=len(reflections.asu)).astype(np.float32)
    sigma = (0.5 + 0.1 * truth[reflections.refl_id] * rng.uniform(0.3, 3, len(reflections))).astype(np.float32)
    iobs = (truth[reflections.refl_id] + sigma * rng.standard_normal(len(reflections))).astype(np.float32)
    return replace(reflections, iobs=iobs, sigiobs=sigma)


def test_log_evidence_is_that_of_adaptive_quadrature(reflections, likelihood, make_model):
    data = honest(reflections)
    model = make_model(data, likelihood=likelihood)
    batch = next(iter(data.dataset(by="reflection")))
    collapsed = integrate_out(model, batch, model.scaling(batch))
    exact = evidence.exact(model, data).log_evidence[collapsed.refl_id.numpy()]
    error = collapsed.log_evidence.numpy() - exact
    assert abs(error.mean()) < 2e-3
    assert np.quantile(np.abs(error), 0.99) < (0.02 if smooth(likelihood) else 0.1)


def test_it_is_the_largest_that_the_elbo_can_be(reflections, make_model):
    data = honest(reflections)
    model = make_model(data, surrogates.TruncatedNormal, over="intensity", mc_samples=500)
    model.condition(data)
    bound = collapsed_elbo(model, next(iter(data.dataset(by="reflection"))))
    estimate = model.elbo(next(iter(data.dataset())))
    # The surrogate has the exact posterior of an acentric reflection, and nearly that of a centric one.
    for ours, theirs in zip(bound, estimate, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=0.01)
    assert bound.elbo > estimate.elbo - 0.003


def perturbed(data, likelihood, make_model):
    """A model whose scales vary a little, its batch, and what is trained when F is integrated out."""
    model = make_model(data, likelihood=likelihood)
    rng = np.random.default_rng(2)
    for weight in model.scaling.trainable_variables:
        weight.assign(weight + rng.normal(0.0, 0.02, weight.shape))
    variables = [*model.scaling.trainable_variables, *model.likelihood.trainable_variables]
    return model, next(iter(data.dataset(by="reflection"))), variables


def gradient(model, batch, variables):
    with tf.GradientTape() as tape:
        loss = -collapsed_elbo(model, batch).elbo
    return np.concatenate([np.ravel(g) for g in tape.gradient(loss, variables)])


def test_its_gradient_is_that_of_many_more_nodes(reflections, likelihood, make_model, monkeypatch):
    parts = perturbed(honest(reflections)[:800], likelihood, make_model)
    few = gradient(*parts)
    monkeypatch.setattr("vimerge.merging.collapsed.NODES", 400)
    many = gradient(*parts)
    if smooth(likelihood):
        assert np.linalg.norm(few - many) < 0.02 * np.linalg.norm(many)
    assert np.dot(few, many) > 0.98 * np.linalg.norm(few) * np.linalg.norm(many)


def test_its_gradient_is_that_of_finite_differences(reflections, make_model):
    """Along the gradient's own signs, weight by weight, where the loss changes most beside its rounding in float32."""
    likelihood = LIKELIHOODS["student-t and evans"]()
    model, batch, variables = perturbed(honest(reflections)[:800], likelihood, make_model)
    slopes = np.split(gradient(model, batch, variables), np.cumsum([np.prod(v.shape, dtype=int) for v in variables]))
    expected, found = [], []
    for variable, slope in zip(variables, slopes, strict=False):
        here, direction = variable.numpy(), np.sign(slope).reshape(variable.shape)
        expected.append(np.sum(np.abs(slope)))
        step, values = min(0.01, 1e-4 / expected[-1]), []
        for sign in (1, -1):
            variable.assign(here + sign * step * direction)
            values.append(-float(collapsed_elbo(model, batch).elbo))
        variable.assign(here)
        found.append((values[0] - values[1]) / (2 * step))
    np.testing.assert_allclose(found, expected, rtol=0.01, atol=2e-4)


def test_minibatches_add_up_to_the_whole(reflections, make_model):
    data = honest(reflections)[::2]
    model = make_model(data, likelihood=likelihoods.StudentT())
    whole = collapsed_elbo(model, next(iter(data.dataset(by="reflection"))))
    batches = data.dataset(500, by="reflection")
    parts = [collapsed_elbo(model, batch) for batch in batches]
    assert len(parts) > 5
    np.testing.assert_allclose(np.mean(parts, axis=0), whole, rtol=1e-3, atol=1e-4)


def test_fit_maximises_it_and_leaves_the_surrogate_alone(reflections, make_model):
    model = make_model(reflections, likelihood=likelihoods.StudentT(error_model=likelihoods.Evans2011()))
    model.objective = "collapsed"
    before = model.surrogate.get_weights()
    model.compile(keras.optimizers.Adam(0.01))
    history = model.fit(reflections.dataset(1000, by="reflection"), epochs=5, verbose=0).history
    assert history["skipped"] == [0] * 5
    assert np.all(np.diff(history["elbo"]) > 0)
    assert history["kl_f"][-1] > 0
    for old, new in zip(before, model.surrogate.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_it_learns_what_is_uncertain_of_the_scale_too(reflections, make_model):
    model = make_model(reflections, likelihood=likelihoods.StudentT(), posterior="log-normal", objective="collapsed")
    model.compile(keras.optimizers.Adam(0.01))
    history = model.fit(reflections.dataset(1000, by="reflection"), epochs=5, verbose=0).history
    assert history["elbo"][-1] > history["elbo"][0]
    assert min(history["kl_scale"]) > 0


def test_a_model_is_saved_with_its_objective_and_optimizer(reflections, make_model, tmp_path):
    model = make_model(reflections, objective="collapsed")
    model.compile(keras.optimizers.Adam(0.01))
    model.fit(reflections.dataset(by="reflection"), epochs=1, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.objective == "collapsed"
    assert len(loaded.trainable_variables) == len(model.trainable_variables)
    loaded.fit(reflections.dataset(by="reflection"), epochs=1, verbose=0)
    assert int(loaded.optimizer.iterations) == 2


def test_parts_of_reflections_are_refused(reflections, make_model):
    model = make_model(reflections)
    batch = next(iter(reflections.dataset(500)))
    with pytest.raises(tf.errors.InvalidArgumentError, match='by="reflection"'):
        collapsed_elbo(model, batch)


def test_it_steps_aside_for_another_objective(reflections, make_model):
    class Own(VariationalMergingModel):
        def elbo(self, batch, training=False):
            return super().elbo(batch, training)

    made = make_model(reflections)
    own = Own(made.surrogate, made.prior, made.scaling, made.likelihood)
    assert not own.collapsible
    with pytest.raises(ValueError, match="Own has an objective of its own"):
        own.objective = "collapsed"
    with pytest.raises(ValueError, match="no objective 'map'; there are: elbo, collapsed"):
        made.objective = "map"
