"""vimerge stats and vimerge deposit on results of a conventional merge and on files as other programs write them."""

import io
import json
import subprocess
import sys

import gemmi
import numpy as np
import pandas as pd
import pytest
import reciprocalspaceship as rs

from vimerge.cli import main
from vimerge.reflections import AmbiguousColumnError
from vimerge.statistics import merging_table, overall_numbers, read_results, read_source, table_one


@pytest.fixture(scope="module")
def folder(simulation, tmp_path_factory):
    base = tmp_path_factory.mktemp("stats")
    path = simulation.write(base / "data.mtz")[0]
    options = ["--anomalous", "--free-flags", "--free-fraction", "0.1", "--seed", "5", "--quiet"]
    assert main(["conventional", str(path), "-o", str(base / "conv"), *options]) == 0
    return base / "conv"


@pytest.fixture(scope="module")
def table(folder):
    return merging_table(folder, 5)


def test_the_table_of_a_folder_has_all_statistics_and_they_are_of_good_data(table, folder):
    merged = rs.read_mtz(str(folder / "merged.mtz"))
    assert table.index.tolist() == [1, 2, 3, 4, 5, "overall"]
    overall = table.loc["overall"]
    assert overall["observations"] == merged["N"].sum() == table["observations"].iloc[:5].sum()
    assert overall["unique"] == len(merged)
    assert (table[["completeness", "cc_half", "cc_star"]] > 0.9).all(axis=None)
    assert (table["cc_half_low"] < table["cc_half"]).all()
    assert (table["r_pim"] < table["r_merge"]).all()
    assert (table["r_merge"] < table["r_meas"]).all()
    assert overall["r_meas"] < 0.15
    assert overall["cc_half_sigma_tau"] > 0.9
    assert overall["r_meas_anomalous"] < overall["r_meas"]


def test_r_factors_of_a_folder_are_gemmis(table, folder):
    tables = read_results(folder)[0]
    mtz = gemmi.read_mtz_file(str(folder / "predictions.mtz"))
    mtz.switch_to_original_hkl()
    names = ("Iobs", "SIGIobs", "scale", "test", "rejected")
    column = {name: np.array(mtz.column_with_label(name).array, float) for name in names}
    use = (column["test"] == 0) & (column["rejected"] == 0)
    assert column["rejected"].any()
    intensities = gemmi.Intensities()
    values = ((column[name] / column["scale"])[use] for name in ("Iobs", "SIGIobs"))
    intensities.set_data(mtz.cell, mtz.spacegroup, np.ascontiguousarray(mtz.make_miller_array()[use]), *values)
    intensities.prepare_for_merging(gemmi.DataType.Mean)
    (expected,) = intensities.calculate_merging_stats(None)
    for name in ("r_merge", "r_meas", "r_pim"):
        assert table.loc["overall", name] == pytest.approx(getattr(expected, name)(), rel=1e-4)
    assert len(tables.observations) == use.sum()


def test_free_flags_are_in_the_merged_file_and_copied_to_the_next(folder, tmp_path):
    merged = rs.read_mtz(str(folder / "merged.mtz"))
    assert list(merged.columns)[-1] == "FreeR_flag"
    assert set(merged["FreeR_flag"]) == set(range(10))
    data = str(folder.parent / "data.mtz")
    options = ["--free-flags-from", str(folder / "merged.mtz"), "--half-datasets", "0", "--cycles", "2", "--quiet"]
    assert main(["conventional", data, "-o", str(tmp_path), *options]) == 0
    again = rs.read_mtz(str(tmp_path / "merged.mtz"))
    both = merged.join(again, rsuffix="_again", how="inner")
    np.testing.assert_array_equal(both["FreeR_flag"], both["FreeR_flag_again"])
    record = json.loads((tmp_path / "run.json").read_text())
    assert len(record["inputs"][str(folder / "merged.mtz")]["sha256"]) == 64


