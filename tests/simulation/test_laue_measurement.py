import time

import gemmi
import numpy as np
import pytest

from vimerge.reflections import Reflections
from vimerge.simulation import (
    Crystal,
    Effects,
    LaueExperiment,
    Noise,
    collect_laue,
    simulate_laue,
    simulate_pair,
)
from vimerge.simulation.geometry import BEAM, laue_lorentz, polarization_factor, rotate

OFF = dict.fromkeys(("absorption", "decay", "illumination", "damage", "jitter", "sensitivity"), 0.0)
# A band wide enough for harmonics on a few spots in a hundred.
BAND = {"wavelength_min": 0.8, "wavelength_max": 1.4}


@pytest.fixture(scope="module")
def wide():
    """A small experiment with everything switched on and many harmonics, in a group with absences."""
    options = {"cell": (34.0, 34.0, 40.0, 90.0, 90.0, 120.0), "dmin": 2.2, "images": 30, "step": 5.0}
    return simulate_laue(space_group="P 63", **options, **BAND, seed=4)


@pytest.fixture(scope="module")
def counted():
    """Counting noise alone."""
    crystal = Crystal.random(n_anomalous=0, seed=5)
    experiment = LaueExperiment.random(**BAND, images=20, step=9.0, seed=5)
    noise = Noise(signal=3000.0, background=20.0, multiplicative_error=0.0, outliers=0.0)
    return collect_laue(crystal, experiment=experiment, effects=Effects(**OFF), noise=noise, seed=5)


def hkl_of(simulation):
    return simulation.harmonics[["H", "K", "L"]].to_numpy()


def column(simulation, name):
    return simulation.observations[name].to_numpy(dtype=float)


def beams(simulation):
    """Reciprocal-lattice points, [N, 3], and unit vectors of the diffracted beams, as they are during the exposure."""
    experiment, harmonics = simulation.experiment, simulation.harmonics
    image = column(simulation, "BATCH")[harmonics["harmonic_id"]]
    r0 = hkl_of(simulation) @ np.array(simulation.crystal.cell.frac.mat) @ experiment.orientation.T
    r = rotate(r0, np.deg2rad(experiment.start + (image - 1) * experiment.step))
    return r, BEAM + harmonics["Wavelength"].to_numpy()[:, None] * r


def test_every_harmonic_meets_braggs_law_within_the_limits(wide):
    _, s1 = beams(wide)
    harmonics, experiment = wide.harmonics, wide.experiment
    np.testing.assert_allclose(np.linalg.norm(s1, axis=1), 1.0, rtol=1e-12)
    two_theta = np.arccos(np.clip(s1 @ BEAM, -1, 1))
    np.testing.assert_allclose(2 * harmonics["dHKL"] * np.sin(two_theta / 2), harmonics["Wavelength"], rtol=1e-9)
    assert harmonics["Wavelength"].between(experiment.wavelength_min, experiment.wavelength_max).all()
    assert harmonics["dHKL"].min() >= 2.2
    np.testing.assert_allclose(harmonics["dHKL"], wide.crystal.cell.calculate_d_array(hkl_of(wide)), rtol=1e-9)


def test_positions_point_along_the_diffracted_beam(wide):
    _, s1 = beams(wide)
    detector, spot = wide.experiment.detector, wide.harmonics["harmonic_id"].to_numpy()
    x = (column(wide, "X")[spot] - detector.centre) * detector.pixel_size
    y = (detector.centre - column(wide, "Y")[spot]) * detector.pixel_size
    ray = np.stack([x, y, np.full(len(x), -detector.distance)], axis=1)
    # Every harmonic of a spot goes the way of the one that is named; columns are in single precision.
    np.testing.assert_allclose(ray / np.linalg.norm(ray, axis=1)[:, None], s1, atol=1e-6)


