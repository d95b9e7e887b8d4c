"""Removing observations that cannot be used, and telling how many and why."""

import logging

import numpy as np

__all__ = ["Cuts"]

logger = logging.getLogger("vimerge")


class Cuts:
    """
    What is left of M observations, and what was removed.

    Parameters
    ----------
    total : int
        M.

    Attributes
    ----------
    keep : np.ndarray
        ``[M]`` bool.
    """

    def __init__(self, total):
        self.keep = np.ones(total, dtype=bool)
        self._reasons = []

    def remove(self, bad, why):
        """
        Remove observations, and log how many.

        Parameters
        ----------
        bad : np.ndarray
            ``[M]`` bool.
        why : str
            As in "5 of 100 observations removed: systematically absent".
        """
        count = np.count_nonzero(bad & self.keep)
        if count:
            self._reasons.append(f"{count:,} {why}")
            logger.info("%s of %s observations removed: %s", f"{count:,}", f"{len(self.keep):,}", why)
        np.logical_and(self.keep, ~bad, out=self.keep)

    @property
    def rows(self):
        """Index of what is left; a slice, which makes no copy, if that is all."""
        return slice(None) if self.keep.all() else np.flatnonzero(self.keep)

    def __str__(self):
        return f" after removing {', '.join(self._reasons)}" if self._reasons else ", for there was none to begin with"
