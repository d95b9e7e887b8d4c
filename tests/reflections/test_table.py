import subprocess
import sys

import gemmi
import numpy as np
import pytest
import reciprocalspaceship as rs

from vimerge.reflections import (
    MergedDataError,
    NoObservationsError,
    OptionError,
    ReflectionDataError,
    Reflections,
    SymmetryError,
    UncertaintyError,
)

CELL = (50.0, 50.0, 80.0, 90.0, 90.0, 90.0)


def table(observed, **options):
    names = ("hkl", "I", "SIGI", "BATCH")
    options = {"cell": CELL, "spacegroup": "P 43 21 2", **options}
    return Reflections.from_arrays(*(observed[name] for name in names), **options)


def test_import_is_light():
    heavy = ("tensorflow", "pandas", "reciprocalspaceship")
    code = f"import sys, vimerge.reflections; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_fields(observed):
    extra = {"XDET": observed["XDET"], "ROT": observed["ROT"]}
    r = table(observed, metadata=extra)
    count = len(observed["hkl"])
    assert len(r) == count
    np.testing.assert_array_equal(r.hkl, observed["hkl"])
    np.testing.assert_array_equal(r.iobs, observed["I"].astype(np.float32))
    np.testing.assert_array_equal(r.asu.refl_id(r.hkl), r.refl_id)
    assert r.metadata_keys == ("BATCH", "XDET", "ROT", "dHKL", "Hobs", "Kobs", "Lobs")
    by_name = dict(zip(r.metadata_keys, r.metadata.T, strict=True))
    np.testing.assert_allclose(by_name["dHKL"], 1 / r.d**2, rtol=1e-6)
    np.testing.assert_array_equal(by_name["Lobs"], observed["hkl"][:, 2])
    np.testing.assert_array_equal(by_name["XDET"], observed["XDET"].astype(np.float32))
    assert r.n_images == 6
    np.testing.assert_array_equal(r.images["image"].to_numpy()[r.image_id], observed["BATCH"])
    assert r.multiplicity.sum() == count
    assert r.multiplicity.min() == 1
    for name in ("hkl", "refl_id", "image_id", "file_id"):
        assert getattr(r, name).dtype == np.int32
    for name in ("iobs", "sigiobs", "metadata"):
        assert getattr(r, name).dtype == np.float32
    assert "P 43 21 2" in repr(r)
    assert f"{count} observations" in repr(r)


def test_is_immutable(observed):
    r = table(observed)
    with pytest.raises(ValueError, match="read-only"):
        r.iobs[0] = 0
    with pytest.raises(AttributeError):
        r.iobs = r.iobs
    observed["I"][0] = 5.0  # the caller's own array is still writeable


def test_selection_keeps_the_numbering(observed):
    r = table(observed, anomalous=True)
    mask = r.iobs > 50
    part = r[mask]
    assert part.asu is r.asu
    assert part.n_images == r.n_images
    np.testing.assert_array_equal(part.refl_id, r.refl_id[mask])
    np.testing.assert_array_equal(part.multiplicity, np.bincount(r.refl_id[mask], minlength=len(r.asu)))
    np.testing.assert_array_equal(r.select(np.flatnonzero(mask)).metadata, part.metadata)
    np.testing.assert_array_equal(r[:7].hkl, r.hkl[:7])
    assert len(r[3]) == 1
    assert len(r[[]]) == 0
    assert "0 observations" in repr(r[[]])


def test_several_files_share_images_and_reflections(observed):
    file_id = np.arange(len(observed["hkl"])) % 2
    r = table(observed, file_id=file_id, files=["a", "b"])
    assert r.files == ("a", "b")
    assert r.n_images == 12
    assert r.images["file"].tolist() == ["a"] * 6 + ["b"] * 6
    np.testing.assert_array_equal(r.images["file_id"].to_numpy()[r.image_id], r.file_id)
    assert "file" not in r.metadata_keys
    with_file = table(observed, file_id=file_id, metadata_keys=["file", "dHKL"])
    assert with_file.metadata_keys == ("file", "dHKL")
    np.testing.assert_array_equal(with_file.metadata[:, 0], with_file.file_id)


def test_cuts(observed, caplog):
    observed["SIGI"][:5] = [0, -1, np.nan, np.inf, 2]
    observed["I"][4] = np.nan
    observed["hkl"][:5] = [1, 2, 3]
    observed["hkl"][10] = [3, 0, 0]  # absent in P 43 21 2
    observed["hkl"][11] = [0, 0, 0]
    with caplog.at_level("INFO", "vimerge"):
        r = table(observed, dmin=8.0)
    expected = np.ones(len(observed["hkl"]), dtype=bool)
    expected[[0, 1, 2, 3, 4, 10, 11]] = False
    cell = gemmi.UnitCell(*CELL)
    expected &= cell.calculate_1_d2_array(observed["hkl"]) <= (1 + 1e-6) / 64
    np.testing.assert_array_equal(r.hkl, observed["hkl"][expected])
    assert r.d.min() >= 8.0 * (1 - 1e-6)
    assert "2 of" in next(m for m in caplog.messages if "systematically absent" in m)
    assert any("SIGI" in m for m in caplog.messages)
    # Only images and reflections that are left have numbers.
    assert set(r.image_id) == set(range(r.n_images))
    assert r.multiplicity.min() == 1


