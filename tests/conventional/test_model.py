import numpy as np
import pytest
from scipy.interpolate import BSpline

from vimerge.conventional.blocks import Spline, difference_penalty, spline_basis
from vimerge.conventional.harmonics import real_harmonics
from vimerge.conventional.layout import make_layout
from vimerge.simulation.effects import real_harmonic


def test_splines_are_scipys():
    x = np.linspace(2.0, 14.0, 101)
    first, values = spline_basis(x, 2.0, 14.0, 4)
    dense = np.zeros((len(x), 7))
    np.put_along_axis(dense, first[:, None] + np.arange(4), values.astype(float), axis=1)
    knots = 2.0 + 3.0 * np.arange(-3, 8)
    for i in range(7):
        expected = BSpline.basis_element(knots[i : i + 5], extrapolate=False)(x)
        np.testing.assert_allclose(dense[:-1, i], np.nan_to_num(expected)[:-1], atol=1e-6)
    np.testing.assert_allclose(dense.sum(axis=1), 1, atol=1e-6)


def test_columns_of_a_spline_are_the_gradient_of_its_values():
    x, factor = np.linspace(0, 45, 30), np.linspace(-1, 1, 30)
    block = Spline(x, 10.0, factor=factor)
    columns = np.zeros((30, block.size))
    block.fill(columns, slice(0, 30))
    theta = np.random.default_rng(0).normal(size=block.size)
    np.testing.assert_allclose(columns @ theta, block.dot(theta), atol=1e-6)
    np.testing.assert_allclose(columns.sum(axis=0), block.total, atol=1e-6)
    np.testing.assert_allclose(columns.sum(axis=1), factor, atol=1e-6)


def test_neighbours_are_tied_and_all_are_held():
    theta = np.array([1.0, 3.0, 2.0])
    chi2 = theta @ difference_penalty(3, 0.5, 10.0) @ theta
    assert chi2 == pytest.approx((2**2 + 1) / 0.25 + (1 + 9 + 4) / 100)


def test_harmonics_are_orthonormal():
    z, weight = np.polynomial.legendre.leggauss(12)
    phi = 2 * np.pi * np.arange(20) / 20
    z, phi = (x.ravel() for x in np.meshgrid(z, phi))
    radius = np.sqrt(1 - z**2)
    values = real_harmonics(np.column_stack([radius * np.cos(phi), radius * np.sin(phi), z]), 6).astype(float)
    gram = values.T @ (np.tile(weight, 20)[:, None] * values) * 2 * np.pi / 20
    np.testing.assert_allclose(gram, np.eye(48), atol=1e-5)


def test_harmonics_are_the_simulators():
    directions = np.random.default_rng(0).normal(size=(50, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    values = real_harmonics(directions, 3)
    terms = [(degree, m) for degree in (1, 2, 3) for m in range(-degree, degree + 1)]
    expected = np.stack([real_harmonic(degree, m, directions) for degree, m in terms], axis=1)
    np.testing.assert_allclose(values, expected, atol=1e-6)


def test_a_layout_keeps_reflections_whole_and_sweeps_in_their_own_order():
    rng = np.random.default_rng(0)
    group, sweep = rng.integers(40, size=500), rng.integers(3, size=500)
    layout = make_layout(group, sweep, chunk=60)
    np.testing.assert_array_equal(group[layout.order], layout.group)
    np.testing.assert_array_equal(sweep[layout.order], layout.sweep)
    assert [chunk.low for chunk in layout.chunks[1:]] == [chunk.high for chunk in layout.chunks[:-1]]
    for chunk in layout.chunks:
        inside = layout.group[chunk.rows]
        assert inside.min() >= chunk.low
        assert inside.max() < chunk.high
        for s, rows, own in chunk.parts:
            np.testing.assert_array_equal(np.flatnonzero(layout.sweep == s)[own], np.arange(rows.start, rows.stop))
            assert (np.diff(layout.group[rows]) >= 0).all()
    np.testing.assert_array_equal(layout.sums(np.ones(500)), np.bincount(group, minlength=40))
