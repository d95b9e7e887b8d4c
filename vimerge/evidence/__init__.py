"""log p(I): the evidence behind a trained model, and how far its posteriors are from exact."""

from vimerge.evidence.correction import Corrected, corrected_moments
from vimerge.evidence.exact import Exact, exact
from vimerge.evidence.held_out import held_out
from vimerge.evidence.inference_data import to_inference_data
from vimerge.evidence.monte_carlo import Estimate, elbo, importance, naive
from vimerge.evidence.pairs import Pairs, pairs
from vimerge.evidence.pareto import Smoothed, psis
from vimerge.evidence.predictive import log_predictive

__all__ = [
    "Corrected",
    "Estimate",
    "Exact",
    "Pairs",
    "Smoothed",
    "corrected_moments",
    "elbo",
    "exact",
    "held_out",
    "importance",
    "log_predictive",
    "naive",
    "pairs",
    "psis",
    "to_inference_data",
]
