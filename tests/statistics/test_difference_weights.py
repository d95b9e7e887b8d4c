"""Weights of differences: what they promise of Gaussian differences, and limits."""

import numpy as np
import pytest

from vimerge.statistics.difference_weights import (
    difference_variance,
    expected_multiple,
    q_weights,
    shrinkage_weights,
)

from .conftest import SPACE_GROUP


@pytest.fixture(scope="module")
def differences(crystal):
    """True differences with a variance that falls with resolution, their σ, and what is measured."""
    hkl, s2, _, centric, _ = crystal
    rng = np.random.default_rng(4)
    multiple = expected_multiple(hkl, SPACE_GROUP, centric)
    variance = 400 * np.exp(-12 * s2)
    sigma = 8 * np.exp(0.5 * rng.normal(size=len(s2)))
    true = np.sqrt(multiple * variance) * rng.normal(size=len(s2))
    return true, true + sigma * rng.normal(size=len(s2)), sigma, s2, multiple, variance


def test_q_weights_by_hand():
    np.testing.assert_allclose(q_weights([1.0, -3.0], [1.0, 2.0], alpha=0.5), [1 / 1.5, 1 / (1 + 1.6 + 0.9)])
    np.testing.assert_allclose(q_weights([1.0, 2.0], [0.0, 0.0], alpha=0.0), 1.0)


def test_no_weight_is_above_one(differences):
    _, df, sigma, s2, multiple, _ = differences
    for w in (q_weights(df, sigma), q_weights(df, sigma, 1.0), shrinkage_weights(df, sigma, s2, multiple)):
        assert np.all((w > 0) & (w <= 1))


def test_uncertain_and_improbably_large_differences_are_held_back():
    w = q_weights([1.0, 1.0, 9.0], [1.0, 2.0, 1.0])
    assert w[0] > w[1]
    assert w[0] > w[2]


def test_variance_is_recovered_by_resolution(differences):
    """With the 200 reflections of a shell, to some 4 √(2/200) where noise is small."""
    _, df, sigma, s2, multiple, variance = differences
    found = difference_variance(df, sigma, s2, multiple)
    inner = s2 < np.quantile(s2, 0.5)
    assert np.abs(found / variance - 1)[inner].max() < 0.5
    assert abs((found / variance)[inner].mean() - 1) < 0.08


def test_shrinkage_minimises_the_expected_squared_error(differences):
    """Of functions of w and of the other weights, all at their best overall factor; and nearly as if V were known."""
    true, df, sigma, s2, multiple, variance = differences
    w = shrinkage_weights(df, sigma, s2, multiple)
    best = multiple * variance / (multiple * variance + sigma**2)

    def error(weight, factor=True):
        estimate = weight * df
        k = (estimate * true).sum() / (estimate**2).sum() if factor else 1.0
        return np.mean((k * estimate - true) ** 2)

    assert error(w, factor=False) < 1.01 * error(best, factor=False)
    for other in (np.ones(len(w)), w**0.5, w**2, q_weights(df, sigma), q_weights(df, sigma, 1.0)):
        assert error(w, factor=False) < error(other)
    # It is what regression of the truth on the weighted differences finds too.
    assert (w * df * true).sum() / ((w * df) ** 2).sum() == pytest.approx(1.0, abs=0.05)


def test_the_expected_error_is_as_the_posterior_says(differences):
    """Var(d | ΔF) = w σ²."""
    true, df, sigma, s2, multiple, _ = differences
    w = shrinkage_weights(df, sigma, s2, multiple)
    assert np.mean((w * df - true) ** 2 / (w * sigma**2)) == pytest.approx(1.0, abs=0.05)


def test_noise_alone_leaves_little_but_weights_still_by_its_inverse_variance(differences):
    _, _, sigma, s2, _, _ = differences
    rng = np.random.default_rng(5)
    one = np.ones(len(s2))
    w = np.mean([shrinkage_weights(sigma * rng.normal(size=len(s2)), sigma, s2, one) for _ in range(20)], axis=0)
    assert w.min() > 0
    strong = sigma < np.median(sigma)
    assert w[strong].mean() < 0.2
    assert w[strong].mean() > 2 * w[~strong].mean()


def test_exact_differences_have_full_weight():
    df, s2 = np.array([1.0, -2.0, 3.0]), np.array([0.1, 0.2, 0.3])
    np.testing.assert_allclose(shrinkage_weights(df, np.zeros(3), s2, np.ones(3)), 1.0)
    np.testing.assert_allclose(shrinkage_weights(0 * df, np.zeros(3), s2, np.ones(3)), 1.0)


def test_a_change_moves_centric_amplitudes_by_twice_the_mean_square(crystal):
    """ε of centric and ε/2 of acentric reflections, against a change of random complex (centric: real) Gaussians."""
    hkl, _, epsilon, centric, relative = crystal
    rng = np.random.default_rng(6)
    multiple = expected_multiple(hkl, SPACE_GROUP, centric)
    real, imaginary = rng.normal(size=(2, len(hkl)))
    change = 0.01 * np.sqrt(epsilon) * np.where(centric, real, (real + 1j * imaginary) / np.sqrt(2))
    before = np.sqrt(epsilon * relative)
    square = (np.abs(before + change) - before) ** 2 / 1e-4
    strong = relative > 0.1
    for group in (centric & strong, ~centric & strong):
        assert square[group].mean() == pytest.approx(multiple[group].mean(), rel=0.1)


def test_a_negative_alpha_is_refused():
    with pytest.raises(ValueError, match="alpha"):
        q_weights([1.0], [1.0], -1.0)
