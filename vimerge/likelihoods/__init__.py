"""Likelihoods p(I | ΣF², σ): noise family × error model × harmonic sum."""

from vimerge.likelihoods.base import Likelihood
from vimerge.likelihoods.error_models import ErrorModel, Evans2011
from vimerge.likelihoods.noise import Normal, StudentT

__all__ = ["ErrorModel", "Evans2011", "Likelihood", "Normal", "StudentT"]
