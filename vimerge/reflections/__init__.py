"""What was measured: unmerged observations, read, checked and numbered. No TensorFlow here."""

from vimerge.reflections.asu import ReciprocalASU
from vimerge.reflections.datasets import read_datasets
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
from vimerge.reflections.harmonics import Harmonics
from vimerge.reflections.joined import JoinedASU
from vimerge.reflections.partials import sum_partials
from vimerge.reflections.reference import reference_amplitudes
from vimerge.reflections.reindexing import reindex
from vimerge.reflections.relations import dataset_parents, friedel_parents, related
from vimerge.reflections.splits import half_datasets, holdout
from vimerge.reflections.table import Reflections

__all__ = [
    "AmbiguousColumnError",
    "Harmonics",
    "JoinedASU",
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
    "dataset_parents",
    "friedel_parents",
    "half_datasets",
    "holdout",
    "read_datasets",
    "reference_amplitudes",
    "reindex",
    "related",
    "sum_partials",
]
