"""Free sets: the fraction, symmetry, and flags of a reference in either convention."""

import gemmi
import numpy as np
import pytest
import reciprocalspaceship as rs

from vimerge.reflections import (
    AmbiguousColumnError,
    MissingColumnError,
    OptionError,
    ReflectionDataError,
    SymmetryError,
    UnreadableFileError,
)
from vimerge.reflections.free_flags import add_free_flags, free_flags, free_value

CELL, SPACE_GROUP = gemmi.UnitCell(50, 50, 80, 90, 90, 90), gemmi.SpaceGroup("P 43 21 2")


def table(hkl, cell=CELL, space_group=SPACE_GROUP, **columns):
    data = {name: rs.DataSeries(np.asarray(v, np.float32), dtype="I") for name, v in columns.items()}
    data |= {name: rs.DataSeries(np.asarray(hkl)[:, i], dtype="H") for i, name in enumerate("HKL")}
    return rs.DataSet(data, cell=cell, spacegroup=space_group, merged=True).set_index(["H", "K", "L"])


@pytest.fixture(scope="module")
def all_hkl():
    return gemmi.make_miller_array(CELL, SPACE_GROUP, 1.8)


@pytest.fixture
def reference(tmp_path):
    def write(hkl, name="FreeR_flag", **options):
        path = tmp_path / "reference.mtz"
        table(hkl, **{name: options.pop("flags")}, **options).write_mtz(str(path))
        return path

    return write


def test_twenty_sets_are_as_good_as_equal_and_independent_of_resolution(all_hkl):
    flags = free_flags(table(all_hkl))
    counts = np.bincount(flags)
    assert len(counts) == 20
    expected = len(flags) / 20
    # χ² of 19 degrees of freedom: 99.9 % are below 43.8.
    assert np.sum((counts - expected) ** 2 / expected) < 43.8
    s2 = CELL.calculate_1_d2_array(all_hkl)
    free = flags == 0
    assert abs(s2[free].mean() - s2.mean()) < 4 * s2.std() / np.sqrt(free.sum())
    # Neighbours in reciprocal space are free independently of each other.
    assert abs(np.corrcoef(free[1:], free[:-1])[0, 1]) < 4 / np.sqrt(len(free))
    assert np.bincount(free_flags(table(all_hkl), fraction=0.1)).size == 10


def test_equivalents_and_friedel_mates_have_the_same_flag(all_hkl):
    flags = free_flags(table(all_hkl))
    for op in SPACE_GROUP.operations().sym_ops:
        rotated = all_hkl @ (np.array(op.rot) // gemmi.Op.DEN)
        np.testing.assert_array_equal(free_flags(table(rotated)), flags)
        np.testing.assert_array_equal(free_flags(table(-rotated)), flags)


def test_what_else_was_measured_does_not_matter_but_the_seed_does(all_hkl):
    flags = free_flags(table(all_hkl))
    some = np.random.default_rng(0).permutation(len(all_hkl))[:300]
    np.testing.assert_array_equal(free_flags(table(all_hkl[some])), flags[some])
    # Another seed shares a twentieth of the flags.
    assert np.mean(free_flags(table(all_hkl), seed=1) == flags) == pytest.approx(0.05, abs=0.01)


def test_flags_of_a_reference_are_copied_to_equivalents_and_extended_among_its_sets(all_hkl, reference):
    rng = np.random.default_rng(1)
    known, flags = all_hkl[::2], rng.integers(0, 20, len(all_hkl[::2]))
    path = reference(known[:, [1, 0, 2]] * [1, 1, -1], flags=flags)
    found = free_flags(table(all_hkl), reference=path)
    np.testing.assert_array_equal(found[::2], flags)
    assert set(found[1::2]) == set(range(20))
    assert np.mean(found[1::2] == 0) == pytest.approx(0.05, abs=0.015)


@pytest.mark.parametrize(("free", "work", "name"), [(1, 0, "R-free-flags"), (0, 1, "FREE"), (-1, 1, "FreeR_flag")])
def test_two_valued_flags_keep_their_convention_and_proportion(all_hkl, reference, free, work, name):
    rng = np.random.default_rng(2)
    flags = np.where(rng.uniform(size=len(all_hkl[::2])) < 0.1, free, work)
    found = free_flags(table(all_hkl), fraction=0.05, reference=reference(all_hkl[::2], name, flags=flags))
    assert free_value(found) == free
    np.testing.assert_array_equal(found[::2], flags)
    assert np.mean(found[1::2] == free) == pytest.approx(0.1, abs=0.02)


def test_the_column_is_one_that_refinement_programs_find(all_hkl, tmp_path):
    merged = add_free_flags(table(all_hkl, N=np.ones(len(all_hkl))))
    assert list(merged.columns) == ["N", "FreeR_flag"]
    merged.write_mtz(str(tmp_path / "merged.mtz"))
    mtz = gemmi.read_mtz_file(str(tmp_path / "merged.mtz"))
    assert mtz.rfree_column().label == "FreeR_flag"
    assert mtz.rfree_column().type == "I"


def test_wrong_references_and_fractions_are_told(all_hkl, reference, tmp_path):
    flags = np.arange(len(all_hkl)) % 20
    merged = table(all_hkl)
    with pytest.raises(OptionError, match="--free-fraction"):
        free_flags(merged, fraction=0.6)
    with pytest.raises(UnreadableFileError, match=r"none\.mtz"):
        free_flags(merged, reference=tmp_path / "none.mtz")
    with pytest.raises(MissingColumnError, match="FreeR_flag"):
        free_flags(merged, reference=reference(all_hkl, "N", flags=flags))
    with pytest.raises(MissingColumnError, match="OTHER"):
        free_flags(merged, reference=reference(all_hkl, flags=flags), column="OTHER")
    with pytest.raises(SymmetryError, match="P 4"):
        free_flags(merged, reference=reference(all_hkl, flags=flags, space_group=gemmi.SpaceGroup("P 4")))
    with pytest.raises(SymmetryError, match="3 %"):
        free_flags(merged, reference=reference(all_hkl, flags=flags, cell=gemmi.UnitCell(60, 60, 80, 90, 90, 90)))
    with pytest.raises(AmbiguousColumnError, match="FREE"):
        free_flags(merged, reference=reference(all_hkl, flags=flags, FREE=flags))
    with pytest.raises(ReflectionDataError, match="cannot be told"):
        free_flags(merged, reference=reference(all_hkl, flags=np.ones(len(all_hkl))))
    with pytest.raises(ReflectionDataError, match="different flags"):
        free_flags(merged, reference=reference([(1, 2, 3), (2, 1, 3), (1, 1, 1)], flags=[0, 1, 1]))