def test_table_one_is_printed_side_by_side_in_every_format(folder, capsys, table):
    def printed(*options):
        assert main(["stats", str(folder), str(folder / "merged.mtz"), "--shells", "5", *options]) == 0
        return capsys.readouterr().out

    text = printed()
    assert "conv" in text.splitlines()[0]
    assert "merged.mtz" in text.splitlines()[0]
    meas = next(line for line in text.splitlines() if line.startswith("R_meas "))
    assert meas.split()[1:] == [f"{table.loc[row, 'r_meas']:.3f}" for row in ("overall", 1, 5)]
    frame = pd.read_csv(io.StringIO(printed("--format", "csv")), index_col=[0, 1])
    assert frame.loc[("conv", "overall"), "cc_half"] == pytest.approx(table.loc["overall", "cc_half"])
    first, second = json.loads(printed("--format", "json"))
    assert first["space_group"] == "P 21 21 21"
    assert first["shells"][-1]["r_meas"] == pytest.approx(table.loc["overall", "r_meas"])
    assert "r_meas" not in second["shells"][0]
    assert second["wilson_b"] == pytest.approx(first["wilson_b"])
    latex = printed("--format", "latex")
    assert latex.count(" \\\\") > 15
    assert "%" not in latex.replace("\\%", "")
    rows = printed("--format", "markdown").split("\n\n")[0].splitlines()
    assert {row.replace("\\|", "").count("|") for row in rows} == {8}


def test_half_data_sets_in_careless_style_give_the_correlation_of_second_moments(folder, tmp_path):
    halves = rs.read_mtz(str(folder / "half_datasets.mtz"))[["F", "SIGF", "half", "repeat"]]
    halves.rename(columns={"SIGF": "SigF"}).write_mtz(str(tmp_path / "xval.mtz"))
    (source,) = read_source(tmp_path / "xval.mtz")
    plain = [part.drop(columns=["half", "repeat"]).astype(float) for _, part in halves.groupby("half")]
    both = plain[0].join(plain[1], rsuffix="1", how="inner")
    expected = np.corrcoef(both["F"] ** 2 + both["SIGF"] ** 2, both["F1"] ** 2 + both["SIGF1"] ** 2)[0, 1]
    assert merging_table(source, 1).loc["overall", "cc_half"] == pytest.approx(expected, rel=1e-5)


def test_a_merged_file_of_another_program_is_guessed_mapped_and_cleared_of_absences(folder, tmp_path):
    own = rs.read_mtz(str(folder / "merged.mtz"))
    names = {f"{n}({s})": f"{n}({s})" for n in ("I", "SIGI") for s in "+-"}
    other = own[list(names)].reset_index()
    # The other half of reciprocal space: mates change places, but for centric reflections.
    other[["H", "K", "L"]] = -other[["H", "K", "L"]]
    other = other.rename(columns={"I(+)": "I(-)", "I(-)": "I(+)", "SIGI(+)": "SIGI(-)", "SIGI(-)": "SIGI(+)"})
    absent = other.iloc[:1].copy()
    absent[["H", "K", "L"]] = [[0, 0, -3]]
    other = rs.concat([other, absent]).set_index(["H", "K", "L"])
    other.infer_mtz_dtypes(inplace=True)
    other.write_mtz(str(tmp_path / "other.mtz"))
    (source,) = read_source(tmp_path / "other.mtz")
    assert source.merged.index.tolist() == own.index.tolist()
    np.testing.assert_allclose(source.merged["I(+)"].to_numpy(float), own["I(+)"].to_numpy(float))
    theirs, ours = (merging_table(t, 3) for t in (source, read_results(folder)[0]))
    columns = ["completeness", "completeness_anomalous"]
    pd.testing.assert_frame_equal(theirs[columns], ours[columns])
    # The mean of mates by inverse variance is the mean of all observations, but for what errors are made of.
    np.testing.assert_allclose(theirs["mean_i"], ours["mean_i"], rtol=0.02)


