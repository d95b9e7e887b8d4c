"""The least-squares scaling: its derivatives, its gauge, and what it finds."""

import numpy as np
import pytest

import vimerge.conventional.fit as fitting
from vimerge.conventional.fit import fit_scales, group_means, objective, scale_leverage, scale_variance
from vimerge.conventional.normal import normal_equations

KINDS = [{}, {"image_scales": False}, {"absorption": 0}, {"absorption": 0, "detector": 0}, {"stills": True}]


def _equations(model, iobs, weight, theta):
    _, scale, mean, residual = objective(model, iobs, weight, theta)
    wgi = weight * scale * mean
    return normal_equations(model, wgi * scale * mean, wgi * residual)


def _data_target(model, iobs, weight, theta):
    """The target without restraints, from its definition: what is left of Σ w I² of the part along g."""
    scale = np.exp(model.log_scale(theta))
    member = np.equal.outer(np.arange(model.layout.n_groups), model.layout.group).astype(float)
    along = member @ (weight * scale * iobs)
    return np.sum(weight * iobs**2) - np.sum(along**2 / (member @ (weight * scale**2)))


def _columns(model):
    """The design matrix, by derivatives of a linear function."""
    return np.stack([model.log_scale(e) for e in np.eye(model.size)], axis=1)


def test_the_mean_that_minimises_the_target_by_hand(problem):
    model, *_ = problem(count=60, groups=20)
    i, w, g = np.array([10.0, 24.0]), np.array([1.0, 0.25]), np.array([1.0, 2.0])
    rows = np.flatnonzero(model.layout.group == model.layout.group[0])[:2]
    iobs, weight, scale = np.ones((3, len(model.layout.group)))
    weight[model.layout.group == model.layout.group[0]] = 0.0
    iobs[rows], weight[rows], scale[rows] = i[: len(rows)], w[: len(rows)], g[: len(rows)]
    mean, precision = group_means(model.layout, iobs, weight, scale)
    # Σ w g I / Σ w g² = (10 + 0.25·2·24) / (1 + 0.25·4) = 22 / 2.
    assert len(rows) == 2
    assert mean[model.layout.group[0]] == pytest.approx(11.0)
    assert precision[model.layout.group[0]] == pytest.approx(2.0)


@pytest.mark.parametrize("kind", KINDS)
def test_the_gradient_is_that_of_the_target(problem, kind):
    model, iobs, weight, theta = problem(**kind)
    theta = theta + 0.05
    _, right = _equations(model, iobs, weight, theta)
    step = 1e-4 * np.eye(model.size)
    numerical = [
        _data_target(model, iobs, weight, theta + e) - _data_target(model, iobs, weight, theta - e) for e in step
    ]
    numerical = np.array(numerical) / 2e-4
    np.testing.assert_allclose(-2 * right, numerical, atol=1e-5 * np.abs(numerical).max())


@pytest.mark.parametrize("kind", KINDS)
def test_the_normal_matrix_is_that_of_the_residuals_derivatives(problem, kind):
    """Of noiseless observations the Jacobian of the reduced residuals is exact, intensities eliminated and all."""
    model, iobs, weight, theta = problem(noise=0.0, **kind)
    weight = np.full_like(weight, 0.1)
    matrix, _ = _equations(model, iobs, weight, theta)

    def residuals(t):
        _, _, _, residual = objective(model, iobs, weight, t)
        return np.sqrt(weight) * residual

    step = 1e-5
    jacobian = np.stack([residuals(theta + step * e) - residuals(theta - step * e) for e in np.eye(model.size)], axis=1)
    jacobian /= 2 * step
    np.testing.assert_allclose(matrix, jacobian.T @ jacobian, atol=1e-5 * np.abs(matrix).max())


@pytest.mark.parametrize("kind", KINDS)
def test_a_common_factor_changes_nothing(problem, kind):
    """Scales are relative: a constant, or a common B, added to all log scales is absorbed by the intensities."""
    model, iobs, weight, theta = problem(noise=0.1, **kind)
    columns = _columns(model)
    before = _data_target(model, iobs, weight, theta)
    constant = np.linalg.lstsq(columns, np.ones(len(columns)), rcond=None)[0]
    np.testing.assert_allclose(columns @ constant, 1, atol=1e-5)
    assert _data_target(model, iobs, weight, theta + 0.7 * constant) == pytest.approx(before, rel=1e-5)
    # The gauge is what chooses among them.
    fit = fit_scales(model, iobs, weight, theta + 0.7 * constant, steps=20)
    assert model.log_scale(fit.theta).mean() == pytest.approx(0, abs=1e-4)
    again = fit_scales(model, iobs, weight, theta, steps=20)
    np.testing.assert_allclose(model.log_scale(fit.theta), model.log_scale(again.theta), atol=2e-3)


