"""Statistics of merged and unmerged data."""

from vimerge.statistics.atomic_models import read_model
from vimerge.statistics.calibration import coverage, rank_uniformity
from vimerge.statistics.completeness import completeness
from vimerge.statistics.correlation import cc_star, correlation_interval, pearson, spearman, weighted_pearson
from vimerge.statistics.deviations import (
    deviation_quantiles,
    deviation_summary,
    normalised_deviations,
    sigma_calibration,
)
from vimerge.statistics.difference_coefficients import difference_coefficients
from vimerge.statistics.difference_maps import DifferenceMap, Surroundings
from vimerge.statistics.difference_tables import difference_table, read_amplitudes
from vimerge.statistics.difference_weights import q_weights, shrinkage_weights
from vimerge.statistics.half_datasets import half_dataset_correlations
from vimerge.statistics.inputs import ResultTables, read_results, read_source
from vimerge.statistics.limits import ResolutionEstimate, resolution_estimate
from vimerge.statistics.phases import phases
from vimerge.statistics.prediction import prediction_correlations
from vimerge.statistics.relative_scale import scale_together
from vimerge.statistics.shells import Shells, resolution
from vimerge.statistics.table_one import common_shells, merging_table, overall_numbers, shells_table, table_one
from vimerge.statistics.twinning import Twinning, expected_abs_l, twin_fraction, twinning
from vimerge.statistics.unmerged import merge_random_halves, merge_scaled, merging_r_factors, scaled_observations
from vimerge.statistics.wilson import WilsonB, wilson_b, wilson_plot

__all__ = [
    "DifferenceMap",
    "ResolutionEstimate",
    "ResultTables",
    "Shells",
    "Surroundings",
    "Twinning",
    "WilsonB",
    "cc_star",
    "common_shells",
    "completeness",
    "correlation_interval",
    "coverage",
    "deviation_quantiles",
    "deviation_summary",
    "difference_coefficients",
    "difference_table",
    "expected_abs_l",
    "half_dataset_correlations",
    "merge_random_halves",
    "merge_scaled",
    "merging_r_factors",
    "merging_table",
    "normalised_deviations",
    "overall_numbers",
    "pearson",
    "phases",
    "prediction_correlations",
    "q_weights",
    "rank_uniformity",
    "read_amplitudes",
    "read_model",
    "read_results",
    "read_source",
    "resolution",
    "resolution_estimate",
    "scale_together",
    "scaled_observations",
    "shells_table",
    "shrinkage_weights",
    "sigma_calibration",
    "spearman",
    "table_one",
    "twin_fraction",
    "twinning",
    "weighted_pearson",
    "wilson_b",
    "wilson_plot",
]
