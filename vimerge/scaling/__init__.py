"""Scaling models q(Σ | metadata)."""

from vimerge.scaling.absorption import Absorption
from vimerge.scaling.base import Scaling
from vimerge.scaling.detector import Detector
from vimerge.scaling.image_layers import ImageLayers
from vimerge.scaling.image_scale import ImageScale
from vimerge.scaling.linear import Linear
from vimerge.scaling.mlp import MLP
from vimerge.scaling.physical_model import physical
from vimerge.scaling.posteriors import Delta, FoldedNormal, Gamma, LogNormal, ScalePosterior
from vimerge.scaling.smooth import Smooth
from vimerge.scaling.sum import Sum

__all__ = [
    "MLP",
    "Absorption",
    "Delta",
    "Detector",
    "FoldedNormal",
    "Gamma",
    "ImageLayers",
    "ImageScale",
    "Linear",
    "LogNormal",
    "ScalePosterior",
    "Scaling",
    "Smooth",
    "Sum",
    "physical",
]
