import gemmi
import numpy as np
import pytest
import reciprocalspaceship as rs

from vimerge.simulation import simulate
from vimerge.simulation.writing import mosflm_orientation


@pytest.fixture(scope="module")
def written(small, tmp_path_factory):
    return small.write(tmp_path_factory.mktemp("simulation") / "data.mtz")


def test_three_files_and_no_temporary_ones(written):
    assert [path.name for path in written] == ["data.mtz", "data_truth.mtz", "data_sites.pdb"]
    assert sorted(path.name for path in written[0].parent.iterdir()) == sorted(path.name for path in written)


def test_gemmi_gives_back_the_observed_indices(small, written):
    mtz = gemmi.read_mtz_file(str(written[0]))
    labels = "H K L M/ISYM BATCH I SIGI BG SIGBG FRACTIONCALC XDET YDET ROT LP QE"
    assert mtz.column_labels() == labels.split()
    hkl = mtz.make_miller_array()
    assert rs.utils.in_asu(hkl, mtz.spacegroup).all()
    keys = np.column_stack([hkl, mtz.column_with_label("M/ISYM").array, mtz.column_with_label("BATCH").array])
    assert (np.lexsort(keys.T[::-1]) == np.arange(len(keys))).all()
    mtz.switch_to_original_hkl()
    np.testing.assert_array_equal(mtz.make_miller_array(), small.observations.get_hkls())


def test_reciprocalspaceship_reads_the_same_table(small, written):
    table = rs.read_mtz(str(written[0]))
    assert not table.merged
    assert table.wavelength == pytest.approx(small.experiment.wavelength)
    assert table.cell.parameters == pytest.approx(small.crystal.cell.parameters)
    np.testing.assert_array_equal(table.get_hkls(), small.observations.get_hkls())
    for name in small.observations.columns:
        np.testing.assert_array_equal(table[name].to_numpy(), small.observations[name].to_numpy())
    truth = rs.read_mtz(str(written[1]))
    assert truth.merged
    assert truth.columns.tolist() == small.truth.columns.tolist()
    np.testing.assert_array_equal(truth.to_numpy(dtype=float), small.truth.to_numpy(dtype=float))


def test_batch_headers(small, written):
    batches = gemmi.read_mtz_file(str(written[0])).batches
    assert [batch.number for batch in batches] == list(range(1, 121))
    batch = batches[7]
    assert batch.cell.parameters == pytest.approx(small.crystal.cell.parameters, rel=1e-6)
    assert batch.wavelength == pytest.approx(small.experiment.wavelength)
    assert list(batch.floats)[36:38] == pytest.approx([7.0, 8.0])
    u = np.reshape(list(batch.floats)[6:15], (3, 3)).T
    np.testing.assert_allclose(u @ u.T, np.eye(3), atol=1e-5)


def test_orientation_in_the_convention_of_busing_and_levy():
    """U·B must be the same matrix whatever the convention: a* is U's first column times |a*|."""
    cell = gemmi.UnitCell(30, 40, 55, 75, 102, 95)
    u = mosflm_orientation(np.eye(3), cell)
    np.testing.assert_allclose(u @ u.T, np.eye(3), atol=1e-12)
    a_star = np.array(cell.frac.mat)[0]
    np.testing.assert_allclose(u[:, 0], a_star / np.linalg.norm(a_star), atol=1e-12)


def test_sites(small, written):
    structure = gemmi.read_structure(str(written[2]))
    assert structure.cell.parameters == pytest.approx(small.crystal.cell.parameters, abs=1e-3)
    assert structure.find_spacegroup() == small.crystal.space_group
    read = [site.atom for site in structure[0].all()]
    true = [site.atom for site in small.sites[0].all()]
    assert [atom.element.name for atom in read] == ["Se"] * 3
    for a, b in zip(read, true, strict=True):
        assert a.pos.dist(b.pos) < 2e-3
        assert a.b_iso == pytest.approx(b.b_iso, abs=0.01)


def test_hexagonal_setting_survives(tmp_path):
    simulation = simulate(space_group="R3:H", cell=(40, 40, 50, 90, 90, 120), dmin=4.0, images=40, oscillation=3.0)
    mtz, _, sites = simulation.write(tmp_path / "r3.mtz")
    assert gemmi.read_structure(str(sites)).find_spacegroup().xhm() == "R 3:H"
    read = gemmi.read_mtz_file(str(mtz))
    assert read.spacegroup.xhm() == "R 3:H"
    read.switch_to_original_hkl()
    np.testing.assert_array_equal(read.make_miller_array(), simulation.observations.get_hkls())


def test_the_same_seed_writes_the_same_bytes(small, tmp_path):
    first, again = (small.write(tmp_path / name)[0].read_bytes() for name in ("a.mtz", "b.mtz"))
    assert first == again


def test_a_failure_leaves_nothing(small, tmp_path, monkeypatch):
    old = tmp_path / "data.mtz"
    old.write_bytes(b"old")

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(type(small.truth), "write_mtz", fail)
    with pytest.raises(OSError, match="disk full"):
        small.write(old)
    assert [path.name for path in tmp_path.iterdir()] == ["data.mtz"]
    assert old.read_bytes() == b"old"


@pytest.mark.parametrize(("name", "message"), [("data.txt", "end in .mtz"), ("missing/data.mtz", "folder")])
def test_bad_paths(small, tmp_path, name, message):
    with pytest.raises(ValueError, match=message):
        small.write(tmp_path / name)
