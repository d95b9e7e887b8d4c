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


def correlation_interval(x, y, group=None, level=0.95):
    """Confidence interval of Pearson's correlation coefficient, whatever the points' distribution.

    The variance of r is that of its influence function u v − r (u² + v²)/2, u and v being the standardised
    coordinates [1]_, which for normal points is Fisher's (1 − r²)²/N and for intensities, with their long tails, up to
    several times that. The interval is symmetric in arctanh r.

    Parameters
    ----------
    x, y : array_like, [N]
        Finite.
    group : array_like, [N], optional
        What points belong together, such as the same reflection in several random divisions: groups are independent
        of each other, the points of one are not.
    level : float, optional
        Its probability.

    Returns
    -------
    low, high : float
        NaN where there are fewer than four groups or no spread.

    References
    ----------
    .. [1] Devlin, S. J., Gnanadesikan, R. & Kettenring, J. R. (1975). Biometrika, 62, 531–545.
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    group = np.arange(len(x)) if group is None else np.unique(np.asarray(group), return_inverse=True)[1]
    r = pearson(x, y)
    number = int(group.max()) + 1 if len(group) else 0
    if number < 4 or not np.isfinite(r):
        return np.nan, np.nan
    if abs(r) >= 1:
        return r, r
    u, v = ((a - a.mean()) / a.std() for a in (x, y))
    influence = np.bincount(group, u * v - 0.5 * r * (u**2 + v**2))
    # Of arctanh r, with the degrees of freedom that Fisher's formula has.
    sd = np.sqrt(np.sum(influence**2) * number / (number - 3)) / len(x) / (1 - r**2)
    half = stats.norm.ppf(0.5 + 0.5 * level) * sd
    return float(np.tanh(np.arctanh(r) - half)), float(np.tanh(np.arctanh(r) + half))


def cc_star(cc_half):
    """CC* = √(2 CC1/2 / (1 + CC1/2)), the correlation of the merged data with the true signal [1]_.

    Parameters
    ----------
    cc_half : array_like
        CC1/2.

    Returns
    -------
    array or float
        NaN where CC1/2 is negative.

    References
    ----------
    .. [1] Karplus, P. A. & Diederichs, K. (2012). Science, 336, 1030–1033.
    """
    cc_half = np.asarray(cc_half, np.float64)
    return np.sqrt(np.where(cc_half >= 0, 2 * cc_half / (1 + np.abs(cc_half)), np.nan))[()]
