"""Priors p(F) of the structure factors."""

from vimerge.priors.base import Prior
from vimerge.priors.wilson import Wilson

__all__ = ["Prior", "Wilson"]
