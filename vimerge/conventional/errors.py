"""The error model: σ'² = SdFac² (σ² + SdB J + (SdAdd J)²), refined until deviations are as large as it says."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import optimize

__all__ = ["ErrorModel", "deviations", "deviations_by_intensity", "refine_errors"]

# A variance is not made smaller than this fraction of what counting says.
_FLOOR = 0.05
# Squared deviations count up to this many variances.
_WINSOR = 36.0
_BINS = 20
_LEAST = 100
# The least SdFac: what counting says is at most twice what it is.
_LEAST_SDFAC = 0.5
# An observation with less freedom than this has next to no residual, and that of rounding errors.
_LEAST_FREEDOM = 0.05


class ErrorModel(NamedTuple):
    """
    Parameters for each of G groups of observations (sweeps) [1]_.

    Parameters
    ----------
    sdfac, sdadd : np.ndarray
        ``[G]`` pure numbers.
    sdb : np.ndarray
        ``[G]``, in the unit of intensities.

    References
    ----------
    .. [1] Evans, P. R. (2011). Acta Cryst. D67, 282–292, equation 5.
    """

    sdfac: np.ndarray
    sdb: np.ndarray
    sdadd: np.ndarray

    @classmethod
    def start(cls, groups, sdadd=0.03):
        """Before anything is known."""
        return cls(np.ones(groups), np.zeros(groups), np.full(groups, float(sdadd)))

    def variance(self, which, variance, expected):
        """
        Corrected variance of observations.

        Parameters
        ----------
        which : np.ndarray
            ``[M]`` groups.
        variance, expected : np.ndarray
            ``[M]``: σ² and J = g ⟨I⟩, the intensity expected of the observation, taken as 0 where it is negative.

        Returns
        -------
        np.ndarray
            ``[M]``.
        """
        j = np.maximum(expected, 0.0)
        inner = variance + self.sdb[which] * j + np.square(self.sdadd[which] * j)
        return np.square(self.sdfac[which]) * np.maximum(inner, _FLOOR * variance)


def deviations(group, iobs, variance, scale, keep, leverage=0.0):
    """
    Normalised deviations from the weighted mean of the group, whose variance is one if the errors are right.

    δ = (I − g ⟨I⟩) / (σ √(1 − h − l)) with the leverages of the mean, h = w g² / Σ w g², w = 1/σ², and of the scales,
    l: both have been fitted to the observation, and took part of its error.

    Parameters
    ----------
    group : np.ndarray
        ``[M]`` numbers from 0.
    iobs, variance, scale : np.ndarray
        ``[M]``.
    keep : np.ndarray
        ``[M]`` bool.
    leverage : np.ndarray or float
        ``[M]``: l, see `fit.scale_leverage`.

    Returns
    -------
    deviation : np.ndarray
        ``[M]``; NaN of observations that are not kept, or alone, or without freedom.
    freedom : np.ndarray
        ``[M]``: 1 − h − l; n − 1 in all for a group of n, less what the scales took.
    """
    weight = np.where(keep, 1.0 / variance, 0.0)
    precision = np.bincount(group, weight * scale**2)[group]
    precision = np.where(precision > 0, precision, 1.0)
    mean = np.bincount(group, weight * scale * iobs)[group] / precision
    alone = np.bincount(group, keep)[group] < 2
    freedom = np.where(keep & ~alone, 1 - weight * scale**2 / precision - leverage, 0.0)
    freedom = np.where(freedom > _LEAST_FREEDOM, freedom, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        deviation = (iobs - scale * mean) / np.sqrt(variance * freedom)
    return np.where(freedom > 0, deviation, np.nan), freedom


def refine_errors(model, which, variance, expected, deviation, freedom, current):
    """
    Refine SdFac, SdB and SdAdd of each group of observations.

    Squared residuals have the expectation a σ² + b J + c J², which is linear in a = SdFac², b = SdFac² SdB and
    c = SdFac² SdAdd². They are gamma distributed, so that the likelihood equations are those of least squares
    weighted by the inverse square of the variance; here on means in bins of expected intensity, which then count alike
    whatever their number of observations, with the residuals' few largest cut off. b and c are not
    negative, and SdFac is one half at least.

    Parameters
    ----------
    model : ErrorModel
        The present one.
    which : np.ndarray
        ``[M]``: group of each observation.
    variance, expected : np.ndarray
        ``[M]``: σ² of the file and J = g ⟨I⟩.
    deviation, freedom : np.ndarray
        ``[M]``: see `deviations`, with the present variances.
    current : np.ndarray
        ``[M]``: the present variances.

    Returns
    -------
    ErrorModel
        Groups with fewer than a hundred deviations take the parameters that all together have.
    """
    usable = np.isfinite(deviation)
    groups = len(model.sdfac)
    fitted = {}
    number = np.bincount(which[usable], minlength=groups)
    for g in range(groups):
        if number[g] >= _LEAST:
            rows = np.flatnonzero(usable & (which == g))
            fitted[g] = _refine(*(x[rows] for x in (variance, expected, deviation, freedom, current)))
    if len(fitted) < groups and usable.sum() >= _LEAST:
        rows = np.flatnonzero(usable)
        common = _refine(*(x[rows] for x in (variance, expected, deviation, freedom, current)))
    else:
        common = (1.0, 0.0, 0.0)
    rows = np.array([fitted.get(g, common) for g in range(groups)]).reshape(groups, 3)
    return ErrorModel(*rows.T)


def _refine(variance, expected, deviation, freedom, current):
    j = np.maximum(expected, 0.0)
    residual = np.minimum(np.square(deviation), _WINSOR) * current
    bins = _bins(j, freedom)
    terms = np.stack([variance, j, j * j], axis=1)
    total = np.bincount(bins, freedom)
    # Within a bin by relative size, so that the few largest variances do not speak for all.
    relative = freedom / current
    target = np.bincount(bins, relative * residual) / total
    columns = np.stack([np.bincount(bins, relative * term) / total for term in terms.T], axis=1)
    size = np.maximum(np.abs(columns).max(axis=0), np.finfo(np.float64).tiny)
    weight = 1.0 / np.maximum(target, 1e-3)
    columns = columns / size
    # Only what a exceeds its least value by is sought; else J² may take the part of σ², which often grows like it.
    least = np.array([_LEAST_SDFAC**2 * size[0], 0.0, 0.0])
    for _ in range(10):
        abc = least + optimize.nnls(columns * weight[:, None], (target - columns @ least) * weight)[0]
        weight = 1.0 / np.maximum(columns @ abc, 1e-3)
    a, b, c = abc / size
    return np.sqrt(a), b / a, np.sqrt(c / a)


def _bins(j, freedom, bins=_BINS, least=_LEAST):
    """Bins of equal freedom in expected intensity, [M]."""
    order = np.argsort(j, kind="stable")
    cumulative = np.cumsum(freedom[order])
    count = int(np.clip(cumulative[-1] // (least / 2), 1, bins))
    result = np.empty(len(j), dtype=np.int64)
    result[order] = np.minimum((cumulative / cumulative[-1] * count).astype(np.int64), count - 1)
    return result


def deviations_by_intensity(expected, deviation, freedom=None, bins=_BINS):
    """
    Spread of normalised deviations in bins of expected intensity.

    Each degree of freedom counts once: sd² = Σ f δ² / ν with ν = Σ f, f the freedom of each deviation. Those of two
    equivalents are one number twice, and with equal weights the share of groups would depend on their size. Its
    standard error is ½ sd √((κ − 1)/ν), κ being the deviations' kurtosis; √(1/2ν) if they are normal.

    Parameters
    ----------
    expected, deviation : np.ndarray
        ``[M]``; rows with a deviation of NaN are left out.
    freedom : np.ndarray, optional
        ``[M]``: of `deviations`; without it all count alike.
    bins : int
        Of equal count.

    Returns
    -------
    pandas.DataFrame
        A row a bin: `mean_intensity`, `observations`, `mean`, `sd` of the deviations with its `standard_error`, and
        `robust_sd`, 1.4826 times their median absolute deviation.
    """
    use = np.isfinite(deviation)
    j, deviation = expected[use], deviation[use]
    weight = np.ones(len(j)) if freedom is None else freedom[use]
    rows = []
    for part in np.array_split(np.argsort(j, kind="stable"), bins):
        d, f = deviation[part], weight[part]
        if len(d):
            mad = 1.4826 * np.median(np.abs(d - np.median(d)))
            variance, fourth = np.average(d**2, weights=f), np.average(d**4, weights=f)
            sd = np.sqrt(variance)
            error = 0.5 * sd * np.sqrt(max(fourth / variance**2 - 1, 0.0) / f.sum()) if sd > 0 else np.nan
            rows.append((j[part].mean(), len(d), np.average(d, weights=f), sd, error, mad))
    columns = ["mean_intensity", "observations", "mean", "sd", "standard_error", "robust_sd"]
    return pd.DataFrame(rows, columns=columns)
