"""The order in which observations are worked through: whole reflections at a time, each sweep for itself."""

from typing import NamedTuple

import numpy as np

__all__ = ["Chunk", "Layout", "make_layout"]

# Small enough for the columns of a chunk to stay in the processor's cache.
CHUNK = 5_000


class Chunk(NamedTuple):
    """
    Some reflections with all their observations.

    Parameters
    ----------
    low, high : int
        The groups low … high − 1.
    rows : slice
        Their observations.
    parts : list of (int, slice, slice)
        The observations of each sweep, sorted by group: sweep, rows of all observations, rows of the sweep's own.
    """

    low: int
    high: int
    rows: slice
    parts: list


class Layout(NamedTuple):
    """
    Observations in order.

    Parameters
    ----------
    order : np.ndarray
        ``[M]``: the original numbers of the observations.
    group : np.ndarray
        ``[M]`` int64: the equivalents that share an intensity, in the new order.
    sweep : np.ndarray
        ``[M]``: the sweep, in the new order.
    n_groups, n_sweeps : int
        How many.
    chunks : list of Chunk
        Consecutive.
    """

    order: np.ndarray
    group: np.ndarray
    sweep: np.ndarray
    n_groups: int
    n_sweeps: int
    chunks: list

    def sums(self, values):
        """Sum over each group, ``[n_groups]``."""
        return np.bincount(self.group, values, minlength=self.n_groups)


def make_layout(group, sweep, chunk=CHUNK):
    """
    Order observations by chunk of groups, then by sweep, then by group.

    Parameters
    ----------
    group, sweep : np.ndarray
        ``[M]`` numbers from 0.
    chunk : int
        About how many observations to work on at a time.

    Returns
    -------
    Layout
    """
    group, sweep = np.asarray(group, np.int64), np.asarray(sweep, np.int64)
    n_groups, n_sweeps = int(group.max()) + 1, int(sweep.max()) + 1
    number = np.bincount(group, minlength=n_groups)
    of_group = (np.cumsum(number) - number) // chunk
    order = np.lexsort((group, sweep, of_group[group]))
    group, sweep = group[order], sweep[order]
    which = of_group[group]
    starts = np.flatnonzero(np.append(True, (which[1:] != which[:-1]) | (sweep[1:] != sweep[:-1])))
    ends = np.append(starts[1:], len(group))
    chunks, seen, own = [], -1, np.zeros(n_sweeps, dtype=np.int64)
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        if which[start] != seen:
            seen = which[start]
            mine = np.flatnonzero(of_group == seen)
            chunks.append(Chunk(int(mine[0]), int(mine[-1]) + 1, slice(start, end), []))
        s = int(sweep[start])
        chunks[-1].parts.append((s, slice(start, end), slice(int(own[s]), int(own[s]) + end - start)))
        own[s] += end - start
        chunks[-1] = chunks[-1]._replace(rows=slice(chunks[-1].rows.start, end))
    return Layout(order, group, sweep, n_groups, n_sweeps, chunks)
