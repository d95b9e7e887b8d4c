"""Checks of arguments, each ending in one sentence that names the argument and what it may be."""

import math
from numbers import Integral, Real

import numpy as np


def check_real(name, value, *, low=-math.inf, high=math.inf, open_low=False, open_high=False, unit=""):
    """Return `value` as a float, or raise a ``ValueError`` that states the allowed interval.

    Parameters
    ----------
    name : str
        Name of the argument, for the message.
    value : float
        What was passed.
    low, high : float, optional
        Bounds, inclusive unless `open_low` or `open_high` is set.
    open_low, open_high : bool, optional
        Leave the bound itself out.
    unit : str, optional
        Unit of the bounds, for the message.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If `value` is not a finite real number within the bounds.
    """
    real = isinstance(value, Real) and not isinstance(value, bool)
    if real and math.isfinite(value):
        above = value > low if open_low else value >= low
        below = value < high if open_high else value <= high
        if above and below:
            return float(value)
    unit = f" {unit}" if unit else ""
    bounds = []
    if low > -math.inf:
        bounds.append(f"{'above' if open_low else 'at least'} {low:g}{unit}")
    if high < math.inf:
        bounds.append(f"{'below' if open_high else 'at most'} {high:g}{unit}")
    raise ValueError(f"{name} must be a number {' and '.join(bounds)}".rstrip() + f", not {value!r}.")


def check_count(name, value, *, low):
    """Return `value` as an int, or raise a ``ValueError`` if it is not a whole number of at least `low`."""
    if isinstance(value, Integral) and not isinstance(value, bool) and value >= low:
        return int(value)
    raise ValueError(f"{name} must be a whole number of at least {low}, not {value!r}.")


def check_rotation(name, value):
    """Raise a ``ValueError`` unless `value` is a rotation matrix of shape [3, 3]."""
    u = np.asarray(value, dtype=float)
    if u.shape != (3, 3) or not np.allclose(u @ u.T, np.eye(3), atol=1e-6) or np.linalg.det(u) < 0:
        raise ValueError(f"{name} must be a rotation matrix of shape [3, 3].")
