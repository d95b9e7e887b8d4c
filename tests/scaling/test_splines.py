import numpy as np
import pytest
from scipy.interpolate import BSpline

from vimerge.scaling.splines import at_nodes, count_intervals, cubic_weights, second_differences

INTERVALS = 7


def dense(t, intervals=INTERVALS):
    """The basis as a matrix, [N, intervals + 3]."""
    first, weights = (x.numpy() for x in cubic_weights(np.asarray(t, np.float32), float(intervals)))
    basis = np.zeros((len(first), intervals + 3))
    np.put_along_axis(basis, first[:, None] + np.arange(4), weights, axis=1)
    return basis


def test_the_basis_is_a_partition_of_unity_and_not_negative():
    basis = dense(np.linspace(0, INTERVALS, 1001))
    assert basis.min() >= 0
    np.testing.assert_allclose(basis.sum(axis=1), 1.0, atol=1e-6)


@pytest.mark.parametrize("intervals", [1, INTERVALS])
def test_the_basis_is_that_of_scipy(intervals):
    t = np.linspace(0, intervals, 503)
    knots = np.arange(-3, intervals + 4)
    np.testing.assert_allclose(
        dense(t, intervals), BSpline.design_matrix(t.astype(np.float32), knots, 3).toarray(), atol=2e-6
    )


def test_a_straight_line_is_reproduced_and_has_no_second_differences():
    # Coefficient j is of the B-spline that is centred on j − 1.
    line = 0.3 + 0.2 * (np.arange(INTERVALS + 3) - 1)
    t = np.linspace(0, INTERVALS, 100)
    np.testing.assert_allclose(dense(t) @ line, 0.3 + 0.2 * t, rtol=1e-6)
    np.testing.assert_allclose(at_nodes(line), 0.3 + 0.2 * np.arange(INTERVALS + 1))
    np.testing.assert_allclose(second_differences(line), 0.0, atol=1e-12)
    np.testing.assert_allclose(second_differences(line**2), 2 * 0.2**2)


def test_values_at_nodes_are_those_of_the_curve():
    c = np.random.default_rng(0).normal(size=INTERVALS + 3)
    np.testing.assert_allclose(dense(np.arange(INTERVALS + 1)) @ c, at_nodes(c), atol=1e-6)


def test_the_curve_goes_on_as_a_constant_beyond_its_ends():
    np.testing.assert_array_equal(dense([-5.0, INTERVALS + 1e3]), dense([0.0, INTERVALS]))


@pytest.mark.parametrize(
    ("high", "spacing", "count"), [(180.0, 20.0, 9), (0.3, 0.1, 3), (181.0, 20.0, 10), (1.0, 5.0, 1)]
)
def test_intervals_are_no_longer_than_the_spacing(high, spacing, count):
    assert count_intervals(0.0, high, spacing) == count
