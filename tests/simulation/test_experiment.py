import gemmi
import numpy as np
import pytest

from vimerge.simulation import Detector, RotationExperiment
from vimerge.simulation.geometry import (
    AXIS,
    BEAM,
    diffracted_beam,
    ewald_crossings,
    lorentz_polarization,
    random_orientation,
    rotate,
)

CELL = gemmi.UnitCell(40, 44, 50, 85, 95, 100)
DMIN = 2.5
WAVELENGTH = 1.1


@pytest.fixture(scope="module")
def hkl():
    return gemmi.make_miller_array(CELL, gemmi.SpaceGroup("P 1"), DMIN, unique=False)


@pytest.fixture(scope="module")
def experiment():
    return RotationExperiment.random(dmin=DMIN, wavelength=WAVELENGTH, images=90, oscillation=4.0, start=-30.0, seed=1)


def test_orientation_is_a_rotation():
    u = random_orientation(np.random.default_rng(0))
    np.testing.assert_allclose(u @ u.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(u) == pytest.approx(1)


def test_reported_angles_are_on_the_ewald_sphere(experiment, hkl):
    spots = experiment.spots(hkl, CELL)
    r = rotate(experiment.reciprocal_points(hkl, CELL)[spots.index], np.deg2rad(spots.phi))
    s1 = BEAM / WAVELENGTH + r
    np.testing.assert_allclose(np.linalg.norm(s1, axis=1), 1 / WAVELENGTH, rtol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(r, axis=1) ** 2, spots.s2, rtol=1e-12)
    np.testing.assert_allclose(spots.s2, CELL.calculate_1_d2_array(hkl[spots.index]), rtol=1e-9)


def test_number_of_crossings_is_the_volume_of_the_sphere_less_the_blind_region(experiment, hkl):
    """Within dmin lie V·4π r² dr points at each r; of a sphere of radius r, cos θ is not blind; each crosses twice."""
    r = np.linspace(0, 1 / DMIN, 2001)
    density = 4 * np.pi * r**2 * np.sqrt(1 - (WAVELENGTH * r / 2) ** 2)
    expected = 2 * CELL.volume * np.trapezoid(density, r)
    crossings = np.isfinite(ewald_crossings(experiment.reciprocal_points(hkl, CELL), WAVELENGTH)).sum()
    assert crossings == pytest.approx(expected, rel=0.01)
    assert 0.97 * crossings < len(experiment.spots(hkl, CELL)) < crossings


def test_images_follow_the_angle(experiment, hkl):
    spots = experiment.spots(hkl, CELL)
    begin = experiment.start + (spots.image - 1) * experiment.oscillation
    assert ((spots.phi >= begin - 1e-9) & (spots.phi <= begin + experiment.oscillation + 1e-9)).all()
    assert spots.image.min() >= 1
    assert spots.image.max() <= experiment.images
    assert (spots.fraction >= 0.99).all()
    assert (spots.fraction <= 1).all()


def test_two_turns_record_everything_twice(hkl):
    once, twice = (
        RotationExperiment.random(dmin=DMIN, images=n, oscillation=4.0, mosaicity=0.0, seed=1).spots(hkl, CELL)
        for n in (90, 180)
    )
    assert len(twice) == 2 * len(once)
    np.testing.assert_array_equal(np.bincount(twice.index), 2 * np.bincount(once.index))


def test_detector_positions_point_along_the_diffracted_beam(experiment, hkl):
    spots = experiment.spots(hkl, CELL)
    detector = experiment.detector
    x = (spots.x - detector.pixels / 2) * detector.pixel_size
    y = -(spots.y - detector.pixels / 2) * detector.pixel_size
    ray = np.stack([x, y, np.full(len(x), -detector.distance)], axis=1)
    two_theta = 2 * np.arcsin(WAVELENGTH * np.sqrt(spots.s2) / 2)
    np.testing.assert_allclose(np.arctan2(np.hypot(x, y), detector.distance), two_theta, rtol=1e-9)
    s1 = rotate(spots.direction, np.deg2rad(spots.phi))
    np.testing.assert_allclose(ray / np.linalg.norm(ray, axis=1)[:, None], s1, atol=1e-9)
    assert ((spots.x >= 0) & (spots.x < detector.pixels) & (spots.y >= 0) & (spots.y < detector.pixels)).all()


def test_detector_reaches_the_resolution_at_its_edges():
    detector = Detector.reaching(2.0, 1.0)
    two_theta = 2 * np.arcsin(1.0 / 4)
    s1 = np.array([[np.sin(two_theta), 0, -np.cos(two_theta)]])
    x, y = detector.project(s1)
    assert x[0] == pytest.approx(detector.pixels)
    assert y[0] == pytest.approx(detector.pixels / 2)
    assert np.isnan(detector.project(-s1)[0][0])


def test_lorentz_factor_is_the_speed_through_the_sphere(experiment, hkl):
    """1/L is the rate at which the point crosses the sphere, d|s0 + r|/dφ · λ, by finite differences."""
    r0 = experiment.reciprocal_points(hkl[:500], CELL)
    phi = ewald_crossings(r0, WAVELENGTH)[:, 0]
    r0, phi, step = r0[np.isfinite(phi)], phi[np.isfinite(phi)], 1e-5
    ahead, behind = (np.linalg.norm(diffracted_beam(r0, phi + d, WAVELENGTH), axis=1) for d in (step, -step))
    speed = np.abs(ahead - behind) / (2 * step)
    s1 = diffracted_beam(r0, phi, WAVELENGTH)
    unpolarized = (1 + (s1 @ BEAM) ** 2) / 2
    np.testing.assert_allclose(lorentz_polarization(s1, 0.5) * unpolarized, speed, atol=1e-8)


def test_polarization_vanishes_along_the_electric_field():
    s1 = np.array([AXIS * np.sin(1.4) + BEAM * np.cos(1.4), [0, np.sin(1.4), -np.cos(1.4)]])
    lorentz = np.abs(s1 @ np.cross(AXIS, BEAM))
    # Along the axis, where the beam is polarised, P = cos²2θ; across it, P = 1.
    np.testing.assert_allclose(lorentz_polarization(s1, 1.0)[1], lorentz[1])
    assert lorentz_polarization(s1, 1.0)[0] * np.cos(1.4) ** 2 == pytest.approx(lorentz[0])


def test_nothing_to_consider(experiment):
    assert len(experiment.spots(np.zeros((0, 3), dtype=int), CELL)) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"images": 0}, "images"),
        ({"oscillation": 0.0}, "oscillation"),
        ({"wavelength": -1.0}, "wavelength"),
        ({"mosaicity": -0.1}, "mosaicity"),
        ({"polarization": 1.1}, "polarization"),
        ({"orientation": np.ones((3, 3))}, "orientation"),
        ({"dmin": 0.6}, "flat detector"),
        ({"start": np.inf}, "start"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        RotationExperiment.random(**options)


@pytest.mark.parametrize("options", [{"distance": 0}, {"pixels": 0}, {"pixel_size": -1}, {"thickness": 0}])
def test_bad_detector(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        Detector(**({"distance": 100.0} | options))
