"""Observations that cannot be what they are said to be."""

import numpy as np

__all__ = ["disagreeing", "leave_one_out", "less_likely", "too_strong", "undecided"]


def leave_one_out(group, iobs, variance, scale, keep):
    """
    Normalised deviation of each observation from the weighted mean of the others in its group.

    δ = (I − g ⟨I⟩) / √(σ² + g² σ²(⟨I⟩)), where ⟨I⟩ = Σ w g I / Σ w g² is over the others, w = 1/σ².

    Parameters
    ----------
    group : np.ndarray
        ``[M]`` numbers from 0.
    iobs, variance, scale : np.ndarray
        ``[M]``: I, σ² and g.
    keep : np.ndarray
        ``[M]`` bool: which observations there are.

    Returns
    -------
    np.ndarray
        ``[M]``; zero where there are no others, or the observation is not among them.
    """
    weight = np.where(keep, 1.0 / variance, 0.0)
    own_precision, own_total = weight * scale**2, weight * scale * iobs
    precision = np.bincount(group, own_precision)[group] - own_precision
    total = np.bincount(group, own_total)[group] - own_total
    others = keep & (np.bincount(group, keep)[group] > 1)
    precision = np.where(others, np.maximum(precision, np.finfo(np.float64).tiny), 1.0)
    deviation = (iobs - scale * total / precision) / np.sqrt(variance + scale**2 / precision)
    return np.where(others, deviation, 0.0)


def disagreeing(group, iobs, variance, scale, keep, limit=6.0, rounds=20):
    """
    Find observations that disagree with their equivalents, the worst of each group first.

    Of two alone nothing here tells which is wrong, and both stay; see `less_likely`.

    Parameters
    ----------
    group, iobs, variance, scale, keep
        As for `leave_one_out`.
    limit : float
        The largest normalised deviation that is accepted.
    rounds : int
        At most so many are found in a group.

    Returns
    -------
    np.ndarray
        ``[M]`` bool: the outliers, all of them among `keep`.
    """
    # Only groups with a suspect are looked at again.
    rows = np.flatnonzero(keep)
    found = np.zeros(len(group), dtype=bool)
    for _ in range(rounds):
        if not len(rows):
            break
        distinct, local = np.unique(group[rows], return_inverse=True)
        part = keep[rows] & ~found[rows]
        enough = np.bincount(local, part) >= 3
        deviation = np.abs(leave_one_out(local, iobs[rows], variance[rows], scale[rows], part))
        deviation[~part | ~enough[local]] = 0.0
        worst = np.zeros(len(distinct))
        np.maximum.at(worst, local, deviation)
        bad = (deviation > limit) & (deviation == worst[local])
        found[rows[bad]] = True
        rows = rows[(worst > limit)[local]]
    return found


def undecided(group, iobs, variance, scale, keep, limit=6.0):
    """
    Find pairs of observations, alone in their group, of which one must be wrong.

    Parameters
    ----------
    group, iobs, variance, scale, keep, limit
        As for `disagreeing`.

    Returns
    -------
    np.ndarray
        ``[M]`` bool: both of each such pair.
    """
    pairs = keep & (np.bincount(group, keep)[group] == 2)
    return pairs & (np.abs(leave_one_out(group, iobs, variance, scale, keep)) > limit)


def less_likely(group, intensity, expected, centric, pairs, odds=20.0):
    """
    Of pairs that disagree, find the observation that Wilson statistics make far less likely to be right.

    One of two is wrong by an error that could be anything, so that the odds are those of the prior probabilities of
    the intensities: exp(−|E|²) of acentric reflections, |E|⁻¹ exp(−|E|²/2) of centric ones.

    Parameters
    ----------
    group : np.ndarray
        ``[M]`` numbers from 0.
    intensity, expected : np.ndarray
        ``[M]``: scaled intensities, and ε Σ of their reflections.
    centric : np.ndarray
        ``[M]`` bool.
    pairs : np.ndarray
        ``[M]`` bool: see `undecided`.
    odds : float
        The least odds to decide at.

    Returns
    -------
    np.ndarray
        ``[M]`` bool: one of some pairs.
    """
    rows = np.flatnonzero(pairs)
    rows = rows[np.argsort(group[rows], kind="stable")].reshape(-1, 2)
    e2 = np.maximum(intensity[rows] / expected[rows], 1e-2)
    log_prior = np.where(centric[rows], -e2 / 2 - np.log(e2) / 2, -e2)
    worse = np.argmin(log_prior, axis=1)
    decided = np.abs(log_prior[:, 0] - log_prior[:, 1]) > np.log(odds)
    found = np.zeros(len(group), dtype=bool)
    found[rows[np.arange(len(rows)), worse][decided]] = True
    return found


def too_strong(intensity, sigma, expected, limit=10.0):
    """
    Find observations stronger than any reflection can be, by Wilson statistics.

    Parameters
    ----------
    intensity, sigma : np.ndarray
        ``[M]``: scaled intensities and their standard deviations.
    expected : np.ndarray
        ``[M]``: ε Σ, the mean intensity at the reflection's resolution.
    limit : float
        The largest |E| that is accepted; for acentric reflections a chance of exp(−|E|²).

    Returns
    -------
    np.ndarray
        ``[M]`` bool. Three standard deviations are allowed for noise.
    """
    return intensity - 3 * sigma > limit**2 * expected
