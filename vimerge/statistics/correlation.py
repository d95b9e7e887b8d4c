"""Correlation coefficients."""

import numpy as np
from scipy import stats


def pearson(x, y):
    """Pearson's correlation coefficient; NaN where there are fewer than two points or no spread."""
    return weighted_pearson(x, y, np.ones(np.shape(x)))


def weighted_pearson(x, y, weight):
    """Pearson's correlation coefficient of weighted points.

    Parameters
    ----------
    x, y, weight : array_like, [N]
        Finite; weights not negative.

    Returns
    -------
    float
        NaN where there are fewer than two points or no spread.
    """
    x, y, weight = (np.asarray(a, np.float64) for a in (x, y, weight))
    if len(x) < 2:
        return np.nan
    weight = weight / weight.sum()
    dx, dy = x - np.sum(weight * x), y - np.sum(weight * y)
    spread = np.sqrt(np.sum(weight * dx**2) * np.sum(weight * dy**2))
    return float(np.sum(weight * dx * dy) / spread) if spread > 0 else np.nan


def spearman(x, y):
    """Spearman's rank correlation coefficient; NaN where there are fewer than two points or no spread."""
    x, y = np.asarray(x), np.asarray(y)
    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return np.nan
    return float(stats.spearmanr(x, y).statistic)
