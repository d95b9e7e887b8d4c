import gemmi
import numpy as np
import pytest

from vimerge.reflections import OptionError, Reflections, SymmetryError, reindex
from vimerge.reflections.reindexing import matrix_of


def table(spacegroup, cell, seed=0, count=400, **options):
    rng = np.random.default_rng(seed)
    spacegroup = gemmi.SpaceGroup(spacegroup)
    hkl = rng.integers(-6, 7, (count, 3)).astype(np.int32)
    hkl = hkl[~spacegroup.operations().systematic_absences(hkl) & hkl.any(axis=1)]
    arrays = (rng.gamma(1.0, 100.0, len(hkl)), np.ones(len(hkl)), np.arange(len(hkl)) % 5)
    wavelength = {"L": rng.uniform(0.8, 1.7, len(hkl))}
    return Reflections.from_arrays(hkl, *arrays, cell=cell, spacegroup=spacegroup, metadata=wavelength, **options)


@pytest.mark.parametrize(
    ("operator", "expected"),
    [("k,h,-l", [2, 1, -3]), ("k,l,h", [2, 3, 1]), ("k,h,-h-l", [2, 1, -4]), ("-h,h+k,-l", [-1, 3, -3])],
)
def test_an_operator_makes_the_new_indices_of_the_old(operator, expected):
    assert (np.array([1, 2, 3]) @ matrix_of(operator)).tolist() == expected


@pytest.mark.parametrize(
    ("operator", "words"),
    [
        ("nonsense", "no reindexing operator"),
        ("x,y,z", "no reindexing operator"),
        ("h,k,l+1/2", "no reindexing operator"),
        ("-h,-k,-l", "hand"),
        ("2*h,k,l", "volume"),
        ("h/2,k,2*l", "volume"),
    ],
)
def test_other_operators_are_refused(operator, words):
    with pytest.raises(OptionError, match=words):
        matrix_of(operator)


@pytest.mark.parametrize(
    ("spacegroup", "cell", "operator"),
    [
        ("P 63", (67, 67, 41, 90, 90, 120), "k,h,-l"),
        ("P 43", (50, 50, 80, 90, 90, 90), "k,h,-l"),
        ("P 21 21 21", (50, 51, 52, 90, 90, 90), "k,l,h"),
        ("P 1 21 1", (50, 60, 70, 90, 100, 90), "h,-k,-h-l"),
        ("I 2 3", (80, 80, 80, 90, 90, 90), "k,-h,l"),
        ("P 43 21 2", (50, 50, 80, 90, 90, 90), "-k,h,l"),
    ],
)
@pytest.mark.parametrize("options", [{}, {"anomalous": True}, {"anomalous": True, "wavelength_key": "L"}])
def test_reindexing_keeps_resolution_equivalents_and_friedel_mates(spacegroup, cell, operator, options):
    old = table(spacegroup, cell, **options)
    new = reindex(old, operator)
    np.testing.assert_array_equal(new.hkl, old.hkl @ matrix_of(operator))
    np.testing.assert_array_equal(new.asu.refl_id(new.harmonic_hkl), new.refl_id)
    np.testing.assert_allclose(new.d, old.d, rtol=1e-9)
    np.testing.assert_allclose(new.asu.d[new.refl_id], old.asu.d[old.refl_id], rtol=1e-9)
    # What was equivalent is, and what was not is not.
    assert len(new.asu) == len(old.asu) == len(set(zip(new.refl_id.tolist(), old.refl_id.tolist(), strict=True)))
    for name in ("centric", "epsilon"):
        np.testing.assert_array_equal(getattr(new.asu, name)[new.refl_id], getattr(old.asu, name)[old.refl_id])
    assert (new.asu.friedel_mate >= 0).sum() == (old.asu.friedel_mate >= 0).sum()
    by_name = dict(zip(new.metadata_keys, new.metadata.T, strict=True))
    np.testing.assert_array_equal(by_name["Kobs"], new.harmonic_hkl[:, 1])
    np.testing.assert_allclose(by_name["dHKL"], 1 / new.asu.d[new.refl_id] ** 2, rtol=1e-6)
    # Three or six times the same is nothing.
    back = old
    for _ in range(12):
        back = reindex(back, operator)
    assert back.asu.matches(old.asu)
    np.testing.assert_array_equal(back.refl_id, old.refl_id)


def test_the_cell_goes_with_the_axes():
    new = reindex(table("P 21 21 21", (50, 51, 52, 90, 90, 90)), "k,l,h")
    np.testing.assert_allclose(new.cell.parameters, [51, 52, 50, 90, 90, 90])
    old = table("P 1 21 1", (50, 60, 70, 90, 100, 90))
    new = reindex(old, "h,-k,-h-l")
    assert new.cell.volume == pytest.approx(old.cell.volume)
    np.testing.assert_allclose(new.asu.s2, new.cell.calculate_1_d2_array(np.array(new.asu.miller_index)), rtol=1e-9)
    same = table("P 63", (67, 67, 41, 90, 90, 120))
    assert reindex(same, "k,h,-l").cell is same.cell


def test_a_selection_keeps_reflections_that_it_has_no_observation_of():
    part = table("P 63", (67, 67, 41, 90, 90, 120))[:10]
    new = reindex(part, "k,h,-l")
    assert len(new.asu) == len(part.asu) > 10
    assert len(new) == 10


@pytest.mark.parametrize(
    ("spacegroup", "cell", "operator"),
    [
        ("P 21 21 2", (50, 51, 52, 90, 90, 90), "k,l,h"),  # the axis without a screw is another one
        ("P 43", (50, 50, 80, 90, 90, 90), "k,l,h"),
        ("C 1 2 1", (50, 60, 70, 90, 100, 90), "h+l,k,l"),  # C becomes I
    ],
)
def test_an_operator_that_changes_the_space_group_is_refused(spacegroup, cell, operator):
    with pytest.raises(SymmetryError, match="does not keep the symmetry"):
        reindex(table(spacegroup, cell), operator)
