"""How often the truth, or what was held out, falls inside the intervals that promise it."""

import numpy as np
import pandas as pd
from scipy import stats

# Those of one and two standard deviations of a normal distribution among them.
LEVELS = (0.5, 0.683, 0.9, 0.954)


def coverage(pit, groups=None, levels=LEVELS):
    """The share of the values inside the central intervals of their distributions.

    Parameters
    ----------
    pit : array_like, [N]
        Each value's probability integral transform: its cumulative probability under the distribution that was
        predicted for it. It is uniform if the predictions are calibrated [1]_.
    groups : array_like, [N], optional
        What to tabulate by besides "overall"; rows are in sorted order.
    levels : sequence of float, optional
        Nominal probabilities of the intervals.

    Returns
    -------
    pandas.DataFrame
        A row a group and "overall": `n`, a column a level, and `p_uniform` of `rank_uniformity`.

    References
    ----------
    .. [1] Dawid, A. P. (1984). J. R. Stat. Soc. A 147, 278–292.
    """
    pit = np.asarray(pit, np.float64)
    parts = {} if groups is None else {name: pit[index] for name, index in _rows_of(groups).items()}
    rows = {}
    for name, values in {**parts, "overall": pit}.items():
        inside = {level: np.mean(np.abs(values - 0.5) <= 0.5 * level) for level in levels}
        rows[name] = {"n": len(values), **inside, "p_uniform": rank_uniformity(values)}
    return pd.DataFrame.from_dict(rows, orient="index")


def rank_uniformity(pit, bins=20):
    """Probability that a histogram of ranks is as uneven as this one if they are uniform, by χ² [1]_.

    Parameters
    ----------
    pit : array_like, [N]
        Ranks between 0 and 1.
    bins : int, optional
        Of the histogram; fewer if there are not five values for each.

    Returns
    -------
    float
        NaN for fewer than ten values.

    References
    ----------
    .. [1] Talts, S., Betancourt, M., Simpson, D., Vehtari, A. & Gelman, A. (2018). arXiv:1804.06788.
    """
    pit = np.asarray(pit, np.float64)
    bins = min(bins, len(pit) // 5)
    if bins < 2:
        return np.nan
    counts, _ = np.histogram(pit, bins, (0.0, 1.0))
    return float(stats.chisquare(counts).pvalue)


def _rows_of(groups):
    names, index = np.unique(np.asarray(groups), return_inverse=True)
    return {name: np.flatnonzero(index == i) for i, name in enumerate(names.tolist())}
