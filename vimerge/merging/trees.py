"""The exact posterior of correlated amplitudes given the scales."""

from typing import NamedTuple

import numpy as np

from vimerge.merging.forest import Forest, Moments, integrate
from vimerge.merging.messages import ROWS, OnRange
from vimerge.merging.shared_errors import Pairs
from vimerge.merging.start import log_joint, posteriors_on_grid

# Amplitudes of each reflection, and of another for each of these. Where observations contradict the correlation or each
# other the posterior may have several peaks, and gets the second pair.
STEPS, NODES = (41, 161), (24, 80)
WIDE = 8.0  # half the width of a range, in standard deviations
LEAST_WIDE, COARSEST = 5.5, 0.7  # what is good enough: the same, and a step in standard deviations
CONTRADICTED = 3.5  # standard deviations by which the others of a tree shift an amplitude
ROUGHEST, DEEPEST = 1.0, 8.0  # the curvature of a log-likelihood in units of a step, so many nats from its peak or less
MOST_PASSES, EASY_PASSES = 12, 5
BLOCK = 8192  # reflections at once


class TreePosterior(NamedTuple):
    """Posterior moments of correlated amplitudes, each float64 [R]."""

    F: np.ndarray
    SIGF: np.ndarray
    I: np.ndarray  # noqa: E741 - the field's own name
    SIGI: np.ndarray
    covariance: np.ndarray  # of F and F_parent; zero if there is no parent
    dF: np.ndarray  # E[F − F_parent]; NaN if there is no parent
    SIGdF: np.ndarray  # its standard deviation
    log_evidence: np.ndarray  # of the observations of a whole tree, at its root; zero at other reflections

    @property
    def total(self):
        """Log evidence of all the observations."""
        return float(self.log_evidence.sum())


def posterior_of_trees(model, reflections, correlation=None, shared_errors=None, only=None):
    """Integrate the joint density of amplitudes that the prior correlates, given the mean scales.

        p(F | I, Σ) ∝ Π_roots p(F_h) Π_children p(F_h | F_parent(h)) Π_h p(I_h | F_h, Σ)

    Each tree is integrated by sum–product: messages along its branches, each by quadrature for each of some amplitudes
    of the reflection that receives it. Reflections without parents and children are integrated by themselves.

    Parameters
    ----------
    model : VariationalMergingModel
        Its mean scales, likelihood and prior are used. Of observations of several harmonics see `conditional_moments`:
        there, what is known of the others comes from their own observations.
    reflections : Reflections
        Observations of the model's ASU.
    correlation : Correlation, float or array [R], optional
        What to take in place of the prior's.
    shared_errors : float, optional
        What to take in place of the likelihood's: the correlation of the systematic errors of paired observations of a
        reflection and its parent, see `vimerge.merging.shared_errors`.
    only : array, bool [R], optional
        The reflections whose trees are wanted; others are integrated by themselves.

    Returns
    -------
    TreePosterior
        Means to less than a hundredth of a standard deviation and those to less than one per cent; to a few where the
        noise has heavy tails and an amplitude few observations, and of the difference of two that r = 0.99999 ties.

    Raises
    ------
    ReflectionDataError
        If the reflections are not those of the model.
    """
    joint = log_joint(model, reflections)
    own = posteriors_on_grid(joint)
    number = joint.number
    missing = np.full(number, np.nan)
    found = TreePosterior(*own[:4], np.zeros(number), missing, missing.copy(), own.log_evidence)
    if not correlated(model.prior):
        return found
    forest = Forest.of(model.prior, _correlation_of(model.prior, correlation))
    if only is not None:
        forest = forest.some(forest.any_of_tree(only[forest.ids]))
    shared_errors = model.likelihood.shared_errors if shared_errors is None else shared_errors
    pairs = Pairs.of(joint, reflections, model.prior.parents, own.F, shared_errors) if shared_errors else None
    for block in forest.parts(BLOCK):
        part = forest.some(_in(block, len(forest)))
        moments = _solve(joint, part, own.F[part.ids] / part.scale, own.SIGF[part.ids] / part.scale, pairs)
        _assign(found, part, moments)
    return found


def correlated(prior):
    """Whether a prior ties any reflections together."""
    return prior.parents is not None and bool(np.any(np.asarray(prior.parents) >= 0))


def _correlation_of(prior, correlation):
    from vimerge.priors.multivariate_wilson import make_correlation

    if correlation is None:
        return prior.correlation
    correlation = make_correlation(correlation)
    correlation.bind(prior.asu)
    return correlation


def _in(chosen, number):
    mask = np.zeros(number, bool)
    mask[chosen] = True
    return mask


