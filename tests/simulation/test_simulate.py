import inspect

import numpy as np
import pytest
import reciprocalspaceship as rs

from vimerge.simulation import Crystal, Noise, collect, simulate

TINY = {"cell": (22.0, 26.0, 31.0, 90.0, 90.0, 90.0), "dmin": 3.0, "images": 60, "oscillation": 2.0}


def test_observations_look_like_dials_export(small):
    observations = small.observations
    assert not observations.merged
    types = {name: observations[name].dtype.mtztype for name in observations.columns}
    names = ("BATCH", "I", "SIGI", "BG", "SIGBG", "FRACTIONCALC", "XDET", "YDET", "ROT", "LP", "QE")
    assert types == dict(zip(names, "BJQRRRRRRRR", strict=True))
    assert np.isfinite(observations.to_numpy(dtype=float)).all()
    assert (observations["SIGI"].to_numpy() > 0).all()
    assert observations["BATCH"].min() >= 1
    assert observations["BATCH"].max() <= 120


def test_every_observation_maps_to_a_true_reflection(small):
    asu, isym = rs.utils.hkl_to_asu(small.observations.get_hkls(), small.observations.spacegroup)
    np.testing.assert_array_equal(isym, small.isym)
    rows = small.truth.index.get_indexer([tuple(h) for h in asu.tolist()])
    assert (rows >= 0).all()
    plus, minus = (small.truth[name].to_numpy(float)[rows] for name in ("F(+)", "F(-)"))
    true = np.where(isym % 2 == 1, plus, minus) ** 2
    np.testing.assert_allclose(small.true_intensity, true * small.true_scale, rtol=1e-4)


def test_default_is_a_typical_data_set():
    simulation = simulate(seed=1)
    observations = simulation.observations
    assert 40_000 < len(observations) < 60_000
    assert 2_000 < len(simulation.truth) < 10_000
    ratio = (observations["I"] / observations["SIGI"]).to_numpy(float)
    assert 10 < ratio.mean() < 15
    spacing = observations.compute_dHKL()["dHKL"].to_numpy()
    assert 1.5 < ratio[spacing < 2.05].mean() < 4
    asu = observations.copy().hkl_to_asu()
    multiplicity = asu.groupby(["H", "K", "L", asu["M/ISYM"].to_numpy() % 2]).size()
    assert (multiplicity >= 3).mean() > 0.85
    assert len(asu.index.unique()) > 0.97 * len(simulation.truth)


def test_normalised_deviations_of_counting_noise(ideal):
    intensity, sigma = (ideal.observations[name].to_numpy(float) for name in ("I", "SIGI"))
    strong = ideal.true_intensity > 8 * sigma
    deviation = ((intensity - ideal.true_intensity) / sigma)[strong]
    assert deviation.std() == pytest.approx(1, abs=0.03)
    assert abs(deviation.mean()) < 0.1
    # Chosen by truth, so weak data are unbiased, if not Gaussian.
    assert (intensity - ideal.true_intensity).mean() == pytest.approx(0, abs=4 * sigma.mean() / np.sqrt(len(sigma)))


def test_scale_is_constant_when_every_effect_is_off(ideal):
    np.testing.assert_allclose(ideal.true_scale, ideal.true_scale[0])
    assert not ideal.outlier.any()


def test_strong_data_agree_to_a_few_percent_once_ideally_scaled():
    simulation = simulate(seed=2)
    intensity = simulation.observations["I"].to_numpy(float)
    strong = (intensity > 30 * simulation.observations["SIGI"].to_numpy(float)) & ~simulation.outlier
    relative = (intensity / simulation.true_intensity)[strong]
    assert np.abs(relative - 1).mean() < 0.04
    unscaled = (intensity / (simulation.true_intensity / simulation.true_scale))[strong]
    assert unscaled.std() / unscaled.mean() > 0.08


def test_the_same_seed_gives_the_same_arrays():
    first, again, other = (simulate(**TINY, seed=seed) for seed in (11, 11, 12))
    assert first.observations.equals(again.observations)
    assert first.truth.equals(again.truth)
    np.testing.assert_array_equal(first.true_scale, again.true_scale)
    np.testing.assert_array_equal(first.outlier, again.outlier)
    assert not first.truth.equals(other.truth)


def test_no_anomalous_signal_without_anomalous_scatterers():
    simulation = simulate(**TINY, anomalous_scatterers=0)
    assert simulation.truth["F(+)"].equals(simulation.truth["F(-)"])
    assert len(list(simulation.sites[0].all())) == 0


@pytest.mark.parametrize(
    ("space_group", "cell"),
    [
        ("P 1", (22, 26, 31, 82, 87, 95)),
        ("C 2", (60, 30, 40, 90, 110, 90)),
        ("P 43 21 2", (40, 40, 60, 90, 90, 90)),
        ("R3:H", (50, 50, 60, 90, 90, 120)),
        ("P 61 2 2", (50, 50, 70, 90, 90, 120)),
        ("F 4 3 2", (80, 80, 80, 90, 90, 90)),
    ],
)
def test_space_groups(space_group, cell):
    simulation = simulate(space_group=space_group, cell=cell, dmin=3.0, images=90, oscillation=2.0)
    observations = simulation.observations
    assert not rs.utils.is_absent(observations.get_hkls(), observations.spacegroup).any()
    intensity = observations["I"].to_numpy(float)[~simulation.outlier]
    assert np.corrcoef(intensity, simulation.true_intensity[~simulation.outlier])[0, 1] > 0.99


def test_one_crystal_measured_twice():
    crystal = Crystal.random(cell=(22, 26, 31), seed=3)
    first, second = (collect(crystal, dmin=3.0, seed=seed, noise=Noise(outliers=0.0)) for seed in (0, 1))
    assert first.truth.equals(second.truth)
    assert not first.observations.equals(second.observations)


def test_every_argument_is_documented():
    for name in inspect.signature(simulate).parameters:
        assert name in simulate.__doc__


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": -1}, "seed"),
        ({"images": 0}, "images"),
        ({"images": 1, "oscillation": 0.01}, "No reflection is recorded"),
        ({"dmin": 0.0}, "dmin"),
        ({"dmin": 100.0}, "dmin"),
        ({"atoms": -5}, "n_atoms"),
        ({"element": "Unobtainium"}, "anomalous_element"),
        ({"space_group": "Q 1"}, "space_group"),
        ({"absorption": 1.0}, "absorption"),
        ({"outliers": 2}, "outliers"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message) as caught:
        simulate(**(TINY | options))
    assert str(caught.value).endswith(".")
