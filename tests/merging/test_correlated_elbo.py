"""The ELBO under a prior that correlates reflections: its bound, its minibatches, and what is trained by it."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from vimerge import VariationalMergingModel, priors, surrogates
from vimerge.evidence import elbo, importance
from vimerge.merging.collapsed import collapsed_elbo
from vimerge.merging.trees import posterior_of_trees

from .conftest import MEAN, SCALE


def estimates(model, batch, number):
    graph = tf.function(model.elbo, reduce_retracing=True)
    values = np.array([np.array(graph(batch), np.float64) for _ in range(number)])
    return values.mean(axis=0), values.std(axis=0, ddof=1) / np.sqrt(number)


@pytest.mark.parametrize(
    ("surrogate", "over"),
    [(surrogates.LogNormal, "intensity"), (surrogates.FoldedNormal, "amplitude")],
)
def test_without_correlation_the_elbo_is_that_of_wilsons_prior(case, surrogate, over):
    model, reflections = case("chain", 0.0, surrogate, over, mc_samples=20)
    model.condition(reflections)
    wilson = VariationalMergingModel(
        model.surrogate, priors.Wilson(model.asu, MEAN), model.scaling, model.likelihood, mc_samples=20, seed=3
    )
    batch = next(iter(reflections.dataset()))
    (ours, error), (theirs, other_error) = (estimates(m, batch, 40) for m in (model, wilson))
    assert error[2] < 0.01
    np.testing.assert_array_less(np.abs(ours - theirs), 5 * np.hypot(error, other_error) + 1e-5)


@pytest.mark.parametrize(("r", "least", "most"), [(0.7, 0.0, 0.1), (0.99, 0.15, 0.4)])
def test_the_elbo_is_below_the_evidence_of_the_trees_by_what_a_mean_field_leaves_out(case, r, least, most):
    """Log p(I) ≥ importance-weighted bound ≥ ELBO; what q(F) = Π q(F_h) costs grows with the correlation."""
    model, reflections = case("pair", r, surrogates.RiceWoolfson, "amplitude")
    model.condition(reflections)
    evidence = posterior_of_trees(model, reflections).total
    bound, tighter = elbo(model, reflections, 400), importance(model, reflections, 400)
    error = np.sqrt(np.sum(bound.standard_error**2))
    assert bound.total < tighter.total < evidence + 0.3
    assert tighter.total > evidence - 1.5
    # In nats for each of the thirty pairs; 0.03, of which there are as many without correlation, and 0.26.
    assert least < (evidence - bound.total) / 30 < most
    # It is the bound that is trained, by its sum over all reflections, each of which was observed.
    trained, trained_error = estimates(model, next(iter(reflections.dataset())), 100)
    assert abs(len(reflections) * trained[0] - bound.total) < 5 * (len(reflections) * trained_error[0] + error)


def test_minibatches_are_unbiased(case):
    model, reflections = case("chain", 0.95, mc_samples=10)
    model.condition(reflections)
    full, error = estimates(model, next(iter(reflections.dataset())), 60)
    terms, graph = [], tf.function(model.elbo, reduce_retracing=True)
    for seed in range(20):
        batches = list(reflections.dataset(50, seed=seed))
        assert len(batches) == 4
        terms += [np.array(graph(b), np.float64) for b in batches]
    mini = np.reshape(terms, (20, 4, -1)).mean(axis=1)
    error = np.hypot(error, mini.std(axis=0, ddof=1) / np.sqrt(20))
    np.testing.assert_array_less(np.abs(mini.mean(axis=0) - full), 5 * error + 1e-6)
    assert np.all(error[[0, 1, 2]] < 0.03)


def test_training_improves_the_bound_and_brings_the_amplitudes_together(case):
    model, reflections = case("star", 0.99, surrogates.FoldedNormal, "amplitude", mc_samples=4)
    child = np.flatnonzero(model.prior.parents >= 0)
    ids, batch = np.stack([child, model.prior.parents[child]]), next(iter(reflections.dataset()))
    alone = posterior_of_trees(model, reflections, 0.0)
    model.surrogate.assign_moments(alone.F, alone.SIGF)
    before = estimates(model, batch, 20)[0][0]
    model.scaling.trainable = False
    model.compile(keras.optimizers.Adam(0.03))
    history = model.fit(reflections.dataset().repeat(150), epochs=1, verbose=0).history
    assert history["skipped"] == [0]
    assert estimates(model, batch, 20)[0][0] > before + 0.02
    apart = [np.abs(np.diff(f[ids], axis=0)).mean() for f in (alone.F, model.surrogate.moments().F.numpy())]
    assert apart[1] < 0.7 * apart[0]


def test_a_learned_correlation_is_trained_by_the_elbo_and_not_by_the_collapsed_bound(case):
    # The data were drawn with 0.95, and the model starts with 0.5.
    model, reflections = case("pair", 0.95, surrogates.FoldedNormal, "amplitude", learn=True)
    model.condition(reflections)
    correlation = model.prior.correlation
    with tf.GradientTape() as tape:
        bound = collapsed_elbo(model, next(iter(reflections.dataset(by="reflection")))).elbo
    assert tape.gradient(bound, correlation.trainable_variables) == [None]
    model.compile(keras.optimizers.Adam(0.03))
    model.fit(reflections.dataset().repeat(40), epochs=1, verbose=0)
    assert correlation(np.arange(1, dtype=np.int32)).numpy() > 0.6


def test_a_parent_that_was_not_observed_leaves_its_child_a_root(case):
    model, reflections = case("pair", 0.99, mc_samples=50)
    parent = np.unique(model.prior.parents[model.prior.parents >= 0])
    children = reflections[~np.isin(reflections.refl_id, parent)]
    model.initialize(children)
    model.scaling.adapt(reflections, SCALE)
    wilson = VariationalMergingModel(
        model.surrogate, priors.Wilson(model.asu, MEAN), model.scaling, model.likelihood, mc_samples=50
    )
    batch = next(iter(children.dataset()))
    with tf.GradientTape() as tape:
        kl = model.elbo(batch).kl_f
    assert float(kl) == pytest.approx(float(wilson.elbo(batch).kl_f), rel=1e-6)
    for variable, gradient in zip(
        model.surrogate.trainable_variables, tape.gradient(kl, model.surrogate.trainable_variables), strict=True
    ):
        gradient = tf.math.unsorted_segment_sum(gradient.values, gradient.indices, variable.shape[0]).numpy()
        np.testing.assert_array_equal(gradient[parent], 0.0)
