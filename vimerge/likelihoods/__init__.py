"""Likelihoods p(I | ΣF², σ): noise family × error model × harmonic sum."""

from vimerge.likelihoods.base import Likelihood
from vimerge.likelihoods.contaminated_normal import ContaminatedNormal
from vimerge.likelihoods.error_model import ErrorModel
from vimerge.likelihoods.evans import Evans2011
from vimerge.likelihoods.neural import Neural
from vimerge.likelihoods.noise import Laplace, Normal
from vimerge.likelihoods.per_group import PerGroup
from vimerge.likelihoods.student_t import StudentT
from vimerge.likelihoods.xds import XDS

__all__ = [
    "XDS",
    "ContaminatedNormal",
    "ErrorModel",
    "Evans2011",
    "Laplace",
    "Likelihood",
    "Neural",
    "Normal",
    "PerGroup",
    "StudentT",
]
