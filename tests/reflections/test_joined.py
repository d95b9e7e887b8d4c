import json
from dataclasses import replace

import gemmi
import numpy as np
import pytest

from vimerge.reflections import (
    JoinedASU,
    NoObservationsError,
    OptionError,
    ReciprocalASU,
    ReflectionDataError,
    Reflections,
    half_datasets,
    read_datasets,
    reindex,
)

from .conftest import CELL, OTHER, table_of

FIELDS = ("hkl", "refl_id", "image_id", "file_id", "iobs", "sigiobs", "metadata", "harmonic_id", "principal")


def assert_same(one, other):
    assert one.asu.matches(other.asu)
    assert one.metadata_keys == other.metadata_keys
    assert one.files == other.files
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    assert one.images.equals(other.images)
    assert one.images.index.name == other.images.index.name
    assert one.is_laue == other.is_laue


def test_reflections_of_all_data_sets_are_one_range(parts, joined):
    asu, (off, on) = joined.asu, (part.asu for part in parts)
    assert len(asu) == len(off) + len(on)
    assert asu.names == ("off", "on")
    assert asu.of("on") is on
    assert asu.slice_of("on") == slice(len(off), len(asu))
    for name in ("miller_index", "centric", "epsilon", "s2", "d", "friedel_minus"):
        split = asu.split(getattr(asu, name))
        np.testing.assert_array_equal(split["off"], getattr(off, name))
        np.testing.assert_array_equal(split["on"], getattr(on, name))
        assert getattr(asu, name).dtype == getattr(off, name).dtype
    np.testing.assert_array_equal(asu.asu_id, np.repeat([0, 1], [len(off), len(on)]))
    paired = asu.friedel_mate >= 0
    assert paired.any()
    assert (~paired).any()
    assert asu.friedel_mate.dtype == np.int32
    np.testing.assert_array_equal(asu.asu_id[asu.friedel_mate[paired]], asu.asu_id[paired])
    acentric = paired & ~asu.centric
    np.testing.assert_array_equal(asu.miller_index[asu.friedel_mate[acentric]], -asu.miller_index[acentric])
    assert asu.number_possible(8.0) == off.number_possible(8.0) + on.number_possible(8.0)
    assert isinstance(asu, ReciprocalASU)
    assert asu.cell is off.cell
    np.testing.assert_array_equal(asu.refl_id(on.miller_index, "on"), np.arange(len(off), len(asu)))
    assert asu.refl_id([[30, 30, 30]], "on").tolist() == [-1]


def test_a_joined_asu_survives_a_configuration(joined):
    again = ReciprocalASU.from_config(json.loads(json.dumps(joined.asu.to_config())))
    assert isinstance(again, JoinedASU)
    assert again.matches(joined.asu)
    assert joined.asu.matches(again)
    np.testing.assert_array_equal(again.friedel_mate, joined.asu.friedel_mate)
    assert not joined.asu.matches(joined.asu.asus[0])
    assert not joined.asu.matches(JoinedASU(joined.asu.asus, ["off", "dark"]))
    assert not joined.asu.matches(JoinedASU(joined.asu.asus[::-1], ["off", "on"]))


def test_bad_joins(parts, observed):
    asus = [part.asu for part in parts]
    for names in (["a"], ["a", "a"], ["a", ""], ["a", "b/c"]):
        with pytest.raises(OptionError, match="name"):
            JoinedASU(asus, names)
    with pytest.raises(OptionError, match="name"):
        JoinedASU([], [])
    with pytest.raises(ReflectionDataError, match="--anomalous"):
        JoinedASU([asus[0], table_of(observed, anomalous=False).asu], ["a", "b"])
    with pytest.raises(OptionError, match="choose from a, b"):
        JoinedASU(asus, ["a", "b"]).of("c")
    with pytest.raises(OptionError, match="name="):
        JoinedASU(asus, ["a", "b"]).refl_id([[1, 2, 3]])
    with pytest.raises(TypeError, match="join"):
        JoinedASU.from_observed([[1, 2, 3]], parts[0].cell, parts[0].spacegroup)


@pytest.mark.parametrize("laue", [(False, False), (True, True), (True, False)])
@pytest.mark.parametrize("dataset_column", [False, True])
def test_what_is_joined_can_be_separated(observed, laue, dataset_column):
    parts = [
        table_of(observed, slice(None, None, 2), laue=laue[0]),
        table_of(observed, slice(100, 420), cell=OTHER, spacegroup="P 41 21 2", laue=laue[1]),
        table_of(observed, slice(30, 130), laue=laue[0]),
    ]
    joined = Reflections.concatenate(parts, ["a", "b", "c"], dataset_column=dataset_column)
    assert joined.is_laue == any(laue)
    assert len(joined) == sum(len(part) for part in parts)
    assert joined.n_predictions == sum(part.n_predictions for part in parts)
    assert joined.n_images == sum(part.n_images for part in parts)
    assert joined.files == sum((part.files for part in parts), ())
    np.testing.assert_array_equal(joined.dataset_id, np.repeat([0, 1, 2], [len(part) for part in parts]))
    np.testing.assert_array_equal(joined.images["file_id"].to_numpy()[joined.image_id], joined.file_id)
    assert "in 3 data sets" in repr(joined)
    if dataset_column:
        assert joined.metadata_keys[-1] == "dataset"
        np.testing.assert_array_equal(joined.column("dataset"), joined.dataset_id)
    shuffled = joined[np.random.default_rng(0).permutation(len(joined))]
    for name, part in zip("abc", parts, strict=True):
        if laue == (True, False) and name == "b":
            # The same but for saying that there could have been harmonics.
            part = replace(part, harmonics=joined.of(name).harmonics)
        assert_same(joined.of(name), part)
        again = shuffled.of(name)
        assert again.asu.matches(part.asu)
        np.testing.assert_array_equal(np.sort(again.iobs), np.sort(part.iobs))
        np.testing.assert_array_equal(again.asu.refl_id(again.harmonic_hkl), again.refl_id)
    assert list(joined.split_by_dataset()) == ["a", "b", "c"]


