"""Pareto-smoothed importance sampling, for all reflections at once."""

from typing import NamedTuple

import numpy as np

SHORTEST_TAIL = 5
NO_TAIL = 1.3  # × the mean: weights below it belong to the body, whatever their rank


class Smoothed(NamedTuple):
    """Normalised, smoothed log weights, float64 [K, R], and the Pareto shape k̂ of each reflection, [R]."""

    log_weight: np.ndarray
    khat: np.ndarray


def psis(log_weight, no_tail=NO_TAIL):
    """Smooth the largest importance weights by a generalised Pareto distribution [1]_.

    The shape k̂ of the tail says how far to trust what is computed from the weights: below 0.7 they are good, above it
    q misses too much of the posterior.

    The tail is the largest min(K/5, 3√K) weights, as far as they exceed the mean by `no_tail`: where q is so good that
    nearly all the weights are equal, the edge of their bulk would pass for a body and a few others for a heavy tail.

    Parameters
    ----------
    log_weight : array, [K, R]
        Logarithms of the weights of K samples.
    no_tail : float, optional
        Multiple of the mean weight below which there is no tail; 0 for the method as published.

    Returns
    -------
    Smoothed
        k̂ is 0 where no weight is in the tail, and +∞ where nearly all of them are zero.

    References
    ----------
    .. [1] Vehtari, A., Simpson, D., Gelman, A., Yao, Y. & Gabry, J. (2024). J. Mach. Learn. Res. 25, 1–58.
    """
    log_weight = np.asarray(log_weight, np.float64)
    samples, number = log_weight.shape
    peak = log_weight.max(axis=0)
    if not np.all(np.isfinite(peak)):
        raise ValueError("Every reflection needs a sample with a finite weight.")
    log_weight = log_weight - peak
    tail_length = int(np.ceil(min(samples / 5, 3 * np.sqrt(samples))))
    khat = np.full(number, np.inf)
    if tail_length >= SHORTEST_TAIL:
        order = np.argpartition(log_weight, samples - tail_length - 1, axis=0)[samples - tail_length - 1 :]
        top = np.take_along_axis(log_weight, order, axis=0)
        by_size = np.argsort(top, axis=0)
        order, top = (np.take_along_axis(x, by_size, axis=0) for x in (order, top))
        weight = np.exp(top)
        lowest = no_tail * np.exp(log_weight).mean(axis=0)
        length = np.sum(weight[1:] > np.maximum(lowest, weight[0]), axis=0)
        khat[(length == 0) & (weight[0] > 0)] = 0.0
        # Of a few that stand out, the five largest weights tell; their shape is mostly the prior's.
        length = np.where(length > 0, np.maximum(length, SHORTEST_TAIL), 0)
        cutoff = weight[tail_length - length, np.arange(number)]
        quartile = weight[_quartile(tail_length, length) + 1, np.arange(number)]
        fitted = np.flatnonzero((length > 0) & (cutoff > 0) & (quartile > cutoff))
        if len(fitted):
            cutoff, length = cutoff[fitted], length[fitted]
            khat[fitted], scale = fit_generalised_pareto(np.maximum(weight[1:, fitted] - cutoff, 0.0), length)
            rank = np.arange(tail_length)[:, np.newaxis] - (tail_length - length)
            probability = (np.maximum(rank, 0) + 0.5) / length
            smooth = cutoff + _quantile(probability, khat[fitted], scale)
            # No weight above the largest that was drawn.
            smooth = np.where(rank >= 0, np.log(np.minimum(smooth, 1.0)), top[1:, fitted])
            log_weight[order[1:, fitted], fitted] = smooth
    return Smoothed(log_weight - np.log(np.exp(log_weight).sum(axis=0)), khat)


def fit_generalised_pareto(excess, length=None):
    """Zhang and Stephens's quasi-Bayesian estimate [1]_, with Vehtari et al.'s prior on the shape.

    Parameters
    ----------
    excess : array, [T, R]
        Sorted in each column, non-negative, with a positive first quartile.
    length : array, int [R], optional
        How many of each column, its last, are of the tail. All by default.

    Returns
    -------
    shape, scale : array, [R]

    References
    ----------
    .. [1] Zhang, J. & Stephens, M. A. (2009). Technometrics 51, 316–325.
    """
    rows, number = excess.shape
    n = np.full(number, rows) if length is None else length
    # A zero counts for nothing in the sums of log(1 − b·excess).
    excess = np.where(np.arange(rows)[:, np.newaxis] >= rows - n, excess, 0.0)
    quartile = excess[_quartile(rows, n), np.arange(number)]
    grid = 30 + int(np.sqrt(rows))
    b = (1.0 - np.sqrt(grid / (np.arange(grid) + 0.5)))[:, np.newaxis] / (3.0 * quartile) + 1.0 / excess[-1]
    k = np.stack([np.log1p(-row * excess).sum(axis=0) for row in b]) / n
    log_likelihood = n * (np.log(-b / k) - k - 1.0)
    weight = np.exp(log_likelihood - log_likelihood.max(axis=0))
    b = np.sum(b * weight, axis=0) / weight.sum(axis=0)
    k = np.log1p(-b * excess).sum(axis=0) / n
    # As if ten more observations had the shape ½.
    return (n * k + 5.0) / (n + 10.0), -k / b


def _quartile(rows, length):
    """Row of the first quartile of the last `length` rows."""
    return np.minimum(rows - length + (length / 4 + 0.5).astype(int) - 1, rows - 1)


def _quantile(probability, shape, scale):
    safe = np.where(np.abs(shape) < 1e-12, 1e-12, shape)
    return scale * np.expm1(-safe * np.log1p(-probability)) / safe
