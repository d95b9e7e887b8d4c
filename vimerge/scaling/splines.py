"""Uniform cubic B-splines."""

import math

import tensorflow as tf

CURVE_AT_NODE = (1 / 6, 2 / 3, 1 / 6)
"""The weights of a node's three coefficients in the value of the curve there."""


def cubic_weights(t, intervals):
    """The four cubic B-splines that are not zero at each point.

    A curve on [0, intervals] with nodes at the whole numbers has intervals + 3 coefficients, coefficient j being that
    of the B-spline centred on j − 1 [1]_. Beyond its ends the curve goes on as a constant.

    Parameters
    ----------
    t : tensor, float32 [N]
        Points.
    intervals : tensor or number
        Length of the curve, a whole number as a float, which broadcasts to [N].

    Returns
    -------
    first : tensor, int32 [N]
        The first of the four successive coefficients.
    weights : tensor, float32 [N, 4]
        Their weights, which are not negative and add up to one.

    References
    ----------
    .. [1] de Boor, C. (1978). A Practical Guide to Splines. New York: Springer.
    """
    t = tf.clip_by_value(t, 0.0, intervals)
    # The end of the last interval belongs to it.
    first = tf.minimum(tf.floor(t), intervals - 1.0)
    u = t - first
    v = 1.0 - u
    u3, v3 = u**3, v**3
    inner = [4.0 - 3.0 * x * x * (1.0 + y) for x, y in ((u, v), (v, u))]
    return tf.cast(first, tf.int32), tf.stack([v3, *inner, u3], axis=-1) / 6.0


def at_nodes(coefficients):
    """Values of a curve at its nodes, from its coefficients along the first axis (two more than nodes)."""
    low, middle, high = CURVE_AT_NODE
    return low * coefficients[:-2] + middle * coefficients[1:-1] + high * coefficients[2:]


def second_differences(coefficients):
    """c_{j−1} − 2 c_j + c_{j+1} along the first axis: the curvature of the curve at its nodes."""
    return coefficients[:-2] - 2.0 * coefficients[1:-1] + coefficients[2:]


def count_intervals(low, high, spacing):
    """How many intervals, at most `spacing` long, a range takes; rounding does not add one."""
    return max(1, math.ceil((high - low) / spacing * (1 - 1e-6)))
