"""Where training starts: quick estimates of each reflection's F."""

import numpy as np
import tensorflow as tf

GRID = 33  # eight standard deviations to either side of the mean in steps of less than half a one
MOST_PASSES = 10
CELLS = 4_000_000  # grid points × observations at once: bounds the memory to some hundred MB


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
        Of `over`. Those of the prior for reflections that were not observed.
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

    log p(F | I, Σ) = Σ_i log p(I_i | Σ_i F², σ_i) + log p(F) + const is evaluated on a grid that closes in on the mass
    of each reflection in a few passes.

    Parameters
    ----------
    model : VariationalMergingModel
        Its mean scales, likelihood and prior are used.
    reflections : Reflections
        Observations of the model's ASU.

    Returns
    -------
    mean, sd : array, [R]
        Of the surrogate's `over`.
    """
    order = np.argsort(reflections.refl_id, kind="stable")
    sorted_id = reflections.refl_id[order]
    number = len(model.asu)
    mean, sd = np.empty(number), np.empty(number)
    # Whole reflections, so many at once that their observations on the grid fit in memory.
    starts = np.searchsorted(sorted_id, np.arange(number + 1))
    first = 0
    while first < number:
        last = max(first + 1, np.searchsorted(starts, starts[first] + CELLS // GRID, side="right") - 1)
        last = min(last, first + CELLS // GRID, number)
        rows = np.sort(order[starts[first] : starts[last]])
        mean[first:last], sd[first:last] = _chunk(model, reflections[rows], first, last)
        first = last
    return mean, sd


def _chunk(model, reflections, first, last):
    """Posterior moments of the reflections first … last − 1, given all the observations of them."""
    over, ids = model.surrogate.over, np.arange(first, last, dtype=np.int32)
    prior = model.prior.distribution(ids, over="amplitude")
    # 10 √⟨I⟩ is an amplitude that Wilson's prior exceeds with a probability below 1e-22; the data may still insist.
    low = np.zeros(len(ids))
    high = 10.0 * np.sqrt(model.prior(ids).numpy().astype(np.float64))
    batch = scale = None
    if len(reflections):
        batch = next(iter(reflections.dataset(shuffle=False)))
        scale = model.scaling(batch)
        observed = np.maximum(reflections.iobs / scale.numpy().astype(np.float64), 0.0)
        np.maximum.at(high, reflections.refl_id - first, 1.2 * np.sqrt(observed))
    unit = ((np.arange(GRID) + 0.5) / GRID)[:, np.newaxis]
    for _ in range(MOST_PASSES):
        step = (high - low) / GRID
        f = low + (high - low) * unit
        log_p = prior.log_prob(tf.constant(f, tf.float32)).numpy().astype(np.float64)
        if batch is not None:
            log_p += _log_likelihood(model.likelihood, batch, scale, f, first)
        weight = np.exp(log_p - log_p.max(axis=0))
        weight /= weight.sum(axis=0)
        f_mean = np.sum(weight * f, axis=0)
        f_sd = np.sqrt(np.sum(weight * (f - f_mean) ** 2, axis=0))
        coarse = step > 0.5 * f_sd
        if not coarse.any():
            break
        # A posterior narrower than a cell of the grid still has that cell's width.
        f_sd = np.maximum(f_sd, step / np.sqrt(12))
        # Only where it is too coarse, for each time the grid closes in it cuts off a little of the tails.
        low = np.where(coarse, np.maximum(f_mean - 8 * f_sd, 0.0), low)
        high = np.where(coarse, f_mean + 8 * f_sd, high)
    if over == "amplitude":
        return f_mean, f_sd
    mean = np.sum(weight * f**2, axis=0)
    sd = np.sqrt(np.sum(weight * (f**2 - mean) ** 2, axis=0))
    return mean, np.maximum(sd, 2 * f_mean * step / np.sqrt(12))


def _log_likelihood(likelihood, batch, scale, f, first):
    """Sum of the log densities of each reflection's observations, [GRID, R], at amplitudes f [GRID, R]."""
    local = batch["refl_id"] - first
    ipred = scale * tf.gather(tf.constant(f**2, tf.float32), local, axis=1)
    log_prob = tf.transpose(likelihood(ipred, batch))
    return tf.transpose(tf.math.unsorted_segment_sum(log_prob, local, f.shape[1])).numpy().astype(np.float64)
