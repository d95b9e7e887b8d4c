"""Surrogate posteriors q(F): Keras layers that own the variational parameters."""

from vimerge.surrogates.base import Surrogate
from vimerge.surrogates.delta import Delta
from vimerge.surrogates.folded_normal import FoldedNormal
from vimerge.surrogates.french_wilson import FrenchWilson
from vimerge.surrogates.gamma import Gamma
from vimerge.surrogates.log_normal import LogNormal
from vimerge.surrogates.rice_woolfson import RiceWoolfson
from vimerge.surrogates.truncated_normal import TruncatedNormal
from vimerge.surrogates.weibull import Weibull

__all__ = [
    "Delta",
    "FoldedNormal",
    "FrenchWilson",
    "Gamma",
    "LogNormal",
    "RiceWoolfson",
    "Surrogate",
    "TruncatedNormal",
    "Weibull",
]
