"""Priors p(F) of the structure factors."""

from vimerge.priors.b_factor import AnisotropicFallOff, IsotropicFallOff
from vimerge.priors.base import Prior
from vimerge.priors.chosen_correlation import ChosenCorrelation
from vimerge.priors.correlation import Correlation, GivenCorrelation
from vimerge.priors.correlation_by_resolution import CorrelationByResolution
from vimerge.priors.falloff import FallOff, FlatFallOff, GivenFallOff
from vimerge.priors.multivariate_wilson import MultivariateWilson
from vimerge.priors.reference import Reference
from vimerge.priors.sigma_a import SigmaA
from vimerge.priors.smooth import SmoothFallOff
from vimerge.priors.tncs import tncs_modulation
from vimerge.priors.wilson import Wilson

__all__ = [
    "AnisotropicFallOff",
    "ChosenCorrelation",
    "Correlation",
    "CorrelationByResolution",
    "FallOff",
    "FlatFallOff",
    "GivenCorrelation",
    "GivenFallOff",
    "IsotropicFallOff",
    "MultivariateWilson",
    "Prior",
    "Reference",
    "SigmaA",
    "SmoothFallOff",
    "Wilson",
    "tncs_modulation",
]
