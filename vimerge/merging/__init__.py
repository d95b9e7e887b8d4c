"""The ELBO, the model that trains it, and what comes out."""

# The recipe imports every family, so that Keras knows all their members when it loads a model.
from vimerge.merging import crossvalidation, recipe, results
from vimerge.merging.callbacks import ConditionSurrogate, NonFiniteGradientError, NonFiniteGuard, ProgressBar
from vimerge.merging.correlations import ChosenCorrelations, choose_correlations
from vimerge.merging.differences import anomalous_differences, differences
from vimerge.merging.elbo import ELBO
from vimerge.merging.error_correlation import choose_shared_errors
from vimerge.merging.model import VariationalMergingModel
from vimerge.merging.seed import set_seed
from vimerge.merging.trees import TreePosterior, posterior_of_trees

__all__ = [
    "ELBO",
    "ChosenCorrelations",
    "ConditionSurrogate",
    "NonFiniteGradientError",
    "NonFiniteGuard",
    "ProgressBar",
    "TreePosterior",
    "VariationalMergingModel",
    "anomalous_differences",
    "choose_correlations",
    "choose_shared_errors",
    "crossvalidation",
    "differences",
    "posterior_of_trees",
    "recipe",
    "results",
    "set_seed",
]
