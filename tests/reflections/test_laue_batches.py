from functools import cache
from typing import NamedTuple

import numpy as np
import pytest

from vimerge.reflections import Reflections

# What is not filled up and monochromatic is tested in test_batches.
KINDS = [("polychromatic", False), ("polychromatic", True), ("monochromatic", True)]
DIVISIONS = [("observation", 60), ("reflection", 60), ("reflection", 1), ("image", 150)]


@cache
def table(kind):
    """Some 700 observations of 200 reflections, nearly all in harmonics, and 900 predictions; or 700."""
    rng = np.random.default_rng(7)
    indices = np.concatenate([rng.integers(-7, 8, (70, 3)), 2 * rng.integers(-3, 4, (15, 3))])
    indices = indices[indices.any(axis=1)]
    hkl = np.repeat(indices, rng.integers(1, 16, len(indices)), axis=0)
    hkl = hkl[rng.permutation(len(hkl))] * rng.choice([-1, 1], (len(hkl), 1))
    count = len(hkl)
    return Reflections.from_arrays(
        hkl,
        rng.gamma(1.0, 100.0, count),
        rng.uniform(1, 5, count),
        rng.integers(0, 9, count),
        cell=(50, 60, 80, 90, 90, 90),
        spacegroup="P 21 21 21",
        metadata={"LAMBDA": rng.uniform(0.8, 1.7, count), "ROT": rng.uniform(0, 9, count)},
        wavelength_key="LAMBDA" if kind == "polychromatic" else None,
        anomalous=True,
    )


class Epochs(NamedTuple):
    """Two epochs of a dataset."""

    reflections: Reflections
    by: str
    number: int
    spec: dict
    first: list
    second: list


@cache
def epochs(kind, static, by, batch_size, shuffle):
    reflections = table(kind)
    dataset = reflections.dataset(batch_size, shuffle=shuffle, by=by, static=static, seed=2)
    return Epochs(reflections, by, len(dataset), dataset.element_spec, epoch(dataset), epoch(dataset))


@pytest.fixture(params=KINDS, ids=lambda kind: f"{kind[0]}-{'static' if kind[1] else 'plain'}")
def kind(request):
    return request.param


@pytest.fixture(params=[True, False], ids=["shuffled", "in_order"])
def shuffle(request):
    return request.param


@pytest.fixture(params=DIVISIONS, ids=lambda division: f"{division[0]}-{division[1]}")
def made(request, kind, shuffle):
    return epochs(*kind, *request.param, shuffle)


def epoch(dataset):
    return [{name: value.numpy() for name, value in batch.items()} for batch in dataset]


def joined(batches, name):
    return np.concatenate([batch[name] for batch in batches])


def real(batch):
    """A batch without what it was filled up with."""
    m = np.count_nonzero(batch["weight"])
    n = np.count_nonzero(batch["harmonic_id"] < m)
    on_observations = ("iobs", "sigiobs", "weight", "principal")
    return {name: values[: m if name in on_observations else n] for name, values in batch.items()}


