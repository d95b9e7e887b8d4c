"""Statistics against numbers worked by hand and against scipy."""

import gemmi
import numpy as np
import pytest
import reciprocalspaceship as rs
from scipy import stats

from vimerge.statistics import (
    Shells,
    completeness,
    half_dataset_correlations,
    pearson,
    prediction_correlations,
    resolution,
    spearman,
    weighted_pearson,
)

CELL, SPACE_GROUP = gemmi.UnitCell(40, 50, 60, 90, 90, 90), gemmi.SpaceGroup("P 21 21 21")


def table(hkl, columns, types):
    data = {name: rs.DataSeries(np.asarray(v, np.float32), dtype=types[name]) for name, v in columns.items()}
    data |= {name: rs.DataSeries(np.asarray(hkl)[:, i], dtype="H") for i, name in enumerate("HKL")}
    return rs.DataSet(data, cell=CELL, spacegroup=SPACE_GROUP, merged=True).set_index(["H", "K", "L"])


def test_correlations_agree_with_scipy():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 50))
    assert pearson(x, y) == pytest.approx(stats.pearsonr(x, y).statistic)
    assert spearman(x, y) == pytest.approx(stats.spearmanr(x, y).statistic)


def test_integer_weights_are_repeated_points():
    x, y, weight = [0.0, 1, 2, 5], [1.0, 0, 3, 4], [1, 3, 2, 4]
    assert weighted_pearson(x, y, weight) == pytest.approx(pearson(np.repeat(x, weight), np.repeat(y, weight)))


@pytest.mark.parametrize("correlation", [pearson, spearman])
def test_a_correlation_without_spread_is_not_a_number(correlation):
    assert np.isnan(correlation([1.0], [2.0]))
    assert np.isnan(correlation([1.0, 1.0], [2.0, 3.0]))


def test_shells_hold_equal_numbers_and_every_reflection():
    d = np.random.default_rng(1).uniform(1.5, 30, 1000)
    shells = Shells(d, 10)
    assert np.all(np.bincount(shells.assign(d)) == 100)
    assert shells.edges[0] == d.max()
    assert shells.edges[-1] == d.min()


def test_a_shell_holds_its_low_resolution_limit_and_what_is_outside_is_in_none():
    shells = Shells([4.0, 3.0, 2.0], 2)
    assert shells.edges.tolist() == [4.0, 3.0, 2.0]
    assert shells.assign([4.0, 3.5, 3.0, 2.5, 2.0, 4.1, 1.9]).tolist() == [0, 0, 1, 1, 1, -1, -1]


def test_shells_of_nothing_are_refused():
    with pytest.raises(ValueError, match="at least one"):
        Shells([], 3)


def test_resolution_is_that_of_the_cell():
    one = table([[2, 0, 0], [0, 5, 0]], {"F": [1, 1]}, {"F": "F"})
    np.testing.assert_allclose(resolution(one), [20, 10], rtol=1e-6)


def halves_table(first, second, anomalous=False):
    """Stack two halves given as {hkl: values}."""
    names = ("F(+)", "SIGF(+)", "F(-)", "SIGF(-)", "I(+)", "I(-)") if anomalous else ("F", "SIGF", "I")
    types = {"F": "F", "S": "Q", "I": "J"}
    parts = []
    for half, values in enumerate((first, second)):
        columns = {name: [row[i] for row in values.values()] for i, name in enumerate(names)}
        columns |= {"half": [half] * len(values), "repeat": [0] * len(values)}
        kinds = {name: types[name[0]] for name in names} | {"half": "I", "repeat": "I"}
        parts.append(table(list(values), columns, kinds))
    return rs.concat(parts)


