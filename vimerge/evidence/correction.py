"""Moments of the exact posterior from the surrogate's samples, with a diagnostic of how far to trust them."""

from typing import NamedTuple

import numpy as np

from vimerge.evidence.monte_carlo import draw
from vimerge.evidence.pareto import psis
from vimerge.merging.joint import CELLS, LogJoint

TRUSTED = 0.7  # k̂ above which neither the surrogate nor its correction is to be trusted
DEFENSIVE = 0.1  # part of the samples that is drawn from the prior


class Corrected(NamedTuple):
    """Importance-sampled moments and the Pareto k̂ of each reflection, each float64 [R]."""

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

    Self-normalised importance sampling with Pareto-smoothed weights w [1]_:

        E[g(F) | I, Σ] ≈ Σ_k c_k w_k g(F_k) / Σ_k c_k w_k,  w_k = p(I, F_k | Σ) / m(F_k)

    A tenth of the samples is from the prior, m = 0.9 q + 0.1 p, which bounds the weights of weak data however short
    the tails of q are [2]_. The factors c ≈ 1 calibrate the samples to what is known of m: that q and p integrate to
    one and q has its mean and variance [3]_. The less q differs from the posterior, the less noise is left.

    k̂ is of w (1 + u²) over the samples from q alone, u the standardised amplitude: it judges the surrogate, and tails
    that matter to the variance as well as those that matter to the evidence.

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

    References
    ----------
    .. [1] Vehtari, A., Simpson, D., Gelman, A., Yao, Y. & Gabry, J. (2024). J. Mach. Learn. Res. 25, 1–58.
    .. [2] Hesterberg, T. (1995). Technometrics 37, 185–194.
    .. [3] Owen, A. & Zhou, Y. (2000). J. Am. Stat. Assoc. 95, 135–143.
    """
    if samples < 25:
        raise ValueError(f"The tail of the weights needs 25 samples or more to be seen, not {samples}.")
    joint = LogJoint(model, reflections)
    size, from_prior = max(1, CELLS // samples), int(np.ceil(DEFENSIVE * samples))
    parts = []
    for number, first in enumerate(range(0, joint.number, size)):
        ids = np.arange(first, min(first + size, joint.number))
        draws = draw(joint, ids, samples - from_prior, (seed, number), from_prior=from_prior)
        share = from_prior / samples
        log_m = np.logaddexp(np.log1p(-share) + draws.log_q, np.log(share) + draws.log_prior)
        log_weight, _ = psis(draws.log_joint - log_m)
        f, sigf = (m.numpy().astype(np.float64) for m in model.surrogate.moments(ids.astype(np.int32))[:2])
        amplitude = draws.x if model.surrogate.over == "amplitude" else np.sqrt(draws.x)
        u = (amplitude - f) / sigf
        khat = psis((draws.log_weight + np.log1p(u**2))[:-from_prior]).khat
        weight = np.exp(log_weight) * _calibration(np.exp(draws.log_q - log_m), u)
        weight /= weight.sum(axis=0)
        parts.append((*_moments(weight, u, f, sigf), khat))
    return Corrected(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _calibration(ratio, u):
    """Factors near 1 that give the samples the expectations that q is known to have.

    Parameters
    ----------
    ratio : array, [K, R]
        q/m at the samples, which are of m.
    u : array, [K, R]
        (F − E F)/sd(F), standardised by the moments of q.

    Returns
    -------
    array, [K, R]
    """
    known = np.stack([ratio - 1.0, ratio * u, ratio * (u**2 - 1.0)])  # the mean of each is zero
    mean = known.mean(axis=1)
    known -= mean[:, np.newaxis]
    covariance = np.einsum("ikr,jkr->rij", known, known) / len(u)
    # Where q is the prior the first is zero everywhere.
    covariance += 1e-9 * np.eye(len(known))
    slope = np.linalg.solve(covariance, mean.T[..., np.newaxis])[..., 0]
    return 1.0 - np.einsum("ri,ikr->kr", slope, known)


def _moments(weight, u, f, sigf):
    """E F, sd F, E F², sd F² from weighted standardised amplitudes."""
    y = u * (2.0 * f + sigf * u) * sigf  # F² − f²
    moments = []
    for x, centre, scale in ((u, f, sigf), (y, f**2, 1.0)):
        mean = np.sum(weight * x, axis=0)
        variance = np.sum(weight * (x - mean) ** 2, axis=0)
        moments += [centre + scale * mean, scale * np.sqrt(np.maximum(variance, 0.0))]
    return moments
