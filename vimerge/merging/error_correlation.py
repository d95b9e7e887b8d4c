"""Which correlation of shared errors the data want: that of most evidence."""

import logging

import numpy as np
from scipy.optimize import minimize_scalar

from vimerge.likelihoods.base import MOST_SHARED
from vimerge.merging.shared_errors import paired_observations
from vimerge.merging.start import single_harmonics
from vimerge.merging.trees import correlated, posterior_of_trees
from vimerge.priors.forest import roots

log = logging.getLogger("vimerge")

MOST_PAIRS = 10_000  # of observations, whose evidence knows the correlation to about 0.02
FEWEST_PAIRS = 50
PRECISION = 0.02
PRIOR_CORRELATION = 0.99  # of structure factors that have theirs still to be chosen
LEAST_EVIDENCE = 3.0  # in nats, over no correlation


def choose_shared_errors(model, reflections, correlation=None, seed=0):
    """Find the correlation of most evidence for the systematic errors that related data sets share.

    Given the mean scales and the correlation of the amplitudes, the evidence of the observations follows by quadrature.
    Of many observations a random part of the trees is taken.

    Parameters
    ----------
    model : VariationalMergingModel
        Its scales trained, with a prior that correlates data sets. It is left as it was.
    reflections : Reflections
        What it was trained on.
    correlation : Correlation, float or array [R], optional
        What to take in place of the prior's correlation of amplitudes.
    seed : int
        For the choice of trees.

    Returns
    -------
    float
        From 0 to 0.99; 0 if there are fewer than 50 pairs of observations (`shared_errors.paired_observations`), or
        less than three nats to be gained.
    """
    if not correlated(model.prior) or model.likelihood.error_model is None:
        return 0.0
    reflections = single_harmonics(reflections)
    children = reflections.refl_id[paired_observations(reflections, model.prior.parents)[0]]
    if len(children) < FEWEST_PAIRS:
        return 0.0
    root = roots(np.asarray(model.prior.parents))
    only = np.isin(root, _some_of(root[children], seed))
    reflections = reflections[only[reflections.refl_id]]

    def loss(shared):
        return -posterior_of_trees(model, reflections, correlation, shared, only).log_evidence[only].sum()

    found = minimize_scalar(loss, bounds=(0.0, MOST_SHARED), method="bounded", options={"xatol": PRECISION})
    return float(found.x) if found.fun < loss(0.0) - LEAST_EVIDENCE else 0.0


def _some_of(root_of_pairs, seed):
    """Roots of random trees with about `MOST_PAIRS` pairs, given the root of each pair."""
    unique, number = np.unique(root_of_pairs, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(unique))
    return unique[order[np.cumsum(number[order]) <= max(MOST_PAIRS, number[order[0]])]]


def settle_shared_errors(model, reflections):
    """Choose what the likelihood leaves open, if it does, and log it.

    Parameters
    ----------
    model, reflections
        See `choose_shared_errors`.
    """
    likelihood = model.likelihood
    if likelihood.shared_errors is not None:
        return
    correlation = model.prior.correlation if correlated(model.prior) else None
    still_open = getattr(correlation, "open", np.zeros(1, bool)).any()
    likelihood.shared_errors = choose_shared_errors(model, reflections, PRIOR_CORRELATION if still_open else None)
    if likelihood.shared_errors:
        log.info("data sets share systematic errors, with a correlation of %.2f", likelihood.shared_errors)
