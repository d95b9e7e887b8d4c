"""Where training starts: quick estimates of each reflection's F."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from vimerge.merging.joint import LogJoint, mean_scales, other_harmonics

GRID = 33  # eight standard deviations to either side of the mean in steps of less than half a one
MOST_PASSES = 10
BLOCK = 4096  # reflections at once
CELLS_OF_GRID = 200_000  # fewer than where time counts: this is where a merge needs most memory


def start_from_data(model, reflections):
    """Start each part of a model as `VariationalMergingModel.initialize` says.

    Parameters
    ----------
    model : VariationalMergingModel
    reflections : Reflections
        Observations of the model's ASU.
    """
    # What is wanted here is rough; overlaps of harmonics can do without.
    reflections = single_harmonics(reflections)
    model.likelihood.adapt(reflections)
    if model.scaling.trainable:
        model.prior.adapt(without_lorentz(reflections))
        scale = _mean_scale(model.prior, reflections)
        model.scaling.adapt(reflections, scale)
        moments = conventional_moments(reflections, model.prior, scale, model.surrogate.over)
        model.surrogate.assign_moments(*moments)
    else:
        model.scaling.adapt(reflections)
        model.prior.adapt(_scaled(model, reflections))
        model.condition(reflections)


def _mean_scale(prior, reflections):
    """The mean observed intensity over the mean F² of the prior."""
    expected = prior(reflections.refl_id).numpy()
    return max(float(reflections.iobs.mean(dtype="float64") / expected.mean(dtype="float64")), 1e-30)


def _scaled(model, reflections):
    # Far from what it was trained on, a network's scale may underflow.
    scale = np.maximum(mean_scales(model, next(iter(reflections.dataset(shuffle=False)))).numpy(), 1e-30)
    return replace(reflections, iobs=reflections.iobs / scale, sigiobs=reflections.sigiobs / scale)


def conventional_moments(reflections, prior, mean_scale, over):
    """Mean and sd of each F from the mean of its observations, before anything is known of their scales.

    The mean is shrunk towards the prior as if by one more observation, and its relative error is the scatter of
    equivalent observations, pooled over the data.

    Parameters
    ----------
    reflections : Reflections
    prior : Prior
    mean_scale : float
        What to divide the intensities by.
    over : {"amplitude", "intensity"}

    Returns
    -------
    mean, sd : array, [R]
        Of `over`. A reflection that was not observed has the prior's mean intensity.
    """
    refl_id, n = reflections.refl_id, reflections.multiplicity
    intensity = reflections.iobs.astype(np.float64) / mean_scale
    expected = prior(np.arange(len(n), dtype=np.int32)).numpy().astype(np.float64)
    total = np.bincount(refl_id, intensity, minlength=len(n))
    mean = np.maximum((total + expected) / (n + 1), 0.1 * expected)
    residual = intensity - (total / np.maximum(n, 1))[refl_id]
    freedom = max(np.sum(n[n > 1] - 1), 1)
    signal = max(np.sum(total[n > 1] ** 2 / n[n > 1]) / freedom, 1e-30)
    scatter = np.sqrt(np.sum(residual**2) / freedom / signal)
    relative = np.clip(scatter / np.sqrt(n + 1), 0.2, 0.7)
    if over == "intensity":
        return mean, relative * mean
    return np.sqrt(mean), 0.5 * relative * np.sqrt(mean)


def conditional_moments(model, reflections):
    """Mean and sd of the exact posterior of each F given the scales, by quadrature.

    Where observations are of several harmonics, the reflections are first given those that are theirs alone. What that
    says of the others, which is Wilson's prior of those never observed alone, goes into the posterior of each as a mean
    and a variance: one exchange of messages, in which no observation tells a reflection anything twice.

    Parameters
    ----------
    model : VariationalMergingModel
        Its mean scales, likelihood and prior are used.
    reflections : Reflections
        Observations of the model's ASU.

    Returns
    -------
    mean, sd : array, [R]
        Of the surrogate's `over`, to about a hundredth of the sd; `vimerge.evidence.exact` is more accurate.
    """
    return moments_on_grid(log_joint(model, reflections), model.surrogate.over)


def log_joint(model, reflections):
    """The joint density of each reflection's F and its observations, with what other harmonics add to them.

    Parameters
    ----------
    model : VariationalMergingModel
    reflections : Reflections

    Returns
    -------
    LogJoint
    """
    others, alone = None, single_harmonics(reflections)
    if len(alone) < len(reflections):
        others = other_harmonics(model, reflections, *moments_on_grid(LogJoint(model, alone), "intensity"))
    return LogJoint(model, reflections, others)


def single_harmonics(reflections):
    """The observations that are of one reflection each, a table with as many predictions as observations."""
    if reflections.n_predictions == len(reflections):
        return reflections
    return reflections[reflections.harmonics.counts == 1]


def without_lorentz(reflections):
    """Polychromatic intensities without their Lorentz factor, whose fall-off is that of F²; others as they are.

    A reflection of a still crystal in a white beam has the Lorentz factor λ⁴/(2 sin²θ) = 2λ²d² [1]_. Nothing in the
    data tells the d² from the fall-off of F; the λ² is the business of the scaling model, as the spectrum is.

    References
    ----------
    .. [1] Buras, B. & Gerward, L. (1975). Acta Cryst. A31, 372–374.
    """
    if not reflections.is_laue:
        return reflections
    s2 = 1.0 / np.square(reflections.d)
    factor = (s2 / s2.mean()).astype(np.float32)
    return replace(reflections, iobs=reflections.iobs * factor, sigiobs=reflections.sigiobs * factor)


def moments_on_grid(joint, over="amplitude"):
    """Mean and sd of each posterior by `posteriors_on_grid`.

    Parameters
    ----------
    joint : LogJoint
    over : {"amplitude", "intensity"}

    Returns
    -------
    mean, sd : array, [R]
        Of `over`.
    """
    posterior = posteriors_on_grid(joint)
    return (posterior.F, posterior.SIGF) if over == "amplitude" else (posterior.I, posterior.SIGI)


class OnGrid(NamedTuple):
    """The posterior moments of each reflection by itself and its log evidence, each float64 [R]."""

    F: np.ndarray
    SIGF: np.ndarray
    I: np.ndarray  # noqa: E741 - the field's own name
    SIGI: np.ndarray
    log_evidence: np.ndarray


def posteriors_on_grid(joint):
    """Moments of each posterior from a grid of F that closes in on its mass in a few passes.

    Parameters
    ----------
    joint : LogJoint

    Returns
    -------
    OnGrid
    """
    blocks = [
        _on_grid(joint, np.arange(first, min(first + BLOCK, joint.number))) for first in range(0, joint.number, BLOCK)
    ]
    return OnGrid(*map(np.concatenate, zip(*blocks, strict=True)))


def _on_grid(joint, block):
    """`OnGrid` of reflections that follow one another."""
    found = OnGrid(*(np.empty(len(block)) for _ in OnGrid._fields))
    low, high = np.zeros(len(block)), joint.highest[block]
    unit = ((np.arange(GRID) + 0.5) / GRID)[:, np.newaxis]
    rows = np.arange(len(block))
    for _ in range(MOST_PASSES):
        step = (high[rows] - low[rows]) / GRID
        f = low[rows] + GRID * step * unit
        log_p = joint(f, block[rows], cells=CELLS_OF_GRID)
        peak = log_p.max(axis=0)
        weight = np.exp(log_p - peak)
        total = weight.sum(axis=0)
        weight /= total
        f_mean, f_sd = _moments(weight, f)
        i_mean, i_sd = _moments(weight, f**2)
        coarse = step > 0.5 * f_sd
        # A posterior narrower than a cell of the grid still has that cell's width.
        f_sd = np.maximum(f_sd, step / np.sqrt(12))
        i_sd = np.maximum(i_sd, 2 * f_mean * step / np.sqrt(12))
        for values, now in zip(found, (f_mean, f_sd, i_mean, i_sd, peak + np.log(total * step)), strict=True):
            values[rows] = now
        # Only where it is too coarse, for each time the grid closes in it cuts off a little of the tails.
        rows, f_mean, f_sd = rows[coarse], f_mean[coarse], f_sd[coarse]
        if not len(rows):
            break
        low[rows], high[rows] = np.maximum(f_mean - 8 * f_sd, 0.0), f_mean + 8 * f_sd
    return found


def _moments(weight, x):
    mean = np.sum(weight * x, axis=0)
    return mean, np.sqrt(np.sum(weight * (x - mean) ** 2, axis=0))
