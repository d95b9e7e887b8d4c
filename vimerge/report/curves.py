"""Curves of several folders in one panel."""

import numpy as np
from matplotlib.ticker import PercentFormatter

from vimerge.report.style import GREY, marker, series, text

__all__ = ["against_image", "by_shell", "cycles", "quantile_plot", "spread", "wilson"]


def by_shell(axes, tables, column, label, percent=False, reference=None):
    """One column by resolution shell, a line for each folder that has it, with a band if its limits are there.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    tables : dict of str to pandas.DataFrame
        As of `Shells.tabulate`; the same shells for all.
    column, label : str
        Which, and what to call its axis.
    percent : bool
        Whether it is a fraction to be written in per cent.
    reference : float, optional
        Where a grey line says what would be right.
    """
    for i, (name, table) in enumerate(tables.items()):
        if column not in table:
            continue
        shells = table.drop(index="overall")
        x = (shells["dmax"] ** -2 + shells["dmin"] ** -2) / 2
        if {f"{column}_low", f"{column}_high"} <= set(shells):
            limits = (shells[f"{column}_{end}"].astype(float) for end in ("low", "high"))
            axes.fill_between(x, *limits, color=series(i)["color"], alpha=0.18, lw=0)
        axes.plot(x, shells[column].astype(float), marker=marker(i), ms=4, label=text(name), **series(i))
    shells = next(iter(tables.values())).drop(index="overall")
    resolution_axis(axes, ((shells["dmax"] ** -2 + shells["dmin"] ** -2) / 2).to_numpy())
    axes.set_ylabel(label)
    low, high = axes.get_ylim()
    correlation = column.startswith("cc")
    axes.set_ylim(min(0.0, low), 1.03 if correlation or percent else high * 1.02)
    if reference is not None:
        axes.axhline(reference, color=GREY, lw=0.9, ls="--", zorder=1)
    if percent:
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))


def wilson(axes, tables):
    """Wilson plots: points of `wilson_plot` and their line, a pair for each folder."""
    for i, (name, table) in enumerate(tables.items()):
        look = series(i)
        axes.plot(table["s2"], table["observed"], marker(i), ms=4, color=look["color"], label=text(name))
        axes.plot(table["s2"], table["fitted"], **look | {"linewidth": 1.0})
    resolution_axis(axes, next(iter(tables.values()))["s2"].dropna().to_numpy())
    axes.set_ylabel("ln(⟨I/ε⟩ / Σf²)")


def resolution_axis(axes, x):
    """Label an axis of 1/d² in Å, at as many of the places `x` as have room."""
    # Ticks that would run into the one before are left out.
    ticks = [x[0]]
    for value in x[1:]:
        if value - ticks[-1] > 0.14 * (x[-1] - x[0]):
            ticks.append(value)
    axes.set_xticks(ticks, [f"{t**-0.5:.2f}" for t in ticks])
    axes.set_xlabel("resolution (Å)")


def against_image(axes, tables, column, label, band=None, reference=None):
    """One column of `images.by_image` against image or rotation, a line for each folder.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    tables : dict of str to pandas.DataFrame
    column, label : str
    band : pair of str, optional
        Columns of the limits of a shaded band.
    reference : float, optional
        Where a grey line says what would be right.
    """
    rotation = all("rotation" in table for table in tables.values())
    for i, (name, table) in enumerate(tables.items()):
        x = table["rotation" if rotation else "image"].to_numpy()
        order = np.argsort(x, kind="stable")
        if band is not None:
            limits = (table[c].to_numpy()[order] for c in band)
            axes.fill_between(x[order], *limits, color=series(i)["color"], alpha=0.18, lw=0)
        # Dashes of noise are but more noise.
        look = {"color": series(i)["color"], "lw": 1.1} | ({"marker": marker(i), "ms": 2.5} if len(x) <= 60 else {})
        axes.plot(x[order], table[column].to_numpy()[order], label=text(name), **look)
    if reference is not None:
        axes.axhline(reference, color=GREY, lw=0.9, ls="--", zorder=1)
    axes.set(xlabel="rotation (°)" if rotation else "image", ylabel=label)


def quantile_plot(axes, curves, limit=8.0):
    """Residuals' quantiles against those of a normal distribution, which is the grey diagonal.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    curves : list of (int, str, np.ndarray, np.ndarray)
        Number of the series, label, normal and observed quantiles.
    limit : float
        Where the vertical axis ends, at most.
    """
    ends, tops = [3.0], [3.0]
    for i, name, normal, observed in curves:
        if len(normal):
            axes.plot(normal, observed, label=text(name), **series(i))
            ends.append(normal[-1])
            tops.append(np.max(np.abs(observed)))
    end, top = max(ends) * 1.04, min(max(tops) * 1.04, limit)
    axes.axline((0, 0), slope=1, color=GREY, lw=0.9, zorder=1)
    axes.set(xlim=(-end, end), ylim=(-top, top), xlabel="normal quantile", ylabel="normalised residual z")


def spread(axes, tables, label, log):
    """Root mean square (lines) and robust spread (markers) of residuals, by `residuals.spread_by`.

    The abscissa is logarithmic, or else 1/d² labelled in Å.
    """
    top = 1.5
    for i, (name, table) in enumerate(tables.items()):
        look = series(i)
        axes.plot(table["x"], table["rms"], label=text(name), **look)
        axes.plot(table["x"], table["robust"], marker(i), ms=3.5, color=look["color"], mfc="none", mew=0.9)
        top = max(top, min(table["rms"].max() * 1.08, 5.0))
    axes.axhline(1.0, color=GREY, lw=0.9, ls="--", zorder=1)
    axes.set(xlabel=label, ylabel="spread of z", ylim=(0, top))
    if log:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
    else:
        resolution_axis(axes, next(iter(tables.values()))["x"].to_numpy())


def cycles(axes, history, columns):
    """Columns of a history against its cycles; `columns` maps a column to its label."""
    for i, (column, label) in enumerate((c, name) for c, name in columns.items() if c in history):
        axes.plot(history.index, history[column], marker=marker(i), ms=4, label=label, **series(i))
    axes.set_xlabel(history.index.name or "cycle")
    if len(history) < 15:
        axes.set_xticks(history.index)
