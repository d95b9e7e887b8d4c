"""The joint posterior of each tree of correlated reflections is that of brute force, and of limits known exactly."""

import numpy as np
import pytest
from scipy.special import i0e

from vimerge import VariationalMergingModel, likelihoods, priors, scaling, surrogates
from vimerge.evidence import exact, pairs
from vimerge.merging import trees
from vimerge.merging.joint import LogJoint
from vimerge.merging.start import moments_on_grid
from vimerge.merging.trees import posterior_of_trees

from .conftest import MEAN, SCALE, parents_of


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