def test_a_single_data_set_is_its_own_only_part(parts):
    assert parts[0].split_by_dataset() == {"": parts[0]}
    assert not parts[0].dataset_id.any()
    with pytest.raises(OptionError, match="without a name"):
        parts[0].of("off")


def test_the_metadata_that_all_have_are_kept(observed, caplog):
    extra = np.arange(200.0)
    parts = [table_of(observed, slice(200), QE=extra), table_of(observed, slice(200, 400))]
    with caplog.at_level("INFO", "vimerge"):
        joined = Reflections.concatenate(parts)
    assert joined.metadata_keys == parts[1].metadata_keys
    assert any("QE" in message for message in caplog.messages)
    # Both are called 200_a.
    assert joined.dataset_names == ("1", "2")
    joined = Reflections.concatenate([parts[0], table_of(observed)])
    assert joined.dataset_names == ("200_a", f"{len(observed['hkl'])}_a")


def test_half_data_sets_divide_each_data_set(joined):
    _, half0, half1 = next(half_datasets(joined))
    for k in (0, 1):
        mine = joined.dataset_id == k
        images = [len(np.unique(joined.image_id[half & mine])) for half in (half0, half1)]
        assert abs(images[0] - images[1]) <= 1


def test_a_data_set_can_be_reindexed_as_it_is_joined(observed):
    part = table_of(observed, spacegroup="P 43")
    other = reindex(part, "k,h,-l")
    joined = Reflections.concatenate([part, other], ["off", "on"], reindex={"on": "k,h,-l"})
    again = joined.of("on")
    assert again.asu.matches(part.asu)
    np.testing.assert_array_equal(again.refl_id, part.refl_id)
    with pytest.raises(OptionError, match="'of' to reindex"):
        Reflections.concatenate([part, other], ["off", "on"], reindex={"of": "k,h,-l"})
    with pytest.raises(OptionError, match="all of them at once"):
        Reflections.concatenate([joined, other])


def test_read_datasets(observed, write_mtz):
    paths = [
        write_mtz({**observed, "LAMBDA": np.full(len(observed["hkl"]), value)}, name=f"{value}.mtz", cell=cell)
        for value, cell in ((1.0, CELL), (1.1, OTHER), (1.1, OTHER))
    ]
    joined = read_datasets({"peak": paths[0], "remote": [paths[1], paths[2]]}, anomalous=True, dataset_column=True)
    assert joined.dataset_names == ("peak", "remote")
    assert joined.asu.of("remote").cell.a == pytest.approx(50.5)
    assert len(joined) == 3 * len(observed["hkl"])
    # The same throughout each data set, but not throughout both.
    np.testing.assert_allclose(joined.column("LAMBDA"), np.where(joined.dataset_id == 0, 1.0, 1.1), rtol=1e-6)
    alone = Reflections.read(paths[1:], anomalous=True)
    remote = joined.of("remote")
    assert remote.asu.matches(alone.asu)
    np.testing.assert_array_equal(remote.refl_id, alone.refl_id)
    np.testing.assert_array_equal(remote.images["image"], alone.images["image"])
    assert remote.files == alone.files
    assert "LAMBDA" not in read_datasets({"a": paths[1], "b": paths[2]}).metadata_keys
    with pytest.raises(NoObservationsError, match=r"1\.0\.mtz"):
        read_datasets({"a": paths[0], "b": paths[1]}, dmin=1e3)
    with pytest.raises(OptionError, match="data set"):
        read_datasets({})


def test_batches_of_several_data_sets(joined):
    batch = next(iter(joined.dataset()))
    np.testing.assert_array_equal(batch["refl_id"], joined.refl_id)
    shares = np.bincount(batch["refl_id"], batch["kl_share"], minlength=len(joined.asu))
    np.testing.assert_allclose(shares[joined.multiplicity > 0], 1, rtol=1e-5)


def test_a_reference_is_the_same_for_all_data_sets(joined, tmp_path):
    from vimerge.reflections import reference_amplitudes

    on = joined.asu.of("off")
    mtz = gemmi.Mtz(with_base=True)
    mtz.spacegroup, mtz.cell = on.spacegroup, on.cell
    mtz.add_dataset("data")
    mtz.add_column("F", "F")
    hkl = on.miller_index[~on.friedel_minus]
    mtz.set_data(np.column_stack([hkl, np.arange(len(hkl)) + 1.0]).astype(np.float32))
    mtz.write_to_file(str(tmp_path / "reference.mtz"))
    both = joined.asu.split(reference_amplitudes(joined.asu, tmp_path / "reference.mtz"))
    for name, asu in zip(("off", "on"), joined.asu.asus, strict=True):
        np.testing.assert_array_equal(both[name], reference_amplitudes(asu, tmp_path / "reference.mtz"))
