import json

import gemmi
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vimerge.reflections import ReciprocalASU, ReflectionDataError
from vimerge.reflections import hkl as miller

SPACEGROUPS = list(gemmi.spacegroup_table())
# One for each condition of an asymmetric unit, and settings that are not the reference one.
FEW = [
    "P 1",
    "P 1 1 21",
    "P 21 21 21",
    "P 4",
    "P 43 21 2",
    "R 3:H",
    "R 3:R",
    "P 3 1 2",
    "R 3 2:R",
    "P 63",
    "I 2 3",
    "F 4 3 2",
]


def cell_for(spacegroup):
    """Make a cell that the space group allows."""
    name = spacegroup.crystal_system_str()
    if name == "cubic":
        return gemmi.UnitCell(60, 60, 60, 90, 90, 90)
    if name == "tetragonal":
        return gemmi.UnitCell(60, 60, 90, 90, 90, 90)
    if spacegroup.ext == "R":
        return gemmi.UnitCell(60, 60, 60, 80, 80, 80)
    if name in ("trigonal", "hexagonal"):
        return gemmi.UnitCell(60, 60, 90, 90, 90, 120)
    return gemmi.UnitCell(50, 60, 70, 90, 90, 90)


hkls = st.lists(st.tuples(*[st.integers(-12, 12)] * 3).filter(any), min_size=1, max_size=30)


@settings(deadline=None, max_examples=300)
@given(spacegroup=st.sampled_from(SPACEGROUPS), hkl=hkls)
def test_mapping_agrees_with_gemmi(spacegroup, hkl):
    mapped, plus = miller.to_asu(miller.as_hkl(hkl), spacegroup)
    asu, operations = gemmi.ReciprocalAsu(spacegroup), spacegroup.operations()
    expected = [asu.to_asu(h, operations) for h in hkl]
    np.testing.assert_array_equal(mapped, [h for h, _ in expected])
    np.testing.assert_array_equal(plus, [isym % 2 == 1 for _, isym in expected])


def test_mapping_knows_every_space_group():
    hkl = miller.as_hkl([[1, -2, 3], [-3, 2, 0], [0, 0, -4], [5, 5, -5]])
    for spacegroup in SPACEGROUPS:
        mapped, _ = miller.to_asu(hkl, spacegroup)
        asu = gemmi.ReciprocalAsu(spacegroup)
        assert all(asu.is_in(h) for h in mapped.tolist()), spacegroup.xhm()


@settings(deadline=None, max_examples=150)
@given(spacegroup=st.sampled_from(SPACEGROUPS), hkl=hkls, anomalous=st.booleans())
def test_reflections_and_their_numbers(spacegroup, hkl, anomalous):
    operations = spacegroup.operations()
    cell = cell_for(spacegroup)
    asu = ReciprocalASU.from_observed(hkl, cell, spacegroup, anomalous)
    ids = asu.refl_id(hkl)
    assert set(ids) == set(range(len(asu)))
    np.testing.assert_array_equal(asu.centric, [operations.is_reflection_centric(h) for h in asu.miller_index.tolist()])
    np.testing.assert_array_equal(
        asu.epsilon, [operations.epsilon_factor_without_centering(h) for h in asu.miller_index.tolist()]
    )
    np.testing.assert_allclose(asu.d, [cell.calculate_d(h) for h in asu.miller_index.tolist()])
    np.testing.assert_allclose(asu.s2 * asu.d**2, 1)
    # Equivalents by rotation are the same reflection; Friedel mates are unless they are kept apart.
    rotated = [operations.sym_ops[-1].apply_to_hkl(h) for h in hkl]
    np.testing.assert_array_equal(asu.refl_id(rotated), ids)
    mates = asu.refl_id(-np.array(hkl))
    np.testing.assert_array_equal(mates, asu.friedel_mate[ids])
    if anomalous:
        assert np.all((mates == ids) == asu.centric[ids])
        np.testing.assert_array_equal(
            asu.friedel_minus, [not gemmi.ReciprocalAsu(spacegroup).is_in(h) for h in asu.miller_index.tolist()]
        )
        assert not np.any(asu.friedel_minus & asu.centric)
        paired = asu.friedel_mate >= 0
        own = np.arange(len(asu))
        np.testing.assert_array_equal(asu.friedel_mate[asu.friedel_mate[paired]], own[paired])
    else:
        np.testing.assert_array_equal(mates, ids)
        assert not asu.friedel_minus.any()


