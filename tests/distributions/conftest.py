"""The members of the families' contract: every public distribution, with its counterpart in SciPy."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import scipy.stats

import vimerge.distributions as vd

# Location (or concentration) and scale (or rate) of a batch, from a broad member to a narrow one.
FIRST = np.array([0.5, 1.0, 2.5, 3.0, 8.0, 40.0])
SECOND = np.array([1.5, 0.7, 2.0, 0.3, 0.5, 3.0])


def _rice(a, b):
    return scipy.stats.rice(a / b, scale=b)


def _folded(a, b):
    return scipy.stats.foldnorm(a / b, scale=b)


def _square_of_rice(a, b):
    return scipy.stats.ncx2(2, (a / b) ** 2, scale=b**2)


def _gamma(a, b):
    return scipy.stats.gamma(a, scale=1 / b)


def _truncated(a, b):
    # SciPy's entropy does not take an infinite end.
    return scipy.stats.truncnorm(-a / b, 40.0, loc=a, scale=b)


def _weibull(a, b):
    return scipy.stats.weibull_min(a, scale=b)


def _by_centricity(a, b):
    centric = np.arange(np.shape(a)[-1]) % 2 == 0
    return vd.ByCentricity(centric, vd.FoldedNormal(a, b), vd.Rice(a, b))


class Mixed:
    """SciPy's methods, those of the folded normal at even positions and of Rice at odd ones."""

    def __init__(self, a, b):
        self.parts = _folded(a, b), _rice(a, b)
        self.centric = np.arange(np.shape(a)[-1]) % 2 == 0

    def __getattr__(self, name):
        return lambda *args: np.where(self.centric, *(getattr(p, name)(*args) for p in self.parts))


@dataclasses.dataclass
class Member:
    cls: type
    make: Callable
    reference: Callable

    def __call__(self, dtype=np.float64, first=FIRST, second=SECOND):
        return self.make(np.asarray(first, dtype), np.asarray(second, dtype))

    def scipy(self, first=FIRST, second=SECOND):
        return self.reference(first, second)


MEMBERS = [
    Member(vd.Rice, vd.Rice, _rice),
    Member(vd.FoldedNormal, vd.FoldedNormal, _folded),
    Member(vd.ByCentricity, _by_centricity, Mixed),
    Member(vd.Squared, lambda a, b: vd.Squared(vd.Rice(a, b)), _square_of_rice),
    Member(vd.Gamma, vd.Gamma, _gamma),
    Member(vd.TruncatedNormal, vd.TruncatedNormal, _truncated),
    Member(vd.Weibull, vd.Weibull, _weibull),
]


@pytest.fixture(params=MEMBERS, ids=lambda m: m.cls.__name__)
def member(request):
    return request.param


@pytest.fixture(params=[np.float32, np.float64], ids=["float32", "float64"])
def dtype(request):
    return request.param


@pytest.fixture
def members():
    return MEMBERS