def test_an_epoch_is_the_table_with_harmonics_kept_together(made):
    reflections = made.reflections
    batches = [real(batch) for batch in made.first]
    assert len(batches) == made.number
    for batch in batches:
        m = len(batch["iobs"])
        np.testing.assert_array_equal(np.unique(batch["harmonic_id"]), np.arange(m))
        assert (np.diff(batch["harmonic_id"]) >= 0).all()
        if reflections.is_laue:
            np.testing.assert_array_equal(batch["harmonic_id"][batch["principal"]], np.arange(m))
        else:
            assert "principal" not in batch
    # The intensities are distinct, and tell which observation is which.
    order, expected = np.argsort(joined(batches, "iobs")), np.argsort(reflections.iobs)
    offsets = np.cumsum([0, *(len(batch["iobs"]) for batch in batches)])
    harmonic_id = np.concatenate([b["harmonic_id"] + o for b, o in zip(batches, offsets, strict=False)])
    row = expected[np.argsort(order)][harmonic_id]
    where = np.lexsort((joined(batches, "refl_id"), row))
    wanted = np.lexsort((reflections.refl_id, reflections.harmonic_id))
    for name, column in (
        ("refl_id", reflections.refl_id),
        ("image_id", reflections.image_id[reflections.harmonic_id]),
        ("metadata", reflections.metadata),
        ("kl_share", 1 / reflections.multiplicity[reflections.refl_id]),
    ):
        np.testing.assert_allclose(joined(batches, name)[where], column[wanted], rtol=1e-6, err_msg=name)
    np.testing.assert_array_equal(joined(batches, "sigiobs")[order], reflections.sigiobs[expected])
    if reflections.is_laue:
        principals = np.concatenate([batch["refl_id"][batch["principal"]] for batch in batches])
        np.testing.assert_array_equal(principals[order], reflections.refl_id[reflections.principal][expected])


def test_whole_groups_are_in_one_batch_one_after_the_other(made):
    reflections, by = made.reflections, made.by
    of_table = {
        "observation": reflections.iobs,
        "reflection": reflections.refl_id[reflections.principal],
        "image": reflections.image_id,
    }[by]
    for batch in made.first:
        group = batch[{"observation": "iobs", "reflection": "refl_id", "image": "image_id"}[by]]
        if by != "observation":
            group = group[batch.get("principal", slice(None))]
        assert np.count_nonzero(np.diff(group)) + 1 == len(np.unique(group))
        np.testing.assert_array_equal(np.sort(real(batch)["iobs"]), np.sort(reflections.iobs[np.isin(of_table, group)]))


def test_weighted_sums_of_an_epoch_are_those_of_the_table(made):
    reflections, batches = made.reflections, made.first
    scale = len(reflections) / len(batches)
    # Batches of observations may differ by one, and are weighted as if they did not.
    rtol = 2e-2 if made.by == "observation" else 1e-5
    total = sum(np.sum(b["weight"] * b["iobs"].astype(float)) for b in batches) * scale
    np.testing.assert_allclose(total, reflections.iobs.sum(dtype=float), rtol=rtol)
    # The same for what is of predictions, and for a KL of each reflection that was observed.
    total = sum(np.sum(b["weight"][b["harmonic_id"]] * b["metadata"][:, 0]) for b in batches) * scale
    np.testing.assert_allclose(total, reflections.metadata[:, 0].sum(dtype=float), rtol=rtol)
    kl = np.random.default_rng(0).gamma(1.0, size=len(reflections.asu))
    total = sum(np.sum(b["weight"][b["harmonic_id"]] * b["kl_share"] * kl[b["refl_id"]]) for b in batches) * scale
    np.testing.assert_allclose(total, kl.sum(), rtol=rtol)


def test_minibatches_of_observations_are_unbiased(kind):
    reflections = table(kind[0])
    dataset = reflections.dataset(50, static=kind[1])
    kl = np.random.default_rng(0).gamma(1.0, size=len(reflections.asu))
    rows = [
        (
            np.sum(b["weight"] * b["iobs"]),
            np.sum(b["weight"][b["harmonic_id"]] * b["kl_share"] * kl[b["refl_id"]]),
        )
        for _ in range(6)
        for b in epoch(dataset)
    ]
    error = np.std(rows, axis=0) / np.sqrt(len(rows))
    expected = [reflections.iobs.mean(), kl.sum() / len(reflections)]
    assert (np.abs(np.mean(rows, axis=0) - expected) < 4 * error).all()


def test_epochs_are_divided_anew(made, shuffle):
    same = [np.array_equal(a["iobs"], b["iobs"]) for a, b in zip(made.first, made.second, strict=True)]
    assert all(same) != shuffle