@pytest.mark.parametrize("name", FEW)
@pytest.mark.parametrize("anomalous", [False, True])
def test_all_of_a_sphere_is_complete(name, anomalous):
    spacegroup = gemmi.SpaceGroup(name)
    cell = cell_for(spacegroup)
    sphere = gemmi.make_miller_array(cell, spacegroup, 5.93, 0.0, False)
    sphere = np.concatenate([sphere, -sphere])
    asu = ReciprocalASU.from_observed(sphere, cell, spacegroup, anomalous)
    assert len(asu) == asu.number_possible(5.93)
    assert asu.number_possible(5.93, anomalous=False) == gemmi.count_reflections(cell, spacegroup, 5.93)
    shell = (asu.d >= 8.0 - 1e-8) & (asu.d <= 20.0 + 1e-8)
    assert np.count_nonzero(shell) == asu.number_possible(8.0, 20.0)
    assert asu.number_possible() == len(asu)
    # The equivalents of a reflection, ε times each, make up the point group; and twice, with Friedel's law.
    order = len(spacegroup.operations().sym_ops)
    equivalents = np.bincount(asu.refl_id(np.unique(sphere, axis=0)))
    np.testing.assert_array_equal(equivalents * asu.epsilon, order * np.where(asu.centric | anomalous, 1, 2))


def test_unknown_reflections_are_minus_one():
    spacegroup = gemmi.SpaceGroup("P 21 21 21")
    asu = ReciprocalASU.from_observed([[-1, -2, -3]], gemmi.UnitCell(50, 60, 70, 90, 90, 90), spacegroup, True)
    # (-1,-2,-3) is Friedel-minus: it alone is there, and its mate is not.
    assert asu.miller_index.tolist() == [[-1, -2, -3]]
    assert asu.friedel_minus.tolist() == [True]
    assert asu.friedel_mate.tolist() == [-1]
    assert asu.refl_id([[1, 2, 3], [-1, -2, -3], [1, 2, -3], [2, 2, 2], [0, 1, 2]]).tolist() == [-1, 0, 0, -1, -1]
    assert asu.refl_id(np.zeros((0, 3))).shape == (0,)


@pytest.mark.parametrize("name", FEW)
def test_config_round_trip_is_json(name):
    spacegroup = gemmi.SpaceGroup(name)
    rng = np.random.default_rng(0)
    hkl = rng.integers(-20, 21, (500, 3))
    asu = ReciprocalASU.from_observed(hkl, cell_for(spacegroup), spacegroup, anomalous=True)
    again = ReciprocalASU.from_config(json.loads(json.dumps(asu.to_config())))
    assert again.matches(asu)
    np.testing.assert_array_equal(again.refl_id(hkl), asu.refl_id(hkl))


def test_matches_sees_differences():
    cell, spacegroup = gemmi.UnitCell(50, 60, 70, 90, 90, 90), gemmi.SpaceGroup("P 21 21 21")
    hkl = [[1, 2, 3], [2, 3, 4]]
    asu = ReciprocalASU.from_observed(hkl, cell, spacegroup)
    assert asu.matches(ReciprocalASU.from_observed(hkl[::-1], cell, spacegroup))
    assert not asu.matches(ReciprocalASU.from_observed(hkl[:1], cell, spacegroup))
    assert not asu.matches(ReciprocalASU.from_observed(hkl, cell, spacegroup, True))
    assert not asu.matches(ReciprocalASU.from_observed(hkl, gemmi.UnitCell(51, 60, 70, 90, 90, 90), spacegroup))
    assert not asu.matches(ReciprocalASU.from_observed(hkl, cell, gemmi.SpaceGroup("P 2 2 2")))


def test_constructor_keeps_the_order_and_refuses_what_is_no_list_of_representatives():
    cell, spacegroup = gemmi.UnitCell(50, 60, 70, 90, 90, 90), gemmi.SpaceGroup("P 21 21 21")
    asu = ReciprocalASU([[3, 2, 1], [1, 2, 3]], cell, spacegroup)
    assert asu.refl_id([[-1, 2, 3], [3, 2, -1]]).tolist() == [1, 0]
    with pytest.raises(ReflectionDataError, match="from_observed"):
        ReciprocalASU([[-1, 2, 3]], cell, spacegroup)
    with pytest.raises(ReflectionDataError, match="from_observed"):
        ReciprocalASU([[1, 2, 3], [1, 2, 3]], cell, spacegroup)
    with pytest.raises(ReflectionDataError, match="from_observed"):
        ReciprocalASU([[-1, -2, -3]], cell, spacegroup, anomalous=False)


def test_arrays_are_read_only():
    asu = ReciprocalASU.from_observed([[1, 2, 3]], gemmi.UnitCell(50, 60, 70, 90, 90, 90), gemmi.SpaceGroup("P 1"))
    with pytest.raises(ValueError, match="read-only"):
        asu.epsilon[0] = 2


@pytest.mark.parametrize("bad", [[[1.5, 0, 0]], [1, 2, 3], [[1, 2]], [[2**20, 0, 0]]])
def test_indices_that_are_none(bad):
    with pytest.raises(ValueError, match="Miller indices"):
        miller.as_hkl(bad)
