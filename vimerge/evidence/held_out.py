"""Which correlation the data want: held-out observations and the evidence under several."""

import numpy as np
import pandas as pd

from vimerge.evidence.predictive import log_predictive
from vimerge.merging.results import predict
from vimerge.merging.trees import correlated, posterior_of_trees
from vimerge.reflections.errors import OptionError
from vimerge.statistics.correlation import pearson, spearman, weighted_pearson


def held_out(model, train, test, correlations, samples=1000, seed=0):
    """Judge correlations of the prior by observations that the model was not trained on.

    The scaling model is the same for all of them, for it is trained with the marginal prior, in which r has no part.
    For each, the amplitudes are integrated anew from the training set and predict the observations that were held out.
    The model is left as it was.

    Parameters
    ----------
    model : VariationalMergingModel
        Trained on `train` with a prior that correlates reflections.
    train, test : Reflections
        Observations of the model's ASU.
    correlations : sequence of float, or dict of floats, arrays [R] or Correlations by label
        What to take in place of the prior's; None in a dict is the prior's.
    samples, seed
        See `log_predictive`.

    Returns
    -------
    pandas.DataFrame
        A row for each, indexed by `correlation`. `log_predictive`: mean log predictive density of an observation, in
        nats; `log_predictive_se`: the standard error of its difference from the best row's, observation by
        observation, and zero for the best; `pearson`, `weighted` (by 1/SIGIobs²) and `spearman`: CCpred, the
        correlation of observed and predicted intensities; the same five of those whose reflection has a parent, with
        `_children`; and `log_evidence` of the training set, in nats, the sum over its observations. The higher the
        better, but for the errors; the evidence, which needs no observations held out, is the most sensitive.

    Raises
    ------
    OptionError
        If the prior correlates nothing, or nothing was held out.
    """
    if not correlated(model.prior):
        raise OptionError("The prior correlates no reflections; merge with --correlate, or priors.MultivariateWilson.")
    if not len(test):
        raise OptionError("No observations were held out; leave some with --test-fraction.")
    if not isinstance(correlations, dict):
        correlations = {float(r): float(r) for r in correlations}
    of_child = np.asarray(model.prior.parents)[test.refl_id[test.principal]] >= 0
    chosen = {"": slice(None), "_children": of_child}
    trained = model.surrogate.get_weights()
    rows, densities = {}, []
    try:
        for label, correlation in correlations.items():
            posterior = posterior_of_trees(model, train, correlation)
            over_amplitude = model.surrogate.over == "amplitude"
            moments = posterior[:2] if over_amplitude else posterior[2:4]
            model.surrogate.assign_moments(*moments)
            log_density = log_predictive(model, test, samples, seed)
            ipred = predict(model, test)["Ipred"]
            rows[label] = {}
            for suffix, some in chosen.items():
                rows[label] |= _agreement(test, log_density, ipred, some, suffix)
            rows[label]["log_evidence"] = posterior.total
            densities.append(log_density)
    finally:
        model.surrogate.set_weights(trained)
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("correlation")
    for suffix, some in chosen.items():
        place = table.columns.get_loc(f"log_predictive{suffix}") + 1
        table.insert(place, f"log_predictive_se{suffix}", _errors(np.stack(densities)[:, some]))
    return table


def _errors(log_density):
    """Standard errors of the means of rows [K, M] less the highest of them, paired; [K]."""
    if log_density.shape[1] < 2:
        return np.full(len(log_density), np.nan)
    with np.errstate(invalid="ignore"):  # An impossible observation is infinitely far from a possible one.
        less = log_density - log_density[log_density.mean(axis=1).argmax()]
        return less.std(axis=1, ddof=1) / np.sqrt(less.shape[1])


def _agreement(test, log_density, ipred, chosen, suffix):
    log_density = log_density[chosen]
    if not len(log_density):
        return {f"{name}{suffix}": np.nan for name in ("log_predictive", "pearson", "weighted", "spearman")}
    iobs, sigma, ipred = (np.asarray(x, np.float64)[chosen] for x in (test.iobs, test.sigiobs, ipred))
    return {
        f"log_predictive{suffix}": log_density.mean(),
        f"pearson{suffix}": pearson(iobs, ipred),
        f"weighted{suffix}": weighted_pearson(iobs, ipred, sigma**-2.0),
        f"spearman{suffix}": spearman(iobs, ipred),
    }
