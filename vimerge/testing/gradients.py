"""Derivatives along a direction in parameter space, by automatic differentiation and by finite differences."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from vimerge.testing.errors import Fault

# Of a weight, which is the logarithm of a positive parameter or of the order of one.
STEP = 0.02


class Direction(NamedTuple):
    """A direction in the space of some variables, under the name that messages give it."""

    name: str
    variables: list
    components: list

    def at(self, t, function):
        """The value of a function, float64, at a point so far along the direction; the variables are put back."""
        start = [v.numpy() for v in self.variables]
        try:
            for variable, value, component in zip(self.variables, start, self.components, strict=True):
                variable.assign(value + np.float32(t) * component)
            return function().numpy().astype(np.float64)
        finally:
            for variable, value in zip(self.variables, start, strict=True):
                variable.assign(value)


def short_name(variable):
    """The name of a weight without that of its layer."""
    return variable.path.split("/", 1)[-1]


def one_by_one(variables):
    """A direction along each variable, in which all its elements change by amounts of the order of one."""
    rng = np.random.default_rng(31)
    return [Direction(short_name(v), [v], [_component(rng, v)]) for v in variables]


def all_at_once(variables, count=2, name="the weights"):
    """Directions in which all elements of all variables change."""
    if not variables:
        return []
    rng = np.random.default_rng(32)
    return [Direction(name, list(variables), [_component(rng, v) for v in variables]) for _ in range(count)]


def _component(rng, variable):
    return (rng.choice([-1.0, 1.0], variable.shape) * rng.uniform(0.5, 1.5, variable.shape)).astype(np.float32)


def gradients(tape, target, weights):
    """Gradients in weights as dense tensors, zero where there is none (which TensorFlow cannot say of Keras's)."""
    found = tape.gradient(target, weights)
    return [
        tf.zeros(w.shape, w.dtype) if g is None else tf.convert_to_tensor(g)
        for w, g in zip(weights, found, strict=True)
    ]


def derivative(function, direction):
    """A tensor and the derivative of its every element along a direction, from the gradients that training uses.

    Reverse mode gives sums over the elements, Σ uᵢ ∂yᵢ/∂v; differentiating these once more, with respect to u, takes
    the sum apart. (The values are given too, for with the same seed some of TFP's samplers draw other numbers where
    gradients are recorded.)

    Parameters
    ----------
    function : callable
        Makes the tensor y from the variables.
    direction : Direction

    Returns
    -------
    values : array, float64
    slope : array, float64, of the same shape; or None if no gradient reaches the variables
    """
    with tf.GradientTape(watch_accessed_variables=False) as outer:
        with tf.GradientTape() as inner:
            y = function()
        u = tf.ones_like(y)
        outer.watch(u)
        gradients = inner.gradient(y, direction.variables, output_gradients=u)
        parts = [
            tf.reduce_sum(tf.convert_to_tensor(gradient) * component)
            for gradient, component in zip(gradients, direction.components, strict=True)
            if gradient is not None
        ]
        total = tf.add_n(parts) if parts else None
    values = y.numpy().astype(np.float64)
    if total is None:
        return values, None
    slope = outer.gradient(total, u)
    return values, np.zeros(y.shape) if slope is None else slope.numpy().astype(np.float64)


def difference(function, direction, step=STEP):
    """The same by central differences of two steps, extrapolated to none; the error is of the step's fourth power."""
    wide, narrow = ((direction.at(h, function) - direction.at(-h, function)) / (2.0 * h) for h in (step, 0.5 * step))
    return (4.0 * narrow - wide) / 3.0


def compare(function, direction, step=STEP):
    """Compare a derivative with its finite difference.

    Parameters
    ----------
    function : callable
        Makes a tensor from the variables.
    direction : Direction
    step : float, optional
        That of the difference.

    Returns
    -------
    automatic, numeric : array
        The derivative of every element either way.
    ratio : array
        Their distance in units of what rounding and the step explain: above one, or NaN, where they disagree.
    """
    values, automatic = derivative(function, direction)
    numeric = difference(function, direction, step)
    automatic = np.zeros_like(numeric) if automatic is None else automatic
    # A tensor of single precision that was put together from terms of its own size, and a fiftieth of the largest
    # derivative about.
    noise = 2e-6 * (1.0 + np.max(np.abs(values))) / step
    allowed = 0.02 * np.maximum(np.max(np.abs(numeric), axis=0, initial=0.0), np.abs(numeric)) + noise
    return automatic, numeric, np.abs(automatic - numeric) / allowed


def check_gradient(function, directions, what, where, *, step=STEP, kinks=0.0):
    """Raise a Fault if a gradient is not that of finite differences.

    Parameters
    ----------
    function : callable
        Makes a tensor from the variables.
    directions : sequence of Direction
    what : str
        What it is a gradient of.
    where : callable
        Says where an element is, given its index.
    step : float, optional
        That of the difference.
    kinks : float, optional
        The share of the elements that may disagree, for functions with kinks, which a step may cross.
    """
    for direction in directions:
        automatic, numeric, ratio = compare(function, direction, step)
        if np.mean(~(ratio < 1.0)) > kinks:
            # A kink on the way, such as that of an absolute value, is hardly met by a short step too.
            automatic, numeric, ratio = compare(function, direction, step / 8.0)
        if np.mean(~(ratio < 1.0)) > kinks:
            at = worst(ratio)
            raise Fault(
                f"the gradient of {what} along {direction.name} is {automatic[at]:.4g}, but by finite differences "
                f"{numeric[at]:.4g}, at {where(at)}: a gradient is stopped or wrong."
            )


def worst(ratio):
    """Where a ratio is largest, or not a number."""
    return np.unravel_index(np.argmax(np.nan_to_num(ratio, nan=np.inf)), np.shape(ratio))
