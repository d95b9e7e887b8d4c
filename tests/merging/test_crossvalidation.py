import numpy as np
import pytest

from vimerge import crossvalidation, likelihoods


@pytest.fixture(scope="module")
def model(reflections, make_model):
    return make_model(reflections, likelihood=likelihoods.StudentT())


@pytest.fixture(scope="module")
def halves(model, reflections):
    before = model.get_weights()
    table = crossvalidation.half_datasets(model, reflections, repeats=2, seed=4)
    return table, before


def test_held_out_observations_are_a_fraction_of_the_same_asu(reflections):
    train, test = crossvalidation.train_test_split(reflections, 0.1, seed=2)
    assert len(test) == round(0.1 * len(reflections))
    assert len(train) + len(test) == len(reflections)
    assert train.asu is reflections.asu
    assert test.asu is reflections.asu
    np.testing.assert_array_equal(np.sort(np.concatenate([train.iobs, test.iobs])), np.sort(reflections.iobs))


def test_the_seed_chooses_what_is_held_out(reflections):
    first, again, other = (crossvalidation.train_test_split(reflections, 0.1, seed=s)[1].iobs for s in (2, 2, 3))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_halves_have_the_columns_of_a_merge_and_their_numbers(halves, model, reflections):
    table, _ = halves
    merged = model.merge(reflections)
    assert list(table.columns) == [*merged.columns, "half", "repeat"]
    assert [table[name].dtype.mtztype for name in table.columns[:-2]] == [d.mtztype for d in merged.dtypes]
    assert (table["half"].dtype.mtztype, table["repeat"].dtype.mtztype) == ("I", "I")
    assert sorted({*zip(table["half"], table["repeat"], strict=True)}) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert table.cell.parameters == pytest.approx(merged.cell.parameters)
    assert table.spacegroup.xhm() == merged.spacegroup.xhm()
    assert table.merged


def test_halves_are_disjoint_and_hold_every_observation(halves, reflections):
    table, _ = halves
    for repeat in (0, 1):
        numbers = [table["N"][(table["repeat"] == repeat) & (table["half"] == half)].sum() for half in (0, 1)]
        assert sum(numbers) == len(reflections)
        assert 0.4 < numbers[0] / len(reflections) < 0.6


def test_halves_agree_but_are_not_the_same(halves):
    table, _ = halves
    first, second = (table[(table["repeat"] == 0) & (table["half"] == half)] for half in (0, 1))
    common = first.index.intersection(second.index)
    a, b = (t.loc[common, "F"].to_numpy(np.float64) for t in (first, second))
    assert 0.8 < np.corrcoef(a, b)[0, 1] < 0.9999


def test_the_model_is_left_as_it_was(halves, model):
    _, before = halves
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_the_model_is_left_as_it_was_after_an_error_too(model, reflections, monkeypatch):
    before = model.get_weights()
    monkeypatch.setattr(crossvalidation, "merged_by_dataset", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        crossvalidation.half_datasets(model, reflections)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_the_seed_fixes_the_halves(halves, model, reflections):
    table, _ = halves
    again = crossvalidation.half_datasets(model, reflections, repeats=1, seed=4)
    assert again.equals(table[table["repeat"] == 0])
    other = crossvalidation.half_datasets(model, reflections, repeats=1, seed=5)
    assert not other.equals(again)