def test_cc_half_is_that_of_the_reflections_in_both_halves():
    # Common: (1,1,1), (2,1,1), (3,1,1), with I = 1, 2, 4 against 2, 2, 5: covariance 10/3, variances 14/3 and 6.
    first = {(1, 1, 1): (1, 1, 1), (2, 1, 1): (1.4, 1, 2), (3, 1, 1): (2, 1, 4), (4, 1, 1): (9, 1, 81)}
    second = {(3, 1, 1): (2.2, 1, 5), (1, 1, 1): (1.4, 1, 2), (2, 1, 1): (1.4, 1, 2), (5, 1, 1): (1, 1, 1)}
    result = half_dataset_correlations(halves_table(first, second), shells=1)
    assert result.loc["overall", "reflections"] == 3
    expected = 5 / np.sqrt(14 / 3 * 6)
    assert result.loc["overall", "cc_half"] == pytest.approx(expected, rel=1e-6)
    assert result.loc[1, "cc_half"] == pytest.approx(expected, rel=1e-6)


def test_cc_anom_leaves_out_centric_reflections_and_missing_mates():
    differences = {(1, 1, 1): (1, 2), (2, 1, 1): (-2, -1), (3, 1, 1): (3, 1)}
    first = {hkl: (10 + a, 1, 10, 1, 100, 100) for hkl, (a, _) in differences.items()}
    second = {hkl: (10 + b, 2, 10, 2, 100, 100) for hkl, (_, b) in differences.items()}
    for half in (first, second):
        half[(0, 1, 1)] = (10, 1, 10, 1, 100, 100)
        half[(4, 1, 1)] = (10, 1, np.nan, np.nan, 100, np.nan)
    result = half_dataset_correlations(halves_table(first, second, anomalous=True), shells=1)
    expected = np.corrcoef(*zip(*differences.values(), strict=True))[0, 1]
    assert result.loc["overall", "cc_anom"] == pytest.approx(expected, rel=1e-6)
    assert result.loc["overall", "cc_anom_weighted"] == pytest.approx(expected, rel=1e-6)


def test_predictions_are_judged_in_training_and_held_out():
    rng = np.random.default_rng(2)
    ipred, test = rng.exponential(size=200), np.arange(200) % 4 == 0
    iobs = ipred + np.where(test, 0.5, 0.01) * rng.normal(size=200)
    columns = {"Iobs": iobs, "SIGIobs": np.ones(200), "Ipred": ipred, "test": test}
    types = {"Iobs": "J", "SIGIobs": "Q", "Ipred": "J", "test": "I"}
    result = prediction_correlations(table(np.ones((200, 3), int), columns, types))
    assert result["observations"].tolist() == [150, 50]
    assert result.loc["train", "pearson"] > 0.999 > result.loc["test", "pearson"]
    assert result.loc["test", "weighted"] == pytest.approx(np.corrcoef(iobs[test], ipred[test])[0, 1], rel=1e-5)
    # Nor is what was rejected in training.
    columns["Iobs"] = np.where(np.arange(200) % 20 == 1, 100.0, iobs)
    columns["rejected"], types["rejected"] = columns["Iobs"] == 100, "I"
    result = prediction_correlations(table(np.ones((200, 3), int), columns, types))
    assert result["observations"].tolist() == [140, 50]
    assert result.loc["train", "pearson"] > 0.999


def test_completeness_is_counted_against_gemmi():
    possible = gemmi.make_miller_array(CELL, SPACE_GROUP, 3.97, 100.0, unique=True)
    kept = possible[np.random.default_rng(3).permutation(len(possible))[: len(possible) // 2]]
    # The limits are those of what was observed: keep the first and the last.
    d = CELL.calculate_1_d2_array(possible) ** -0.5
    kept = np.unique(np.vstack([kept, possible[[d.argmin(), d.argmax()]]]), axis=0)
    columns = {"I": np.full(len(kept), 6.0), "SIGI": np.full(len(kept), 2.0), "N": np.full(len(kept), 5)}
    result = completeness(table(kept, columns, {"I": "J", "SIGI": "Q", "N": "I"}), shells=5)
    overall = result.loc["overall"]
    assert overall["possible"] == len(possible)
    assert overall["completeness"] == pytest.approx(len(kept) / len(possible))
    assert overall["multiplicity"] == pytest.approx(5)
    assert overall["mean_i_over_sigma"] == pytest.approx(3)
    assert result["possible"].iloc[:-1].sum() == len(possible)
