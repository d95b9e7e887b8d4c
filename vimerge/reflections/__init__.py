"""What was measured: unmerged observations, read, checked and numbered. No TensorFlow here."""

from vimerge.reflections.asu import ReciprocalASU
from vimerge.reflections.errors import (
    AmbiguousColumnError,
    MergedDataError,
    MissingColumnError,
    NoObservationsError,
    OptionError,
    ReflectionDataError,
    SymmetryError,
    UncertaintyError,
    UnreadableFileError,
)
from vimerge.reflections.partials import sum_partials
from vimerge.reflections.reference import reference_amplitudes
from vimerge.reflections.splits import half_datasets, holdout
from vimerge.reflections.table import Reflections

__all__ = [
    "AmbiguousColumnError",
    "MergedDataError",
    "MissingColumnError",
    "NoObservationsError",
    "OptionError",
    "ReciprocalASU",
    "ReflectionDataError",
    "Reflections",
    "SymmetryError",
    "UncertaintyError",
    "UnreadableFileError",
    "half_datasets",
    "holdout",
    "reference_amplitudes",
    "sum_partials",
]
