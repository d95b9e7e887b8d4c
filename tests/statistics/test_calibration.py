"""Coverage of intervals, and whether ranks are uniform."""

import numpy as np
import pytest
from scipy import stats

from vimerge.statistics import coverage, rank_uniformity


def transform(sd_found, n=20_000, shift=0.0):
    """Ranks of standard normal truths within predictions of another width or centre."""
    truth = np.random.default_rng(5).standard_normal(n)
    return stats.norm.cdf(truth, loc=shift, scale=sd_found)


def test_calibrated_predictions_cover_what_they_promise():
    found = coverage(transform(1.0)).loc["overall"]
    for level in (0.5, 0.683, 0.9, 0.954):
        assert abs(found[level] - level) < 5 * np.sqrt(level * (1 - level) / 20_000)
    assert found["n"] == 20_000
    assert found["p_uniform"] > 1e-3


def test_intervals_that_are_too_narrow_cover_too_little():
    found = coverage(transform(0.5), levels=(0.683,)).loc["overall", 0.683]
    # Half a standard deviation to either side holds 38.3 % of a normal distribution.
    assert abs(found - 0.383) < 0.02


@pytest.mark.parametrize("wrong", [transform(0.9), transform(1.1), transform(1.0, shift=0.1)])
def test_uneven_ranks_are_told(wrong):
    assert rank_uniformity(wrong) < 1e-6


def test_groups_are_counted_apart():
    groups = np.repeat(["wide", "narrow"], 10_000)
    pit = np.concatenate([transform(2.0, 10_000), transform(0.5, 10_000)])
    found = coverage(pit, groups, levels=(0.5,))
    assert found.index.tolist() == ["narrow", "wide", "overall"]
    assert found["n"].tolist() == [10_000, 10_000, 20_000]
    assert found.loc["narrow", 0.5] < 0.3 < 0.7 < found.loc["wide", 0.5]


def test_few_ranks_have_no_histogram():
    assert np.isnan(rank_uniformity(np.linspace(0.1, 0.9, 9)))
    assert rank_uniformity(np.linspace(0.05, 0.95, 10)) > 0.99
