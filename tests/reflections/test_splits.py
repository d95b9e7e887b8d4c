import numpy as np
import pytest

from vimerge.reflections import OptionError, Reflections, half_datasets, holdout


@pytest.fixture
def reflections(observed):
    file_id = np.arange(len(observed["hkl"])) % 2
    return Reflections.from_arrays(
        observed["hkl"],
        observed["I"],
        observed["SIGI"],
        # Seven images in one file and five in the other.
        np.arange(len(observed["hkl"])) // 2 % np.where(file_id == 0, 7, 5),
        cell=(50, 50, 80, 90, 90, 90),
        spacegroup="P 43 21 2",
        file_id=file_id,
    )


def test_holdout(reflections):
    test = holdout(reflections, 0.1, seed=3)
    assert test.dtype == bool
    assert test.sum() == round(0.1 * len(reflections))
    np.testing.assert_array_equal(test, holdout(reflections, 0.1, seed=3))
    assert (test != holdout(reflections, 0.1, seed=4)).any()
    assert not holdout(reflections, 0.0).any()
    for fraction in (-0.1, 1.0, float("nan")):
        with pytest.raises(OptionError, match="--test-fraction"):
            holdout(reflections, fraction)


def test_half_datasets(reflections):
    divisions = list(half_datasets(reflections, seed=1, repeats=8))
    assert [repeat for repeat, _, _ in divisions] == list(range(8))
    file_id = reflections.images["file_id"].to_numpy()
    for _, half0, half1 in divisions:
        np.testing.assert_array_equal(half0, ~half1)
        images0, images1 = (set(reflections.image_id[half]) for half in (half0, half1))
        assert not images0 & images1
        assert abs(len(images0) - len(images1)) <= 1
        for file in (0, 1):
            assert abs(sum(file_id[i] == file for i in images0) - sum(file_id[i] == file for i in images1)) <= 1
    assert len({half0.tobytes() for _, half0, _ in divisions}) > 4
    again = list(half_datasets(reflections, seed=1, repeats=3))
    for (_, a, _), (_, b, _) in zip(again, divisions, strict=False):
        np.testing.assert_array_equal(a, b)


def test_half_datasets_of_a_selection_use_its_images(reflections):
    part = reflections[reflections.image_id < 4]
    _, half0, half1 = next(half_datasets(part))
    assert {len(set(part.image_id[half])) for half in (half0, half1)} == {2}


def test_one_image_has_no_halves(reflections):
    with pytest.raises(OptionError, match="two images"):
        next(half_datasets(reflections[reflections.image_id == 0]))
