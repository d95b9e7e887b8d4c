"""mmCIF files read back by gemmi."""

import gemmi
import numpy as np
import pandas as pd
import pytest

from vimerge.reflections.deposit import write_mmcif
from vimerge.reflections.free_flags import add_free_flags
from vimerge.reflections.tables import AMPLITUDE, FRIEDEL, make_table

CELL, SPACE_GROUP = gemmi.UnitCell(58.4, 58.4, 156.2, 90, 90, 120), gemmi.SpaceGroup("R 3:H")


@pytest.fixture(scope="module")
def merged():
    hkl = gemmi.make_miller_array(CELL, SPACE_GROUP, 5.0)
    rng = np.random.default_rng(0)
    types = AMPLITUDE | FRIEDEL
    columns = {name: rng.gamma(2.0, 100.0, len(hkl)) for name in types}
    columns["F(-)"][::3] = np.nan
    columns["I"][1] = -12.5
    return add_free_flags(make_table(hkl, columns, types, CELL, SPACE_GROUP))


@pytest.fixture(scope="module")
def unmerged():
    hkl = np.array([(1, 2, 3), (-1, -2, -3), (-3, 1, 5)])
    columns = {"I": [1.5, 2.5, -3.5], "SIGI": [1, 2, 3], "image_id": [0, 1, 9]}
    return make_table(hkl, columns, {"I": "J", "SIGI": "Q", "image_id": "I"}, CELL, SPACE_GROUP, merged=False)


@pytest.fixture(scope="module")
def statistics():
    columns = {"dmax": [20.0, 8, 20], "dmin": [8.0, 5, 5], "unique": [10, 20, 30], "possible": [10, 40, 50]}
    columns |= {"completeness": [1.0, 0.5, 0.6], "r_meas": [0.1, np.nan, 0.1], "cc_half": [0.99, 0.8, 0.9]}
    return pd.DataFrame(columns, index=pd.Index([1, 2, "overall"], name="shell"))


@pytest.fixture(scope="module")
def blocks(merged, unmerged, statistics, tmp_path_factory):
    path = tmp_path_factory.mktemp("deposit") / "out.cif"
    write_mmcif(path, merged, statistics, unmerged, entry="1abc", wilson_b=21.5, wavelength=0.9997)
    return path, gemmi.as_refln_blocks(gemmi.cif.read(str(path)))


def test_merged_values_are_those_of_the_table(blocks, merged):
    block = blocks[1][0]
    assert block.spacegroup.xhm() == "R 3:H"
    np.testing.assert_allclose(block.cell.parameters, CELL.parameters)
    assert block.wavelength == pytest.approx(0.9997)
    np.testing.assert_array_equal(block.make_miller_array(), merged.reset_index()[["H", "K", "L"]].to_numpy())
    items = {"F": "F_meas_au", "SIGF": "F_meas_sigma_au", "I": "intensity_meas", "SIGI": "intensity_sigma"}
    items |= {"F(+)": "pdbx_F_plus", "F(-)": "pdbx_F_minus", "SIGI(-)": "pdbx_I_minus_sigma"}
    for name, item in items.items():
        np.testing.assert_allclose(block.make_float_array(item), merged[name].to_numpy(float), rtol=1e-5)


def test_the_free_set_has_its_status(blocks, merged):
    block = blocks[1][0].block
    status = np.array(list(block.find_loop("_refln.status")))
    np.testing.assert_array_equal(status == "f", merged["FreeR_flag"].to_numpy() == 0)
    assert set(status) == {"o", "f"}
    flags = np.array(list(block.find_loop("_refln.pdbx_r_free_flag")), int)
    np.testing.assert_array_equal(flags, merged["FreeR_flag"].to_numpy())


def test_statistics_are_in_per_cent_and_what_is_not_known_is_a_question_mark(blocks):
    block = blocks[1][0].block
    assert block.find_value("_reflns.pdbx_CC_half") == "0.9"
    assert block.find_value("_reflns.percent_possible_obs") == "60"
    assert block.find_value("_reflns.number_obs") == "30"
    assert block.find_value("_reflns.B_iso_Wilson_estimate") == "21.5"
    assert list(block.find_loop("_reflns_shell.percent_possible_obs")) == ["100", "50"]
    assert list(block.find_loop("_reflns_shell.pdbx_Rrim_I_all")) == ["0.1", "?"]
    assert list(block.find_loop("_reflns_shell.number_possible")) == ["10", "40"]
    assert block.find_value("_software.name") == "vimerge"


def test_observations_keep_their_own_indices_in_a_block_of_their_own(blocks, unmerged):
    block = blocks[1][1]
    assert block.block.name == "1abcA"
    assert block.is_unmerged()
    np.testing.assert_array_equal(block.make_miller_array(), [(1, 2, 3), (-1, -2, -3), (-3, 1, 5)])
    np.testing.assert_allclose(block.make_float_array("intensity_net"), [1.5, 2.5, -3.5])
    assert block.make_int_array("pdbx_image_id", 0).tolist() == [1, 2, 10]


def test_gemmi_merges_the_deposited_intensities_as_they_are(blocks, merged):
    intensities = gemmi.Intensities()
    intensities.import_refln_block(blocks[1][0], gemmi.DataType.Mean)
    np.testing.assert_allclose(np.sort(intensities.value_array), np.sort(merged["I"].to_numpy(float)), rtol=1e-5)


def test_merged_reflections_alone_are_a_file_too_and_unobserved_ones_are_marked(merged, tmp_path):
    table = merged[["F", "SIGF"]].copy()
    table.iloc[0, 0] = np.nan
    write_mmcif(tmp_path / "out.cif", table)
    (block,) = gemmi.as_refln_blocks(gemmi.cif.read(str(tmp_path / "out.cif")))
    assert next(iter(block.block.find_loop("_refln.status"))) == "x"
    assert block.block.find_value("_reflns.pdbx_CC_half") is None
    assert [path.name for path in tmp_path.iterdir()] == ["out.cif"]
