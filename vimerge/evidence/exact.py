"""The evidence and the posterior's moments by adaptive quadrature."""

from typing import NamedTuple

import numpy as np

from vimerge.evidence.independent import check_independent
from vimerge.evidence.kronrod import GAUSS_WEIGHTS, KRONROD_WEIGHTS, NODES
from vimerge.merging.joint import LogJoint
from vimerge.merging.start import moments_on_grid

# Panels end at so many standard deviations from the mean: fine where the mass is, wide in the tails.
EDGES = np.array([0.0, 1.5, 3.0, 6.0, 12.0, 40.0, 200.0, 2000.0])
TOLERANCE = 1e-4  # of a panel's part in the evidence; Kronrod's own error is smaller by orders of magnitude
MOST_PASSES = 12


class Exact(NamedTuple):
    """The evidence and the exact posterior's moments of each reflection, each float64 [R]."""

    log_evidence: np.ndarray
    F: np.ndarray
    SIGF: np.ndarray
    I: np.ndarray  # noqa: E741 - the field's own name
    SIGI: np.ndarray

    @property
    def total(self):
        """Log evidence of all the observations: reflections are independent given the scales."""
        return float(self.log_evidence.sum())


def exact(model, reflections):
    """Integrate each reflection's joint density over its amplitude, given the mean scales.

        p(I_h | Σ) = ∫ Π_i p(I_i | Σ_i F², σ_i) p(F) dF

    Seven-point Gauss and fifteen-point Kronrod rules [1]_ on panels about the posterior's mean; where the two differ
    the panel is halved, for all the reflections at once.

    Parameters
    ----------
    model : VariationalMergingModel
        Its mean scales, likelihood and prior are used.
    reflections : Reflections
        Observations of the model's ASU, monochromatic.

    Returns
    -------
    Exact
        A reflection without observations has the log evidence 0 and the prior's moments.

    Raises
    ------
    ReflectionDataError
        If the reflections are not those of the model.
    ValueError
        If the prior correlates reflections.

    References
    ----------
    .. [1] Piessens, R., de Doncker-Kapenga, E., Überhuber, C. W. & Kahaner, D. K. (1983). QUADPACK. Springer.
    """
    check_independent(model)
    joint = LogJoint(model, reflections)
    centre, width = moments_on_grid(joint)
    ids, low, high = _first_panels(centre, width, joint.highest)
    accepted = []
    log_total = np.full(joint.number, -np.inf)
    for last_pass in [False] * (MOST_PASSES - 1) + [True]:
        log_peak, sums, error = _integrate(joint, ids, low, high, centre)
        if not accepted:
            log_total = _log_sum(ids, log_peak, sums[:1], joint.number)[0]
        bad = error * np.exp(np.minimum(log_peak - log_total[ids], 700.0)) > TOLERANCE
        bad &= not last_pass
        accepted.append((ids[~bad], log_peak[~bad], sums[:, ~bad]))
        if not bad.any():
            break
        middle = 0.5 * (low[bad] + high[bad])
        ids = np.tile(ids[bad], 2)
        low, high = np.concatenate([low[bad], middle]), np.concatenate([middle, high[bad]])
    ids, log_peak = (np.concatenate([a[i] for a in accepted]) for i in (0, 1))
    sums = np.concatenate([a[2] for a in accepted], axis=1)
    return _moments(*_sum(ids, log_peak, sums, joint.number), centre)


def _first_panels(centre, width, highest):
    edges = centre + width * np.concatenate([-EDGES[:0:-1], EDGES])[:, np.newaxis]
    top = np.maximum(highest, centre + 8 * width)
    edges = np.clip(np.concatenate([0 * top[np.newaxis], edges, top[np.newaxis]]), 0.0, top)
    low, high = edges[:-1], edges[1:]
    panel, ids = np.nonzero(high > low)
    return ids, low[panel, ids], high[panel, ids]


def _integrate(joint, ids, low, high, centre):
    """Integrals over each panel of the density times 1, d, d², y, y², with d = F − c and y = F² − c².

    Differences from the centre c keep the digits of a variance that is small beside the mean.

    Returns
    -------
    log_peak : array, [P]
        What the log density was reduced by.
    sums : array, [5, P]
    error : array, [P]
        Gauss and Kronrod's difference in the first.
    """
    half = 0.5 * (high - low)
    f = low + half * (1.0 + NODES[:, np.newaxis])
    log_p = joint(f, ids)
    log_peak = log_p.max(axis=0)
    log_peak = np.where(np.isfinite(log_peak), log_peak, 0.0)
    density = np.exp(log_p - log_peak)
    d = f - centre[ids]
    y = d * (f + centre[ids])
    weighted = half * KRONROD_WEIGHTS[:, np.newaxis] * density
    sums = np.stack([np.sum(weighted * g, axis=0) for g in (1.0, d, d**2, y, y**2)])
    gauss = half * np.sum(GAUSS_WEIGHTS[:, np.newaxis] * density[1::2], axis=0)
    return log_peak, sums, np.abs(sums[0] - gauss)


def _sum(ids, log_peak, sums, number):
    """Add the panels of each reflection: the log density at which it was reduced [R], and the sums [5, R]."""
    # Where it is empty a panel's peak is no reason to reduce the others by it.
    log_size = np.where(sums[0] > 0, log_peak, -np.inf)
    peak = np.full(number, -np.inf)
    np.maximum.at(peak, ids, log_size)
    factor = np.exp(log_size - peak[ids])
    return peak, np.stack([np.bincount(ids, row * factor, number) for row in sums])


def _log_sum(ids, log_peak, sums, number):
    peak, total = _sum(ids, log_peak, sums, number)
    return peak + np.log(total)


def _moments(peak, sums, centre):
    d, d2, y, y2 = sums[1:] / sums[0]
    return Exact(peak + np.log(sums[0]), centre + d, np.sqrt(d2 - d**2), centre**2 + y, np.sqrt(y2 - y**2))
