"""Statistics of merged and unmerged data."""

from vimerge.statistics.calibration import coverage, rank_uniformity
from vimerge.statistics.completeness import completeness
from vimerge.statistics.correlation import pearson, spearman, weighted_pearson
from vimerge.statistics.half_datasets import half_dataset_correlations
from vimerge.statistics.prediction import prediction_correlations
from vimerge.statistics.shells import Shells, resolution

__all__ = [
    "Shells",
    "completeness",
    "coverage",
    "half_dataset_correlations",
    "pearson",
    "prediction_correlations",
    "rank_uniformity",
    "resolution",
    "spearman",
    "weighted_pearson",
]
