"""The figure of a sweep over correlations."""

import numpy as np
import pandas as pd

from vimerge.report.style import BLUE, GREEN, ORANGE, STYLE

PANELS = {
    "log p of held-out observations (nats)": {"log_predictive": "all", "log_predictive_children": "with a parent"},
    "CCpred of held-out observations": {"pearson": "Pearson", "spearman": "Spearman"},
    "log evidence of the training set (nats)": {"log_evidence": "all"},
}


def draw_sweep(table, path):
    """Draw what judges the correlations of a sweep, against 1 − r, or of several relations one combination by one.

    Parameters
    ----------
    table : pandas.DataFrame
        From `vimerge.evidence.held_out`, indexed by r, or of several relations by words with each one's, such as
        "on~off=0.9 hot~off=0.99". Rows of other words, such as "by shell", are horizontal lines.
    path : pathlib.Path
        Where to, in any format of matplotlib's.

    Returns
    -------
    pathlib.Path
    """
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    is_point = pd.to_numeric(pd.Series(table.index), errors="coerce").notna().to_numpy()
    single = is_point.any()
    if not single:
        is_point = np.array(["=" in label for label in table.index])
    points, lines = table[is_point], table[~is_point]
    with plt.rc_context(STYLE):
        if single:
            shape, size = (1, len(PANELS)), (3.6 * len(PANELS), 3.0)
            x = 1.0 - points.index.to_numpy(float)
        else:
            # A column, so that long names are written once.
            shape, size = (len(PANELS), 1), (max(6.0, 1.0 + 0.16 * len(points)), 2.2 * len(PANELS) + 1.5)
            x = np.arange(len(points))
        figure, axes = plt.subplots(*shape, figsize=size, layout="constrained", sharex=True)
        for panel, (title, columns) in zip(axes, PANELS.items(), strict=True):
            # Neighbouring combinations are not neighbours in r.
            _draw(panel, x, points, lines, columns, "o-" if single else "o")
            if len(columns) > 1 or len(lines):
                panel.legend(**{"loc": "best"} if single else {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0)})
            panel.set_title(title)
            if single:
                panel.set(xscale="log", xlabel="1 − r")
        if single:
            axes[0].invert_xaxis()
        else:
            axes[-1].set_xticks(x, points.index, rotation=90, fontsize="x-small")
        figure.savefig(path)
        plt.close(figure)
    return path


def _draw(panel, x, points, lines, columns, style):
    for (column, label), color in zip(columns.items(), (BLUE, ORANGE, GREEN), strict=False):
        values = points[column].to_numpy(float)
        panel.plot(x, values, style, ms=4, color=color, label=label)
        if np.isfinite(values).any():
            best = np.nanargmax(values)
            panel.plot(x[best], values[best], "o", ms=9, mfc="none", color=color)
        for name, value in lines[column].items():
            words = name if len(columns) == 1 else f"{label}, {name}"
            panel.axhline(value, ls="--", lw=1.2, color=color, label=words)
