"""Tables of differences, from two tables of amplitudes."""

import gemmi
import numpy as np
import pytest
import reciprocalspaceship as rs

from vimerge.reflections.tables import make_table
from vimerge.statistics.difference_tables import difference_table, read_amplitudes

from .conftest import merged


def test_tables_from_files_of_other_programs(ground, excited, tmp_path):
    """Other names, and half of the reflections as equivalents outside the asymmetric unit."""
    expected = difference_table(merged(ground), merged(excited))
    operation = list(expected.spacegroup.operations())[2]
    tables = []
    for name, crystal in (("off", ground), ("on", excited)):
        table = merged(crystal)
        hkl = table.reset_index()[["H", "K", "L"]].to_numpy(np.int32)
        hkl[::2] = [operation.apply_to_hkl(h) for h in hkl[::2].tolist()]
        columns = {"F_mine": table["F"], "err": table["SIGF"]}
        other = make_table(hkl, columns, {"F_mine": "F", "err": "Q"}, table.cell, table.spacegroup)
        other.write_mtz(str(tmp_path / f"{name}.mtz"))
        tables.append(read_amplitudes(tmp_path / f"{name}.mtz", "F_mine", "err"))
    found = difference_table(*tables)
    assert found.index.equals(expected.index)
    for name in expected.columns:
        assert found[name].dtype == expected[name].dtype
        np.testing.assert_allclose(found[name].to_numpy(float), expected[name].to_numpy(float), rtol=1e-5)
    difference = found["F_on"].to_numpy(float) - found["F_off"].to_numpy(float)
    np.testing.assert_allclose(found["DF"].to_numpy(float), difference, atol=1e-3)


def test_only_common_reflections_with_a_standard_deviation(ground):
    one, other = merged(ground).iloc[50:], merged(ground).iloc[:-70]
    sigma = other["SIGF"].to_numpy(float)
    sigma[60] = 0
    other = other.assign(SIGF=rs.DataSeries(sigma, index=other.index, dtype="Q"))
    assert len(difference_table(one, other)) == len(merged(ground)) - 121


def test_tables_of_two_space_groups_are_refused(differences):
    other = differences.rename(columns={"F_off": "F", "SIGF_off": "SIGF"})
    shifted = other.copy()
    shifted.spacegroup = gemmi.SpaceGroup("P 1")
    with pytest.raises(ValueError, match="space groups"):
        difference_table(other, shifted)
