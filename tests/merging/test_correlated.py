"""Inference with a prior that correlates reflections: the joint posterior of each tree, and the ELBO."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import i0e

from vimerge import VariationalMergingModel, likelihoods, priors, scaling, surrogates
from vimerge.evidence import corrected_moments, elbo, exact, importance, naive, pairs
from vimerge.merging import crossvalidation, trees
from vimerge.merging.collapsed import collapsed_elbo
from vimerge.merging.joint import LogJoint
from vimerge.merging.start import conditional_moments, moments_on_grid
from vimerge.merging.trees import posterior_of_trees

SCALE, MEAN = 2.5, 10.0


def parents_of(asu, kind):
    """Reflections in pairs, or in threes as chains or stars, centric or acentric."""
    parents = np.full(60, -1)
    for ids in (np.flatnonzero(asu.centric), np.flatnonzero(~asu.centric)):
        size = 2 if kind == "pair" else 3
        ids = ids[: len(ids) // size * size].reshape(-1, size)
        parents[ids[:, 1]] = ids[:, 0]
        if size == 3:
            parents[ids[:, 2]] = ids[:, 1] if kind == "chain" else ids[:, 0]
    return parents


@pytest.fixture(scope="module")
def case(asu, table):
    """Make a model of known scales, and data drawn from it: case(kind, r, ...), weak to strong."""

    def make(kind="pair", r=0.95, surrogate=surrogates.LogNormal, over="intensity", learn=False, **options):
        rng, parents = np.random.default_rng(6), parents_of(asu, kind)
        refl_id = np.concatenate([np.arange(60), rng.integers(0, 60, 140)])
        real, imaginary = rng.normal(size=(2, 60))
        e = np.where(asu.centric, real, (real + 1j * imaginary) / np.sqrt(2))
        for i in np.flatnonzero(parents >= 0):  # in ascending order: parents first
            e[i] = r * e[parents[i]] + np.sqrt(1 - r**2) * e[i]
        sigma = SCALE * MEAN * np.geomspace(0.05, 2.0, 60)[rng.permutation(60)][refl_id]
        iobs = SCALE * MEAN * (asu.epsilon * np.abs(e) ** 2)[refl_id] + sigma * rng.normal(size=200)
        reflections = table(asu, refl_id, iobs, sigma)
        model = VariationalMergingModel(
            surrogate(asu, over=over),
            priors.MultivariateWilson(asu, parents, 0.5 if learn else r, falloff=MEAN, learn=learn),
            scaling.MLP(reflections.metadata_keys, width=2, depth=0),
            likelihoods.Normal(),
            **{"seed": 3, **options},
        )
        model.initialize(reflections)
        model.scaling.adapt(reflections, SCALE)
        return model, reflections

    return make


def log_density(e, loc, variance, centric):
    product = 2 * e * loc / variance
    if centric:
        return np.log1p(np.exp(-product)) - 0.5 * np.log(2 * np.pi * variance) - 0.5 * (e - loc) ** 2 / variance
    return np.log(2 * e / variance * i0e(product)) - (e - loc) ** 2 / variance


def brute_force(model, reflections, ids, r, kind):
    """Log evidence, means and covariance matrices of F and F² of three reflections on a net in three dimensions."""
    asu = reflections.asu
    root = np.sqrt(MEAN * asu.epsilon[ids].astype(np.float64))
    around = moments_on_grid(LogJoint(model, reflections))
    axes = []
    for i, unit in zip(ids, root, strict=True):
        middle, width = (values[i] / unit for values in around)
        low, high = max(middle - 7 * width, 0.0), middle + 7 * width
        axes.append(low + (high - low) * (np.arange(110) + 0.5) / 110)
    net = np.meshgrid(*axes, indexing="ij", sparse=True)
    centric = asu.centric[ids[0]]
    log_p = log_density(net[0], 0.0, 1.0, centric)
    for child, parent in ((1, 0), (2, 1 if kind == "chain" else 0)):
        log_p = log_p + log_density(net[child], r * net[parent], 1 - r**2, centric)
    for axis, (i, unit) in enumerate(zip(ids, root, strict=True)):
        rows = reflections.refl_id == i
        for x, s in zip(reflections.iobs[rows], reflections.sigiobs[rows], strict=True):
            predicted = SCALE * (unit * net[axis]) ** 2
            log_p = log_p - 0.5 * ((x - predicted) / s) ** 2 - np.log(s) - 0.5 * np.log(2 * np.pi)
    peak = log_p.max()
    weight = np.exp(log_p - peak)
    step = np.prod([a[1] - a[0] for a in axes])
    log_evidence = peak + np.log(weight.sum() * step)
    weight /= weight.sum()
    found = []
    for power in (1, 2):
        values = [(unit * x) ** power for unit, x in zip(root, net, strict=True)]
        mean = np.array([np.sum(weight * v) for v in values])
        off = [v - m for v, m in zip(values, mean, strict=True)]
        found.append((mean, np.array([[np.sum(weight * a * b) for a in off] for b in off])))
    return log_evidence, *found


@pytest.mark.parametrize("kind", ["chain", "star"])
@pytest.mark.parametrize("r", [0.6, 0.95])
def test_trees_are_integrated_as_by_brute_force(case, kind, r):
    model, reflections = case(kind, r)
    parents, centric = model.prior.parents, reflections.asu.centric
    found = posterior_of_trees(model, reflections)
    for is_centric in (True, False):
        first = np.flatnonzero((parents >= 0) & (parents[parents] < 0) & (centric == is_centric))[4]
        top = parents[first]
        ids = np.array([top, *np.flatnonzero((parents == top) | (parents == first) & (kind == "chain"))])
        assert len(ids) == 3
        log_evidence, (f, f_covariance), (i, i_covariance) = brute_force(model, reflections, ids, r, kind)
        sd, sd_i = np.sqrt(np.diag(f_covariance)), np.sqrt(np.diag(i_covariance))
        assert found.log_evidence[ids] == pytest.approx([log_evidence, 0.0, 0.0], abs=2e-3)
        np.testing.assert_allclose((found.F[ids] - f) / sd, 0.0, atol=2e-3)
        np.testing.assert_allclose(found.SIGF[ids], sd, rtol=2e-3)
        np.testing.assert_allclose((found.I[ids] - i) / sd_i, 0.0, atol=2e-3)
        np.testing.assert_allclose(found.SIGI[ids], sd_i, rtol=2e-3)
        for child, parent in ((1, 0), (2, 1 if kind == "chain" else 0)):
            covariance = f_covariance[child, parent]
            assert found.covariance[ids[child]] == pytest.approx(covariance, abs=2e-3 * sd[child] * sd[parent])
            assert found.dF[ids[child]] == pytest.approx(f[child] - f[parent], abs=3e-3 * sd[child])
            variance = f_covariance[child, child] + f_covariance[parent, parent] - 2 * covariance
            assert found.SIGdF[ids[child]] == pytest.approx(np.sqrt(variance), rel=4e-3)
        assert np.isnan(found.dF[ids[0]])


@pytest.mark.parametrize("r", [0.9, 0.999, 0.99999])
def test_pairs_are_integrated_as_by_the_finer_quadrature(case, r):
    model, reflections = case("pair", r)
    found, joint = posterior_of_trees(model, reflections), LogJoint(model, reflections)
    child = np.flatnonzero(model.prior.parents >= 0).astype(np.int32)
    ids = np.stack([model.prior.parents[child], child])

    def on_grid(i):
        low, high = np.maximum(found.F[i] - 14 * found.SIGF[i], 0.0), found.F[i] + 14 * found.SIGF[i]
        f = low + (high - low) * np.linspace(0, 1, 300)[:, np.newaxis]
        return f, joint.log_likelihood(f, i)

    finer = pairs(model.prior, child, *on_grid(ids[0]), *on_grid(ids[1]))
    np.testing.assert_allclose(found.log_evidence[ids[0]], finer.log_evidence, atol=2e-3)
    np.testing.assert_allclose((found.F[ids] - finer.F) / finer.SIGF, 0.0, atol=5e-3)
    np.testing.assert_allclose(found.SIGF[ids], finer.SIGF, rtol=5e-3)
    np.testing.assert_allclose((found.I[ids] - finer.I) / finer.SIGI, 0.0, atol=5e-3)
    np.testing.assert_allclose(found.SIGI[ids], finer.SIGI, rtol=5e-3)
    np.testing.assert_allclose((found.dF[child] - finer.dF) / finer.SIGdF, 0.0, atol=0.01 if r < 0.9999 else 0.03)
    np.testing.assert_allclose(found.SIGdF[child], finer.SIGdF, rtol=0.01)


def test_without_correlation_each_reflection_is_integrated_by_itself(case):
    model, reflections = case("star", 0.0)
    found = posterior_of_trees(model, reflections)
    np.testing.assert_allclose(found.covariance, 0.0, atol=1e-8)
    child = np.flatnonzero(model.prior.parents >= 0)
    np.testing.assert_allclose(
        found.SIGdF[child], np.hypot(*found.SIGF[[child, model.prior.parents[child]]]), rtol=1e-6
    )
    independent = VariationalMergingModel(
        surrogates.Gamma(model.asu), priors.Wilson(model.asu, MEAN), model.scaling, model.likelihood
    )
    alone = exact(independent, reflections)
    assert found.total == pytest.approx(alone.total, abs=0.03)
    np.testing.assert_allclose((found.F - alone.F) / alone.SIGF, 0.0, atol=5e-3)
    np.testing.assert_allclose(found.SIGF, alone.SIGF, rtol=5e-3)
    np.testing.assert_allclose((found.I - alone.I) / alone.SIGI, 0.0, atol=5e-3)
    np.testing.assert_allclose(found.SIGI, alone.SIGI, rtol=5e-3)
    # Without a correlation to speak of there is the one-dimensional path.
    path = posterior_of_trees(independent, reflections)
    assert path.total == pytest.approx(alone.total, abs=0.03)
    assert np.isnan(path.dF).all()
    np.testing.assert_allclose((path.F - alone.F) / alone.SIGF, 0.0, atol=0.02)


def test_observations_that_contradict_the_correlation_have_two_explanations(asu, table):
    """Under heavy-tailed noise either of two discordant observations may be the outlier."""
    parents = parents_of(asu, "pair")
    child = np.flatnonzero((parents >= 0) & (asu.epsilon == 1))
    child = child[asu.epsilon[parents[child]] == 1]
    iobs = np.full(60, MEAN)
    iobs[child] = 2 * MEAN
    reflections = table(asu, np.arange(60), iobs, 0.3)
    model = VariationalMergingModel(
        surrogates.Gamma(asu),
        priors.MultivariateWilson(asu, parents, 0.9999, falloff=MEAN),
        scaling.MLP(reflections.metadata_keys, width=2, depth=0),
        likelihoods.StudentT(3.0),
    )
    model.scaling.adapt(reflections, 1.0)
    found = posterior_of_trees(model, reflections)
    for i in (child[0], child[-1]):
        # Both amplitudes are nearly one: a net along it and the difference.
        f, d = np.linspace(2.5, 5.5, 1501)[:, np.newaxis], np.linspace(-0.4, 0.4, 801)
        ids = np.array([parents[i], i])
        pair = np.stack([f + 0 * d, f + d]).reshape(2, -1)
        log_p = LogJoint(model, reflections).log_likelihood(pair.T, ids).sum(axis=1)
        log_p += model.prior.log_marginal(ids[:1], pair[0][:, None])[:, 0]
        log_p += model.prior.log_conditional(ids[1:], pair[1][:, None], pair[0][:, None])[:, 0]
        weight = np.exp(log_p - log_p.max())
        weight /= weight.sum()
        mean = pair @ weight
        sd = np.sqrt((pair - mean[:, np.newaxis]) ** 2 @ weight)
        assert sd.min() > 0.3, "there are two peaks"
        np.testing.assert_allclose(found.F[ids], mean, atol=0.02 * sd.min())
        np.testing.assert_allclose(found.SIGF[ids], sd, rtol=0.02)


def test_a_child_that_was_not_observed_is_told_by_its_parent(case):
    model, reflections = case("pair", 0.99)
    child = np.flatnonzero(model.prior.parents >= 0)
    found = posterior_of_trees(model, reflections[~np.isin(reflections.refl_id, child)])
    parent = model.prior.parents[child]
    alone = moments_on_grid(LogJoint(model, reflections))
    np.testing.assert_allclose((found.F[parent] - alone[0][parent]) / alone[1][parent], 0.0, atol=0.01)
    # E[F²] of a child is linear in that of its parent.
    epsilon = model.asu.epsilon
    expected = epsilon[child] * (0.99**2 * found.I[parent] / epsilon[parent] + (1 - 0.99**2) * MEAN)
    np.testing.assert_allclose(found.I[child], expected, rtol=2e-3)


def test_how_trees_are_divided_makes_no_difference(case, monkeypatch):
    model, reflections = case("chain", 0.9)
    whole = posterior_of_trees(model, reflections)
    monkeypatch.setattr(trees, "BLOCK", 17)
    monkeypatch.setattr(trees, "ROWS", 2)
    for part, value in zip(posterior_of_trees(model, reflections), whole, strict=True):
        np.testing.assert_allclose(part, value, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("surrogate", "over"), [(surrogates.Gamma, "intensity"), (surrogates.RiceWoolfson, "amplitude")]
)
def test_conditioning_gives_the_surrogate_the_marginals_of_the_joint_posterior(case, surrogate, over):
    model, reflections = case("star", 0.95, surrogate, over)
    model.condition(reflections)
    posterior, moments = posterior_of_trees(model, reflections), model.surrogate.moments()
    if over == "intensity":
        np.testing.assert_allclose(moments.I, posterior.I, rtol=1e-3)
        np.testing.assert_allclose(moments.SIGI, posterior.SIGI, rtol=1e-3)
    np.testing.assert_allclose((moments.F - posterior.F) / posterior.SIGF, 0.0, atol=0.2)


def test_another_correlation_can_be_tried_without_touching_the_model(case):
    model, reflections = case("pair", 0.95)
    other = case("pair", 0.5)[0]
    before = posterior_of_trees(model, reflections)
    tried = posterior_of_trees(model, reflections, 0.5)
    for values, expected in zip(tried, posterior_of_trees(other, reflections), strict=True):
        np.testing.assert_allclose(values, expected, rtol=1e-6)
    assert posterior_of_trees(model, reflections).total == before.total != tried.total


def test_half_datasets_borrow_from_the_tree(case):
    model, reflections = case("pair", 0.99)
    weights = model.surrogate.get_weights()
    correlated = crossvalidation.half_datasets(model, reflections, seed=4)
    independent = crossvalidation.half_datasets(case("pair", 0.0)[0], reflections, seed=4)
    for one, other in zip(weights, model.surrogate.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert len(correlated) == len(independent)
    assert correlated["SIGF"].mean() < 0.95 * independent["SIGF"].mean()


def test_reflections_that_overlap_as_harmonics_are_integrated_in_their_trees():
    from vimerge.reflections import Reflections, dataset_parents

    rng = np.random.default_rng(3)
    hkl = rng.integers(-4, 5, (40, 3))
    hkl = np.concatenate([hkl[hkl.any(axis=1)], 2 * hkl[hkl.any(axis=1)]])
    hkl = np.repeat(hkl, 4, axis=0)

    def one():
        iobs, wavelength = rng.gamma(1.0, 100.0, len(hkl)), rng.uniform(0.6, 1.4, len(hkl))
        return Reflections.from_arrays(
            hkl,
            iobs,
            np.full(len(hkl), 20.0),
            rng.integers(0, 9, len(hkl)),
            cell=(50, 60, 80, 90, 90, 90),
            spacegroup="P 21 21 21",
            metadata={"LAMBDA": wavelength, "ROT": rng.uniform(0, 9, len(hkl))},
            wavelength_key="LAMBDA",
        )

    laue = Reflections.concatenate([one(), one()], ["off", "on"])
    assert laue.overlapped.mean() > 0.2
    parents = dataset_parents(laue.asu, {"on": "off"})
    found = {}
    for r in (0.0, 0.99):
        model = VariationalMergingModel(
            surrogates.FoldedNormal(laue.asu),
            priors.MultivariateWilson(laue.asu, parents, r),
            scaling.MLP(laue.metadata_keys, width=2, depth=0),
            likelihoods.Normal(),
        )
        model.initialize(laue)
        found[r] = posterior_of_trees(model, laue)
        alone = conditional_moments(model, laue)
    np.testing.assert_allclose((found[0.0].F - alone[0]) / alone[1], 0.0, atol=0.02)
    np.testing.assert_allclose(found[0.0].SIGF, alone[1], rtol=0.02)
    child = np.flatnonzero(parents >= 0)
    apart = [np.abs(found[r].dF[child]).mean() for r in (0.0, 0.99)]
    assert apart[1] < 0.5 * apart[0]


# --- the Monte Carlo ELBO -------------------------------------------------------------------------------------------


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


def test_a_saved_model_knows_what_was_observed(case, tmp_path):
    model, reflections = case("pair", 0.99)
    model.initialize(reflections[reflections.refl_id != model.prior.parents.max()])
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again._has_data.numpy(), model._has_data.numpy())
    assert posterior_of_trees(again, reflections).total == pytest.approx(posterior_of_trees(model, reflections).total)


def test_what_needs_independent_reflections_says_so(case):
    model, reflections = case()
    for estimate in (exact, naive, corrected_moments):
        with pytest.raises(ValueError, match="posterior_of_trees"):
            estimate(model, reflections)
