"""The figure of a sweep over correlations."""

import numpy as np

from vimerge.report.style import BLUE, GREEN, ORANGE, STYLE

PANELS = {
    "log p of held-out observations (nats)": {"log_predictive": "all", "log_predictive_children": "with a parent"},
    "CCpred of held-out observations": {"pearson": "Pearson", "spearman": "Spearman"},
    "log evidence of the training set (nats)": {"log_evidence": "all"},
}


def draw_sweep(table, path):
    """Draw what judges the correlations of a sweep, against 1 − r.

    Parameters
    ----------
    table : pandas.DataFrame
        From `vimerge.evidence.held_out`.
    path : pathlib.Path
        Where to, in any format of matplotlib's.

    Returns
    -------
    pathlib.Path
    """
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    x = 1.0 - table.index.to_numpy(float)
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(1, len(PANELS), figsize=(3.6 * len(PANELS), 3.0), layout="constrained")
        for panel, (title, columns) in zip(axes, PANELS.items(), strict=True):
            for (column, label), color in zip(columns.items(), (BLUE, ORANGE, GREEN), strict=False):
                values = table[column].to_numpy(float)
                panel.plot(x, values, "o-", ms=4, color=color, label=label)
                if np.isfinite(values).any():
                    best = np.nanargmax(values)
                    panel.plot(x[best], values[best], "o", ms=9, mfc="none", color=color)
            panel.set(xscale="log", xlabel="1 − r", title=title)
            panel.invert_xaxis()
            if len(columns) > 1:
                panel.legend(loc="best")
        figure.savefig(path)
        plt.close(figure)
    return path
