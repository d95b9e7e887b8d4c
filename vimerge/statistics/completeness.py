"""How much of reciprocal space was measured, and how well."""

import gemmi
import numpy as np

from vimerge.statistics.shells import Shells, resolution


def completeness(merged, shells=10):
    """Completeness, multiplicity and signal by resolution shell.

    Parameters
    ----------
    merged : rs.DataSet
        Indexed by H, K, L in the asymmetric unit, with I, SIGI and N (number of observations).
    shells : int or Shells
        The shells, or the number of shells of equal count.

    Returns
    -------
    pandas.DataFrame
        A row a shell and "overall": `dmax`, `dmin` (Å), `unique` reflections observed, `possible` ones (Friedel mates
        together, absences left out), `completeness` = unique/possible, `multiplicity` = observations/unique,
        `mean_i_over_sigma` = ⟨I/σ(I)⟩.
    """
    d = resolution(merged)
    shells = shells if isinstance(shells, Shells) else Shells(d, shells)
    possible = shells.assign(_possible(merged.cell, merged.spacegroup, d))
    number = merged["N"].to_numpy(np.float64)
    signal = merged["I"].to_numpy(np.float64) / merged["SIGI"].to_numpy(np.float64)
    shell = shells.assign(d)

    def statistic(mask):
        inside = np.unique(shell[mask])
        count = int(np.isin(possible, inside).sum())
        unique = int(mask.sum())
        return {
            "unique": unique,
            "possible": count,
            "completeness": unique / count if count else np.nan,
            "multiplicity": number[mask].mean() if unique else np.nan,
            "mean_i_over_sigma": signal[mask].mean() if unique else np.nan,
        }

    return shells.tabulate(d, statistic)


def _possible(cell, space_group, d):
    """Resolutions of the unique reflections between the limits of the observed ones (Å)."""
    hkl = gemmi.make_miller_array(cell, space_group, d.min() * (1 - 1e-6), d.max() * (1 + 1e-6), unique=True)
    return 1.0 / np.sqrt(cell.calculate_1_d2_array(hkl))
