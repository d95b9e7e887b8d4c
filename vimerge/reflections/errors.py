"""What can be wrong with a set of observations, each a `ValueError` whose one sentence names the fix."""

__all__ = [
    "AmbiguousColumnError",
    "MergedDataError",
    "MissingColumnError",
    "NoObservationsError",
    "OptionError",
    "ReflectionDataError",
    "SymmetryError",
    "UncertaintyError",
    "UnreadableFileError",
]


class ReflectionDataError(ValueError):
    """Reflection data that cannot be used as they are."""


class UnreadableFileError(ReflectionDataError):
    """A file that is missing, truncated or of no format that vimerge reads."""


class MergedDataError(ReflectionDataError):
    """A file of merged reflections where unmerged observations are needed."""


class MissingColumnError(ReflectionDataError):
    """A column that was asked for, or is needed, is not in the file."""


class AmbiguousColumnError(ReflectionDataError):
    """Several columns could be the one that is needed, and choosing one would be a guess."""


class SymmetryError(ReflectionDataError):
    """No space group or cell, an unknown one, or ones that contradict each other."""


class UncertaintyError(ReflectionDataError):
    """Most of the intensities or their standard deviations are not usable numbers."""


class NoObservationsError(ReflectionDataError):
    """No observation is left after the cuts."""


class OptionError(ReflectionDataError):
    """An option with a value that makes no sense, such as a negative resolution."""
