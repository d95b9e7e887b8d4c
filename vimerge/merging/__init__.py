"""The ELBO, the model that trains it, and what comes out."""

from vimerge.merging import crossvalidation
from vimerge.merging.callbacks import NonFiniteGradientError, NonFiniteGuard
from vimerge.merging.model import ELBO, VariationalMergingModel
from vimerge.merging.seed import set_seed

__all__ = [
    "ELBO",
    "NonFiniteGradientError",
    "NonFiniteGuard",
    "VariationalMergingModel",
    "crossvalidation",
    "set_seed",
]
