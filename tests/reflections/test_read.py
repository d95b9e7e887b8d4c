import importlib
from pathlib import Path

import gemmi
import numpy as np
import pytest
import reciprocalspaceship as rs

from vimerge.reflections import (
    AmbiguousColumnError,
    MergedDataError,
    MissingColumnError,
    NoObservationsError,
    ReflectionDataError,
    Reflections,
    SymmetryError,
    UncertaintyError,
    UnreadableFileError,
)
from vimerge.reflections.readers import FORMATS, reader_for


def without(columns, *names):
    return {name: column for name, column in columns.items() if name not in names}


@pytest.mark.parametrize("spacegroup", ["P 43 21 2", "P 1 21 1", "I 2 2 2"])
@pytest.mark.parametrize("anomalous", [False, True])
def test_reading_gives_what_was_observed(observed, write_mtz, spacegroup, anomalous):
    absent = gemmi.SpaceGroup(spacegroup).operations().systematic_absences(observed["hkl"])
    path = write_mtz(observed, spacegroup=spacegroup)
    r = Reflections.read(path, anomalous=anomalous)
    np.testing.assert_array_equal(r.hkl, observed["hkl"][~absent])
    np.testing.assert_allclose(r.iobs, observed["I"][~absent], rtol=1e-6)
    np.testing.assert_array_equal(r.images["image"].to_numpy()[r.image_id], observed["BATCH"][~absent])
    assert r.metadata_keys == ("BATCH", "XDET", "ROT", "dHKL", "Hobs", "Kobs", "Lobs")
    assert r.files == (str(path),)
    assert r.cell.parameters == pytest.approx((50, 50, 80, 90, 90, 90))
    arrays = [observed[name][~absent] for name in ("hkl", "I", "SIGI", "BATCH")]
    same = Reflections.from_arrays(*arrays, cell=r.cell, spacegroup=spacegroup, anomalous=anomalous)
    assert same.asu.matches(r.asu)
    np.testing.assert_array_equal(same.refl_id, r.refl_id)


def test_file_written_by_reciprocalspaceship(observed, tmp_path):
    ds = rs.DataSet({name: observed[name] for name in ("I", "SIGI", "BATCH")}, merged=False)
    ds[["H", "K", "L"]] = observed["hkl"]
    ds = ds.astype({"I": "J", "SIGI": "Q", "BATCH": "B", "H": "H", "K": "H", "L": "H"}).set_index(["H", "K", "L"])
    ds.cell, ds.spacegroup = gemmi.UnitCell(50, 50, 80, 90, 90, 90), "P 43 21 2"
    path = tmp_path / "rs.mtz"
    ds.write_mtz(str(path))
    np.testing.assert_array_equal(Reflections.read(path).hkl, observed["hkl"])


def test_isym_counts_the_operations_in_the_order_of_the_file(observed, write_mtz):
    path = write_mtz(observed, spacegroup="P 21 21 21")
    mtz = gemmi.read_mtz_file(str(path))
    stored, isym = mtz.make_miller_array().copy(), mtz.column_with_label("M/ISYM").array.astype(int) % 256
    data = path.read_bytes()
    records = ["SYMM " + op.triplet().upper() for op in mtz.spacegroup.operations()]
    lines = [line.ljust(80).encode() for line in records]
    assert all(data.count(line) == 1 for line in lines)
    swapped = {lines[1]: lines[2], lines[2]: lines[1]}
    start = data.index(lines[0])
    block = b"".join(swapped.get(line, line) for line in lines)
    path.write_bytes(data[:start] + block + data[start + len(block) :])
    r = Reflections.read(path)
    present = ~mtz.spacegroup.operations().systematic_absences(stored)
    assert (r.hkl != observed["hkl"][present]).any()
    # Operation 2 in the file's order is the third of the tables, x+1/2,-y+1/2,-z.
    second = present & np.isin(isym, (3, 4))
    signs = np.where(isym[second] == 3, 1, -1)[:, None]
    np.testing.assert_array_equal(r.hkl[second[present]], stored[second] * [1, -1, -1] * signs)


