"""The command line, as a user meets it."""

import json
import subprocess
import sys

import keras
import numpy as np
import pandas as pd
import pytest
import reciprocalspaceship as rs

from vimerge.cli import main
from vimerge.simulation import simulate

FILES = {
    "merged.mtz",
    "predictions.mtz",
    "half_datasets.mtz",
    "history.csv",
    "model.keras",
    "run.json",
    "log.txt",
    "report.html",
}
EVANS = ["--error-model", "evans"]
SMALL = ["--epochs", "3", "--batch-size", "1000", "--seed", "5", "--quiet"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "small.mtz"
    simulate(cell=(20, 25, 30, 90, 90, 90), dmin=2.5, images=60, oscillation=2.0, seed=3).write(path)
    return path


@pytest.fixture(scope="module")
def folder(data, tmp_path_factory):
    output = tmp_path_factory.mktemp("merge") / "new" / "out"
    assert main(["merge", str(data), "-o", str(output), "--anomalous", "--test-fraction", "0.1", *EVANS, *SMALL]) == 0
    return output


def test_a_merge_writes_the_folder_that_is_promised_and_nothing_else(folder):
    assert {path.name for path in folder.iterdir()} == FILES


def test_the_merged_file_has_the_promised_columns(folder):
    merged = rs.read_mtz(str(folder / "merged.mtz"))
    single = ["F", "SIGF", "I", "SIGI", "N"]
    friedel = ["F(+)", "SIGF(+)", "F(-)", "SIGF(-)", "I(+)", "SIGI(+)", "I(-)", "SIGI(-)", "N(+)", "N(-)"]
    assert list(merged.columns) == [*single, *friedel, "DANO", "SIGDANO"]
    assert (merged[["F", "SIGF", "I", "SIGI"]].to_numpy() > 0).all()


def test_predictions_have_a_row_an_observation_and_a_tenth_held_out(folder, data):
    predictions = rs.read_mtz(str(folder / "predictions.mtz"))
    observations = len(rs.read_mtz(str(data)))
    assert len(predictions) == observations
    assert predictions["test"].sum() == round(0.1 * observations)
    expected = {"Iobs", "SIGIobs", "Ipred", "SIGIpred", "scale", "SIGscale", "image_id", "test"}
    assert expected <= set(predictions.columns)


def test_the_run_can_be_told_from_its_record(folder, data):
    record = json.loads((folder / "run.json").read_text())
    assert record["options"]["reading"]["anomalous"] is True
    assert record["options"]["seed"] == 5
    assert len(record["inputs"][str(data)]["sha256"]) == 64
    assert {"python", "tensorflow", "vimerge"} <= set(record["versions"])
    assert set(record["learned"]["likelihood"]) == {"dof", "SdFac", "SdB", "SdAdd"}


def test_the_history_has_the_terms_of_the_elbo(folder):
    history = pd.read_csv(folder / "history.csv", index_col="epoch")
    assert history.index.tolist() == [1, 2, 3]
    assert {"elbo", "log_likelihood", "kl_f", "kl_scale", "grad_norm", "skipped"} <= set(history.columns)
    np.testing.assert_allclose(history["elbo"], history["log_likelihood"] - history["kl_f"], rtol=1e-4)


def test_the_model_loads_and_predicts_what_was_written(folder, data):
    import vimerge

    model = keras.saving.load_model(folder / "model.keras")
    reflections = vimerge.Reflections.read(data, anomalous=True)
    predicted = model.predict(reflections.dataset(shuffle=False), verbose=0)
    written = rs.read_mtz(str(folder / "predictions.mtz"))
    np.testing.assert_allclose(predicted["Ipred"], written["Ipred"].to_numpy(float), rtol=1e-4)


def test_the_same_seed_gives_the_same_file_byte_for_byte(folder, data, tmp_path):
    arguments = ["merge", str(data), "-o", str(tmp_path), "--anomalous", "--test-fraction", "0.1", *EVANS, *SMALL]
    # Another process, so that nothing is left over from the first merge.
    subprocess.run([sys.executable, "-m", "vimerge.cli", *arguments], check=True)
    for name in ("merged.mtz", "predictions.mtz", "half_datasets.mtz"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()


def test_every_choice_of_model_runs_and_a_merge_without_extras_leaves_their_files_out(data, tmp_path):
    options = "--surrogate rice --likelihood normal --error-model none --half-datasets 0 --test-fraction 0"
    assert main(["merge", str(data), "-o", str(tmp_path), *options.split(), *SMALL]) == 0
    assert {path.name for path in tmp_path.iterdir()} == FILES - {"half_datasets.mtz"}
    assert list(rs.read_mtz(str(tmp_path / "merged.mtz")).columns) == ["F", "SIGF", "I", "SIGI", "N"]


def test_moments_are_corrected_and_the_scaling_of_an_earlier_merge_is_used_again(folder, data, tmp_path):
    options = ["--correct-moments", "--scaling-from", str(folder), "--half-datasets", "0", "--no-report"]
    options += ["--test-fraction", "0.1"]
    assert main(["merge", str(data), "-o", str(tmp_path), "--anomalous", *options, *SMALL]) == 0
    again, first = (rs.read_mtz(str(path / "merged.mtz")) for path in (tmp_path, folder))
    assert again.index.equals(first.index)
    assert np.isfinite(again[["F", "SIGF"]].to_numpy()).all()
    assert np.corrcoef(again["F"], first["F"])[0, 1] > 0.99
    record = json.loads((tmp_path / "run.json").read_text())
    assert str(folder / "model.keras") in record["inputs"]
    assert "Pareto k̂ is below 0.7" in (tmp_path / "log.txt").read_text()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--intensity-key", "NONE"], "NONE"),
        (["--dmin", "90"], "dmin"),
        (["--space-group", "F 4 3 2"], "F 4 3 2"),
        (["--test-fraction", "1"], "--test-fraction"),
        (["--dof", "-1"], "degrees of freedom"),
        (["--scaling", "mlp+magic"], "no scaling model 'magic'"),
        (["--reference", "nothing.mtz"], "nothing.mtz"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_status_2(data, tmp_path, capsys, options, words):
    assert main(["merge", str(data), "-o", str(tmp_path), "--quiet", *options]) == 2
    message = capsys.readouterr().err
    assert words in message
    assert "Traceback" not in message
    assert "Traceback" in (tmp_path / "log.txt").read_text()


def test_a_point_has_no_moments_to_correct(data, tmp_path, capsys):
    assert main(["merge", str(data), "-o", str(tmp_path), "--surrogate", "delta", "--correct-moments"]) == 2
    assert "no moments to correct" in capsys.readouterr().err


def test_a_missing_file_is_named(tmp_path, capsys):
    assert main(["merge", str(tmp_path / "none.mtz"), "-o", str(tmp_path), "--quiet"]) == 2
    assert "none.mtz" in capsys.readouterr().err


def test_simulate_writes_the_observations_and_the_truth(tmp_path):
    options = "--cell 20 25 30 90 90 90 --dmin 3 --images 20 --oscillation 2 --seed 1"
    assert main(["simulate", "-o", str(tmp_path / "x.mtz"), *options.split()]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"x.mtz", "x_truth.mtz", "x_sites.pdb"}


def test_the_defaults_of_simulate_are_told_as_they_are():
    import inspect

    from vimerge.cli.simulate import NUMBERS

    signature = inspect.signature(simulate).parameters
    for name, (kind, _, text) in NUMBERS.items():
        default = signature[name.replace("-", "_")].default
        if default is not None:
            assert kind(text.split("default: ")[1].rstrip(")")) == default, name


def test_help_imports_nothing_heavy():
    code = "import sys; from vimerge.cli import main\ntry: main(['merge', '--help'])\nexcept SystemExit: pass\n"
    code += "assert not {'tensorflow', 'keras', 'numpy', 'pandas', 'gemmi'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_importing_the_package_does_not_import_tensorflow():
    code = "import sys, vimerge; vimerge.Reflections; vimerge.simulation; assert 'tensorflow' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
