"""The baseline: scale by least squares, merge by inverse variance, French & Wilson's amplitudes. No TensorFlow here."""

from vimerge.conventional.amplitudes import french_wilson
from vimerge.conventional.errors import ErrorModel
from vimerge.conventional.job import ConventionalJob, ConventionalResult
from vimerge.conventional.merging import merge_observations
from vimerge.conventional.model import ModelOptions
from vimerge.conventional.reading import read_for_scaling
from vimerge.conventional.scaling import Scaling, ScalingOptions, scale_reflections

__all__ = [
    "ConventionalJob",
    "ConventionalResult",
    "ErrorModel",
    "ModelOptions",
    "Scaling",
    "ScalingOptions",
    "french_wilson",
    "merge_observations",
    "read_for_scaling",
    "scale_reflections",
]
