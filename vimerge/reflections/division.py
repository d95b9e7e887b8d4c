"""How the observations are divided among batches: where an epoch's order is cut, and how large batches can become."""

import math
from dataclasses import dataclass

import numpy as np

__all__ = ["Division", "divide"]

# Batches of polychromatic data exceed their mean number of further harmonics by so many standard deviations about
# once in a million times; the order is then drawn again.
_DEVIATIONS = 5.0
_MULTIPLE = 64


@dataclass(frozen=True, eq=False)
class Division:
    """
    Groups of observations, to be shuffled and cut into batches.

    Parameters
    ----------
    sizes : np.ndarray or None
        ``[G]`` observations of each group; None if each is one.
    extras : np.ndarray or None
        ``[G]`` how many more predictions than observations a group has; None for monochromatic data.
    n_batches : int
        Number of batches of an epoch.
    cuts : np.ndarray
        ``[n_batches + 1]``: the groups at which the order is cut or, if `by_size`, the observations.
    by_size : bool
        Whether the order is cut where the number of observations, not of groups, has reached so many.
    observations, further : int or None
        What no batch exceeds: its number of observations, and of predictions beyond one for each; None if batches are
        of any size.
    """

    sizes: np.ndarray | None
    extras: np.ndarray | None
    n_batches: int
    cuts: np.ndarray
    by_size: bool = False
    observations: int | None = None
    further: int | None = None


def divide(sizes, extras, count, batch_size, static, shuffle):
    """
    Plan the division of observations into batches.

    Parameters
    ----------
    sizes : np.ndarray or None
        ``[G]`` observations of each group; None if each is one.
    extras : np.ndarray or None
        ``[G]`` predictions of each group less its observations; None for monochromatic data.
    count : int
        Number of observations.
    batch_size : int or None
        Observations in a batch, at most or on average; None for all in one.
    static : bool
        Whether all batches of all epochs will be filled up to a common size.
    shuffle : bool
        Whether the groups will be in any order.

    Returns
    -------
    Division
    """
    n_groups = count if sizes is None else len(sizes)
    n_batches = 1 if batch_size is None else min(math.ceil(count / batch_size), n_groups)
    by_number = np.arange(n_batches + 1) * n_groups // n_batches
    if not static or n_batches == 1:
        return Division(sizes, extras, n_batches, by_number)
    # Cut by size, batches differ by less than a group, and none is empty if no group is larger than a batch.
    by_size = sizes is not None and sizes.max() <= count // n_batches
    cuts = np.arange(n_batches + 1) * count // n_batches if by_size else by_number
    groups = np.searchsorted(np.cumsum(sizes), cuts, side="right") if by_size else by_number
    ones = np.ones(n_groups, dtype=np.int64) if sizes is None else sizes
    if not shuffle:
        observations = np.add.reduceat(ones, groups[:-1]).max()
    elif by_size:
        observations = math.ceil(count / n_batches) + sizes.max() - 1
    else:
        observations = np.sort(ones)[-np.diff(by_number).max() :].sum()
    if sizes is not None:
        observations = min(_rounded(observations), count)
    further = None
    if extras is not None:
        most = _likely_most(ones, extras, observations) if shuffle else np.add.reduceat(extras, groups[:-1]).max()
        further = _rounded(most)
        # A batch that is short of predictions needs an observation that they can belong to.
        observations += 1
    return Division(sizes, extras, n_batches, cuts, by_size, int(observations), further)


def _rounded(number):
    return int(-(-number // _MULTIPLE) * _MULTIPLE)


def _likely_most(sizes, extras, observations):
    """The most extras of as many random groups as there are in so many observations."""
    rate = extras.sum() / sizes.sum()
    deviation = extras - rate * sizes
    groups = observations / sizes.mean()
    most = rate * observations + _DEVIATIONS * math.sqrt(groups) * deviation.std() + np.abs(deviation).max()
    return min(math.ceil(most), int(extras.sum()))
