"""The command line's folder of results, as a user meets it."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import reciprocalspaceship as rs

from vimerge.cli import main

FILES = {"merged.mtz", "predictions.mtz", "half_datasets.mtz", "history.csv", "run.json", "log.txt", "report.html"}


@pytest.fixture(scope="module")
def folder(measured, tmp_path_factory):
    output = tmp_path_factory.mktemp("job") / "new" / "out"
    options = ["--anomalous", "--test-fraction", "0.1", "--half-datasets", "2", "--seed", "5", "--quiet"]
    assert main(["conventional", str(measured[0]), "-o", str(output), *options]) == 0
    return output


def test_the_folder_is_that_of_a_merge_without_a_model(folder):
    assert {path.name for path in folder.iterdir()} == FILES


def test_merged_amplitudes_agree_with_the_truth(folder, simulation):
    merged = rs.read_mtz(str(folder / "merged.mtz"))
    single = ["F", "SIGF", "I", "SIGI", "N"]
    friedel = ["F(+)", "SIGF(+)", "F(-)", "SIGF(-)", "I(+)", "SIGI(+)", "I(-)", "SIGI(-)", "N(+)", "N(-)"]
    assert list(merged.columns) == [*single, *friedel, "DANO", "SIGDANO"]
    assert list(merged.dtypes.map(lambda t: t.mtztype)) == list("FQJQIGLGLKMKMIIDQ")
    assert rs.utils.in_asu(merged.get_hkls(), merged.spacegroup).all()
    assert (merged[["F", "SIGF", "SIGI"]].to_numpy(float) > 0).all()
    both = merged.join(simulation.truth, rsuffix="_true")
    for name in ("F", "F(+)", "F(-)", "I"):
        x, y = (both[key].to_numpy(float) for key in (name, f"{name}_true"))
        use = np.isfinite(x)
        assert np.corrcoef(x[use], y[use])[0, 1] > 0.99
    centric = merged.label_centrics()["CENTRIC"].to_numpy(bool)
    np.testing.assert_array_equal(merged["F(+)"][centric], merged["F(-)"][centric])
    np.testing.assert_array_equal(merged["N"][centric], merged["N(+)"][centric])
    np.testing.assert_array_equal(merged["N"][~centric], (merged["N(+)"] + merged["N(-)"])[~centric])


def test_predictions_have_a_row_an_observation_and_a_tenth_held_out(folder, simulation):
    predictions = rs.read_mtz(str(folder / "predictions.mtz"))
    assert len(predictions) == len(simulation.observations)
    assert predictions["test"].sum() == round(0.1 * len(predictions))
    expected = ["Iobs", "SIGIobs", "Ipred", "SIGIpred", "scale", "SIGscale", "image_id", "test", "rejected"]
    expected += ["ROT", "XDET", "YDET"]
    # reciprocalspaceship tells M/ISYM's partiality flag as a column of its own.
    assert list(predictions.columns.drop("PARTIAL")) == expected
    assert np.isfinite(predictions[expected].to_numpy(float)).all()
    test = predictions[predictions["test"].to_numpy() == 1]
    assert np.corrcoef(test["Iobs"].to_numpy(float), test["Ipred"].to_numpy(float))[0, 1] > 0.9


def test_held_out_observations_are_not_merged(folder):
    merged, predictions = (rs.read_mtz(str(folder / f"{name}.mtz")) for name in ("merged", "predictions"))
    record = json.loads((folder / "run.json").read_text())
    used = len(predictions) - record["held_out"] - record["rejected"]
    assert merged["N"].sum() == used
    halves = rs.read_mtz(str(folder / "half_datasets.mtz"))
    for _, repeat in halves.groupby("repeat"):
        assert repeat["N"].sum() == used
    assert set(halves["half"]) == {0, 1}
    assert list(halves.columns) == [*merged.columns, "half", "repeat"]


def test_the_run_can_be_told_from_its_record(folder, measured):
    record = json.loads((folder / "run.json").read_text())
    assert record["options"]["reading"]["anomalous"] is True
    assert record["options"]["seed"] == 5
    assert len(record["inputs"][str(measured[0])]["sha256"]) == 64
    assert {"python", "vimerge", "gemmi"} <= set(record["versions"])
    assert {"SdFac", "SdB", "SdAdd"} <= set(record["learned"])
    assert record["scaling_terms"] == ["absorption", "b", "scale"]
    history = pd.read_csv(folder / "history.csv", index_col="cycle")
    assert history["SdFac"].iloc[-1] == pytest.approx(record["learned"]["SdFac"])


def test_another_process_writes_the_same_bytes_and_never_imports_tensorflow(folder, measured, tmp_path):
    options = ["--anomalous", "--test-fraction", "0.1", "--half-datasets", "2", "--seed", "5", "--quiet"]
    code = "import sys; from vimerge.cli import main\n"
    code += f"assert main(['conventional', {str(measured[0])!r}, '-o', {str(tmp_path)!r}, *{options!r}]) == 0\n"
    code += "assert not {'tensorflow', 'keras', 'tensorflow_probability'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
    for name in ("merged.mtz", "predictions.mtz", "half_datasets.mtz"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()


def test_every_option_runs_and_a_merge_without_extras_leaves_their_files_out(measured, tmp_path):
    options = "--partials scale --absorption 0 --detector 2 --no-image-scales --error-model none --robust huber"
    options += " --half-datasets 0 --test-fraction 0 --scale-spacing 20 --b-spacing 40 --cycles 3 --quiet --dmin 3"
    assert main(["conventional", str(measured[0]), "-o", str(tmp_path), *options.split()]) == 0
    assert {path.name for path in tmp_path.iterdir()} == FILES - {"half_datasets.mtz"}
    assert list(rs.read_mtz(str(tmp_path / "merged.mtz")).columns) == ["F", "SIGF", "I", "SIGI", "N"]
    assert json.loads((tmp_path / "run.json").read_text())["scaling_terms"] == ["b", "detector", "scale"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--intensity-key", "NONE"], "NONE"),
        (["--dmin", "90"], "dmin"),
        (["--test-fraction", "1"], "--test-fraction"),
        (["--outlier-limit", "-1"], "--outlier-limit"),
        (["--min-fraction", "2"], "--min-fraction"),
        (["--combine", "A,SIGA"], "A"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_status_2(measured, tmp_path, capsys, options, words):
    assert main(["conventional", str(measured[0]), "-o", str(tmp_path), "--quiet", *options]) == 2
    message = capsys.readouterr().err
    assert words in message
    assert "Traceback" not in message


def test_the_cli_offers_what_the_library_has():
    from vimerge.cli import conventional
    from vimerge.conventional.merging import ROBUST
    from vimerge.reflections.partials import PARTIALS

    assert conventional.PARTIALS == PARTIALS
    assert conventional.ROBUST == ROBUST


@pytest.mark.slow
def test_real_data_of_mosflm_end_to_end(tmp_path):
    from pathlib import Path

    path = Path(__file__).parents[2].parent / "shared" / "data" / "hypf" / "hypf_unmerged.mtz"
    if not path.is_file():
        pytest.skip("the real data are not there")
    assert main(["conventional", str(path), "-o", str(tmp_path), "--anomalous", "--quiet"]) == 0
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["options"]["reading"]["intensity_key"] is None
    table = pd.DataFrame(record["sd_of_deviations_by_intensity"])
    assert table["sd"].between(0.95, 1.05).all()
    # What is left of the differences between bins is chance: about one squared standard error for each bin.
    assert np.sum(((table["sd"] - 1) / table["standard_error"]) ** 2) < 18
    from vimerge.statistics import half_dataset_correlations

    halves = half_dataset_correlations(rs.read_mtz(str(tmp_path / "half_datasets.mtz")))
    assert halves["cc_half"].min() > 0.9
