import numpy as np
import pytest

from vimerge.conventional.errors import ErrorModel, deviations, deviations_by_intensity, refine_errors


def _measure(rng, sdfac, sdb, sdadd, groups=6000, tails=None):
    """Equivalents whose errors are those of the model, in G = len(sdfac) sweeps."""
    number = rng.integers(1, 8, groups)
    group = np.repeat(np.arange(groups), number)
    sweep = rng.integers(len(sdfac), size=len(group))
    truth, scale = rng.gamma(0.7, 500.0, groups)[group], np.exp(0.1 * rng.normal(size=len(group)))
    expected, variance = scale * truth, scale * truth + 400.0
    true = ErrorModel(*(np.asarray(x, float) for x in (sdfac, sdb, sdadd)))
    noise = rng.normal(size=len(group)) if tails is None else rng.standard_t(tails, size=len(group))
    return group, sweep, expected + np.sqrt(true.variance(sweep, variance, expected)) * noise, variance, scale


def _refine(group, sweep, iobs, variance, scale, sweeps):
    model, keep = ErrorModel.start(sweeps), np.ones(len(group), bool)
    current, expected = variance, iobs
    for _ in range(8):
        weight = 1 / current
        mean = np.bincount(group, weight * scale * iobs) / np.bincount(group, weight * scale**2)
        expected = scale * mean[group]
        current = model.variance(sweep, variance, expected)
        deviation, freedom = deviations(group, iobs, current, scale, keep)
        model = refine_errors(model, sweep, variance, expected, deviation, freedom, current)
    return model, expected, deviation


def test_variance_by_hand():
    model = ErrorModel(np.array([2.0]), np.array([3.0]), np.array([0.1]))
    np.testing.assert_allclose(
        model.variance(np.zeros(2, int), np.array([5.0, 5.0]), np.array([10.0, -10.0])), [144, 20]
    )


def test_parameters_are_recovered_for_each_sweep():
    sdfac, sdb, sdadd = [1.3, 1.0], [1.0, 0.0], [0.03, 0.08]
    data = _measure(np.random.default_rng(0), sdfac, sdb, sdadd, groups=20_000)
    model, expected, deviation = _refine(*data, sweeps=2)
    np.testing.assert_allclose(model.sdfac, sdfac, rtol=0.04)
    np.testing.assert_allclose(model.sdadd, sdadd, atol=0.008)
    np.testing.assert_allclose(model.sdb, sdb, atol=0.35)
    table = deviations_by_intensity(expected, deviation)
    assert table["sd"].between(0.95, 1.05).all()
    assert np.isfinite(deviation).sum() == table["observations"].sum()


def test_right_sigmas_are_left_as_they_are():
    data = _measure(np.random.default_rng(1), [1.0], [0.0], [0.0])
    model, *_ = _refine(*data, sweeps=1)
    assert model.sdfac[0] == pytest.approx(1, abs=0.03)
    assert model.sdadd[0] < 0.02


def test_a_sweep_with_hardly_any_equivalents_takes_the_common_parameters():
    rng = np.random.default_rng(2)
    group, sweep, iobs, variance, scale = _measure(rng, [1.5], [0.0], [0.0])
    sweep[:20] = 1
    model, *_ = _refine(group, sweep, iobs, variance, scale, sweeps=2)
    assert model.sdfac[1] == pytest.approx(1.5, rel=0.05)


def test_the_spread_of_deviations_counts_each_degree_of_freedom_once():
    """Of pairs δ is one number twice: of the sd's own scatter, half as many independent ones remain."""
    rng = np.random.default_rng(5)
    found = []
    for _ in range(200):
        iobs = rng.normal(size=400)
        group = np.repeat(np.arange(200), 2)
        deviation, freedom = deviations(group, iobs, np.ones(400), np.ones(400), np.ones(400, bool))
        found.append(deviations_by_intensity(np.ones(400), deviation, freedom, bins=1).loc[0])
    sd, error = (np.array([row[name] for row in found]) for name in ("sd", "standard_error"))
    assert sd.mean() == pytest.approx(1, abs=0.015)
    assert error.mean() == pytest.approx(sd.std(), rel=0.15)
    assert error.mean() == pytest.approx(1 / np.sqrt(2 * 200), rel=0.1)


def test_deviations_have_unit_variance_whatever_the_multiplicity():
    data = _measure(np.random.default_rng(3), [1.0], [0.0], [0.0], groups=30_000)
    group, _, iobs, variance, scale = data
    deviation, freedom = deviations(group, iobs, variance, scale, np.ones(len(group), bool))
    number = np.bincount(group)[group]
    assert np.isnan(deviation[number == 1]).all()
    for n in (2, 3, 7):
        assert np.mean(deviation[number == n] ** 2) == pytest.approx(1, abs=0.04)
    assert freedom.sum() == pytest.approx(len(group) - len(np.unique(group)))
