"""vimerge: scaling and merging of diffraction data in one variational inference.

The public names are loaded when they are first used: `import vimerge` does not import TensorFlow.
"""

import importlib

_MODULES = (
    "conventional",
    "distributions",
    "evidence",
    "likelihoods",
    "merging",
    "priors",
    "reflections",
    "report",
    "scaling",
    "simulation",
    "statistics",
    "surrogates",
    "testing",
)
_NAMES = {
    "ReciprocalASU": "vimerge.reflections",
    "Reflections": "vimerge.reflections",
    "VariationalMergingModel": "vimerge.merging",
    "crossvalidation": "vimerge.merging",
    "set_seed": "vimerge.merging",
}

__all__ = ["ReciprocalASU", "Reflections", "VariationalMergingModel", "crossvalidation", "set_seed", *_MODULES]


def __getattr__(name):
    if name == "__version__":
        from importlib.metadata import version

        return version("vimerge")
    if name in _MODULES:
        return importlib.import_module(f"vimerge.{name}")
    if name in _NAMES:
        return getattr(importlib.import_module(_NAMES[name]), name)
    raise AttributeError(f"module 'vimerge' has no attribute {name!r}")


def __dir__():
    return sorted([*__all__, "__version__"])
