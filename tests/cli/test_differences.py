"""Sweeps over correlations and differences of data sets, from the command line."""

import json

import numpy as np
import pandas as pd
import pytest
import reciprocalspaceship as rs

from vimerge.cli import main, sweep
from vimerge.report.sweep import PANELS, draw_sweep


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A pump-probe pair of small Laue data sets, with models and the truth."""
    from vimerge.simulation import simulate_pair

    folder = tmp_path_factory.mktemp("pair")
    pair = simulate_pair(cell=(26.0, 30.0, 34.0, 90.0, 90.0, 90.0), dmin=2.2, images=16, step=11.0, seed=3)
    pair.write(str(folder / "x.mtz"))
    return folder


def files(folder):
    return [f"--dataset=off={folder / 'x_off.mtz'}", f"--dataset=on={folder / 'x_on.mtz'}"]


FAST = ["--wavelength-key=Wavelength", "--epochs=4", "--batch-size=3000", "--seed=1", "--no-report", "--quiet"]


def test_a_difference_has_a_map_whose_peaks_are_at_the_atoms_that_moved(folder, tmp_path):
    model = folder / "x_off.pdb"
    options = ["--phases", str(model), "--correlate=on~off=0.9", "--shared-errors=0", "--half-datasets=0"]
    assert main(["difference", *files(folder), *FAST, *options, "-o", str(tmp_path)]) == 0
    table = rs.read_mtz(str(tmp_path / "difference.mtz"))
    assert {"DF", "SIGDF", "F_off", "F_on", "DELFWT", "PHDELWT", "PHIC", "FOM", "W"} <= set(table.columns)
    truth = rs.read_mtz(str(folder / "x_truth.mtz"))
    both = table.join(truth, how="inner").dropna()
    true = both["F_ON"].astype(float) - both["F_OFF"].astype(float)
    assert np.corrcoef(both["DF"].astype(float), true)[0, 1] > 0.5
    peaks = pd.read_csv(tmp_path / "peaks.csv")
    assert {"height", "residue", "atom", "distance"} <= set(peaks.columns)
    # The merged files say the same.
    again = tmp_path / "again"
    merged = [str(tmp_path / f"merged_{name}.mtz") for name in ("off", "on")]
    assert main(["difference", *merged, "--phases", str(model), "--ccp4", "-o", str(again)]) == 0
    assert {"difference.mtz", "peaks.csv", "difference.ccp4", "log.txt"} == {path.name for path in again.iterdir()}


def test_errors_that_are_shared_tie_amplitudes_that_are_independent(folder, tmp_path):
    options = ["--shared-errors=0.8", "--half-datasets=0", "--phases", str(folder / "x_off.pdb"), "--dmin=3"]
    assert main(["difference", *files(folder), *FAST, *options, "-o", str(tmp_path)]) == 0
    table = rs.read_mtz(str(tmp_path / "difference.mtz"))
    apart = np.hypot(table["SIGF_off"], table["SIGF_on"] * table["SCALE_on"])
    both = (table["N_off"] > 1) & (table["N_on"] > 1)
    # What is shared goes out of the difference; of amplitudes that are correlated a priori far more would.
    assert 0.5 < np.median((table["SIGDF"] / apart)[both]) < 0.98
    assert "weighted by shrinkage" in (tmp_path / "log.txt").read_text()
    run = json.loads((tmp_path / "run.json").read_text())
    assert run["options"]["modelling"]["correlate"] == {"on": ["off", 0.0]}


def test_a_sweep_merges_with_what_held_out_observations_choose(folder, tmp_path):
    options = ["--correlate=on~off=0.5,0.99", "--shared-errors=0", "--dmin=3"]
    options += ["--test-fraction=0.2", "--half-datasets=0"]
    assert main(["sweep", *files(folder), *FAST, *options, "-o", str(tmp_path)]) == 0
    table = pd.read_csv(tmp_path / "sweep.csv", index_col=0)
    assert table.index.tolist() == ["0.0", "0.5", "0.99", "by shell"]
    # The two crystals differ little.
    best = table["log_predictive"].idxmax()
    assert best in ("0.99", "by shell")
    assert table.loc[best, "log_predictive_se"] == 0.0
    assert table["log_evidence"].drop("by shell").idxmax() == "0.99"
    assert table["log_evidence"].idxmax() == "by shell"
    assert {"sweep.svg", "merged_on.mtz", "model.keras"} <= {path.name for path in tmp_path.iterdir()}
    log = (tmp_path / "log.txt").read_text()
    assert "standard error of" in log
    assert (table["log_predictive_se"].drop(best) > 0).all()
    # What it says it has merged with, it has.
    chosen = [row["correlation"] for row in json.loads((tmp_path / "run.json").read_text())["correlations"]]
    assert (chosen == [0.99]) == (best == "0.99")


@pytest.mark.slow
def test_without_a_number_the_evidence_chooses_by_resolution(folder, tmp_path):
    options = ["--correlate=on~off", "--shared-errors=0.5", "--dmin=3", "--half-datasets=0", "-o", str(tmp_path)]
    assert main(["merge", *files(folder), *FAST, *options]) == 0
    run = json.loads((tmp_path / "run.json").read_text())
    assert run["options"]["modelling"]["correlate"] == {"on": ["off", "auto"]}
    rows = run["correlations"]
    assert len(rows) > 2
    assert [row["d_min"] for row in rows] == sorted((row["d_min"] for row in rows), reverse=True)
    assert all(row["relation"] == "on~off" and row["children"] >= 100 and row["log_evidence"] > 20 for row in rows)
    assert all(0.98 < row["correlation"] < 0.9999 for row in rows)
    assert "correlations of most evidence" in (tmp_path / "log.txt").read_text()
    assert run["learned"]["likelihood"]["correlation of shared errors"] == 0.5


def test_relations_have_lists_of_their_own_in_a_sweep():
    found = sweep._combinations({"on": ("off", (0.9, 0.99)), "hot": ("on", (0.5,))})
    assert list(found) == ["on~off=0 hot~on=0", "on~off=0.9 hot~on=0.5", "on~off=0.99 hot~on=0.5"]
    assert found["on~off=0.9 hot~on=0.5"] == {"on": 0.9, "hot": 0.5}
    assert list(sweep._combinations({"on": ("off", (0.9, 0.5))})) == [0.0, 0.5, 0.9]
    assert len(sweep._combinations(dict.fromkeys("abc", ("off", (0.0, 0.2, 0.5))))) == 27


@pytest.mark.parametrize("several", [False, True])
def test_a_sweep_is_drawn(several, tmp_path):
    labels = ["a~off=0.9 b~off=0.5", "a~off=0.99 b~off=0.5", "by shell"] if several else [0.0, 0.9, "by shell"]
    columns = [name for panel in PANELS.values() for name in panel]
    table = pd.DataFrame(np.random.default_rng(1).random((3, len(columns))), labels, columns)
    text = draw_sweep(table, tmp_path / "sweep.svg").read_text()
    assert "all, by shell" in text
    assert ("a~off=0.99 b~off=0.5" in text) == several


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["difference", "a.mtz"], "not of 1"),
        (["difference", "a.mtz", "b.mtz", "--around", "A/1"], "give --phases"),
        (["sweep", "a.mtz", "b.mtz", "--separate"], "correlations to compare"),
        (["sweep", "a.mtz", "b.mtz", "--separate", "--correlate", "b~a"], "correlations to compare"),
        (
            [
                "sweep",
                "a.mtz",
                "b.mtz",
                "--correlate",
                "b~a=.1,.2,.3,.4,.5,.6,.7,.8",
                "--correlate",
                "c~a=.1,.2,.3,.4,.5,.6,.7,.8",
            ],
            "60 combinations at most, not 64",
        ),
        (["difference", "a.mtz", "b.mtz", "--correlate", "b~a=0.9,0.99"], "Give one correlation"),
        (["merge", "a.mtz", "b.mtz", "--separate", "--correlate", "b~a=0.9,0.99"], "Give one correlation"),
        (["sweep", "a.mtz", "b.mtz", "--separate", "--correlate", "b~a=0.9,0.99", "--correct-moments"], "are exact"),
        (["difference", "a.mtz", "b.mtz", "--correlate", "b~a=0.9", "--correct-moments"], "are exact"),
    ],
)
def test_what_cannot_be_compared_is_told(arguments, message, tmp_path, capsys):
    assert main([*arguments, "-o", str(tmp_path)]) == 2
    assert message in capsys.readouterr().err
