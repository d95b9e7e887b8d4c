import numpy as np
import pytest
from scipy.integrate import quad

from vimerge.simulation import Effects, Noise
from vimerge.simulation.effects import absorption_surface, real_harmonic

OFF = dict.fromkeys(("absorption", "decay", "illumination", "damage", "jitter", "sensitivity"), 0.0)


@pytest.fixture(scope="module")
def spots(small):
    hkl = small.observations.get_hkls()
    return small.experiment.spots(hkl, small.crystal.cell)


def test_all_off_is_one(small, spots):
    np.testing.assert_array_equal(Effects(**OFF).scale(spots, small.experiment, 0), 1.0)


@pytest.mark.parametrize(("name", "value"), [("absorption", 0.15), ("illumination", 0.2), ("sensitivity", 0.05)])
def test_smooth_effects_stay_within_their_amplitude(small, spots, name, value):
    scale = Effects(**(OFF | {name: value})).scale(spots, small.experiment, 0)
    assert 0.2 * value < np.abs(scale - 1).max() <= 1.02 * value


def test_decay_and_damage(small, spots):
    dose = spots.phi / small.experiment.sweep
    scale = Effects(**(OFF | {"decay": 0.3})).scale(spots, small.experiment, 0)
    np.testing.assert_allclose(scale, 0.7**dose)
    scale = Effects(**(OFF | {"damage": 10.0})).scale(spots, small.experiment, 0)
    np.testing.assert_allclose(np.log(scale), -10 * dose * spots.s2 / 2, atol=1e-12)


def test_jitter_is_one_number_an_image(small, spots):
    scale = Effects(**(OFF | {"jitter": 0.05})).scale(spots, small.experiment, 0)
    by_image = [np.unique(scale[spots.image == i]) for i in np.unique(spots.image)]
    assert all(len(values) == 1 for values in by_image)
    assert np.log(np.concatenate(by_image)).std() == pytest.approx(0.05, rel=0.25)


def test_switching_one_effect_off_leaves_the_others(small, spots):
    both = Effects(**(OFF | {"absorption": 0.1, "jitter": 0.03})).scale(spots, small.experiment, 9)
    one = Effects(**(OFF | {"absorption": 0.1})).scale(spots, small.experiment, 9)
    other = Effects(**(OFF | {"jitter": 0.03})).scale(spots, small.experiment, 9)
    np.testing.assert_allclose(both, one * other)


def test_harmonics_are_orthonormal():
    def product(first, second):
        def ring(z):
            azimuth = np.linspace(0, 2 * np.pi, 16, endpoint=False)
            radius = np.sqrt(1 - z * z)
            v = np.stack([radius * np.cos(azimuth), radius * np.sin(azimuth), np.full(16, z)], axis=1)
            return 2 * np.pi * np.mean(real_harmonic(*first, v) * real_harmonic(*second, v))

        return quad(ring, -1, 1)[0]

    terms = [(0, 0), (1, -1), (1, 1), (2, 0), (2, -2), (3, 2)]
    overlap = [[product(a, b) for b in terms] for a in terms]
    np.testing.assert_allclose(overlap, np.eye(len(terms)), atol=1e-9)


def test_absorption_surface_is_smooth():
    azimuth = np.linspace(0, 2 * np.pi, 361)
    ring = np.stack([np.cos(azimuth), np.sin(azimuth), np.zeros(361)], axis=1)
    values = absorption_surface(ring, 0.15, 4, np.random.default_rng(0))
    assert np.abs(np.diff(values)).max() < 0.02
    assert values[0] == pytest.approx(values[-1])


QUIET = {"multiplicative_error": 0.0, "outliers": 0.0}


def test_counting_is_unbiased_and_its_sigma_right():
    photons = np.full(40_000, 300.0)
    counts = Noise(**QUIET, background=50.0).record(photons, np.full(40_000, 0.1), 0)
    assert counts.intensity.mean() == pytest.approx(300, abs=0.5)
    assert np.mean(counts.sigma**2) == pytest.approx(counts.intensity.var(), rel=0.03)
    assert counts.background_sigma.mean() == pytest.approx(counts.background.std(), rel=0.05)


def test_gain_scales_everything():
    photons, s2 = np.linspace(0, 100, 50), np.full(50, 0.1)
    one, three = (Noise(gain=g).record(photons, s2, 0) for g in (1.0, 3.0))
    for name in ("intensity", "sigma", "background", "background_sigma"):
        np.testing.assert_allclose(getattr(three, name), 3 * getattr(one, name))


def test_multiplicative_error_adds_to_counting():
    photons = np.full(40_000, 1e6)
    counts = Noise(multiplicative_error=0.03, outliers=0.0, background=0.0).record(photons, np.full(40_000, 0.1), 0)
    assert counts.intensity.std() / counts.intensity.mean() == pytest.approx(0.03, rel=0.03)
    assert (counts.sigma / counts.intensity).mean() == pytest.approx(1e-3, rel=0.05)


def test_outliers():
    photons, s2 = np.full(20_000, 1e4), np.full(20_000, 0.1)
    clean = Noise(**QUIET).record(photons, s2, 0)
    spoilt = Noise(multiplicative_error=0.0, outliers=0.02).record(photons, s2, 0)
    assert not clean.outlier.any()
    assert spoilt.outlier.mean() == pytest.approx(0.02, rel=0.2)
    off = np.abs(spoilt.intensity - 1e4) / spoilt.sigma
    assert (off[spoilt.outlier] > 6).mean() > 0.9
    assert (off[~spoilt.outlier] < 6).all()


def test_no_photon_has_a_positive_sigma():
    counts = Noise(background=0.0).record(np.zeros(10), np.full(10, 0.1), 0)
    assert (counts.intensity == 0).all()
    assert (counts.sigma > 0).all()


@pytest.mark.parametrize("name", ["absorption", "decay", "illumination", "sensitivity", "damage", "jitter"])
@pytest.mark.parametrize("value", [-0.1, np.nan, "a lot"])
def test_bad_effects(name, value):
    with pytest.raises(ValueError, match=name):
        Effects(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [("signal", 0), ("background", -1), ("gain", 0), ("multiplicative_error", -0.1), ("outliers", 1.5)],
)
def test_bad_noise(name, value):
    with pytest.raises(ValueError, match=name):
        Noise(**{name: value})