def test_harmonics_are_all_those_that_fall_on_the_spot(wide):
    """Expanded from what the file says, order by order; n goes beyond any that could be in the band."""
    operations = wide.crystal.space_group.operations()
    hkl = wide.observations.get_hkls()
    order = np.gcd.reduce(hkl, axis=1)
    wavelength = wide.harmonics["Wavelength"].to_numpy()[wide.harmonics["named"]] * order
    found = set()
    for n in range(1, 60):
        harmonic = hkl // order[:, None] * n
        inside = (wavelength / n >= BAND["wavelength_min"]) & (wavelength / n <= BAND["wavelength_max"])
        inside &= wide.crystal.cell.calculate_1_d2_array(harmonic) <= 1 / 2.2**2
        inside &= ~np.asarray(operations.systematic_absences(np.ascontiguousarray(harmonic, dtype=np.int32)))
        found |= {(i, *harmonic[i].tolist()) for i in np.flatnonzero(inside).tolist()}
    there = wide.harmonics[["harmonic_id", "H", "K", "L"]].to_numpy().tolist()
    assert len(there) == len(found)
    assert {tuple(row) for row in there} == found
    assert len(there) > 1.02 * len(hkl)


def test_a_spot_is_named_after_its_lowest_order(wide):
    harmonics = wide.harmonics
    named = harmonics[harmonics["named"]]
    np.testing.assert_array_equal(named["harmonic_id"], np.arange(len(wide.observations)))
    np.testing.assert_array_equal(named["order"], harmonics.groupby("harmonic_id")["order"].min())
    np.testing.assert_array_equal(named[["H", "K", "L"]], wide.observations.get_hkls())
    np.testing.assert_array_equal(named["Wavelength"].astype(np.float32), wide.observations["Wavelength"].to_numpy())
    np.testing.assert_array_equal(named["scale"], wide.true_scale)


def test_intensities_of_harmonics_add(wide):
    terms = wide.harmonics["scale"] * wide.harmonics["F"] ** 2
    total = terms.groupby(wide.harmonics["harmonic_id"]).sum()
    np.testing.assert_allclose(total, wide.true_intensity, rtol=1e-12)
    multiple = np.bincount(wide.harmonics["harmonic_id"]) > 1
    assert (wide.true_intensity[multiple] > terms[wide.harmonics["named"]].to_numpy()[multiple]).all()


def test_harmonics_have_the_true_amplitudes_of_their_own_indices(wide):
    table = wide.crystal.structure_factors(2.2)
    hkl = np.ascontiguousarray(hkl_of(wide), dtype=np.int32)
    asu = gemmi.ReciprocalAsu(wide.crystal.space_group)
    operations = wide.crystal.space_group.operations()
    rows = table.index.get_indexer([tuple(asu.to_asu(h, operations)[0]) for h in hkl[:2000].tolist()])
    np.testing.assert_allclose(table["F"].to_numpy(float)[rows], wide.harmonics["F"][:2000], rtol=1e-5)


def test_counts_scatter_about_the_sum_as_their_sigmas_say(counted):
    intensity, sigma = column(counted, "I"), column(counted, "SIGI")
    deviation = (intensity - counted.true_intensity) / sigma
    strong = counted.true_intensity > 8 * sigma
    assert deviation[strong].std() == pytest.approx(1, abs=0.03)
    multiple = np.bincount(counted.harmonics["harmonic_id"]) > 1
    assert np.count_nonzero(multiple) > 200
    assert abs(deviation[multiple].mean()) < 4 / np.sqrt(multiple.sum())


def test_spectrum_is_recovered_from_single_harmonics(counted):
    """The observed counts, less all other factors, follow the spectrum bin by bin within their noise."""
    single = np.bincount(counted.harmonics["harmonic_id"]) == 1
    named = counted.harmonics[counted.harmonics["named"]]
    wavelength, experiment = named["Wavelength"].to_numpy(), counted.experiment
    s1 = beams(counted)[1][counted.harmonics["named"]]
    other = laue_lorentz(s1, wavelength) * polarization_factor(s1, experiment.polarization)
    other *= experiment.detector.efficiency(s1, (wavelength / experiment.wavelength) ** 3)
    spectrum = counted.true_scale / other / experiment.spectrum(wavelength)
    np.testing.assert_allclose(spectrum, spectrum[0], rtol=1e-9)

    predicted = other * named["F"].to_numpy() ** 2
    weight = single / column(counted, "SIGI") ** 2
    bins = np.digitize(wavelength, np.linspace(BAND["wavelength_min"], BAND["wavelength_max"], 13)[1:-1])
    observed, flat, curved = (
        np.bincount(bins, weight * predicted * values)
        for values in (column(counted, "I"), predicted, predicted * experiment.spectrum(wavelength))
    )
    agreement = observed / curved
    np.testing.assert_allclose(agreement / agreement.mean(), 1.0, atol=0.03)
    assert (observed / flat).max() > 4 * (observed / flat).min()


