"""Metrics against numbers worked by hand."""

import gemmi
import numpy as np
import pandas as pd
import pytest
import reciprocalspaceship as rs
from scipy.special import gammaln

from benchmarks.metrics import (
    METRICS,
    QUALITY,
    against_truth,
    complete_in_halves,
    half_dataset_means,
    half_dataset_means_of,
    held_out,
    quality,
)
from vimerge.statistics import Shells

CELL, SPACEGROUP = gemmi.UnitCell(40, 50, 60, 90, 90, 90), gemmi.SpaceGroup("P 21 21 21")
TYPES = {"F": "F", "SIGF": "Q", "F(+)": "G", "F(-)": "G", "SIGF(+)": "L", "SIGF(-)": "L", "half": "I", "repeat": "I"}


def table(hkl, **columns):
    data = {name: rs.DataSeries(np.asarray(hkl)[:, i], dtype="H") for i, name in enumerate("HKL")}
    data |= {name: rs.DataSeries(np.asarray(values, np.float32), dtype=TYPES[name]) for name, values in columns.items()}
    return rs.DataSet(data, cell=CELL, spacegroup=SPACEGROUP, merged=True).set_index(["H", "K", "L"])


@pytest.fixture(scope="module")
def amplitudes():
    """Miller indices of acentric reflections, with amplitudes of both mates."""
    hkl = gemmi.make_miller_array(CELL, SPACEGROUP, 3.0)
    hkl = hkl[(hkl > 0).all(axis=1)]
    rng = np.random.default_rng(0)
    mean, difference = rng.rayleigh(10.0, len(hkl)), rng.normal(size=len(hkl))
    return hkl, mean + difference, mean - difference


def halves(hkl, first, second):
    tables = [
        table(
            hkl, **{"F(+)": plus, "F(-)": minus, "SIGF(+)": plus / 9, "SIGF(-)": minus / 9, "half": h, "repeat": zero}
        )
        for h, zero, (plus, minus) in zip(
            (np.zeros(len(hkl)), np.ones(len(hkl))), [np.zeros(len(hkl))] * 2, (first, second), strict=True
        )
    ]
    return rs.concat(tables)


def test_held_out_agreement_is_that_of_the_held_out_observations_alone():
    predictions = pd.DataFrame(
        {"Iobs": [1.0, 2, 4, 90], "SIGIobs": [1.0, 1, 1, 1], "Ipred": [3.0, 4, 6, -7], "test": [1, 1, 1, 0]}
    )
    found = held_out(predictions)
    assert found["pearson"] == pytest.approx(1.0)
    assert found["spearman"] == pytest.approx(1.0)
    # Each observation is two standard errors off; its sigma is measured in the standard deviation of 1, 2 and 4.
    log_t = gammaln(8.5) - gammaln(8.0) - 0.5 * np.log(16 * np.pi) - 8.5 * np.log1p(4 / 16)
    assert found["log_density"] == pytest.approx(log_t + 0.5 * np.log(14 / 9))


def test_a_log_density_does_not_depend_on_the_unit_of_intensity():
    rng = np.random.default_rng(1)
    iobs, sigma = rng.exponential(5.0, 100), rng.uniform(1, 2, 100)
    predictions = pd.DataFrame({"Iobs": iobs, "SIGIobs": sigma, "Ipred": iobs + rng.normal(size=100), "test": 1})
    scaled = predictions.assign(**{name: 1000 * predictions[name] for name in ("Iobs", "SIGIobs", "Ipred")})
    assert held_out(scaled)["log_density"] == pytest.approx(held_out(predictions)["log_density"])


def test_nothing_held_out_leaves_no_metric():
    predictions = pd.DataFrame({"Iobs": [1.0, 2], "SIGIobs": [1.0, 1], "Ipred": [1.0, 2], "test": [0, 0]})
    assert held_out(predictions) == {}


def test_equal_halves_agree_and_opposite_differences_disagree(amplitudes):
    hkl, plus, minus = amplitudes
    same = half_dataset_means(halves(hkl, (plus, minus), (plus, minus)))
    assert all(value == pytest.approx(1.0) for value in same.values())
    assert set(same) == {"cc_half", "cc_half_f", "cc_anom", "cc_anom_weighted", "cc_anom_spearman"}
    swapped = half_dataset_means(halves(hkl, (plus, minus), (minus, plus)))
    assert swapped["cc_anom"] == pytest.approx(-1.0)
    assert swapped["cc_anom_spearman"] == pytest.approx(-1.0)


def test_the_fall_off_with_resolution_is_no_disagreement_with_the_truth(amplitudes):
    hkl, plus, minus = amplitudes
    truth = table(hkl, F=(plus + minus) / 2, **{"F(+)": plus, "F(-)": minus})
    d = 1 / np.sqrt(CELL.calculate_1_d2_array(hkl))
    # One factor for each of the ten shells.
    factor = 2.0 ** Shells(d, 10).assign(d)
    sigma = np.ones(len(hkl))
    merged = table(hkl, **{"F(+)": factor * plus, "F(-)": factor * minus, "SIGF(+)": sigma, "SIGF(-)": sigma})
    found = against_truth(merged, truth)
    assert found["cc_truth"] > 0.999
    assert found["cc_truth_anom"] > 0.999
    opposite = table(hkl, **{"F(+)": minus, "F(-)": plus, "SIGF(+)": sigma, "SIGF(-)": sigma})
    assert against_truth(opposite, truth)["cc_truth_anom"] == pytest.approx(-1.0)
    assert against_truth(opposite, truth)["cc_truth"] == pytest.approx(1.0)


def test_a_mate_that_was_not_seen_leaves_the_other_to_be_compared(amplitudes):
    hkl, plus, _ = amplitudes
    truth = table(hkl, F=plus, **{"F(+)": plus, "F(-)": plus})
    sigma = np.ones(len(hkl))
    missing = np.where(np.arange(len(hkl)) % 2, np.nan, plus)
    merged = table(hkl, **{"F(+)": plus, "F(-)": missing, "SIGF(+)": sigma, "SIGF(-)": sigma})
    assert quality(merged=merged, truth=truth)["cc_truth"] == pytest.approx(1.0)


def test_every_metric_says_which_way_is_better():
    assert {metric.better for metric in METRICS.values()} == {"higher", "lower"}
    assert all(METRICS[name].better == "higher" for name in QUALITY)
    assert METRICS["cpu_seconds"].ratio(2.0, 60.0) == 30.0
    assert METRICS["cpu_seconds"].is_better(2.0, 60.0)
    assert METRICS["pearson"].is_better(0.9, 0.8)


def test_halves_are_compared_on_reflections_that_are_complete_in_both(amplitudes):
    hkl, plus, minus = amplitudes
    rng = np.random.default_rng(3)
    noisy = [(plus + rng.normal(size=len(hkl)), minus + rng.normal(size=len(hkl))) for _ in range(2)]
    everything = halves(hkl, *noisy)
    # One mate of a third of the reflections is missing in one half.
    gap = np.arange(len(hkl)) % 3 == 0
    partial = halves(hkl, (np.where(gap, np.nan, noisy[0][0]), noisy[0][1]), noisy[1])
    assert len(complete_in_halves(everything)) == len(hkl)
    common = complete_in_halves(partial)
    assert {hkl[:3] for hkl in common} == set(map(tuple, hkl[~gap]))
    some = half_dataset_means(halves(hkl[~gap], *[(p[~gap], m[~gap]) for p, m in noisy]))
    for table in (everything, partial):
        assert half_dataset_means_of(table, common) == pytest.approx(some)
