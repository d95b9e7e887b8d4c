"""What a reader hands over: the columns of one source of observations, before any of them is chosen or cut."""

from dataclasses import dataclass, field

import gemmi
import numpy as np

__all__ = ["RawObservations"]


@dataclass(frozen=True, eq=False)
class RawObservations:
    """
    The observations of one file (or of arrays in memory), as they are.

    Parameters
    ----------
    path : str
        Where they come from; error messages name it.
    hkl : np.ndarray
        Observed Miller indices, ``[M, 3]`` int32.
    columns : dict of str to np.ndarray
        All other columns by name, each ``[M]``.
    types : dict of str to str
        The MTZ column type of each column: ``J`` intensity, ``Q`` standard deviation, ``B`` image (batch) number,
        ``I`` integer, ``R`` real …
    cell : gemmi.UnitCell or None
        The unit cell, if known.
    spacegroup : gemmi.SpaceGroup or None
        The space group, if known.
    """

    path: str
    hkl: np.ndarray
    columns: dict = field(repr=False)
    types: dict = field(repr=False)
    cell: gemmi.UnitCell | None = None
    spacegroup: gemmi.SpaceGroup | None = None

    def __len__(self):
        return len(self.hkl)
