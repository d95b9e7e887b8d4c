"""R factors against their definitions, and what scaled observations merge to."""

import numpy as np
import pytest

from vimerge.reflections import Reflections
from vimerge.statistics import (
    Shells,
    completeness,
    half_dataset_correlations,
    merge_random_halves,
    merge_scaled,
    merging_r_factors,
    scaled_observations,
)

# Equivalents of 1 2 3 in P 21 21 21, the last two its Friedel mates; and of 2 1 4.
OBSERVED = [(1, 2, 3), (-1, -2, 3), (-1, -2, -3), (1, 2, -3), (2, 1, 4), (2, -1, -4), (5, 5, 5)]
INTENSITY = np.array([10.0, 14.0, 20.0, 22.0, 5.0, 7.0, 100.0])


def by_definition(groups, weight):
    above, meas, pim, below = np.zeros(4)
    for group in groups:
        x, n = INTENSITY[group], len(group)
        mean = np.average(x, weights=weight[group])
        spread = np.abs(x - mean).sum()
        above, below = above + spread, below + n * mean
        meas, pim = meas + spread * np.sqrt(n / (n - 1)), pim + spread / np.sqrt(n - 1)
    return [above / below, meas / below, pim / below]


@pytest.mark.parametrize("sigma", [np.ones(7), np.array([1.0, 2, 1, 3, 1, 2, 1])])
def test_r_factors_are_those_of_their_definitions_with_and_without_friedels_law(make, sigma):
    table = make(OBSERVED, merged=False, I=INTENSITY, SIGI=sigma)
    result = merging_r_factors(table, shells=1, anomalous=True).loc["overall"]
    assert result["observations"] == 7
    together = by_definition([[0, 1, 2, 3], [4, 5]], sigma**-2)
    np.testing.assert_allclose(result[["r_merge", "r_meas", "r_pim"]].astype(float), together, rtol=1e-6)
    apart = by_definition([[0, 1], [2, 3], [4, 5]], sigma**-2)
    names = ["r_merge_anomalous", "r_meas_anomalous", "r_pim_anomalous"]
    np.testing.assert_allclose(result[names].astype(float), apart, rtol=1e-6)


def test_a_shell_without_repeated_observations_has_no_r_factor(make):
    result = merging_r_factors(make([(1, 2, 3), (9, 9, 9)], merged=False, I=[1, 2], SIGI=[1, 1]), shells=2)
    assert np.isnan(result["r_meas"].to_numpy(float)).all()


def test_sigma_tau_and_random_halves_agree_about_cc_half(make):
    rng = np.random.default_rng(0)
    truth = rng.exponential(size=3000)
    hkl = np.array([(1 + i % 17, 1 + i // 17 % 17, 1 + i // 289) for i in range(3000)])
    # σ² of the mean of eight is 0.25: halves have twice that, and CC1/2 is 1/(1 + 0.5).
    values = (truth[:, None] + np.sqrt(2.0) * rng.normal(size=(3000, 8))).ravel()
    table = make(np.repeat(hkl, 8, axis=0), merged=False, I=values, SIGI=np.ones(24000))
    assert merging_r_factors(table, 1).loc["overall", "cc_half_sigma_tau"] == pytest.approx(2 / 3, abs=0.02)
    image = np.tile(np.arange(8), 3000)
    reflections = Reflections.from_arrays(
        np.repeat(hkl, 8, axis=0),
        values,
        np.ones(24000),
        image,
        cell=table.cell,
        spacegroup=table.spacegroup,
    )
    result = half_dataset_correlations(merge_random_halves(reflections, repeats=3), 1).loc["overall"]
    assert result["cc_half_low"] < 2 / 3 < result["cc_half_high"]
    assert result["reflections"] == 9000


def test_observations_are_merged_by_inverse_variance_and_centric_mates_are_one():
    hkl = np.array([(1, 2, 3), (-1, -2, -3), (-1, -2, 3), (0, 2, 3), (0, -2, -3)])
    reflections = Reflections.from_arrays(
        hkl,
        np.array([10.0, 20, 16, 4, 8]),
        np.array([1.0, 1, 0.5, 1, 1]),
        np.array([0, 1, 2, 0, 1]),
        cell=(40, 50, 60, 90, 90, 90),
        spacegroup="P 21 21 21",
        anomalous=True,
    )
    merged = merge_scaled(reflections)
    general, centric = merged.loc[(1, 2, 3)], merged.loc[(0, 2, 3)]
    assert general["I(+)"] == pytest.approx((10 + 4 * 16) / 5)
    assert general["SIGI(+)"] == pytest.approx(5**-0.5)
    assert general["I"] == pytest.approx((10 + 4 * 16 + 20) / 6)
    assert general[["N", "N(+)", "N(-)"]].tolist() == [3, 2, 1]
    assert centric[["I", "I(+)", "I(-)", "N"]].tolist() == [6, 6, 6, 2]
    table = completeness(merged, 1).loc["overall"]
    assert table["observations"] == 5
    # Of two acentric and one centric, three are known apart.
    assert table["multiplicity_anomalous"] == pytest.approx(5 / 3)


def test_anomalous_completeness_counts_acentric_pairs(make, crystal):
    hkl, _, _, centric, _ = crystal
    there = np.arange(len(hkl)) % 4 != 0
    minus = np.where(there, 1.0, np.nan)
    ones = np.ones(len(hkl))
    mates = {"I_plus": ones, "I_minus": minus, "SIGI_plus": ones, "SIGI_minus": minus}
    table = completeness(make(hkl, I=ones, SIGI=ones, **mates), 3).loc["overall"]
    assert table["completeness"] == 1
    assert table["completeness_anomalous"] == pytest.approx(there[~centric].mean())
    assert np.isnan(table["multiplicity"])
    assert table["anomalous_signal"] == 0


def test_completeness_in_wider_shells_counts_what_was_not_measured(make, crystal):
    hkl, s2, *_ = crystal
    inner = s2 < 3.0**-2
    table = make(hkl[inner], I=np.ones(inner.sum()), SIGI=np.ones(inner.sum()))
    result = completeness(table, Shells(s2**-0.5, 5))
    assert result["possible"].sum() == 2 * len(hkl)
    assert result["unique"].sum() == 2 * inner.sum()
    assert result.loc[5, "completeness"] == 0
    assert result.loc["overall", "completeness"] == pytest.approx(inner.mean())


def test_scaled_observations_are_those_that_were_merged(make):
    columns = {"Iobs": [10, 20, 30], "SIGIobs": [1, 2, 3], "scale": [2, 4, 5], "image_id": [0, 1, 2], "test": [0, 1, 0]}
    table = make([(1, 2, 3), (-1, 2, 3), (1, 2, 3)], merged=False, **columns)
    scaled = scaled_observations(table)
    assert scaled["I"].tolist() == [5, 6]
    np.testing.assert_allclose(scaled["SIGI"], [0.5, 0.6])
    assert scaled.index.tolist() == [(1, 2, 3), (1, 2, 3)]
    assert len(scaled_observations(table, held_out=True)) == 3
    table["rejected"] = [0, 0, 1]
    assert scaled_observations(table)["I"].tolist() == [5]
