"""Robust estimates from observations that Wilson's statistics, noise and outliers scatter."""

from typing import NamedTuple

import numpy as np

from vimerge.priors.smooth_estimate import HIGHEST_E2, HIGHEST_NOISE

SHELLS = 20
MOST_PASSES, STEPS = 6, 10
# Wide beside what data say (log Σ changes by a few over the reflections), it keeps a fit to a handful of them finite.
PRIOR_SD = 5.0


class Means(NamedTuple):
    """The mean observation of each reflection, each array [R]: `number`, `mean` (0 where number is 0), `variance`.

    The variance is that of the noise of the mean.
    """

    number: np.ndarray
    mean: np.ndarray
    variance: np.ndarray


def noise_of(s2, intensity, sigma):
    """The typical error of an observation at its resolution.

    The errors of the observations themselves would do worse: a strong observation has a large one, so that weights
    made of them favour the weak. Where negative intensities, which are noise alone, scatter by more than the errors
    say, these are enlarged.

    Parameters
    ----------
    s2, intensity, sigma : array, [M]
        1/d² (Å⁻²), observed I/ε and its error.

    Returns
    -------
    array, [M]
    """
    negative = intensity < 0
    excess = 1.4826 * np.median(-intensity[negative] / sigma[negative]) if negative.any() else 1.0
    noise = np.empty(len(sigma))
    for shell in np.array_split(np.argsort(s2, kind="stable"), min(SHELLS, len(sigma))):
        noise[shell] = np.median(sigma[shell])
    return noise * max(excess, 1.0)


def reflection_means(refl_id, intensity, noise, highest):
    """Average the observations of each reflection, without those that neither Wilson's statistics nor noise explain.

    Parameters
    ----------
    refl_id : array of int, [M]
    intensity, noise : array, [M]
        Observed I/ε and its error.
    highest : array, [R]
        The expected mean intensity of each reflection, by the most generous of the estimates.

    Returns
    -------
    Means
    """
    margin = HIGHEST_NOISE * noise
    keep = (intensity >= -margin) & (intensity <= HIGHEST_E2 * highest[refl_id] + margin)
    number, total, variance = (
        np.bincount(refl_id[keep], weights, minlength=len(highest))
        for weights in (None, intensity[keep], noise[keep] ** 2)
    )
    divisor = np.maximum(number, 1)
    return Means(number, total / divisor, variance / divisor**2)


def fit_log_linear(functions, start, centric, refl_id, intensity, noise):
    """Fit ``Σ = exp(level + functions · w)`` to the observations by quasi-likelihood.

    The variance of a reflection's mean is Wilson's, Σ² or where it is centric 2Σ², and that of the noise; the score
    equations with these weights are linear in the intensities, so that noise, which makes some of them negative, does
    not bias Σ [1]_.

    Parameters
    ----------
    functions : array, [R, P]
        What log Σ depends on, each of zero mean.
    start : array, [R]
        A first estimate of Σ, positive.
    centric : array of bool, [R]
    refl_id : array of int, [M]
    intensity, noise : array, [M]
        Observed I/ε and its error.

    Returns
    -------
    level : float
    w : array, [P]

    References
    ----------
    .. [1] McCullagh, P. & Nelder, J. A. (1989). Generalized Linear Models, 2nd ed., ch. 9.
    """
    design = np.column_stack([np.ones(len(functions)), functions])
    penalty = np.diag([0.0, *np.full(functions.shape[1], PRIOR_SD**-2.0)])
    coefficients = np.linalg.lstsq(design.T @ design + penalty, design.T @ np.log(start), rcond=None)[0]
    for _ in range(MOST_PASSES):
        before = coefficients
        # An observation is an outlier if both estimates say so: the first does not know of directions.
        highest = np.maximum(start, np.exp(design @ coefficients))
        means = reflection_means(refl_id, intensity, noise, highest)
        for _ in range(STEPS):
            coefficients = coefficients + _step(design, penalty, coefficients, means, centric)
        if np.abs(coefficients - before).max() < 1e-6:
            break
    return float(coefficients[0]), coefficients[1:]


def _step(design, penalty, coefficients, means, centric):
    """Fisher's scoring, at most by a factor e anywhere."""
    sigma = np.exp(design @ coefficients)
    weight = np.where(means.number > 0, sigma**2 / (np.where(centric, 2.0, 1.0) * sigma**2 + means.variance), 0.0)
    score = design.T @ (weight * (means.mean / sigma - 1.0)) - penalty @ coefficients
    step = np.linalg.lstsq((design.T * weight) @ design + penalty, score, rcond=None)[0]
    return step / max(1.0, np.abs(design @ step).max())
