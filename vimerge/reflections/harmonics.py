"""Laue diffraction: all the orders of the same planes that lie on one spot."""

from dataclasses import dataclass

import numpy as np

from vimerge.reflections.errors import ReflectionDataError

__all__ = ["Harmonics", "harmonics_within", "has_harmonics", "orders"]

# Limits are inclusive, whatever the rounding of single-precision columns and of the cell.
_SLACK = 1e-6


@dataclass(frozen=True, eq=False, repr=False)
class Harmonics:
    """
    Which predictions (N) the observations (M) of polychromatic data are sums of.

    The harmonics of an observation follow each other, in increasing order; every observation has one at least.

    Parameters
    ----------
    harmonic_id : np.ndarray
        ``[N]`` int32: the observation that each prediction is part of, 0, 0, 1 …
    order : np.ndarray
        ``[N]`` int32: the order n of the harmonic n h₁, where h₁ is without common divisor.
    principal : np.ndarray
        ``[M]`` int32: the prediction that stands for each observation: of the index in the file or, where that one is
        outside the limits or absent, of the lowest order.
    absent : int
        Number of harmonics that were left out as systematically absent when the data were read.
    """

    harmonic_id: np.ndarray
    order: np.ndarray
    principal: np.ndarray
    absent: int = 0

    def __post_init__(self):
        for name in ("harmonic_id", "order", "principal"):
            value = np.asarray(getattr(self, name), np.int32).view()
            value.flags.writeable = False
            object.__setattr__(self, name, value)
        n, m = len(self.harmonic_id), len(self.principal)
        in_turn = np.diff(self.harmonic_id, prepend=-1, append=m)
        if len(self.order) != n or np.any((in_turn < 0) | (in_turn > 1)) or in_turn[-1] != 1:
            raise ReflectionDataError("The harmonic_id must count the observations: 0, 0, 1 … with each at least once.")
        if not np.array_equal(self.harmonic_id[np.clip(self.principal, 0, n - 1)], np.arange(m)):
            raise ReflectionDataError("The principal of an observation must be one of its own predictions.")

    @property
    def counts(self):
        """Number of harmonics of each observation, ``[M]`` int64."""
        return np.bincount(self.harmonic_id, minlength=len(self.principal))

    def take(self, rows):
        """
        Select observations, with all their harmonics.

        Parameters
        ----------
        rows : np.ndarray
            ``[m]`` numbers of observations, in any order.

        Returns
        -------
        predictions : np.ndarray
            ``[n]``: the rows of N that belong to them.
        harmonics : Harmonics
            Of the selection, numbered anew.
        """
        counts = self.counts
        number, first = counts[rows], (np.cumsum(counts) - counts)[rows]
        start = np.cumsum(number) - number
        predictions = np.repeat(first - start, number) + np.arange(number.sum())
        harmonic_id = np.repeat(np.arange(len(rows)), number)
        principal = self.principal[rows] - first + start
        return predictions, Harmonics(harmonic_id, self.order[predictions], principal, self.absent)


def orders(hkl):
    """Order n of each Miller index n h₁, its greatest common divisor, ``[M]``; 0 for 0 0 0."""
    return np.gcd.reduce(np.abs(np.asarray(hkl)), axis=1)


def _range_of_orders(order, wavelength, d, wavelength_range, dmin):
    """The least and the highest order m of h₁ with λ_min ≤ nλ/m ≤ λ_max and nd/m ≥ d_min, limits included."""
    low, high = wavelength_range
    first, spacing = order * np.asarray(wavelength, dtype=np.float64), order * np.asarray(d, dtype=np.float64)
    least = np.maximum(np.ceil(first / high * (1 - _SLACK)), 1)
    most = np.minimum(np.floor(first / low * (1 + _SLACK)), np.floor(spacing / dmin * (1 + _SLACK)))
    return least, most


def harmonics_within(hkl, wavelength, d, wavelength_range, dmin):
    """
    Find all the harmonics that can be on the spots of a polychromatic beam.

    The index h = n h₁, with n the greatest common divisor, was observed at λ; order m of h₁ diffracts in the same
    direction at n λ / m, with a spacing of n d / m. It is there if the beam has that wavelength, and the crystal
    diffracts to that resolution.

    Parameters
    ----------
    hkl : np.ndarray
        ``[M, 3]`` observed Miller indices, not 0 0 0.
    wavelength, d : np.ndarray
        ``[M]``, Å: for which the indices were given.
    wavelength_range : (float, float)
        Of the beam, Å; inclusive.
    dmin : float
        To which the crystal diffracts, Å; inclusive.

    Returns
    -------
    spot : np.ndarray
        ``[N]``: the observation of each harmonic, which follow each other; one may have none.
    order : np.ndarray
        ``[N]`` int32: its order m.
    wavelength : np.ndarray
        ``[N]`` float64: at which it diffracts, Å.
    """
    observed = orders(hkl)
    least, most = _range_of_orders(observed, wavelength, d, wavelength_range, dmin)
    number = np.maximum(most - least + 1, 0).astype(np.int64)
    spot = np.repeat(np.arange(len(observed)), number)
    start = np.cumsum(number) - number
    order = (least.astype(np.int64) - start)[spot] + np.arange(len(spot))
    wavelength, n = np.asarray(wavelength, dtype=np.float64)[spot], observed[spot]
    # The observed order's wavelength is the file's to the last bit.
    return spot, order.astype(np.int32), np.where(order == n, wavelength, n * wavelength / order)


def has_harmonics(hkl, wavelength, d, wavelength_range=None, dmin=None):
    """
    Find observations in which other orders of the same planes were recorded on the same spot.

    Parameters
    ----------
    hkl : np.ndarray
        ``[M, 3]`` Miller indices, not 0 0 0.
    wavelength, d : np.ndarray
        ``[M]``, Å.
    wavelength_range : (float, float), optional
        Of the beam, Å; that of the observations by default.
    dmin : float, optional
        To which the crystal diffracts, Å; the smallest d by default.

    Returns
    -------
    np.ndarray
        ``[M]`` bool.
    """
    limits = (wavelength.min(), wavelength.max()) if wavelength_range is None else wavelength_range
    order = orders(np.asarray(hkl, dtype=np.int64))
    least, most = _range_of_orders(order, wavelength, d, limits, d.min() if dmin is None else dmin)
    return np.maximum(most - least + 1, 0) - ((order >= least) & (order <= most)) > 0
