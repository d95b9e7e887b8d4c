"""Beams' directions from batch headers."""

import gemmi
import numpy as np
import pytest

from vimerge.reflections import MissingColumnError, Reflections
from vimerge.reflections.geometry import GEOMETRY, Batches, beam_columns, read_batches, s0_and_s1
from vimerge.reflections.readers import read_raw
from vimerge.simulation import simulate

BEAMS = list(GEOMETRY)


@pytest.fixture(scope="module")
def small():
    return simulate(cell=(30.0, 34.0, 40.0, 80.0, 95.0, 105.0), space_group="P 1", dmin=3.0, images=40, oscillation=2.0)


@pytest.fixture(scope="module")
def path(small, tmp_path_factory):
    return str(small.write(tmp_path_factory.mktemp("geometry") / "data.mtz")[0])


def test_simulated_observations_meet_the_diffraction_condition(path):
    raw, batches = read_raw(path), read_batches(path)
    s0, s1, off = s0_and_s1(batches, raw.hkl, raw.columns["BATCH"], raw.columns["ROT"])
    assert np.abs(off).max() < 1e-5
    np.testing.assert_allclose(np.linalg.norm(s0, axis=1), 1, rtol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(s1, axis=1), 1, rtol=1e-12)
    # In the middle of the image, points are off by half an oscillation of 2° at most.
    *_, off = s0_and_s1(batches, raw.hkl, raw.columns["BATCH"])
    assert 1e-3 < np.abs(off).max() < np.deg2rad(1.0) * 1.01


def test_the_diffracted_beam_is_the_simulated_one(small, path):
    raw = read_raw(path)
    beams = beam_columns(raw, "BATCH")
    s1 = np.column_stack([beams[name] for name in ("S1X", "S1Y", "S1Z")])
    experiment, cell = small.experiment, small.crystal.cell
    spots = experiment.spots(raw.hkl, cell)
    # The same index may be recorded twice; the right crossing is the one at this angle.
    match = np.abs(spots.phi - raw.columns["ROT"][spots.index]) < 1e-3
    # The simulator's crystal frame is the laboratory's at φ = 0; here it is that of a* and b*.
    busing_levy = read_batches(path).u[0]
    np.testing.assert_allclose(s1[spots.index[match]] @ busing_levy.T, spots.direction[match], atol=2e-5)
    assert match.sum() == len(raw)


def test_beams_are_offered_as_metadata(path):
    table = Reflections.read(path, metadata=["BATCH", *BEAMS])
    assert table.metadata_keys == ("BATCH", *BEAMS)
    np.testing.assert_allclose(np.linalg.norm(table.metadata[:, 1:4], axis=1), 1, atol=1e-6)
    assert not set(BEAMS) & set(Reflections.read(path).metadata_keys), "they are no default"


def _mtz(path):
    return gemmi.read_mtz_file(path)


def _rewrite(path, folder, change):
    mtz = _mtz(path)
    for batch in mtz.batches:
        change(batch)
    mtz.write_to_file(str(folder / "changed.mtz"))
    return str(folder / "changed.mtz")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda floats: floats.__setitem__(slice(6, 15), [0.0] * 9), "no rotations"),
        (lambda floats: floats.__setitem__(slice(6, 15), [0, 1, 0, 0, 0, 1, 1, 0, 0]), "off the Ewald sphere"),
        (lambda floats: floats.__setitem__(slice(80, 86), [0.0] * 6), "no beam direction"),
    ],
)
def test_geometry_that_contradicts_the_data_is_unknown(path, tmp_path, change, words):
    def rewrite(batch):
        floats = list(batch.floats)
        change(floats)
        for i, value in enumerate(floats):
            batch.floats[i] = float(value)

    changed = _rewrite(path, tmp_path, rewrite)
    with pytest.raises(ValueError, match=words):
        beam_columns(read_raw(changed), "BATCH")
    with pytest.raises(MissingColumnError, match="leave it out of --metadata"):
        Reflections.read(changed, metadata=["S1X"])


def test_files_without_headers_and_arrays_have_no_geometry(path, tmp_path, observed):
    mtz = _mtz(path)
    mtz.batches.clear()
    mtz.write_to_file(str(tmp_path / "bare.mtz"))
    with pytest.raises(MissingColumnError, match="no batch headers"):
        Reflections.read(tmp_path / "bare.mtz", metadata=["S1X"])
    arrays = (observed[name] for name in ("hkl", "I", "SIGI", "BATCH"))
    with pytest.raises(MissingColumnError, match="S1X cannot be computed"):
        Reflections.from_arrays(*arrays, cell=(50, 50, 80, 90, 90, 90), spacegroup="P 43 21 2", metadata_keys=["S1X"])


def _rotation(axis, degrees):
    x, y, z = np.asarray(axis, float) / np.linalg.norm(axis)
    k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = np.deg2rad(degrees)
    return np.eye(3) + np.sin(angle) * k + (1 - np.cos(angle)) * k @ k


@pytest.mark.parametrize("scan", [1, 2, 3])
def test_a_goniostat_of_three_axes_turns_from_the_inside_out(scan):
    """R = T(e1, ω) T(e2, κ) T(e3, φ): whichever axis scans, the others stand at their datum."""
    axes, datum, phi = np.array([[0, 0, 1], [0.77, 0, 0.64], [0, 0.6, 0.8]]), np.array([20.0, 50.0, -30.0]), 35.0
    mtz = gemmi.Mtz(with_base=True)
    batch = gemmi.Mtz.Batch()
    batch.number = 1
    batch.cell = cell = gemmi.UnitCell(40, 50, 60, 90, 90, 90)
    u = _rotation([1, 2, 3], 70)
    floats = {6: u.T.ravel(), 33: datum, 36: [phi, phi], 59: (axes * [[1], [1], [1]]).ravel(), 83: [-1, 0, 0]}
    floats[86] = [0.9]
    for first, values in floats.items():
        for i, value in enumerate(values):
            batch.floats[first + i] = float(value)
    batch.ints[15], batch.ints[17] = scan, 3
    mtz.batches.append(batch)
    angles = datum.copy()
    angles[scan - 1] = phi
    rotation = np.linalg.multi_dot([_rotation(e, angle) for e, angle in zip(axes, angles, strict=True)])
    hkl = np.array([[3, -4, 5]])
    s0, s1, _ = s0_and_s1(Batches(mtz), hkl, np.array([1]))
    r = rotation @ u @ (hkl[0] / np.array(cell.parameters[:3]))
    beam = np.array([1 / 0.9, 0, 0])
    np.testing.assert_allclose(s0[0], (rotation @ u).T @ beam * 0.9, atol=1e-6)
    expected = (rotation @ u).T @ (beam + r)
    np.testing.assert_allclose(s1[0], expected / np.linalg.norm(expected), atol=1e-6)


def test_headers_of_mosflm(real_data):
    path = str(real_data / "hypf" / "hypf_unmerged.mtz")
    raw, batches = read_raw(path), read_batches(path)
    *_, off = s0_and_s1(batches, raw.hkl, raw.columns["BATCH"], raw.columns["ROT"])
    assert np.median(np.abs(off)) < 0.003
    assert np.abs(off).max() < np.deg2rad(1.0)