def test_the_resolution_limit_is_inclusive(observed):
    d = gemmi.UnitCell(*CELL).calculate_d([3, 4, 5])
    observed["hkl"][0] = [3, 4, 5]
    r = table(observed, dmin=round(d, 12))
    assert [3, 4, 5] in r.hkl.tolist()


def test_friedel_mates_are_apart_on_request(observed):
    together, apart = table(observed), table(observed, anomalous=True)
    assert len(apart.asu) > len(together.asu)
    assert apart.anomalous
    plus, minus = apart.refl_id[:20], apart.refl_id[-20:]  # the last are the mates of the first
    np.testing.assert_array_equal(apart.asu.friedel_mate[plus], minus)
    np.testing.assert_array_equal(together.refl_id[:20], together.refl_id[-20:])


def test_constant_and_broken_metadata_are_left_out(observed, caplog):
    count = len(observed["hkl"])
    extra = {"QE": np.ones(count), "BG": np.where(np.arange(count) == 3, np.nan, 1.5), "ROT": observed["ROT"]}
    with caplog.at_level("INFO", "vimerge"):
        r = table(observed, metadata=extra)
    assert r.metadata_keys == ("BATCH", "ROT", "dHKL", "Hobs", "Kobs", "Lobs")
    assert [m for m in caplog.messages if "QE" in m]
    assert [m for m in caplog.messages if "BG" in m]
    caplog.clear()
    assert table(observed, metadata=extra, metadata_keys=["QE", "ROT"]).metadata_keys == ("ROT",)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    none = table(observed, metadata_keys=[])
    assert none.metadata.shape == (count, 0)


@pytest.mark.parametrize("anomalous", [False, True])
def test_from_dataset_is_the_same_as_from_arrays(observed, anomalous):
    ds = rs.DataSet({name: observed[name] for name in ("I", "SIGI", "BATCH", "ROT")}, merged=False)
    ds[["H", "K", "L"]] = observed["hkl"]
    ds = ds.astype({"I": "J", "SIGI": "Q", "BATCH": "B", "ROT": "R", "H": "H", "K": "H", "L": "H"})
    ds = ds.set_index(["H", "K", "L"])
    ds.cell, ds.spacegroup = gemmi.UnitCell(*CELL), "P 43 21 2"
    expected = table(observed, metadata={"ROT": observed["ROT"]}, anomalous=anomalous)
    for dataset in (ds, ds.hkl_to_asu()):
        r = Reflections.from_dataset(dataset, anomalous=anomalous)
        assert r.asu.matches(expected.asu)
        np.testing.assert_array_equal(r.hkl, expected.hkl)
        np.testing.assert_allclose(r.metadata, expected.metadata)
    ds.merged = True
    with pytest.raises(MergedDataError, match="unmerged"):
        Reflections.from_dataset(ds)


def test_cells_in_either_setting_of_r3():
    hkl = np.array([[1, 2, 3], [2, 1, 4]])
    arrays = ([5.0, 6.0], [1.0, 1.0], [1, 2])
    hexagonal = Reflections.from_arrays(hkl, *arrays, cell=(58, 58, 156, 90, 90, 120), spacegroup="R 3")
    assert hexagonal.spacegroup.xhm() == "R 3:H"
    rhombohedral = Reflections.from_arrays(hkl, *arrays, cell=(60, 60, 60, 80, 80, 80), spacegroup=146)
    assert rhombohedral.spacegroup.xhm() == "R 3:R"


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"spacegroup": "P 2 3"}, SymmetryError, "--space-group"),
        ({"spacegroup": "nonsense"}, SymmetryError, "nonsense"),
        ({"spacegroup": 231}, SymmetryError, "231"),
        ({"cell": (1, 1, 1, 90, 90, 90), "spacegroup": "P 1"}, SymmetryError, "cell"),
        ({"dmin": 0}, OptionError, "--dmin"),
        ({"dmin": float("nan")}, OptionError, "--dmin"),
        ({"dmin": 60.0}, NoObservationsError, "--dmin"),
        ({"metadata": {"X": [1.0]}}, ReflectionDataError, "X"),
        ({"metadata_keys": ["ROTT"]}, ReflectionDataError, "ROTT"),
        ({"file_id": np.array([2]), "files": ["a"]}, ReflectionDataError, "files"),
    ],
)
def test_bad_arguments(observed, options, error, words):
    with pytest.raises(error, match=words):
        table(observed, **options)


@pytest.mark.parametrize(("column", "fix"), [("SIGI", "--uncertainty-key"), ("I", "--intensity-key")])
def test_mostly_unusable_numbers(observed, column, fix):
    observed[column][: int(0.6 * len(observed["hkl"]))] = np.nan
    with pytest.raises(UncertaintyError, match=f"{column}.*{fix}"):
        table(observed)


def test_image_numbers_must_be_numbers(observed):
    observed["BATCH"] = observed["BATCH"] + 0.5
    with pytest.raises(ReflectionDataError, match=r"BATCH.*--image-key"):
        table(observed)


def test_no_observation_at_all():
    with pytest.raises(NoObservationsError, match="no observation"):
        Reflections.from_arrays(np.zeros((0, 3)), [], [], [], cell=CELL, spacegroup="P 1")