def test_another_space_group_may_be_given(observed, write_mtz):
    path = write_mtz(observed)
    r = Reflections.read(path, space_group="P 41")
    assert r.spacegroup.xhm() == "P 41"
    present = ~gemmi.SpaceGroup("P 41").operations().systematic_absences(observed["hkl"])
    np.testing.assert_array_equal(r.hkl, observed["hkl"][present])


def test_no_isym_means_observed_indices(observed, write_mtz, caplog):
    r = Reflections.read(write_mtz(observed, isym=False))
    np.testing.assert_array_equal(r.hkl, observed["hkl"])
    assert "M/ISYM" in caplog.text


def test_batch_headers_have_the_cell_if_the_file_does_not(observed, write_mtz):
    path = write_mtz(observed)
    mtz = gemmi.read_mtz_file(str(path))
    for a in (49.9, 50.1):
        batch = gemmi.Mtz.Batch()
        batch.cell = gemmi.UnitCell(a, a, 80, 90, 90, 90)
        mtz.batches.append(batch)
    mtz.set_cell_for_all(gemmi.UnitCell(1, 1, 1, 90, 90, 90))
    mtz.write_to_file(str(path))
    assert Reflections.read(path).cell.parameters == pytest.approx((50, 50, 80, 90, 90, 90), abs=1e-4)


