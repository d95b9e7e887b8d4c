"""Confidence intervals of correlations, CC*, R_split and half data sets of other programs."""

import numpy as np
import pytest
import reciprocalspaceship as rs

from vimerge.reflections import MissingColumnError
from vimerge.statistics import cc_star, correlation_interval, half_dataset_correlations, pearson


def halves(make, first, second, names=("F", "SIGF"), repeat=0):
    parts = []
    for half, rows in enumerate((first, second)):
        columns = {name: [row[i] for row in rows.values()] for i, name in enumerate(names)}
        number = len(rows)
        parts.append(make(list(rows), **columns, half=[half] * number, repeat=[repeat] * number))
    return rs.concat(parts)


def test_an_interval_of_normal_points_is_fishers():
    rng = np.random.default_rng(0)
    x = rng.normal(size=20_000)
    y = 0.8 * x + 0.6 * rng.normal(size=20_000)
    r = pearson(x, y)
    fisher = np.tanh(np.arctanh(r) + np.array([-1, 1]) * 1.959964 / np.sqrt(len(x) - 3))
    low, high = correlation_interval(x, y)
    np.testing.assert_allclose([r - low, high - r], [r - fisher[0], fisher[1] - r], rtol=0.03)


def test_ninety_five_of_a_hundred_intervals_of_exponential_intensities_hold_the_true_correlation():
    rng = np.random.default_rng(1)
    # The variance of a unit exponential is 1, that of the noise 0.25: the correlation is 0.8.
    inside = 0
    for _ in range(1000):
        truth = rng.exponential(size=400)
        low, high = correlation_interval(*(truth + 0.5 * rng.normal(size=(2, 400))))
        inside += low < 0.8 < high
    assert 920 < inside < 970


def test_repeating_the_same_points_does_not_narrow_the_interval():
    rng = np.random.default_rng(2)
    x = rng.normal(size=300)
    y = x + rng.normal(size=300)
    once = correlation_interval(x, y)
    thrice = correlation_interval(np.tile(x, 3), np.tile(y, 3), np.tile(np.arange(300), 3))
    np.testing.assert_allclose(thrice, once, rtol=1e-9)
    assert correlation_interval(np.tile(x, 3), np.tile(y, 3))[0] > once[0]


def test_too_few_points_have_no_interval():
    assert np.isnan(correlation_interval([1.0, 2, 3], [1.0, 2, 4])).all()


def test_cc_star_of_a_half_is_the_root_of_two_thirds():
    np.testing.assert_allclose(cc_star([0.5, 1.0, 0.0]), [np.sqrt(2 / 3), 1, 0])
    assert np.isnan(cc_star(-0.1))


def test_half_data_sets_with_amplitudes_alone_have_the_cc_half_of_their_mean_squares(make):
    # I = F² + σ²: 5, 11, 17 and 10, 8, 20. Means 11 and 38/3; Σ dx dy = 60, Σ dx² = 72, Σ dy² = 248/3.
    first = {(1, 1, 1): (2, 1), (2, 1, 1): (3, np.sqrt(2)), (3, 1, 1): (4, 1), (7, 1, 1): (50, 1)}
    second = {(2, 1, 1): (2, 2), (1, 1, 1): (3, 1), (3, 1, 1): (4, 2), (8, 1, 1): (1, 1)}
    table = halves(make, first, second, names=("F", "SigF"))
    assert list(table.columns) == ["F", "SigF", "half", "repeat"]
    result = half_dataset_correlations(table, shells=1).loc["overall"]
    assert result["reflections"] == 3
    assert result["cc_half"] == pytest.approx(60 / np.sqrt(72 * 248 / 3), rel=1e-6)
    # √2 (5 + 3 + 3) / (33 + 38)
    assert result["r_split"] == pytest.approx(np.sqrt(2) * 11 / 71, rel=1e-6)
    assert result["cc_star"] == pytest.approx(cc_star(result["cc_half"]))


def test_files_in_other_cases_give_the_same_numbers(make):
    rng = np.random.default_rng(3)
    hkl = [(h, 1, 1) for h in range(1, 15)]
    rows = [dict(zip(hkl, rng.uniform(1, 9, (14, 2)).tolist(), strict=True)) for _ in range(2)]
    own = half_dataset_correlations(halves(make, *rows), shells=2)
    other = halves(make, *rows, names=("f", "Sigf")).rename(columns={"half": "HALF", "repeat": "Repeat"})
    assert half_dataset_correlations(other, shells=2).equals(own)


def test_missing_columns_of_half_data_sets_are_named(make):
    table = make([(1, 1, 1)], F=[1.0], SIGF=[1.0], half=[0])
    with pytest.raises(MissingColumnError, match="repeat"):
        half_dataset_correlations(table)
