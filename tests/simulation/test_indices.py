import gemmi
import numpy as np
import pytest
import reciprocalspaceship as rs

from vimerge.simulation.indices import equivalents, to_asu


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("P 1", (22, 26, 31, 82, 87, 95)),
        ("C 2", (60, 30, 40, 90, 110, 90)),
        ("P 43 21 2", (40, 40, 60, 90, 90, 90)),
        ("R 3:H", (50, 50, 60, 90, 90, 120)),
        ("P 61 2 2", (50, 50, 70, 90, 90, 120)),
        ("F 4 3 2", (80, 80, 80, 90, 90, 90)),
    ],
)
def test_the_whole_sphere_once(name, cell):
    space_group, cell = gemmi.SpaceGroup(name), gemmi.UnitCell(*cell)
    hkl_asu = gemmi.make_miller_array(cell, space_group, 4.0)
    hkl, asu_id, isym = equivalents(hkl_asu, space_group)

    everything = gemmi.make_miller_array(cell, space_group, 4.0, unique=False)
    assert len(hkl) == len(everything)
    assert {tuple(h) for h in hkl.tolist()} == {tuple(h) for h in everything.tolist()}

    expected_asu, expected_isym = rs.utils.hkl_to_asu(hkl, space_group)
    np.testing.assert_array_equal(hkl_asu[asu_id], expected_asu)
    np.testing.assert_array_equal(isym, expected_isym)
    np.testing.assert_array_equal(to_asu(hkl, isym, space_group), hkl_asu[asu_id])