def _solve(joint, forest, mean, sd, pairs=None):
    """Moments of a block of trees, on ranges that close in on the mass; `mean` and `sd` are of each by itself."""
    moments = Moments(*np.zeros((len(Moments._fields), len(forest))))
    low, high, hard = _first_ranges(forest, mean, sd)
    pending = np.ones(len(forest), bool)
    for number in range(MOST_PASSES):
        hard |= pending & (number >= EASY_PASSES)
        rough = np.zeros(len(forest), bool)
        for kind, centric in ((k, c) for k in (0, 1) for c in (False, True)):
            chosen = pending & (hard == kind) & (forest.centric == centric)
            if chosen.any():
                part = forest.some(chosen)
                now, rough[chosen] = _integrate(joint, part, low[chosen], high[chosen], STEPS[kind], NODES[kind], pairs)
                for values, value in zip(moments, now, strict=True):
                    values[chosen] = value
        step = (high - low) / (np.array(STEPS)[hard.astype(int)] - 1)
        too_rough = forest.any_of_tree(rough & ~hard)
        pending = forest.any_of_tree(pending & (too_rough | _unsettled(moments, low, high, step)))
        if not pending.any():
            break
        hard |= too_rough
        low[pending], high[pending] = (limit[pending] for limit in _next_ranges(moments, low, high, step))
    return moments


def _first_ranges(forest, mean, sd):
    """Ranges from normal approximations, and where these are not to be trusted."""
    shifted, narrowed = forest.normal_approximation(mean, sd)
    low, high = shifted - WIDE * narrowed, shifted + WIDE * narrowed
    hard = forest.any_of_tree(np.abs(shifted - mean) > CONTRADICTED * sd)
    low = np.where(hard, np.minimum(low, mean - WIDE * sd), low)
    high = np.where(hard, np.maximum(high, mean + WIDE * sd), high)
    return np.maximum(low, 0.0), high, hard


def _unsettled(moments, low, high, step):
    """Where a range is too coarse or does not hold the posterior."""
    mean, sd = moments.E, np.sqrt(moments.variance)
    cut = (mean - low < LEAST_WIDE * sd) & (low > 0.0) | (high - mean < LEAST_WIDE * sd)
    return cut | (step > COARSEST * sd)


def _next_ranges(moments, low, high, step):
    # A posterior narrower than a step may be anywhere in it.
    mean, sd = moments.E, np.maximum(np.sqrt(moments.variance), 0.4 * step)
    # What is cut off may be far away.
    below = np.where((mean - low < LEAST_WIDE * sd) & (low > 0.0), np.maximum(WIDE * sd, high - low), WIDE * sd)
    above = np.where(high - mean < LEAST_WIDE * sd, np.maximum(WIDE * sd, high - low), WIDE * sd)
    return np.maximum(mean - below, 0.0), mean + above


def _integrate(joint, forest, low, high, steps, nodes, pairs=None):
    """Moments of some trees of one kind, and which log-likelihoods bend too much for such steps."""
    f = OnRange.steps(low, high, steps) * forest.scale[:, np.newaxis]
    values = joint.log_likelihood(f.T, forest.ids).T
    finite = np.isfinite(values)
    if not finite.all():
        # Outside its support a likelihood has no density.
        values = np.where(finite, values, np.min(values, axis=1, where=finite, initial=0.0, keepdims=True))
    shared = None if pairs is None else pairs.on(joint, forest, f)
    if shared is not None:
        shared.add_own(values, forest.parent)
    near = values[:, 1:-1] > values.max(axis=1, keepdims=True) - DEEPEST
    rough = np.any(near & (np.diff(values, 2, axis=1) < -ROUGHEST), axis=1)
    parts = []
    for part in forest.parts(2 * ROWS):
        chosen = _in(part, len(forest))
        few = forest.some(chosen), low[part], high[part], values[part], nodes
        parts.append(integrate(*few, None if shared is None else shared.some(chosen)))
    return [np.concatenate(column) for column in zip(*parts, strict=True)], rough


def _assign(found, forest, moments):
    ids, scale = forest.ids, forest.scale
    found.F[ids], found.SIGF[ids] = scale * moments.E, scale * np.sqrt(moments.variance)
    found.I[ids], found.SIGI[ids] = scale**2 * moments.E2, scale**2 * np.sqrt(moments.variance2)
    found.log_evidence[ids] = moments.log_evidence
    child = forest.parent >= 0
    ids, of_parent = ids[child], scale[forest.parent[child]]
    found.covariance[ids] = scale[child] * of_parent * moments.covariance[child]
    found.dF[ids] = moments.difference[child]
    found.SIGdF[ids] = np.sqrt(moments.difference_variance[child])
