"""Scaling models q(Σ | metadata)."""

from vimerge.scaling.base import Scaling
from vimerge.scaling.mlp import MLP
from vimerge.scaling.posteriors import Delta, LogNormal, ScalePosterior

__all__ = ["MLP", "Delta", "LogNormal", "ScalePosterior", "Scaling"]
