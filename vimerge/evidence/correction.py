"""Moments of the exact posterior from the surrogate's samples, with a diagnostic of how far to trust them."""

from typing import NamedTuple

import numpy as np

from vimerge.evidence.independent import check_independent
from vimerge.evidence.monte_carlo import draw, no_nan
from vimerge.evidence.pareto import psis
from vimerge.merging.joint import CELLS, LogJoint

TRUSTED = 0.7  # k̂ above which the surrogate misses too much of the posterior
WIDE = 0.25  # amplitudes with heavy tails, whatever those of the surrogate, for each sample of it


class Corrected(NamedTuple):
    """Corrected moments and the Pareto k̂ of each reflection, each float64 [R]."""

    F: np.ndarray
    SIGF: np.ndarray
    I: np.ndarray  # noqa: E741 - the field's own name
    SIGI: np.ndarray
    khat: np.ndarray

    @property
    def trusted(self):
        """Where k̂ is below 0.7, bool [R]."""
        return self.khat < TRUSTED


def corrected_moments(model, reflections, samples=2000, seed=0):
    """Correct F and its error for what the surrogate's family cannot express.

    The expectation of g(F) is a Riemann sum over amplitudes in order [1]_, whose error falls as 1/K or faster, that of
    importance sampling as 1/√K:

        E[g(F) | I, Σ] ≈ Σ_k c_k p(I, F_k | Σ) g(F_k) / Σ_k c_k p(I, F_k | Σ),  c_k = (F_k+1 − F_k−1)/2

    The amplitudes are K samples of q and K/4 quantiles of a Cauchy distribution, with the mean and the standard
    deviation of q for its location and scale and folded at zero: a defensive part [2]_ that keeps the steps short where
    the posterior may be and a family with short tails, or with none of its mass near zero, has no samples.

    k̂ is of p(I, F | Σ)/q(F) (1 + u²) over the samples, u the standardised amplitude [3]_: it judges the surrogate, and
    tails that matter to the variance as well as those that matter to the evidence.

    Parameters
    ----------
    model : VariationalMergingModel
        Its mean scales, surrogate, likelihood and prior are used.
    reflections : Reflections
        Observations of the model's ASU, monochromatic.
    samples : int, optional
        K, for each reflection.
    seed : int, optional
        Fixes the samples.

    Returns
    -------
    Corrected

    Raises
    ------
    ValueError
        If there are too few samples, if the surrogate has no density for each reflection alone, or if the prior
        correlates reflections.

    References
    ----------
    .. [1] Philippe, A. (1997). J. Comput. Graph. Stat. 6, 295–314.
    .. [2] Hesterberg, T. (1995). Technometrics 37, 185–194.
    .. [3] Vehtari, A., Simpson, D., Gelman, A., Yao, Y. & Gabry, J. (2024). J. Mach. Learn. Res. 25, 1–58.
    """
    if samples < 25:
        raise ValueError(f"The tail of the weights needs 25 samples or more to be seen, not {samples}.")
    check_independent(model)
    joint, over = LogJoint(model, reflections), model.surrogate.over
    size, n_wide = max(1, CELLS // samples), int(WIDE * samples)
    wide = np.tan(np.pi * ((np.arange(n_wide) + 0.5) / n_wide - 0.5))[:, np.newaxis]
    parts = []
    for number, first in enumerate(range(0, joint.number, size)):
        ids = np.arange(first, min(first + size, joint.number))
        draws = draw(joint, ids, samples, (seed, number))
        f, sigf = (m.numpy().astype(np.float64) for m in model.surrogate.moments(ids.astype(np.int32))[:2])
        amplitude = draws.x if over == "amplitude" else np.sqrt(draws.x)
        khat = psis(draws.log_weight + np.log1p(((amplitude - f) / sigf) ** 2)).khat
        log_joint = draws.log_joint + (0.0 if over == "amplitude" else np.log(2.0 * amplitude))
        more = np.abs(f + sigf * wide)
        amplitude = np.concatenate([amplitude, more])
        log_joint = np.concatenate([log_joint, no_nan(joint(more, ids))])
        parts.append((*_moments(amplitude, log_joint, f, sigf), khat))
    return Corrected(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _moments(amplitude, log_density, f, sigf):
    """E F, sd F, E F², sd F² by a Riemann sum over amplitudes in any order, [K, R]; f and sigf are near the first two.

    Down to zero the density is that of the lowest amplitude.
    """
    order = np.argsort(amplitude, axis=0)
    x, log_density = (np.take_along_axis(a, order, axis=0) for a in (amplitude, log_density))
    neighbours = np.concatenate([-x[:1], x, x[-1:]])
    weight = np.exp(log_density - log_density.max(axis=0)) * (neighbours[2:] - neighbours[:-2])
    weight /= weight.sum(axis=0)
    # Differences from f keep the digits of a variance that is small beside the mean.
    d = x - f
    moments = []
    for y, centre in ((d, f), (d * (x + f), f**2)):
        mean = np.sum(weight * y, axis=0)
        moments += [centre + mean, np.sqrt(np.sum(weight * (y - mean) ** 2, axis=0))]
    return moments
