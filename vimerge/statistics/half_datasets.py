"""Agreement of half data sets."""

import numpy as np

from vimerge.reflections.errors import MissingColumnError
from vimerge.statistics.correlation import cc_star, correlation_interval, pearson, weighted_pearson
from vimerge.statistics.labels import with_own_names
from vimerge.statistics.shells import Shells, resolution


def half_dataset_correlations(halves, shells=10):
    """CC1/2, R_split and CCanom by resolution shell.

    CC1/2 is the correlation of the intensities of a reflection merged from one random half of the images and from the
    other [1]_.

    Parameters
    ----------
    halves : rs.DataSet
        Half data sets stacked, as in `half_datasets.mtz`: indexed by H, K, L, with `half` (0, 1), `repeat`, and
        F SIGF I SIGI or their anomalous counterparts. Repeats are pooled. Column names may differ in case, and
        intensities that are missing are those of the amplitudes, see `labels.with_own_names`.
    shells : int or Shells
        The shells, or the number of shells of equal count.

    Returns
    -------
    pandas.DataFrame
        A row a shell and "overall": `dmax`, `dmin` (Å), `reflections` in both halves, `cc_half` of intensities with
        its 95 % confidence interval `cc_half_low`, `cc_half_high` (see `correlation_interval`), `cc_half_f` of
        amplitudes (Friedel mates counted singly), `cc_star`, and
        `r_split` = √2 Σ|I₁ − I₂| / Σ(I₁ + I₂) [2]_; with Friedel mates apart `cc_anom` and
        `cc_anom_weighted` of F(+) − F(−) of acentric reflections, the latter weighted by inverse variance; of
        I(+) − I(−) where there are no amplitudes.

    Raises
    ------
    MissingColumnError
        If columns are missing.

    References
    ----------
    .. [1] Karplus, P. A. & Diederichs, K. (2012). Science, 336, 1030–1033.
    .. [2] White, T. A. et al. (2012). J. Appl. Cryst. 45, 335–341.
    """
    first, second = pair_halves(halves)
    d = resolution(first.droplevel("repeat"))
    shells = shells if isinstance(shells, Shells) else Shells(d, shells)
    # Of a reflection in all its repeats.
    reflection = first.groupby(level=["H", "K", "L"], sort=False).ngroup().to_numpy()
    signs = ("(+)", "(-)") if "I(+)" in first.columns else ("",)
    kinds = (
        {"I": ("cc_half", signs), "F": ("cc_half_f", signs)} if f"F{signs[0]}" in first else {"I": ("cc_half", signs)}
    )
    values = {
        name: [np.stack([t[f"{key}{sign}"].to_numpy(np.float64) for sign in signs]) for t in (first, second)]
        for key, (name, signs) in kinds.items()
    }
    differences = _differences(first, second, "F" if "cc_half_f" in values else "I") if len(signs) == 2 else None

    def statistic(mask):
        row = {"reflections": int(mask.sum())}
        for name, (x, y) in values.items():
            x, y = x[:, mask], y[:, mask]
            both = np.isfinite(x) & np.isfinite(y)
            row[name] = pearson(x[both], y[both])
            if name == "cc_half":
                group = np.broadcast_to(reflection[mask], x.shape)[both]
                row["cc_half_low"], row["cc_half_high"] = correlation_interval(x[both], y[both], group)
                row["cc_star"] = cc_star(row[name])
                row["r_split"] = _ratio(np.sqrt(2.0) * np.abs(x[both] - y[both]).sum(), (x[both] + y[both]).sum())
        if differences is not None:
            x, y, weight = (values[mask] for values in differences)
            use = np.isfinite(x) & np.isfinite(y)
            known = use & np.isfinite(weight)
            row["cc_anom"] = pearson(x[use], y[use])
            row["cc_anom_weighted"] = weighted_pearson(x[known], y[known], weight[known])
        return row

    return shells.tabulate(d, statistic)


def pair_halves(halves):
    """The two halves with the reflections that both have, in the same order, indexed by H, K, L and repeat."""
    halves = with_own_names(halves)
    for name in ("half", "repeat"):
        if name not in halves:
            raise MissingColumnError(
                f"Half data sets need a column {name!r} (0, 1 …), but have {', '.join(halves.columns)}; add it."
            )
    if not {"I", "I(+)"} & set(halves.columns):
        raise MissingColumnError("Half data sets need columns F and SIGF or I, or their anomalous counterparts.")
    table = halves.set_index("repeat", append=True)
    parts = [table[table["half"].to_numpy() == half] for half in (0, 1)]
    common = parts[0].index.intersection(parts[1].index)
    if not len(common):
        raise MissingColumnError(
            "No reflection is in both half data sets; the column half should be 0 for one, 1 for one."
        )
    return tuple(part.loc[common] for part in parts)


def _differences(a, b, key):
    """Anomalous differences of both halves, NaN where there is none, and their weights 1/(σ₁² + σ₂²)."""
    x, y = ((t[f"{key}(+)"] - t[f"{key}(-)"]).to_numpy(np.float64) for t in (a, b))
    columns = [f"SIG{key}({sign})" for sign in "+-" if f"SIG{key}({sign})" in a]
    variance = sum(t[column].to_numpy(np.float64) ** 2 for t in (a, b) for column in columns)
    # Both differences of a centric reflection are zero by construction, and would count as agreement.
    x = np.where((x == 0) & (y == 0), np.nan, x)
    return x, y, np.broadcast_to(1.0 / variance, x.shape) if columns else np.full(x.shape, np.nan)


def _ratio(above, below):
    return float(above / below) if below > 0 else np.nan
