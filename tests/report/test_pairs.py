"""Two folders are brought onto one scale before they are compared."""

import dataclasses

import gemmi
import numpy as np
import pytest

from vimerge.report.folders import read_folders
from vimerge.report.pairs import compare, pairs_of
from vimerge.statistics import Shells, resolution


@pytest.fixture
def first(results):
    return read_folders([results / "evans"])[0]


@pytest.fixture
def shells(first):
    return Shells(resolution(first.merged), 5)


def changed(results, **columns):
    merged = results.merged.copy()
    for name, values in columns.items():
        merged[name] = np.asarray(values, np.float32)
    return dataclasses.replace(results, name="other", tables=dataclasses.replace(results.tables, merged=merged))


def test_scale_and_fall_off_are_recovered(first, shells):
    d = resolution(first.merged)
    f = first.merged["F"].to_numpy(float)
    pair = compare(first, changed(first, F=f / (2.5 * np.exp(-7.0 / (4 * d**2)))), shells)
    assert pair.numbers["k"] == pytest.approx(2.5, rel=1e-4)
    assert pair.numbers["delta_b"] == pytest.approx(7.0, abs=1e-3)
    assert pair.numbers["r_iso"] == pytest.approx(0, abs=1e-5)
    np.testing.assert_allclose(*pair.amplitudes, rtol=1e-4)


def test_a_folder_agrees_with_itself(first, shells):
    pair = compare(first, changed(first), shells)
    assert [pair.numbers[key] for key in ("cc_f", "cc_i", "cc_difference")] == pytest.approx([1, 1, 1])
    assert pair.numbers["common"] == len(first.merged)
    assert pair.shells.drop(index="overall")["common"].sum() == len(first.merged)


def test_noise_lowers_the_correlation(first, shells):
    f = first.merged["F"].to_numpy(float)
    noise = np.random.default_rng(0).normal(0, f.std(), len(f))
    numbers = compare(first, changed(first, F=np.abs(f + noise)), shells).numbers
    assert numbers["cc_f"] < 0.9
    assert numbers["r_iso"] > 0.1


def test_what_cannot_be_compared_is_not(first, shells):
    other = changed(first)
    other.merged.spacegroup = gemmi.SpaceGroup("P 1")
    assert pairs_of([first, other], shells) == []
    assert compare(first, changed(first, F=np.full(len(first.merged), np.nan)), shells) is None


def test_more_than_four_folders_are_compared_with_the_first(first, shells):
    many = [first, *(dataclasses.replace(changed(first), name=f"other {i}") for i in range(4))]
    assert [pair.names for pair in pairs_of(many, shells)] == [(first.name, f"other {i}") for i in range(4)]
    assert len(pairs_of(many[:4], shells)) == 6
