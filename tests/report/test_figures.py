"""Figures show what they are given; summaries say it."""

import gemmi
import numpy as np
import pandas as pd
import pytest
import reciprocalspaceship as rs

from vimerge.report import figures
from vimerge.report.demo import truth_correlations
from vimerge.report.summary import format_shells, summarize


@pytest.fixture
def axes():
    return figures.panels(1, 1)[1][0]


def labels(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_training_history_shows_what_was_logged(axes):
    history = pd.DataFrame(
        {
            "elbo": np.linspace(-9, -3, 20),
            "log_likelihood": np.linspace(-8, -2, 20),
            "val_log_likelihood": [np.nan, -7.0] * 10,
        },
        index=np.arange(1, 21),
    )
    figures.training_history(axes, history)
    assert labels(axes) == ["ELBO", "log-likelihood", "log-likelihood, held out"]
    low, high = axes.get_ylim()
    assert low < -3 < high
    assert high > -2


def test_against_truth_puts_both_on_one_scale(axes):
    truth = np.linspace(1, 10, 50)
    figures.against_truth(axes, np.append(truth, np.nan), np.append(3 * truth, 1.0), "F", "title")
    x, y = axes.lines[0].get_data()
    np.testing.assert_allclose(x, y)
    assert len(x) == 50


def test_by_resolution_leaves_the_overall_row_out(axes):
    table = pd.DataFrame(
        {"dmax": [10.0, 4.0, 10.0], "dmin": [4.0, 2.0, 2.0], "cc_half": [0.9, 0.5, 0.8]}, index=[1, 2, "overall"]
    )
    figures.by_resolution(axes, table, {"cc_half": "CC1/2"}, "title")
    assert axes.lines[0].get_ydata().tolist() == [0.9, 0.5]
    assert labels(axes) == ["CC1/2"]


def test_scale_by_image_draws_the_median(axes):
    predictions = pd.DataFrame({"image_id": [0, 0, 0, 1, 1], "scale": [1.0, 2.0, 9.0, 3.0, 5.0]})
    figures.scale_by_image(axes, predictions)
    assert axes.lines[0].get_ydata().tolist() == [2.0, 4.0]


def test_a_table_by_shell_is_aligned_text():
    table = pd.DataFrame(
        {"dmax": [10.0, 10.0], "dmin": [2.0, 2.0], "unique": [7, 7], "completeness": [0.5, 0.5]}, index=[1, "overall"]
    )
    first, *rows = format_shells(table).splitlines()
    assert first.split() == ["resolution", "(Å)", "unique", "compl."]
    assert rows[1].split() == ["overall", "10.00–2.00", "7", "50.0%"]
    assert len({len(line) for line in (first, *rows)}) == 1


def merged_table(hkl, **columns):
    data = {name: rs.DataSeries(np.asarray(value, np.float32), dtype="F") for name, value in columns.items()}
    data |= {name: rs.DataSeries(np.asarray(hkl)[:, i], dtype="H") for i, name in enumerate("HKL")}
    cell, group = gemmi.UnitCell(30, 40, 50, 90, 90, 90), gemmi.SpaceGroup("P 21 21 21")
    return rs.DataSet(data, cell=cell, spacegroup=group, merged=True).set_index(["H", "K", "L"])


def test_the_summary_gives_completeness_and_held_out_agreement():
    hkl = gemmi.make_miller_array(gemmi.UnitCell(30, 40, 50, 90, 90, 90), gemmi.SpaceGroup("P 21 21 21"), 5.0)
    ones = np.ones(len(hkl))
    merged = merged_table(hkl, I=9 * ones, SIGI=3 * ones, N=4 * ones)
    value = np.arange(1.0, len(hkl) + 1)
    predictions = merged_table(hkl, Iobs=value, SIGIobs=ones, Ipred=value, test=value > 10)
    text = summarize(merged, predictions)
    assert f"{len(hkl)} unique reflections" in text
    assert "completeness 100.0%" in text
    assert "held-out observations: CC 1.000" in text


def test_truth_correlations_use_what_is_well_measured():
    hkl = [(1, 1, i) for i in range(1, 9)]
    plus, minus = np.arange(1.0, 9.0), np.array([2.0, 1, 5, 2, 6, 9, 6, 8])
    truth = merged_table(hkl, **{"F(+)": plus, "F(-)": minus})
    number = np.where(np.arange(8) == 0, 1, 5)
    spoiled = np.where(number < 3, 100, plus)
    merged = merged_table(hkl, **{"F(+)": 2 * spoiled, "F(-)": 2 * minus, "N(+)": number, "N(-)": number})
    assert list(truth_correlations(merged, truth).values()) == pytest.approx([1, 1])
