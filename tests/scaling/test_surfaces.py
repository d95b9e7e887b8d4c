"""Absorption and the detector: smooth functions of two dimensions."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.spatial.transform import Rotation

from vimerge import scaling
from vimerge.scaling.harmonics import real_harmonics

DEGREE = 8


def sphere(count=24):
    """A quadrature of the sphere, exact for polynomials of a degree below 2 count: unit vectors and weights."""
    z, wz = np.polynomial.legendre.leggauss(count)
    azimuth = 2 * np.pi * np.arange(2 * count) / (2 * count)
    z, azimuth = (x.ravel() for x in np.meshgrid(z, azimuth, indexing="ij"))
    r = np.sqrt(1 - z**2)
    vectors = np.stack([r * np.cos(azimuth), r * np.sin(azimuth), z], axis=1)
    return vectors, np.repeat(wz, 2 * count) * np.pi / count


def harmonics(vectors):
    return real_harmonics(tf.constant(vectors, tf.float32), DEGREE).numpy().astype(np.float64)


def test_harmonics_are_orthonormal_and_orthogonal_to_a_constant():
    vectors, weights = sphere()
    y = harmonics(vectors)
    assert y.shape[1] == (DEGREE + 1) ** 2 - 1
    np.testing.assert_allclose((y * weights[:, None]).T @ y, np.eye(y.shape[1]), atol=1e-5)
    np.testing.assert_allclose(weights @ y, 0.0, atol=1e-5)


def test_harmonics_have_the_parity_of_l_and_the_usual_first_ones():
    vectors = sphere(5)[0]
    parity = np.concatenate([[(-1.0) ** n] * (2 * n + 1) for n in range(1, DEGREE + 1)])
    np.testing.assert_allclose(harmonics(-vectors), parity * harmonics(vectors), atol=1e-5)
    np.testing.assert_allclose(harmonics(vectors)[:, :3], np.sqrt(3 / (4 * np.pi)) * vectors[:, [1, 2, 0]], atol=1e-6)


def test_the_power_of_each_l_does_not_change_with_the_axes():
    vectors, weights = sphere()
    c = np.random.default_rng(0).normal(size=(DEGREE + 1) ** 2 - 1)
    turned = harmonics(vectors @ Rotation.from_euler("zyx", [0.3, 1.1, -2.0]).as_matrix().T) @ c
    again = (harmonics(vectors) * weights[:, None]).T @ turned
    assert np.abs(again - c).max() > 0.5
    for n in range(1, DEGREE + 1):
        part = slice(n**2 - 1, (n + 1) ** 2 - 1)
        np.testing.assert_allclose(np.sum(again[part] ** 2), np.sum(c[part] ** 2), rtol=1e-4)


@pytest.fixture(scope="module")
def data(measured):
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(3000, 3))
    x, y = rng.uniform(0, 2000, 3000), rng.uniform(-100, 900, 3000)
    return measured(np.arange(3000) % 10, x=vectors[:, 0], y=vectors[:, 1], z=vectors[:, 2], XDET=x, YDET=y)


def test_absorption_recovers_a_surface_whatever_the_length_of_the_vectors(data, fit):
    # The chord through a sphere from a point off its centre: all l, falling off fast.
    def log_transmission(v):
        along = v @ [0.1, 0.2, -0.2]
        return -0.5 * (np.sqrt(1 - 0.09 + along**2) - along)

    model = scaling.Absorption(data.metadata_keys, ("x", "y", "z"), degree=5)
    model.adapt(data)
    vectors = data.metadata[:, :3].astype(float)
    unit = vectors / np.linalg.norm(vectors, axis=1)[:, None]
    grid, weights = sphere()
    mean = weights @ log_transmission(grid) / (4 * np.pi)
    fit(model, data, log_transmission(unit) - mean, sd=1e-4)
    metadata = np.zeros((len(grid), len(data.metadata_keys)), np.float32)
    metadata[:, :3] = grid
    found = model._parameters({"metadata": tf.constant(metadata)})[:, 0]
    np.testing.assert_allclose(found, log_transmission(grid) - mean, atol=5e-4)
    assert [len(values) for values in model.parameters().values()] == [3, 5, 7, 9, 11]
    np.testing.assert_allclose(
        np.concatenate(list(model.parameters().values())),
        (harmonics(grid)[:, :35] * weights[:, None]).T @ log_transmission(grid),
        atol=2e-4,
    )


def response(x, y):
    return 0.1 * (x / 1000 - 1) ** 2 - 0.05 * (y / 500) + 0.05 * np.sin(x / 600) * np.cos(y / 300)


def test_the_detectors_response_is_recovered(data, fit):
    model = scaling.Detector(data.metadata_keys, nodes=(9, 8))
    model.adapt(data)
    x, y = (data.metadata[:, data.metadata_keys.index(name)].astype(float) for name in ("XDET", "YDET"))
    fit(model, data, response(x, y), sd=1e-4)
    learned = model.parameters()
    nodes = np.meshgrid(learned["XDET"], learned["YDET"], indexing="ij")
    assert np.shape(learned["log_response"]) == (9, 8)
    np.testing.assert_allclose(learned["log_response"], response(*nodes), atol=3e-3)
    np.testing.assert_allclose([nodes[0].min(), nodes[0].max()], [x.min(), x.max()], rtol=1e-6)


def test_a_part_of_the_detector_without_data_has_a_response_near_one(data, fit):
    x = data.metadata[:, data.metadata_keys.index("XDET")]
    part = data[(x < 300) | (x == x.max())]
    model = scaling.Detector(data.metadata_keys, nodes=6)
    model.adapt(part)
    fit(model, part, np.full(len(part), 0.1), sd=0.01)
    assert np.abs(model.parameters()["log_response"]).max() < 0.15


def test_restraints_are_prior_densities(data):
    absorption = scaling.Absorption(data.metadata_keys, ("x", "y", "z"), degree=1, sd=0.5)
    absorption.adapt(data)
    absorption.trainable_variables[0].assign([1.0, 2.0, 3.0])
    np.testing.assert_allclose(absorption.losses[0], 14 / (2 * 0.5**2) / len(data), rtol=1e-5)
    detector = scaling.Detector(data.metadata_keys, nodes=2, sd=0.5, curvature_sd=0.1)
    detector.adapt(data)
    c = np.random.default_rng(0).normal(size=(4, 4))
    detector.trainable_variables[0].assign(c)
    curvature = np.sum(np.diff(c, 2, axis=0) ** 2) + np.sum(np.diff(c, 2, axis=1) ** 2)
    expected = (np.sum(c**2) / 0.5**2 + curvature / 0.1**2) / 2
    np.testing.assert_allclose(detector.losses[0], expected / len(data), rtol=1e-5)


def test_impossible_arguments_are_refused():
    with pytest.raises(ValueError, match="Absorption needs the metadata s1z, but there are s1x, s1y"):
        scaling.Absorption(["s1x", "s1y"], ["s1x", "s1y", "s1z"])
    with pytest.raises(ValueError, match="direction has three columns of metadata, not 2: name x, y and z"):
        scaling.Absorption(["x", "y"], ["x", "y"])
    for degree in (0, 9, 2.5):
        with pytest.raises(ValueError, match="degree of the harmonics must be from 1 to 8"):
            scaling.Absorption(["x", "y", "z"], ["x", "y", "z"], degree)
    with pytest.raises(ValueError, match="Detector needs the metadata YDET"):
        scaling.Detector(["XDET"])
    with pytest.raises(ValueError, match="nodes must be a whole number, 2 or more, not 1"):
        scaling.Detector(["XDET", "YDET"], nodes=1)
    with pytest.raises(ValueError, match="position has two columns of metadata, not 1"):
        scaling.Detector(["XDET"], ["XDET"])
    with pytest.raises(ValueError, match="nodes are a number for x and one for y"):
        scaling.Detector(["XDET", "YDET"], nodes=(2, 3, 4))