def test_static_batches_all_have_the_shapes_that_the_dataset_states(made, kind):
    stated = {name: tuple(spec.shape) for name, spec in made.spec.items()}
    assert any(None in shape for shape in stated.values()) != kind[1]
    if kind[1]:
        for batch in made.first + made.second:
            assert {name: values.shape for name, values in batch.items()} == stated


def test_static_batches_are_filled_with_their_own_last_rows(made, kind):
    for batch in made.first:
        kept = real(batch)
        m, n = len(kept["iobs"]), len(kept["refl_id"])
        assert kind[1] or (m, n) == (len(batch["iobs"]), len(batch["refl_id"]))
        assert not batch["weight"][m:].any()
        assert not batch["kl_share"][n:].any()
        last = kept["principal"][-1] if made.reflections.is_laue else n - 1
        for name in ("refl_id", "image_id", "metadata"):
            assert (batch[name][n:] == batch[name][last]).all()
        for name in ("iobs", "sigiobs"):
            assert (batch[name][m:] == batch[name][m - 1]).all()
        # Each has a prediction, for nothing can be said of an intensity of exactly zero.
        np.testing.assert_array_equal(np.unique(batch["harmonic_id"]), np.arange(len(batch["iobs"])))


def test_an_order_with_too_large_a_batch_is_drawn_again(monkeypatch):
    monkeypatch.setattr("vimerge.reflections.division._DEVIATIONS", 0.5)
    monkeypatch.setattr("vimerge.reflections.division._MULTIPLE", 1)
    reflections = table("polychromatic")
    dataset = reflections.dataset(60, static=True)
    allowed = dataset.element_spec["refl_id"].shape[0] - dataset.element_spec["iobs"].shape[0]
    rng, extras = np.random.default_rng(0), reflections.harmonics.counts - 1
    drawn = [[part.sum() for part in np.array_split(rng.permutation(extras), len(dataset))] for _ in range(50)]
    # So small that every other order would do without.
    assert 10 < np.count_nonzero(np.max(drawn, axis=1) > allowed) < 48
    for _ in range(6):
        batches = [real(batch) for batch in epoch(dataset)]
        np.testing.assert_array_equal(np.sort(joined(batches, "iobs")), np.sort(reflections.iobs))
        assert max(len(batch["refl_id"]) - len(batch["iobs"]) for batch in batches) <= allowed


def test_static_batches_are_not_much_larger_than_need_be():
    rng = np.random.default_rng(0)
    count = 30_000
    hkl = rng.integers(1, 13, (count, 3))
    options = {"cell": (50, 60, 80, 90, 90, 90), "spacegroup": "P 21 21 21", "metadata_keys": []}
    wavelength = rng.uniform(1.0, 1.6, count)
    r = Reflections.from_arrays(
        hkl,
        np.arange(count) + 1.0,
        np.ones(count),
        np.arange(count) // 300,
        metadata={"L": wavelength},
        wavelength_key="L",
        **options,
    )
    mean = 2048 * r.n_predictions / len(r)
    for by, most in (("observation", 1.05), ("reflection", 1.2), ("image", 1.3)):
        spec = r.dataset(2048, by=by, static=True).element_spec
        assert len(r) / 15 <= spec["iobs"].shape[0]
        assert spec["refl_id"].shape[0] < most * mean, by


@pytest.mark.parametrize("name", ["polychromatic", "monochromatic"])
def test_a_single_batch_is_not_filled_up(name):
    reflections = table(name)
    batch = epoch(reflections.dataset(static=True))[0]
    for key in ("iobs", "sigiobs", "refl_id", "metadata", "harmonic_id"):
        np.testing.assert_array_equal(batch[key], getattr(reflections, key))
    np.testing.assert_array_equal(batch["image_id"], reflections.image_id[reflections.harmonic_id])
    np.testing.assert_array_equal(batch.get("principal", np.arange(len(reflections))), reflections.principal)
    assert batch["weight"].all()
