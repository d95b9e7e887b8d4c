"""Agreement of half data sets."""

import numpy as np

from vimerge.statistics.correlation import pearson, weighted_pearson
from vimerge.statistics.shells import Shells, resolution


def half_dataset_correlations(halves, shells=10):
    """CC1/2 and CCanom by resolution shell [1]_.

    Parameters
    ----------
    halves : rs.DataSet
        Half data sets stacked, as in `half_datasets.mtz`: indexed by H, K, L, with `half` (0, 1), `repeat`, and
        F SIGF I SIGI or their anomalous counterparts. Repeats are pooled.
    shells : int or Shells
        The shells, or the number of shells of equal count.

    Returns
    -------
    pandas.DataFrame
        A row a shell and "overall": `dmax`, `dmin` (Å), `reflections` in both halves, `cc_half` of intensities and
        `cc_half_f` of amplitudes (Friedel mates counted singly); with Friedel mates apart `cc_anom` and
        `cc_anom_weighted` of F(+) − F(−) of acentric reflections, the latter weighted by inverse variance.

    References
    ----------
    .. [1] Karplus, P. A. & Diederichs, K. (2012). Science, 336, 1030–1033.
    """
    first, second = pair_halves(halves)
    d = resolution(first.droplevel("repeat"))
    shells = shells if isinstance(shells, Shells) else Shells(d, shells)
    anomalous = "F(+)" in first.columns

    def statistic(mask):
        a, b = first[mask], second[mask]
        row = {"reflections": int(mask.sum())}
        for name, key in (("cc_half", "I"), ("cc_half_f", "F")):
            labels = [f"{key}(+)", f"{key}(-)"] if anomalous else [key]
            x, y = (np.concatenate([t[label].to_numpy(np.float64) for label in labels]) for t in (a, b))
            both = np.isfinite(x) & np.isfinite(y)
            row[name] = pearson(x[both], y[both])
        return row | (_anomalous(a, b) if anomalous else {})

    return shells.tabulate(d, statistic)


def pair_halves(halves):
    """The two halves with the reflections that both have, in the same order, indexed by H, K, L and repeat."""
    table = halves.set_index("repeat", append=True)
    parts = [table[table["half"].to_numpy() == half] for half in (0, 1)]
    common = parts[0].index.intersection(parts[1].index)
    return tuple(part.loc[common] for part in parts)


def _anomalous(a, b):
    x, y = ((t["F(+)"] - t["F(-)"]).to_numpy(np.float64) for t in (a, b))
    columns = ("SIGF(+)", "SIGF(-)")
    variance = sum(t[column].to_numpy(np.float64) ** 2 for t in (a, b) for column in columns)
    # Both differences of a centric reflection are zero by construction, and would count as agreement.
    use = np.isfinite(x) & np.isfinite(y) & ~((x == 0) & (y == 0))
    return {
        "cc_anom": pearson(x[use], y[use]),
        "cc_anom_weighted": weighted_pearson(x[use], y[use], 1.0 / variance[use]),
    }
