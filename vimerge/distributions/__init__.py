"""Distributions of amplitudes and intensities: what TFP lacks, with their moments and divergences."""

from .by_centricity import ByCentricity
from .folded_normal import FoldedNormal
from .gamma import Gamma
from .kl import has_analytic_kl, kl_divergence
from .moments import Moments, moments, power_moments, raw_moment
from .rice import Rice
from .squared import Squared
from .truncated_normal import TruncatedNormal
from .weibull import Weibull

__all__ = [
    "ByCentricity",
    "FoldedNormal",
    "Gamma",
    "Moments",
    "Rice",
    "Squared",
    "TruncatedNormal",
    "Weibull",
    "has_analytic_kl",
    "kl_divergence",
    "moments",
    "power_moments",
    "raw_moment",
]
