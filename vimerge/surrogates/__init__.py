"""Surrogate posteriors q(F): Keras layers that own the variational parameters."""

from vimerge.surrogates.base import Surrogate
from vimerge.surrogates.folded_normal import FoldedNormal
from vimerge.surrogates.gamma import Gamma
from vimerge.surrogates.rice_woolfson import RiceWoolfson

__all__ = ["FoldedNormal", "Gamma", "RiceWoolfson", "Surrogate"]
