"""Merging: the weighted mean of scaled equivalents, and how sure it is."""

from typing import NamedTuple

import numpy as np

from vimerge.reflections.errors import OptionError

__all__ = ["ROBUST", "Means", "merge_observations"]

ROBUST = ("none", "huber", "tukey")
# 95 % as efficient as the mean on normal errors.
_HUBER, _TUKEY = 1.345, 4.685
# Deviations that the error model vouches for, as if so many more had been seen to be as large as it says.
_PRIOR = 10.0


class Means(NamedTuple):
    """
    Merged reflections.

    Parameters
    ----------
    intensity, sigma : np.ndarray
        ``[R]``: ⟨I⟩ and its standard deviation; NaN where there is no observation.
    number : np.ndarray
        ``[R]`` int: observations merged.
    """

    intensity: np.ndarray
    sigma: np.ndarray
    number: np.ndarray


def merge_observations(group, n_groups, iobs, sigma, scale, use=None, robust="none", internal=True):
    """
    Merge by inverse variance, ⟨I⟩ = Σ w g I / Σ w g² with w = 1/σ².

    Its variance by the error model is 1/Σ w g². Equivalents that agree worse than it says tell more: with n of them
    and χ² = Σ w (I − g ⟨I⟩)², the variance is multiplied by (ν + χ²)/(ν + n − 1) if that is greater than 1, where
    ν = 10 stands for how far the error model is trusted; a few observations alone say little about their own spread.

    Parameters
    ----------
    group : np.ndarray
        ``[M]``: the reflection of each observation, 0 … `n_groups` − 1.
    n_groups : int
    iobs, sigma, scale : np.ndarray
        ``[M]``: I, σ and g.
    use : np.ndarray, optional
        ``[M]`` bool: which to merge.
    robust : {"none", "huber", "tukey"}
        Weights that fall off with the deviation from the mean, by Huber's or Tukey's function, found by iteration.
    internal : bool
        Whether the agreement of the equivalents is heeded.

    Returns
    -------
    Means

    Raises
    ------
    OptionError
        If there are no such robust weights.
    """
    if robust not in ROBUST:
        raise OptionError(f"There are no robust weights {robust!r}; choose --robust from {', '.join(ROBUST)}.")
    use = np.ones(len(group), dtype=bool) if use is None else np.asarray(use, dtype=bool)
    group, iobs, sigma, scale = (
        np.asarray(x)[use].astype(t) for x, t in ((group, np.int64), (iobs, float), (sigma, float), (scale, float))
    )

    def total(values):
        return np.bincount(group, values, minlength=n_groups)

    number = np.bincount(group, minlength=n_groups)
    base = weight = sigma**-2.0
    known = number > 0

    def mean(weight):
        precision = total(weight * scale**2)
        value = np.divide(total(weight * scale * iobs), precision, out=np.full(n_groups, np.nan), where=precision > 0)
        return value, precision

    value, precision = mean(weight)
    if robust != "none":
        # Redescending weights need a start that no outlier has moved.
        value = _weighted_median(group, n_groups, iobs / scale, weight * scale**2)
        for _ in range(30):
            deviation = np.abs(iobs - scale * value[group]) / sigma
            weight = base * _robust(deviation, robust)
            # All may lie far from the median of two.
            weight = np.where((total(weight) > 0)[group], weight, base)
            new, precision = mean(weight)
            moved = np.nanmax(np.abs(new - value) * np.sqrt(precision), initial=0.0)
            value = new
            if moved < 1e-4:
                break
    variance = np.divide(1.0, precision, out=np.full(n_groups, np.nan), where=known)
    if internal:
        chi2 = total(weight * np.square(iobs - scale * value[group]))
        variance *= np.maximum((_PRIOR + chi2) / (_PRIOR + np.maximum(number - 1, 0)), 1.0)
    return Means(value, np.sqrt(variance), number)


def _robust(deviation, kind):
    if kind == "huber":
        return np.minimum(1.0, _HUBER / np.maximum(deviation, _HUBER))
    return np.square(np.maximum(1 - np.square(deviation / _TUKEY), 0.0))


def _weighted_median(group, n_groups, values, weight):
    """Weighted (lower) median of each group, NaN of empty ones."""
    order = np.lexsort((values, group))
    cumulative = np.cumsum(weight[order])
    sums = np.bincount(group, weight, minlength=n_groups)
    begin = np.cumsum(sums) - sums
    inside = cumulative - begin[group[order]]
    half = inside >= 0.5 * sums[group[order]] * (1 - 1e-12)
    rows = order[half]
    result = np.full(n_groups, np.nan)
    # Written from behind, so that the first of each group remains.
    result[group[rows][::-1]] = values[rows][::-1]
    return result
