"""Two folders' merged reflections against each other."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from vimerge.statistics import pearson, resolution

__all__ = ["Pair", "compare", "pairs_of"]

# With more folders than this each is compared with the first only.
_ALL_PAIRS = 4
_LEAST = 10


@dataclass(frozen=True)
class Pair:
    """What two folders have in common.

    Parameters
    ----------
    names : tuple of str
    amplitudes : np.ndarray, [2, N]
        F of the common reflections, the second on the scale and fall-off of the first.
    numbers : dict
        By key of `DEFINITIONS`.
    shells : pandas.DataFrame
        `dmax`, `dmin`, `common`, `cc_f`, `cc_i` and perhaps `cc_difference` by shell and "overall".
    """

    names: tuple
    amplitudes: np.ndarray
    numbers: dict
    shells: pd.DataFrame


def pairs_of(results, shells):
    """Compare folders of one crystal form two by two.

    Parameters
    ----------
    results : sequence of Results
    shells : Shells or None

    Returns
    -------
    list of Pair
        Folders without merged reflections, or in different space groups, or with less than ten reflections in common,
        are not compared.
    """
    merged = [r for r in results if r.merged is not None]
    chosen = combinations(merged, 2) if len(merged) <= _ALL_PAIRS else [(merged[0], other) for other in merged[1:]]
    pairs = (compare(a, b, shells) for a, b in chosen if a.merged.spacegroup.number == b.merged.spacegroup.number)
    return [pair for pair in pairs if pair is not None]


def compare(first, second, shells):
    """Compare two folders; None if they have less than ten reflections in common.

    Parameters
    ----------
    first, second : Results
    shells : Shells

    Returns
    -------
    Pair or None
    """
    index = first.merged.index.intersection(second.merged.index)
    a, b = first.merged.loc[index], second.merged.loc[index]
    f, g = (t["F"].to_numpy(np.float64) for t in (a, b))
    usable = np.isfinite(f) & np.isfinite(g) & (f > 0) & (g > 0)
    if usable.sum() < _LEAST:
        return None
    a, b, f, g = a[usable], b[usable], f[usable], g[usable]
    d = resolution(a)
    k, delta_b = _relative_scale(f, g, d)
    scaled = k * g * np.exp(-delta_b / (4 * d**2))

    def statistic(mask):
        row = {"common": int(mask.sum()), "cc_f": pearson(f[mask], scaled[mask])}
        row["cc_i"] = pearson(*(t["I"].to_numpy(np.float64)[mask] for t in (a, b)))
        if first.anomalous and second.anomalous:
            row["cc_difference"] = _differences(a[mask], b[mask])
        return row

    table = shells.tabulate(d, statistic)
    r_iso = 2 * np.sum(np.abs(f - scaled)) / np.sum(f + scaled)
    numbers = table.loc["overall"].drop(["dmax", "dmin"]).to_dict() | {"k": k, "delta_b": delta_b, "r_iso": r_iso}
    return Pair((first.name, second.name), np.stack([f, scaled]), numbers, table)


def _relative_scale(f, g, d, steps=20):
    """K and ΔB that bring g onto f, by least squares on amplitudes (Gauss–Newton)."""
    s2 = 1 / (4 * d**2)
    k, b = np.sum(f * g) / np.sum(g**2), 0.0
    for _ in range(steps):
        model = k * g * np.exp(-b * s2)
        jacobian = np.stack([model, -s2 * model], axis=1)
        # In ln k, so that k stays positive; a step is at most a factor of e.
        step = np.clip(np.linalg.lstsq(jacobian, f - model, rcond=None)[0], [-1, -50], [1, 50])
        k, b = k * np.exp(step[0]), b + step[1]
        if np.abs(step[0]) < 1e-8:
            break
    return float(k), float(b)


def _differences(a, b):
    x, y = ((t["F(+)"] - t["F(-)"]).to_numpy(np.float64) for t in (a, b))
    # Both differences of a centric reflection are zero by construction, and would count as agreement.
    use = np.isfinite(x) & np.isfinite(y) & ~((x == 0) & (y == 0))
    return pearson(x[use], y[use])