def test_absorption_goes_with_the_cube_of_the_wavelength():
    """Harmonics of a spot leave in one direction, so that ln A ∝ λ³ between them; the rest is the beam's."""
    crystal = Crystal.random(cell=(30, 34, 40), n_anomalous=0, seed=2)
    experiment = LaueExperiment.random(**BAND, images=20, step=9.0, dmin=2.2, seed=2)
    with_it, without = (
        collect_laue(crystal, dmin=2.2, experiment=experiment, effects=Effects(**(OFF | {"absorption": a})), seed=2)
        for a in (0.2, 0.0)
    )
    assert not np.allclose(with_it.harmonics["scale"], without.harmonics["scale"], rtol=0.05)
    ratio = np.log(with_it.harmonics["scale"] / without.harmonics["scale"]).to_numpy()
    spots = with_it.harmonics["harmonic_id"].to_numpy()
    second = np.flatnonzero(spots[1:] == spots[:-1]) + 1
    cube = with_it.harmonics["Wavelength"].to_numpy() ** 3
    # ln ratio = ln c + λ³ a for each spot, where the mean signal sets c, the same for all.
    difference = ratio[second] * cube[second - 1] - ratio[second - 1] * cube[second]
    constant = difference / (cube[second - 1] - cube[second])
    assert len(constant) > 20
    np.testing.assert_allclose(constant, constant.mean(), atol=1e-9)


def test_the_same_seed_gives_the_same_data(wide):
    options = {"cell": (26.0, 30.0, 34.0, 90.0, 90.0, 90.0), "dmin": 2.5, "images": 10}
    first, again, other = (simulate_laue(**options, seed=seed) for seed in (11, 11, 12))
    assert first.observations.equals(again.observations)
    assert first.harmonics.equals(again.harmonics)
    assert not first.truth.equals(other.truth)


def test_reading_gives_what_was_written(wide, tmp_path):
    paths = wide.write(tmp_path / "laue.mtz")
    assert [path.name for path in paths] == ["laue.mtz", "laue_truth.mtz", "laue_model.pdb"]
    reflections = Reflections.read(paths[0])
    observations = wide.observations
    np.testing.assert_array_equal(reflections.hkl, observations.get_hkls())
    np.testing.assert_array_equal(reflections.iobs, observations["I"].to_numpy(np.float32))
    np.testing.assert_array_equal(reflections.sigiobs, observations["SIGI"].to_numpy(np.float32))
    keys = ("BATCH", "X", "Y", "Wavelength", "dHKL", "Hobs", "Kobs", "Lobs")
    assert reflections.metadata_keys == keys
    for values, name in zip(reflections.metadata.T, keys[:4], strict=False):
        np.testing.assert_array_equal(values, observations[name].to_numpy(np.float32))
    assert reflections.spacegroup == wide.crystal.space_group


def test_batch_headers_say_laue(wide, tmp_path):
    mtz = gemmi.read_mtz_file(str(wide.write(tmp_path / "laue.mtz")[0]))
    assert mtz.title == "Simulated Laue experiment"
    batch = mtz.batches[7]
    assert batch.ints[14] == 3
    assert batch.wavelength == pytest.approx(1.1)
    assert batch.floats[87] == pytest.approx(0.6 / 1.1)
    assert list(batch.floats)[36:38] == pytest.approx([35.0, 35.0])


def test_a_pair_of_a_hundred_thousand_observations_takes_seconds():
    start = time.process_time()
    pair = simulate_pair(dmin=1.8, images=40)
    assert len(pair.off.observations) + len(pair.on.observations) > 100_000
    assert time.process_time() - start < 10


def test_nothing_recorded():
    with pytest.raises(ValueError, match="No spot is recorded"):
        simulate_laue(cell=(22, 26, 31), dmin=12.0, images=1, wavelength_max=1.001)
