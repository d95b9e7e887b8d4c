"""The ELBO, the model that trains it, and what comes out."""

from vimerge.merging import crossvalidation, results
from vimerge.merging.callbacks import ConditionSurrogate, NonFiniteGradientError, NonFiniteGuard, ProgressBar
from vimerge.merging.model import ELBO, VariationalMergingModel
from vimerge.merging.seed import set_seed

__all__ = [
    "ELBO",
    "ConditionSurrogate",
    "NonFiniteGradientError",
    "NonFiniteGuard",
    "ProgressBar",
    "VariationalMergingModel",
    "crossvalidation",
    "results",
    "set_seed",
]
