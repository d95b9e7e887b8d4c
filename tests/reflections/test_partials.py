import numpy as np
import pytest

from vimerge.conventional.intensities import combine_intensities
from vimerge.conventional.sweeps import find_sweeps
from vimerge.reflections import MissingColumnError, OptionError, Reflections
from vimerge.reflections.partials import sum_partials

CELL, SPACEGROUP = (50.0, 60.0, 70.0, 90.0, 90.0, 90.0), "P 1"
# hkl, image, MPART_N, MPART_I, fraction, I, SIGI
ROWS = [
    ((1, 2, 3), 4, 0, 0, 1.00, 100.0, 10.0),  # a full
    ((1, 2, 4), 4, 2, 1, 0.30, 30.0, 3.0),  # two halves, complete
    ((1, 2, 4), 5, 2, 2, 0.68, 70.0, 4.0),
    ((1, 2, 5), 5, 3, 1, 0.20, 10.0, 1.0),  # the third part is missing, but little of it
    ((1, 2, 5), 6, 3, 2, 0.76, 50.0, 2.0),
    ((1, 2, 6), 5, 3, 1, 0.40, 10.0, 1.0),  # the middle is missing
    ((1, 2, 6), 7, 3, 3, 0.30, 20.0, 2.0),
    ((1, 2, 7), 8, 2, 1, 0.60, 60.0, 6.0),  # the second half is missing
    ((1, 2, 4), 9, 2, 1, 0.50, 40.0, 3.0),  # the same index, another passage
    ((1, 2, 4), 10, 2, 2, 0.50, 44.0, 4.0),
    ((1, 2, 4), 11, 2, 1, 0.90, 90.0, 3.0),  # and one that follows at once
    ((1, 2, 4), 12, 2, 2, 0.08, 8.0, 4.0),
]


def _table(rows=ROWS, leave_out=(), **more):
    hkl, image, number, part, fraction, i, sigi = (np.array(x) for x in zip(*rows, strict=True))
    columns = {"MPART_N": number, "MPART_I": part, "FRACTIONCALC": fraction, "ROT": image + 0.5, **more}
    columns = {k: v for k, v in columns.items() if k not in leave_out}
    return Reflections.from_arrays(
        hkl, i, sigi, image, cell=CELL, spacegroup=SPACEGROUP, metadata=columns, metadata_keys=list(columns)
    )


def _by_index(summed):
    table = summed.reflections
    return {
        (tuple(h), int(table.images["image"][i])): (float(x), float(s))
        for h, i, x, s in zip(table.hkl.tolist(), table.image_id, table.iobs, table.sigiobs, strict=True)
    }


def test_parts_are_summed_by_hand():
    summed = sum_partials(_table(), "sum")
    found = _by_index(summed)
    assert found == {
        ((1, 2, 3), 4): (100.0, 10.0),
        ((1, 2, 4), 5): (100.0, 5.0),
        ((1, 2, 5), 6): (60.0, pytest.approx(np.sqrt(5))),
        ((1, 2, 4), 9): (84.0, 5.0),
        ((1, 2, 4), 11): (98.0, 5.0),
    }
    assert sorted(summed.parts.tolist()) == [1, 2, 2, 2, 2]


def test_incomplete_sums_are_scaled_above_the_limit():
    found = _by_index(sum_partials(_table(), "scale", minimum=0.5))
    assert len(found) == 6
    assert found[(1, 2, 7), 8] == (pytest.approx(100.0), pytest.approx(10.0))
    found = _by_index(sum_partials(_table(), "scale", minimum=0.35))
    assert found[(1, 2, 6), 5] == (pytest.approx(25.0), pytest.approx(2.5))


def test_single_parts_are_scaled_by_their_own_fraction():
    found = _by_index(sum_partials(_table(), "single", minimum=0.65))
    assert found[(1, 2, 4), 5] == (pytest.approx(70 / 0.68), pytest.approx(4 / 0.68))
    assert set(found) == {((1, 2, 3), 4), ((1, 2, 4), 5), ((1, 2, 5), 6), ((1, 2, 4), 11)}


def test_fractions_alone_tell_what_belongs_together():
    rows = [row for row in ROWS if row[0] != (1, 2, 4) or row[1] < 8]
    with_codes = _by_index(sum_partials(_table(rows), "sum"))
    assert _by_index(sum_partials(_table(rows, leave_out=("MPART_N", "MPART_I")), "sum")) == with_codes


def test_codes_alone_do_too():
    rows = [row for row in ROWS if row[0] != (1, 2, 5)]
    with_fractions = _by_index(sum_partials(_table(rows), "sum"))
    found = _by_index(sum_partials(_table(rows, leave_out=("FRACTIONCALC",)), "sum"))
    assert {k[0]: v for k, v in found.items()} == {k[0]: v for k, v in with_fractions.items()}


def test_whole_reflections_are_left_as_they_are(reflections):
    summed = sum_partials(reflections, "sum")
    np.testing.assert_array_equal(summed.reflections.iobs, reflections.iobs)


def test_nothing_lost_when_partials_are_summed(real_hypf):
    table = Reflections.read(
        real_hypf, intensity_key="IPR", metadata=["FRACTIONCALC", "MPART_N", "MPART_I"], anomalous=True
    )
    summed = sum_partials(table, "sum")
    assert len(summed.reflections) == pytest.approx(23_480, abs=50)
    assert (summed.fraction > 0.5).mean() > 0.999


@pytest.fixture
def real_hypf():
    from pathlib import Path

    path = Path(__file__).parents[2].parent / "shared" / "data" / "hypf" / "hypf_unmerged.mtz"
    if not path.is_file():
        pytest.skip("the real data are not there")
    return path


@pytest.mark.parametrize(("options", "words"), [(("add",), "--partials"), (("scale", 0.0), "--min-fraction")])
def test_bad_options_are_refused(options, words):
    with pytest.raises(OptionError, match=words):
        sum_partials(_table(), *options)


def test_profile_and_summed_intensities_meet_in_the_middle():
    """Weak ones are the profile's, strong ones the sum's, and at I_mid each counts half."""
    rows = [((1, 2, i), 4, 0, 0, 1.0, x, 2.0) for i, x in enumerate((-5.0, 1e-3, 100.0, 1e9), start=1)]
    table = _table(rows, SUM=np.array([7.0, 7.0, 50.0, 9e8]), SIGSUM=np.array([4.0, 4.0, 4.0, 5.0]))
    combined, imid = combine_intensities(table, "SUM", "SIGSUM", imid=100.0)
    assert imid == 100
    np.testing.assert_allclose(combined.iobs, [-5, 1e-3, 75, 9e8], rtol=1e-5)
    np.testing.assert_allclose(combined.sigiobs, [2, 2, np.sqrt(10), 5], rtol=1e-5)
    with pytest.raises(MissingColumnError, match="NONE"):
        combine_intensities(table, "NONE", "SIGSUM")


def test_a_jump_in_angle_begins_a_sweep():
    image = np.repeat(np.arange(1, 31), 3)
    angle = np.where(image <= 15, image, image + 180) + 0.1 * np.tile([0, 1, 2], 30)
    rows = [((1, 2, 3), int(i), 0, 0, 1.0, 1.0, 1.0) for i in image]
    table = _table(rows)
    sweep = find_sweeps(table, angle)
    np.testing.assert_array_equal(sweep, image > 15)
    # Images left out are no jump.
    few = np.isin(image, (1, 2, 3, 4, 9, 10, 11, 12))
    assert (find_sweeps(table[few], angle[few]) == 0).all()
    assert (find_sweeps(table) == 0).all()