def test_scaled_unmerged_files_are_merged_and_halved(folder, table, tmp_path):
    scaled = read_results(folder)[0].observations
    scaled["image_id"] = scaled["image_id"].astype("B")
    scaled.write_mtz(str(tmp_path / "scaled.mtz"))
    (source,) = read_source(tmp_path / "scaled.mtz", repeats=2)
    found = merging_table(source, 5).loc["overall"]
    for name in ("r_merge", "r_meas", "r_pim_anomalous", "completeness"):
        assert found[name] == pytest.approx(table.loc["overall", name], rel=1e-3)
    assert found["cc_half"] > 0.9
    scaled["IPR"], scaled["SIGIPR"] = scaled["I"], scaled["SIGI"]
    scaled.write_mtz(str(tmp_path / "two.mtz"))
    with pytest.raises(AmbiguousColumnError, match="--intensity-key"):
        read_source(tmp_path / "two.mtz")
    assert len(read_source(tmp_path / "two.mtz", intensity_key="IPR", repeats=0)[0].observations) == len(scaled)


def test_numbers_of_the_whole_are_in_table_one(folder):
    numbers = overall_numbers(folder)
    assert numbers["mean_abs_l"] == pytest.approx(0.5, abs=0.06)
    assert numbers["wilson_b"] > 0
    written = table_one({"x": merging_table(folder, 4)}, {"x": numbers})
    assert written.loc["space group", ("x", "overall")] == "P 21 21 21"
    assert written.loc["space group", ("x", "high")] == ""


def test_a_deposited_folder_is_read_back_by_gemmi(folder, tmp_path, capsys, table):
    out = tmp_path / "out.cif"
    assert main(["deposit", str(folder), "-o", str(out), "--unmerged", "--entry", "1abc", "--shells", "5"]) == 0
    merged, unmerged = gemmi.as_refln_blocks(gemmi.cif.read(str(out)))
    own = read_results(folder)[0]
    np.testing.assert_allclose(merged.make_float_array("F_meas_au"), own.merged["F"].to_numpy(float), rtol=1e-5)
    np.testing.assert_allclose(
        unmerged.make_float_array("intensity_net"), own.observations["I"].to_numpy(float), rtol=1e-5
    )
    assert float(merged.block.find_value("_reflns.pdbx_Rrim_I_all")) == pytest.approx(
        table.loc["overall", "r_meas"], rel=1e-4
    )
    status = list(merged.block.find_loop("_refln.status"))
    assert status.count("f") == (own.merged["FreeR_flag"] == 0).sum() > 0


def test_gemmi_finds_amplitudes_intensities_and_flags_in_the_merged_file(folder):
    mtz = gemmi.read_mtz_file(str(folder / "merged.mtz"))
    types = {column.label: column.type for column in mtz.columns}
    assert [types[name] for name in ("F", "SIGF", "I", "SIGI", "F(+)", "SIGF(+)", "I(-)", "SIGI(-)")] == list(
        "FQJQGLKM"
    )
    assert mtz.rfree_column().label == "FreeR_flag"
    intensities = gemmi.Intensities()
    intensities.import_mtz(mtz, gemmi.DataType.Mean)
    assert len(intensities.value_array) == len(read_results(folder)[0].merged)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["none.mtz"], "none.mtz"), (["."], "merged.mtz"), (["FOLDER", "--intensity-key", "X"], None)],
)
def test_bad_sources_are_one_sentence_and_exit_status_2(folder, tmp_path, monkeypatch, capsys, arguments, words):
    monkeypatch.chdir(tmp_path)
    if words is None:
        arguments, words = [str(folder / "merged.mtz"), *arguments[1:]], "--intensity-key"
    assert main(["stats", *arguments]) == 2
    message = capsys.readouterr().err
    assert words in message
    assert "Traceback" not in message


def test_statistics_need_no_tensorflow_and_their_help_needs_nothing(folder):
    code = "import sys; from vimerge.cli import main\n"
    code += "try: main(['stats', '--help'])\nexcept SystemExit: pass\n"
    code += "assert not {'numpy', 'pandas', 'gemmi'} & set(sys.modules)\n"
    code += f"assert main(['stats', {str(folder)!r}]) == 0\nassert 'tensorflow' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
