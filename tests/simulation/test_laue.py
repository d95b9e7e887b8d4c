import gemmi
import numpy as np
import pytest

from vimerge.simulation import (
    Crystal,
    Detector,
    LaueExperiment,
    Spectrum,
    collect_laue,
)
from vimerge.simulation.geometry import BEAM, laue_lorentz

# A band wide enough for harmonics on a few spots in a hundred.
BAND = {"wavelength_min": 0.8, "wavelength_max": 1.4}


def column(simulation, name):
    return simulation.observations[name].to_numpy(dtype=float)


def test_number_of_harmonics_is_the_volume_between_the_spheres():
    """At radius r the spheres cut out cos α from λmin r/2 to λmax r/2: in all V·π(λmax − λmin)/(4 d⁴) points."""
    cell, dmin = gemmi.UnitCell(50, 54, 60, 85, 95, 100), 2.5
    hkl = gemmi.make_miller_array(cell, gemmi.SpaceGroup("P 1"), dmin, unique=False)
    wide_open = {"detector": Detector(distance=100.0, pixels=10_000), "separation": 0.0}
    spots = LaueExperiment.random(**wide_open, images=60, step=3.0, seed=1).spots(hkl, cell)
    expected = 60 * cell.volume * np.pi * 0.25 / (4 * dmin**4)
    assert len(spots.index) == pytest.approx(expected, rel=0.01)


def test_lorentz_factor_is_the_volume_swept_in_reciprocal_space():
    """d³q = (2 sin²θ/λ⁴) dΩ dλ for q = (ŝ1 − ŝ0)/λ, by finite differences over two angles and λ."""
    rng = np.random.default_rng(0)
    s1 = rng.normal(size=(20, 3))
    s1 /= np.linalg.norm(s1, axis=1, keepdims=True)
    wavelength, step = rng.uniform(0.5, 2.0, 20), 1e-5
    for s, lam in zip(s1, wavelength, strict=True):
        across = np.linalg.svd(s[None])[2][1:]
        moves = [(s + e * d - BEAM) / lam for e in across for d in (step, -step)]
        moves += [(s - BEAM) / (lam + d) for d in (step, -step)]
        jacobian = [(moves[2 * i] - moves[2 * i + 1]) / (2 * step) for i in range(3)]
        expected = 1 / abs(np.linalg.det(jacobian))
        assert laue_lorentz(s[None], np.array([lam]))[0] == pytest.approx(expected, rel=1e-6)


def test_spectrum_rises_faster_than_it_falls():
    spectrum = Spectrum(peak=1.05, width=0.04)
    wavelength = np.linspace(0.1, 3.0, 20_001)
    photons = spectrum(wavelength)
    assert photons.max() == pytest.approx(1.0, abs=1e-5)
    assert wavelength[photons.argmax()] == pytest.approx(1.05, abs=1e-3)
    assert spectrum(1.05 + 0.04) > spectrum(1.05 - 0.04)
    # ∫ exp(1 − u − e^−u) du = e.
    assert np.trapezoid(photons, wavelength) == pytest.approx(np.e * 0.04, rel=1e-6)


def test_overlapping_spots_are_left_out_and_counted():
    crystal = Crystal.random(cell=(60, 70, 90), n_atoms=200, n_anomalous=0, seed=1)
    all_spots, kept = (
        collect_laue(crystal, dmin=2.5, experiment=LaueExperiment.random(dmin=2.5, images=4, separation=s, seed=1))
        for s in (0.0, 12.0)
    )
    assert all_spots.overlaps == 0
    assert 0 < kept.overlaps == len(all_spots.observations) - len(kept.observations)

    def places(simulation):
        return np.stack([column(simulation, name) for name in ("X", "Y", "BATCH")], axis=1)

    everything = places(all_spots)
    left_out = {tuple(row) for row in everything.tolist()} - {tuple(row) for row in places(kept).tolist()}
    for place in everything[:: len(everything) // 300]:
        same = everything[everything[:, 2] == place[2]]
        neighbours = np.linalg.norm(same[:, :2] - place[:2], axis=1)
        # The spot itself is at distance 0. Positions in the table are rounded to single precision.
        crowded = np.sort(neighbours)[1] < 12.0
        assert crowded == (tuple(place.tolist()) in left_out)


def test_a_soft_limit_follows_the_spectrum():
    cell = gemmi.UnitCell(30, 34, 40, 85, 95, 100)
    hkl = gemmi.make_miller_array(cell, gemmi.SpaceGroup("P 1"), 2.2, unique=False)
    options = {"dmin": 2.2, **BAND, "images": 5, "step": 5.0, "separation": 0.0, "seed": 4}
    hard, soft = (LaueExperiment.random(**options, softness=s).spots(hkl, cell) for s in (0.0, 0.5))
    s2_max = cell.calculate_1_d2_array(hkl).max()
    spectrum = Spectrum.within(**BAND)

    def limit(spots):
        return s2_max * spectrum(spots.wavelength[spots.named])

    assert (soft.s2[soft.named] <= limit(soft) * (1 + 1e-9)).all()
    # Everything within the limit is there: any harmonic within it gives the spot a name.
    inside = hard.s2 <= s2_max * spectrum(hard.wavelength)
    assert len(soft) == len(np.unique(hard.spot[inside]))
    assert len(soft) < 0.9 * len(hard)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"wavelength_min": 1.3}, "wavelength_max"),
        ({"wavelength_max": np.inf}, "wavelength_max"),
        ({"images": 0}, "images"),
        ({"step": 0.0}, "step"),
        ({"separation": -1.0}, "separation"),
        ({"softness": -1.0}, "softness"),
        ({"polarization": 2.0}, "polarization"),
        ({"orientation": np.ones((3, 3))}, "orientation"),
        ({"spectrum": lambda wavelength: -wavelength}, "spectrum"),
        ({"spectrum": lambda wavelength: 1.0}, "spectrum"),
        ({"spectrum": np.zeros_like}, "no photons"),
        ({"dmin": 0.6}, "flat detector"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message) as caught:
        LaueExperiment.random(**options)
    assert str(caught.value).endswith(".")
