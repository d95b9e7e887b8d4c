import numpy as np
import pytest

from vimerge.reflections import NoObservationsError, OptionError, Reflections


@pytest.fixture
def reflections(observed):
    return Reflections.from_arrays(
        observed["hkl"],
        observed["I"],
        observed["SIGI"],
        observed["BATCH"],
        cell=(50, 50, 80, 90, 90, 90),
        spacegroup="P 43 21 2",
        metadata={"ROT": observed["ROT"]},
        anomalous=True,
    )


def epoch(dataset):
    return [{name: value.numpy() for name, value in batch.items()} for batch in dataset]


def joined(batches, name):
    return np.concatenate([batch[name] for batch in batches])


@pytest.mark.parametrize("batch_size", [None, 1000, 100, 7, 1])
@pytest.mark.parametrize("shuffle", [True, False])
def test_an_epoch_is_the_table(reflections, batch_size, shuffle):
    dataset = reflections.dataset(batch_size, shuffle=shuffle)
    batches = epoch(dataset)
    assert len(batches) == len(dataset)
    sizes = [len(batch["iobs"]) for batch in batches]
    assert max(sizes) - min(sizes) <= 1
    assert max(sizes) <= (batch_size or len(reflections))
    # The intensities are distinct, and tell which row is which.
    order = np.argsort(joined(batches, "iobs"))
    expected = np.argsort(reflections.iobs)
    for name in ("refl_id", "image_id", "metadata", "iobs", "sigiobs"):
        column = joined(batches, name)
        assert column.dtype == getattr(reflections, name).dtype
        np.testing.assert_array_equal(column[order], getattr(reflections, name)[expected])
    if not shuffle:
        np.testing.assert_array_equal(joined(batches, "iobs"), reflections.iobs)
    for batch in batches:
        np.testing.assert_array_equal(batch["harmonic_id"], np.arange(len(batch["refl_id"])))
        np.testing.assert_allclose(batch["weight"].sum(), 1, rtol=1e-5)
    # Over an epoch the KL of each reflection counts once.
    shares = np.bincount(joined(batches, "refl_id"), joined(batches, "kl_share"), minlength=len(reflections.asu))
    np.testing.assert_allclose(shares, 1, rtol=1e-5)


def test_epochs_differ_and_are_reproducible(reflections):
    first, second = reflections.dataset(50, seed=1), reflections.dataset(50, seed=1)
    runs = [[joined(epoch(dataset), "iobs") for _ in range(3)] for dataset in (first, second)]
    for a, b in zip(*runs, strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(runs[0][0], runs[0][1])
    assert not np.array_equal(runs[0][0], joined(epoch(reflections.dataset(50, seed=2)), "iobs"))


def test_minibatch_means_are_unbiased(reflections):
    dataset = reflections.dataset(60)
    means = [np.sum(batch["weight"] * batch["iobs"]) for _ in range(60) for batch in epoch(dataset)]
    error = np.std(means) / np.sqrt(len(means))
    assert abs(np.mean(means) - reflections.iobs.mean()) < 4 * error


@pytest.mark.parametrize(("by", "key"), [("reflection", "refl_id"), ("image", "image_id")])
@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("batch_size", [None, 60, 1])
def test_whole_groups_are_in_one_batch_each_and_none_is_lost(reflections, by, key, shuffle, batch_size):
    part = reflections[5:-3]
    dataset = part.dataset(batch_size, shuffle=shuffle, by=by)
    batches = epoch(dataset)
    assert len(batches) == len(dataset)
    np.testing.assert_array_equal(np.sort(joined(batches, "iobs")), np.sort(part.iobs))
    groups = [np.unique(batch[key]) for batch in batches]
    assert len(np.concatenate(groups)) == len(np.unique(getattr(part, key)))
    for batch in batches:
        # A group's rows come one after the other.
        assert np.sum(np.diff(batch[key]) != 0) + 1 == len(np.unique(batch[key]))
    # Over an epoch the weighted sums make the mean, to the last digit but rounding.
    total = sum(np.sum(batch["weight"] * batch["iobs"].astype(np.float64)) for batch in batches) / len(batches)
    np.testing.assert_allclose(total, part.iobs.mean(dtype=np.float64), rtol=1e-6)


def test_an_unknown_division_is_refused(reflections):
    with pytest.raises(OptionError, match=r"by observation, reflection, image, not by 'sweep'"):
        reflections.dataset(10, by="sweep")


def test_shares_of_a_selection_are_its_own(reflections):
    part = reflections[::2]
    batch = epoch(part.dataset())[0]
    np.testing.assert_allclose(batch["kl_share"], 1 / part.multiplicity[part.refl_id], rtol=1e-6)


@pytest.mark.parametrize("batch_size", [0, -5, 2.5])
def test_bad_batch_size(reflections, batch_size):
    with pytest.raises(OptionError, match="--batch-size"):
        reflections.dataset(batch_size)


def test_empty_table(reflections):
    with pytest.raises(NoObservationsError, match="no observation"):
        reflections[[]].dataset()


def test_keras_sees_steps_and_new_epochs(reflections):
    import keras

    seen = []

    class Probe(keras.Model):
        def train_step(self, batch):
            import tensorflow as tf

            tf.py_function(lambda x: seen.append(x.numpy()), [batch["iobs"]], [])
            return {"loss": tf.reduce_mean(batch["iobs"])}

    model = Probe()
    model.compile()
    history = model.fit(reflections.dataset(100, seed=5), epochs=2, shuffle=False, verbose=0)
    steps = len(reflections.dataset(100))
    assert history.params["steps"] == steps
    one, two = np.concatenate(seen[:steps]), np.concatenate(seen[steps:])
    assert len(seen) == 2 * steps
    assert not np.array_equal(one, two)
    np.testing.assert_array_equal(np.sort(one), np.sort(two))
