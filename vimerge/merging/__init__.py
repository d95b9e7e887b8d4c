"""The ELBO, the model that trains it, and what comes out."""

# The recipe imports every family, so that Keras knows all their members when it loads a model.
from vimerge.merging import crossvalidation, recipe, results
from vimerge.merging.callbacks import ConditionSurrogate, NonFiniteGradientError, NonFiniteGuard, ProgressBar
from vimerge.merging.elbo import ELBO
from vimerge.merging.model import VariationalMergingModel
from vimerge.merging.seed import set_seed

__all__ = [
    "ELBO",
    "ConditionSurrogate",
    "NonFiniteGradientError",
    "NonFiniteGuard",
    "ProgressBar",
    "VariationalMergingModel",
    "crossvalidation",
    "recipe",
    "results",
    "set_seed",
]
