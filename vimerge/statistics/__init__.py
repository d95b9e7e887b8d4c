"""Statistics of merged and unmerged data."""

from vimerge.statistics.calibration import coverage, rank_uniformity
from vimerge.statistics.completeness import completeness
from vimerge.statistics.correlation import cc_star, correlation_interval, pearson, spearman, weighted_pearson
from vimerge.statistics.deviations import (
    deviation_quantiles,
    deviation_summary,
    normalised_deviations,
    sigma_calibration,
)
from vimerge.statistics.half_datasets import half_dataset_correlations
from vimerge.statistics.inputs import ResultTables, read_results, read_source
from vimerge.statistics.limits import ResolutionEstimate, resolution_estimate
from vimerge.statistics.prediction import prediction_correlations
from vimerge.statistics.shells import Shells, resolution
from vimerge.statistics.table_one import common_shells, merging_table, overall_numbers, shells_table, table_one
from vimerge.statistics.twinning import Twinning, expected_abs_l, twin_fraction, twinning
from vimerge.statistics.unmerged import merge_random_halves, merge_scaled, merging_r_factors, scaled_observations
from vimerge.statistics.wilson import WilsonB, wilson_b, wilson_plot

__all__ = [
    "ResolutionEstimate",
    "ResultTables",
    "Shells",
    "Twinning",
    "WilsonB",
    "cc_star",
    "common_shells",
    "completeness",
    "correlation_interval",
    "coverage",
    "deviation_quantiles",
    "deviation_summary",
    "expected_abs_l",
    "half_dataset_correlations",
    "merge_random_halves",
    "merge_scaled",
    "merging_r_factors",
    "merging_table",
    "normalised_deviations",
    "overall_numbers",
    "pearson",
    "prediction_correlations",
    "rank_uniformity",
    "read_results",
    "read_source",
    "resolution",
    "resolution_estimate",
    "scaled_observations",
    "shells_table",
    "sigma_calibration",
    "spearman",
    "table_one",
    "twin_fraction",
    "twinning",
    "weighted_pearson",
    "wilson_b",
    "wilson_plot",
]
