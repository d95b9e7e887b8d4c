"""Where training starts: quick estimates of each reflection's F."""

import numpy as np

from vimerge.merging.joint import CELLS, LogJoint

GRID = 33  # eight standard deviations to either side of the mean in steps of less than half a one
MOST_PASSES = 10


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
    return moments_on_grid(LogJoint(model, reflections), model.surrogate.over)


def moments_on_grid(joint, over="amplitude"):
    """Mean and sd of each posterior from a grid of F that closes in on its mass in a few passes.

    Parameters
    ----------
    joint : LogJoint
    over : {"amplitude", "intensity"}

    Returns
    -------
    mean, sd : array, [R]
        Of `over`.
    """
    mean, sd = np.empty(joint.number), np.empty(joint.number)
    low, high = np.zeros(joint.number), joint.highest.copy()
    unit = ((np.arange(GRID) + 0.5) / GRID)[:, np.newaxis]
    ids = np.arange(joint.number)
    for _ in range(MOST_PASSES):
        step = (high[ids] - low[ids]) / GRID
        f = low[ids] + GRID * step * unit
        log_p = joint(f, ids, cells=CELLS)
        weight = np.exp(log_p - log_p.max(axis=0))
        weight /= weight.sum(axis=0)
        f_mean, f_sd = _moments(weight, f)
        coarse = step > 0.5 * f_sd
        # A posterior narrower than a cell of the grid still has that cell's width.
        f_sd = np.maximum(f_sd, step / np.sqrt(12))
        if over == "amplitude":
            mean[ids], sd[ids] = f_mean, f_sd
        else:
            mean[ids], i_sd = _moments(weight, f**2)
            sd[ids] = np.maximum(i_sd, 2 * f_mean * step / np.sqrt(12))
        # Only where it is too coarse, for each time the grid closes in it cuts off a little of the tails.
        ids, f_mean, f_sd = ids[coarse], f_mean[coarse], f_sd[coarse]
        if not len(ids):
            break
        low[ids], high[ids] = np.maximum(f_mean - 8 * f_sd, 0.0), f_mean + 8 * f_sd
    return mean, sd


def _moments(weight, x):
    mean = np.sum(weight * x, axis=0)
    return mean, np.sqrt(np.sum(weight * (x - mean) ** 2, axis=0))
