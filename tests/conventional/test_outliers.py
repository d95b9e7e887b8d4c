import numpy as np
import pytest

from vimerge.conventional.outliers import disagreeing, leave_one_out, less_likely, too_strong, undecided
from vimerge.conventional.wilson import mean_intensity


def test_deviation_from_the_others_by_hand():
    group, scale = np.zeros(3, int), np.array([1.0, 2.0, 1.0])
    iobs, variance = np.array([10.0, 24.0, 30.0]), np.array([1.0, 4.0, 4.0])
    deviation = leave_one_out(group, iobs, variance, scale, np.ones(3, bool))
    # Without the third: Σ w g I / Σ w g² = (10 + 12) / (1 + 1) = 11, of variance 1/2.
    assert deviation[2] == pytest.approx((30 - 11) / np.sqrt(4 + 0.5))
    # Without the second: (10 + 7.5) / 1.25 = 14, of variance 0.8; seen at twice the scale.
    assert deviation[1] == pytest.approx((24 - 28) / np.sqrt(4 + 4 * 0.8))


def _experiment(rng, groups=2000, each=5, outliers=0.02):
    group = np.repeat(np.arange(groups), each)
    truth = rng.gamma(1.0, 300.0, groups)[group]
    scale = np.exp(0.2 * rng.normal(size=len(group)))
    sigma = np.sqrt(scale * truth + 50)
    iobs = scale * truth + sigma * rng.normal(size=len(group))
    spoilt = rng.random(len(group)) < outliers
    iobs = np.where(spoilt, iobs + 15 * sigma * rng.choice([-1, 1], len(group)), iobs)
    return group, iobs, sigma**2, scale, spoilt


def test_injected_outliers_are_found_and_hardly_anything_else():
    *data, spoilt = _experiment(np.random.default_rng(0))
    keep = np.ones(len(spoilt), bool)
    found = disagreeing(*data, keep)
    assert np.mean(found[spoilt]) > 0.95
    # With two outliers among five, one of the good may go with them.
    assert np.count_nonzero(found & ~spoilt) <= 2


def test_without_outliers_none_is_found():
    *data, _ = _experiment(np.random.default_rng(1), outliers=0.0)
    assert not disagreeing(*data, np.ones(len(data[0]), bool), limit=6.0).any()


def test_the_worst_goes_first_and_takes_no_other_with_it():
    iobs = np.array([100.0, 101.0, 99.0, 100.0, 200.0])
    found = disagreeing(np.zeros(5, int), iobs, np.ones(5), np.ones(5), np.ones(5, bool))
    np.testing.assert_array_equal(found, [False] * 4 + [True])


def test_of_two_that_disagree_neither_is_rejected_but_both_are_suspect():
    group, iobs = np.array([0, 0, 1, 1]), np.array([100.0, 200.0, 50.0, 51.0])
    ones, keep = np.ones(4), np.ones(4, bool)
    assert not disagreeing(group, iobs, ones, ones, keep).any()
    np.testing.assert_array_equal(undecided(group, iobs, ones, ones, keep), [True, True, False, False])


def test_what_is_held_out_has_no_say():
    iobs = np.array([100.0, 101.0, 99.0, 500.0, 500.0, 500.0])
    keep = np.array([True] * 3 + [False] * 3)
    assert not disagreeing(np.zeros(6, int), iobs, np.ones(6), np.ones(6), keep).any()


def test_no_reflection_is_ten_times_as_strong_as_its_like():
    intensity, expected = np.array([90.0, 110.0, 110.0]), np.ones(3)
    np.testing.assert_array_equal(too_strong(intensity, np.array([1.0, 1.0, 5.0]), expected), [False, True, False])


def test_of_a_pair_that_disagrees_the_one_that_wilson_finds_absurd_is_named():
    group, centric = np.array([0, 0, 1, 1, 2, 2, 3]), np.zeros(7, bool)
    intensity = np.array([1.0, 9.0, 1.0, 2.0, 30.0, -5.0, 99.0])
    pairs = np.array([True] * 6 + [False])
    found = less_likely(group, intensity, np.ones(7), centric, pairs)
    # exp(−1)/exp(−9) is more than 20, exp(−1)/exp(−2) is not.
    np.testing.assert_array_equal(found, [False, True, False, False, True, False, False])
    assert not less_likely(group, intensity, 10 * np.ones(7), centric, pairs).any()


def test_the_mean_intensity_falls_off_as_the_truth_does():
    rng = np.random.default_rng(0)
    s2, epsilon = rng.uniform(0.001, 0.25, 20_000), rng.choice([1.0, 2.0], 20_000)
    truth = 500 * epsilon * np.exp(-15 * s2)
    estimate = mean_intensity(rng.exponential(truth), epsilon, s2)
    assert np.std(np.log(estimate / truth)) < 0.06