def test_several_files(observed, write_mtz):
    half = len(observed["hkl"]) // 2
    first = {name: column[:half] for name, column in observed.items()}
    second = without({name: column[half // 2 :] for name, column in observed.items()}, "XDET")
    paths = [
        write_mtz(first, "1.mtz"),
        write_mtz(second, "2.mtz", cell=(50.4, 50.4, 80, 90, 90, 90)),
    ]
    r = Reflections.read(paths)
    one, two = (Reflections.read(path) for path in paths)
    assert len(r) == len(one) + len(two)
    assert r.n_images == one.n_images + two.n_images
    np.testing.assert_array_equal(r.image_id[len(one) :], two.image_id + one.n_images)
    np.testing.assert_array_equal(r.hkl, np.concatenate([one.hkl, two.hkl]))
    assert "XDET" not in r.metadata_keys
    weight = len(two) / len(r)
    assert r.cell.a == pytest.approx(50 * (1 - weight) + 50.4 * weight)


def test_several_files_must_be_of_one_crystal_form(observed, write_mtz):
    first = write_mtz(observed, "1.mtz")
    with pytest.raises(SymmetryError, match=r"(1|2)\.mtz.*differs by more than 3 %"):
        Reflections.read([first, write_mtz(observed, "2.mtz", cell=(55, 55, 80, 90, 90, 90))])
    other = write_mtz(observed, "3.mtz", spacegroup="P 41 21 2")
    with pytest.raises(SymmetryError, match=r"3\.mtz.*--space-group"):
        Reflections.read([first, other])
    assert len(Reflections.read([first, other], space_group="P 41 21 2")) > 0


class TestColumns:
    def two_intensities(self, observed):
        return {**observed, "IPR": observed["I"] * 1.1, "SIGIPR": observed["SIGI"] * 2, "FLAG": observed["BATCH"] % 2}

    def test_several_intensities_are_ambiguous(self, observed, write_mtz):
        path = write_mtz(self.two_intensities(observed))
        with pytest.raises(
            AmbiguousColumnError, match=r"unmerged\.mtz.*I with SIGI.*IPR with SIGIPR.*--intensity-key IPR"
        ):
            Reflections.read(path)

    @pytest.mark.parametrize("keys", [{"intensity_key": "IPR"}, {"uncertainty_key": "SIGIPR"}])
    def test_one_key_finds_the_other(self, observed, write_mtz, keys):
        r = Reflections.read(write_mtz(self.two_intensities(observed)), **keys)
        np.testing.assert_allclose(r.iobs, observed["I"] * 1.1, rtol=1e-6)
        np.testing.assert_allclose(r.sigiobs, observed["SIGI"] * 2, rtol=1e-6)
        # Neither the other intensity nor flags inform the scale.
        assert r.metadata_keys == ("BATCH", "XDET", "ROT", "dHKL", "Hobs", "Kobs", "Lobs")

    @pytest.mark.parametrize("name", ["SigI", "sigi", "SIG_I", "sigmaI"])
    def test_sigma_by_name(self, observed, write_mtz, name):
        columns = {**without(observed, "SIGI"), name: observed["SIGI"]}
        assert len(Reflections.read(write_mtz(columns, **{name: "Q"}))) == len(observed["hkl"])

    def test_a_single_pair_needs_no_names(self, observed, write_mtz):
        columns = {**without(observed, "I", "SIGI"), "Int": observed["I"], "error": observed["SIGI"]}
        r = Reflections.read(write_mtz(columns, Int="J", error="Q"))
        np.testing.assert_allclose(r.sigiobs, observed["SIGI"], rtol=1e-6)

    def test_sigma_of_something_else_is_not_taken(self, observed, write_mtz):
        columns = {**without(observed, "SIGI"), "BG": observed["ROT"], "SIGBG": observed["SIGI"]}
        with pytest.raises(MissingColumnError, match=r"SIGI.*--uncertainty-key"):
            Reflections.read(write_mtz(columns, SIGBG="Q"))

    @pytest.mark.parametrize(
        ("gone", "fix"), [("I", "--intensity-key"), ("SIGI", "--uncertainty-key"), ("BATCH", "--image-key")]
    )
    def test_missing(self, observed, write_mtz, gone, fix):
        with pytest.raises(MissingColumnError, match=rf"unmerged\.mtz.*{fix}"):
            Reflections.read(write_mtz(without(observed, gone)))

    @pytest.mark.parametrize("key", ["intensity_key", "uncertainty_key", "image_key", "metadata"])
    def test_a_name_that_is_not_there(self, observed, write_mtz, key):
        value = ["rott"] if key == "metadata" else "rott"
        with pytest.raises(MissingColumnError, match=rf"unmerged\.mtz.*'rott'.*did you mean ROT.*{key}="):
            Reflections.read(write_mtz(observed), **{key: value})

    def test_image_key(self, observed, write_mtz):
        path = write_mtz({**observed, "RUN": observed["BATCH"] % 3, "OTHER": observed["BATCH"]}, RUN="I", OTHER="B")
        with pytest.raises(AmbiguousColumnError, match=r"BATCH, OTHER.*--image-key"):
            Reflections.read(path)
        r = Reflections.read(path, image_key="RUN")
        assert r.n_images == 3
        assert "RUN" in r.metadata_keys

    def test_explicit_metadata_keep_their_order(self, observed, write_mtz):
        r = Reflections.read(write_mtz(observed), metadata=["ROT", "dHKL", "Kobs", "BATCH"])
        assert r.metadata_keys == ("ROT", "dHKL", "Kobs", "BATCH")
        np.testing.assert_array_equal(r.metadata[:, 2], r.hkl[:, 1])


class TestBadFiles:
    def test_missing(self, tmp_path):
        with pytest.raises(UnreadableFileError, match=r"none\.mtz: there is no such file"):
            Reflections.read(tmp_path / "none.mtz")

    def test_folder(self, tmp_path):
        with pytest.raises(UnreadableFileError, match="cannot be read"):
            Reflections.read(tmp_path)

    @pytest.mark.parametrize("content", [b"", b"MTZ ", b"not an mtz file at all" * 9])
    def test_no_mtz(self, tmp_path, content):
        path = tmp_path / "bad.mtz"
        path.write_bytes(content)
        with pytest.raises(UnreadableFileError, match=r"bad\.mtz"):
            Reflections.read(path)

    def test_other_format(self, tmp_path):
        path = tmp_path / "model.pdb"
        path.write_text("CRYST1\n")
        with pytest.raises(UnreadableFileError, match=r"model\.pdb.*MTZ"):
            Reflections.read(path)

    @pytest.mark.parametrize("fraction", [0.001, 0.3, 0.9, 0.95, 0.98, 0.99])
    def test_truncated(self, observed, write_mtz, fraction):
        path = write_mtz(observed)
        data = path.read_bytes()
        path.write_bytes(data[: int(fraction * len(data))])
        with pytest.raises(UnreadableFileError, match=r"unmerged\.mtz.*truncated.*again"):
            Reflections.read(path)

    def test_merged(self, observed, write_mtz):
        hkl, first = np.unique(np.abs(observed["hkl"]), axis=0, return_index=True)
        columns = {"hkl": hkl, "I": observed["I"][first], "SIGI": observed["SIGI"][first]}
        with pytest.raises(MergedDataError, match=r"merged\.mtz.*unmerged file"):
            Reflections.read(write_mtz(columns, "merged.mtz", isym=False, spacegroup="P 2 2 2"))

    def test_no_space_group(self, observed, write_mtz, without_headers):
        for words in (("SYMINF",), ("SYMINF", "SYMM")):
            path = without_headers(write_mtz(observed), *words)
            with pytest.raises(SymmetryError, match=r"unmerged\.mtz.*--space-group"):
                Reflections.read(path)
            r = Reflections.read(path, space_group="P 43 21 2")
            np.testing.assert_array_equal(r.hkl, observed["hkl"])

    def test_no_cell(self, observed, write_mtz, without_headers):
        path = without_headers(write_mtz(observed), "CELL", "DCELL")
        with pytest.raises(SymmetryError, match=r"unmerged\.mtz.*no unit cell"):
            Reflections.read(path)

    def test_incompatible_cell(self, observed, write_mtz):
        path = write_mtz(observed, cell=(50, 60, 70, 90, 90, 90))
        with pytest.raises(SymmetryError, match=r"unmerged\.mtz.*50 60 70 90 90 90.*--space-group"):
            Reflections.read(path)
        assert len(Reflections.read(path, space_group="P 21 21 21")) > 0
        with pytest.raises(SymmetryError, match="'P 99'"):
            Reflections.read(path, space_group="P 99")

    def test_slightly_unconstrained_cells_pass(self, observed, write_mtz):
        assert len(Reflections.read(write_mtz(observed, cell=(50, 50.1, 80, 90, 90.05, 90))))

    def test_isym_without_an_operation(self, observed, write_mtz):
        path = write_mtz({**observed, "M/ISYM": np.full(len(observed["hkl"]), 99)}, isym=False)
        with pytest.raises(UnreadableFileError, match=r"unmerged\.mtz.*M/ISYM"):
            Reflections.read(path)

    def test_uncertainties(self, observed, write_mtz):
        few = {**observed, "SIGI": np.where(np.arange(len(observed["hkl"])) < 9, 0, observed["SIGI"])}
        assert len(Reflections.read(write_mtz(few))) == len(observed["hkl"]) - 9
        most = {**observed, "SIGI": np.where(observed["ROT"] < 60, 0, observed["SIGI"])}
        with pytest.raises(UncertaintyError, match=r"unmerged\.mtz.*SIGI.*--uncertainty-key"):
            Reflections.read(write_mtz(most))

    def test_no_observation_left(self, observed, write_mtz):
        with pytest.raises(NoObservationsError, match=r"unmerged\.mtz.*--dmin"):
            Reflections.read(write_mtz(observed), dmin=90.0)

    def test_no_file(self):
        with pytest.raises(ReflectionDataError, match="file"):
            Reflections.read([])


@pytest.mark.parametrize("name", FORMATS)
def test_readers_know_their_files_by_content(name):
    reader = importlib.import_module(f"vimerge.reflections.readers.{name}")
    assert callable(reader.read)
    assert not reader.matches(Path("file.unknown"), b"neither one nor the other")


def test_formats():
    assert "mtz" in FORMATS


def test_reader_by_content(observed, write_mtz):
    path = write_mtz(observed)
    other = path.rename(path.with_suffix(".dat"))
    assert reader_for(other).__name__.endswith(".mtz")