def test_mean_b_vanishes(problem):
    model, iobs, weight, theta = problem(absorption=0, detector=0, image_scales=False, sweeps=1)
    fit = fit_scales(model, iobs, weight, theta, steps=20)
    assert len(model.gauge) == 2
    np.testing.assert_allclose(model.gauge @ fit.theta, 0, atol=1e-5)


def test_true_scales_are_found(problem):
    model, iobs, weight, theta = problem(noise=0.01, count=3000, groups=150)
    fit = fit_scales(model, iobs, weight, np.zeros(model.size), steps=30)
    error = model.log_scale(fit.theta) - model.log_scale(theta)
    assert error.std() < 0.004


def test_the_target_is_minimal(problem):
    model, iobs, weight, theta = problem(noise=0.1)
    fit = fit_scales(model, iobs, weight, theta, steps=50, tolerance=1e-9)
    rng = np.random.default_rng(0)
    for _ in range(10):
        other = fit.theta + 1e-3 * rng.normal(size=model.size)
        assert objective(model, iobs, weight, other)[0] > fit.value


def test_standard_deviations_of_scales_are_right(problem):
    """Over many repetitions, the scales of a flat truth scatter as much as they say."""
    model, iobs, weight, theta = problem(noise=0.0, count=600, image_scales=False, absorption=1, sweeps=1)
    rng, flat = np.random.default_rng(3), np.exp(-model.log_scale(theta)) * iobs
    log_scales, weight = [], (0.05 * np.maximum(flat, 1.0)) ** -2.0
    for _ in range(60):
        noisy = flat + rng.normal(size=len(flat)) / np.sqrt(weight)
        fit = fit_scales(model, noisy, weight, np.zeros(model.size))
        log_scales.append(model.log_scale(fit.theta))
    ratio = np.var(log_scales, axis=0) / scale_variance(model, fit)
    assert ratio.mean() == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize("stills", [False, True])
def test_conjugate_gradients_agree_with_the_direct_solution(problem, monkeypatch, stills):
    model, iobs, weight, _ = problem(stills=stills)
    direct = fit_scales(model, iobs, weight, np.zeros(model.size), steps=30)
    monkeypatch.setattr(fitting, "DIRECT", 0)
    iterative = fit_scales(model, iobs, weight, np.zeros(model.size), steps=30)
    assert iterative.covariance is None
    assert iterative.value == pytest.approx(direct.value, rel=1e-4)
    np.testing.assert_allclose(model.log_scale(iterative.theta), model.log_scale(direct.theta), atol=2e-3)
    assert np.isfinite(scale_variance(model, iterative)).all()


def test_what_residuals_lose_to_means_and_scales_is_known(problem):
    """Over many repetitions, strong observations' residuals are less than their errors by both leverages."""
    model, iobs, weight, theta = problem(noise=0.0, count=300, groups=50, absorption=1, sweeps=1, images=6)
    group, rng = model.layout.group, np.random.default_rng(4)
    flat = np.exp(-model.log_scale(theta)) * iobs
    weight = (0.03 * flat + 0.03 * np.median(flat)) ** -2.0
    fit, total = fit_scales(model, flat, weight, np.zeros(model.size), steps=20), 0.0
    repeats = 150
    for _ in range(repeats):
        noisy = flat + rng.normal(size=len(flat)) / np.sqrt(weight)
        found = fit_scales(model, noisy, weight, np.zeros(model.size))
        total += weight * objective(model, noisy, weight, found.theta)[3] ** 2 / repeats
    of_scales = scale_leverage(model, fit, group, weight * flat**2)
    of_mean = weight / np.bincount(group, weight)[group]
    strong = np.argsort(weight * flat**2)
    for part in (strong[:100], strong[100:200], strong[200:]):
        assert total[part].sum() == pytest.approx((1 - of_mean - of_scales)[part].sum(), rel=0.03)
    assert of_scales[strong[200:]].sum() > 5 * of_scales[strong[:100]].sum()
    # All together they are the parameters that the data determine.
    determined = model.size - np.sum(fit.smooth_covariance * model.smooth_penalty())
    determined -= np.sum(np.diagonal(fit.image_covariance, axis1=1, axis2=2).ravel() * model.image_penalty())
    determined -= np.sum((model.gauge @ fit.covariance) * model.gauge) / 1e-8
    assert of_scales.sum() == pytest.approx(determined, rel=1e-3)


def test_the_leverage_of_many_observations_is_told_by_some_of_them(problem, monkeypatch):
    model, iobs, weight, theta = problem(count=4000, groups=300)
    fit = fit_scales(model, iobs, weight, theta)
    curvature = weight * iobs**2
    exact = scale_leverage(model, fit, model.layout.group, curvature)
    monkeypatch.setattr(fitting, "_LEVERAGE_FROM", 1000)
    told = scale_leverage(model, fit, model.layout.group, curvature)
    assert told.sum() == pytest.approx(exact.sum(), rel=0.15)
    order = np.argsort(exact)
    assert told[order[-400:]].sum() == pytest.approx(exact[order[-400:]].sum(), rel=0.2)
