"""Blocks of columns of the linear model of log scales."""

import numpy as np

__all__ = ["Dense", "Spline", "difference_penalty", "spline_basis"]


def spline_basis(x, low, high, intervals):
    """
    Uniform cubic B-splines at points.

    Parameters
    ----------
    x : np.ndarray
        ``[N]`` points; those outside take the value at the nearer end.
    low, high : float
        Limits.
    intervals : int
        Number of equal intervals between them; there are three splines more.

    Returns
    -------
    first : np.ndarray
        ``[N]`` int32: the first of the four splines that do not vanish.
    values : np.ndarray
        ``[N, 4]`` float32: their values, which add up to 1.
    """
    u = np.clip((np.asarray(x, dtype=np.float64) - low) / max(high - low, 1e-12), 0.0, 1.0) * intervals
    first = np.minimum(u.astype(np.int32), intervals - 1)
    t = u - first
    values = np.empty((len(u), 4), dtype=np.float32)
    values[:, 0] = (1 - t) ** 3 / 6
    values[:, 1] = (3 * t**3 - 6 * t**2 + 4) / 6
    values[:, 2] = (-3 * t**3 + 3 * t**2 + 3 * t + 1) / 6
    values[:, 3] = t**3 / 6
    return first, values


def difference_penalty(size, tie, ridge):
    """
    Penalty matrix that ties neighbouring coefficients to each other, and all of them weakly to zero.

    Parameters
    ----------
    size : int
        Number of coefficients.
    tie, ridge : float
        Standard deviations of a difference between neighbours, and of a coefficient.

    Returns
    -------
    np.ndarray
        ``[size, size]``: θᵀ P θ is the restraint's χ².
    """
    difference = np.diff(np.eye(size), axis=0)
    return difference.T @ difference / tie**2 + np.eye(size) / ridge**2


class Spline:
    """
    A cubic B-spline, times a factor.

    Parameters
    ----------
    x : np.ndarray
        ``[N]``.
    spacing : float
        The greatest distance between knots, in the unit of x.
    factor : np.ndarray, optional
        ``[N]``.
    tie, ridge : float
        See `difference_penalty`.

    Attributes
    ----------
    total, unscaled_total : np.ndarray
        ``[size]``: sums of the columns, and of the splines without the factor.
    """

    def __init__(self, x, spacing, factor=None, tie=0.1, ridge=3.0):
        low, high = float(x.min()), float(x.max())
        intervals = max(1, int(np.ceil((high - low) / spacing - 1e-6)))
        self.first, values = spline_basis(x, low, high, intervals)
        self.values = values if factor is None else (values * np.asarray(factor)[:, None]).astype(np.float32)
        self.size = intervals + 3
        at = (self.first[:, None] + np.arange(4)).ravel()
        self.total = np.bincount(at, self.values.ravel(), minlength=self.size)
        self.unscaled_total = np.bincount(at, values.ravel(), minlength=self.size)
        self.penalty = difference_penalty(self.size, tie, ridge)

    def fill(self, columns, rows):
        """Write the columns ``[n, size]`` of a slice of rows, which hold zeros."""
        row, first, values = np.arange(len(columns)), self.first[rows], self.values[rows]
        for i in range(4):
            columns[row, first + i] = values[:, i]

    def dot(self, theta):
        """The block's part of the log scales, ``[N]``."""
        total = self.values[:, 0] * theta[self.first]
        for i in range(1, 4):
            total += self.values[:, i] * theta[self.first + i]
        return total


class Dense:
    """
    Any columns.

    Parameters
    ----------
    values : np.ndarray
        ``[N, size]`` float32.
    penalty : np.ndarray
        ``[size, size]``.
    """

    def __init__(self, values, penalty):
        self.values = values
        self.size = values.shape[1]
        self.total = values.sum(axis=0, dtype=np.float64)
        self.penalty = penalty

    def fill(self, columns, rows):
        """Write the columns ``[n, size]`` of a slice of rows."""
        columns[...] = self.values[rows]

    def dot(self, theta):
        """The block's part of the log scales, ``[N]``."""
        # In float64, but not all at once: the columns themselves are kept in half the memory.
        parts = range(0, len(self.values), 1 << 14)
        return np.concatenate([self.values[i : i + (1 << 14)].astype(np.float64) @ theta for i in parts])
