"""Conformance checks for anyone's surrogate, prior, scaling model, likelihood or error model.

Each `check_…` takes an instance, or a factory such as the class, runs every check of its family on a small data set of
its own, and raises a `ConformanceError` that says in a sentence what is wrong. With `report=True` it returns a table.
"""

from vimerge.testing.data import reflections
from vimerge.testing.error_models import check_error_model
from vimerge.testing.errors import ConformanceError
from vimerge.testing.likelihoods import check_likelihood
from vimerge.testing.priors import check_prior
from vimerge.testing.scaling import check_scaling
from vimerge.testing.surrogates import check_surrogate

__all__ = [
    "ConformanceError",
    "check_error_model",
    "check_likelihood",
    "check_prior",
    "check_scaling",
    "check_surrogate",
    "reflections",
]
