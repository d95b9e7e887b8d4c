"""Resolution shells."""

import numpy as np
import pandas as pd


class Shells:
    """Resolution shells with equal numbers of reflections.

    Parameters
    ----------
    d : array_like, [N]
        Resolutions that the shells divide evenly (Å).
    number : int
        How many shells.

    Attributes
    ----------
    edges : array, [number + 1]
        Limits in Å from low to high resolution; a shell holds its low-resolution limit, and the last one both.
    """

    def __init__(self, d, number=10):
        d = np.asarray(d, np.float64)
        if number < 1 or len(d) == 0:
            raise ValueError("Resolution shells need at least one shell and one reflection.")
        self.edges = np.quantile(d, np.linspace(1, 0, number + 1))

    def __len__(self):
        return len(self.edges) - 1

    def assign(self, d):
        """The shell of each resolution, int [N]; what lies beyond the limits is in none, −1."""
        d = np.asarray(d, np.float64)
        shell = len(self) - np.searchsorted(self.edges[::-1], d, side="left")
        outside = (d > self.edges[0]) | (d < self.edges[-1])
        return np.where(outside, -1, np.minimum(shell, len(self) - 1))

    def tabulate(self, d, statistic):
        """Make a row a shell, and one over all named "overall".

        Parameters
        ----------
        d : array_like, [N]
            Resolutions of the reflections (Å).
        statistic : callable
            Given a mask [N], returns a dict of numbers.

        Returns
        -------
        pandas.DataFrame
            Indexed by `shell`: 1 … number, then "overall"; the first columns are `dmax`, `dmin` (Å).
        """
        shell = self.assign(d)
        rows = [
            {"shell": i + 1, "dmax": self.edges[i], "dmin": self.edges[i + 1], **statistic(shell == i)}
            for i in range(len(self))
        ]
        overall = {"shell": "overall", "dmax": self.edges[0], "dmin": self.edges[-1], **statistic(shell >= 0)}
        return pd.DataFrame([*rows, overall]).set_index("shell")


def resolution(table):
    """Resolution of each row of an `rs.DataSet` indexed by H, K, L, in Å."""
    hkl = table.reset_index()[["H", "K", "L"]].to_numpy(np.int32)
    return 1.0 / np.sqrt(table.cell.calculate_1_d2_array(hkl))
