"""Figures, each drawn into a matplotlib Axes."""

import numpy as np

from vimerge.report.style import BLUE, GREEN, GREY, ORANGE, RED, STYLE, panels

__all__ = [
    "STYLE",
    "against_truth",
    "by_resolution",
    "panels",
    "scale_by_image",
    "training_history",
]


def training_history(axes, history):
    """ELBO and log-likelihood per observation against the epoch; held out where it was logged."""
    for column, label, color in (("elbo", "ELBO", BLUE), ("log_likelihood", "log-likelihood", GREEN)):
        axes.plot(history.index, history[column], color=color, label=label)
    if "val_log_likelihood" in history:
        held_out = history["val_log_likelihood"].dropna()
        axes.plot(held_out.index, held_out, color=RED, label="log-likelihood, held out")
    # The first epochs are far below the rest, and would flatten it.
    late = history["elbo"].iloc[len(history) // 10 :]
    top = np.nanmax(history[[c for c in ("log_likelihood", "val_log_likelihood") if c in history]].to_numpy())
    span = max(top - late.min(), 1e-6)
    axes.set_ylim(late.min() - 0.5 * span, top + 0.1 * span)
    axes.set(xlabel="epoch", ylabel="nats per observation", title="Training")
    axes.legend(loc="lower right")


def against_truth(axes, truth, inferred, label, title):
    """Inferred against true values, both [N], with the correlation in the title."""
    both = np.isfinite(truth) & np.isfinite(inferred)
    truth, inferred = truth[both], inferred[both]
    slope = np.sum(truth * inferred) / np.sum(truth**2)
    axes.plot(truth, inferred / slope, ".", ms=2, alpha=0.3, color=BLUE, rasterized=True)
    limits = [min(truth.min(), 0), truth.max()]
    axes.plot(limits, limits, color=GREY, lw=0.8)
    axes.set(xlabel=f"true {label}", ylabel=f"merged {label}, scaled", title=title)


def by_resolution(axes, table, columns, title):
    """Columns of a table by resolution shell against 1/d², labelled in Å; `columns` maps a column to its label."""
    shells = table.drop(index="overall")
    x = (shells["dmax"] ** -2 + shells["dmin"] ** -2) / 2
    for (column, label), color in zip(columns.items(), (BLUE, ORANGE, GREEN, RED), strict=False):
        axes.plot(x, shells[column].astype(float), "o-", ms=4, color=color, label=label)
    ticks = x.to_numpy()[:: max(1, len(x) // 5)]
    axes.set_xticks(ticks, [f"{t**-0.5:.2f}" for t in ticks])
    axes.set(xlabel="resolution (Å)", title=title, ylim=(min(0, axes.get_ylim()[0]), 1.02))
    axes.legend(loc="lower left")


def scale_by_image(axes, predictions):
    """Median scale of each image, with the middle half of its observations."""
    scale = predictions.reset_index(drop=True)[["image_id", "scale"]].astype(float)
    quartiles = scale.groupby("image_id")["scale"].quantile([0.25, 0.5, 0.75]).unstack()
    x = quartiles.index.to_numpy() + 1
    axes.fill_between(x, quartiles[0.25], quartiles[0.75], color=BLUE, alpha=0.25, lw=0, label="middle half")
    axes.plot(x, quartiles[0.5], color=BLUE, lw=1, label="median")
    axes.set(xlabel="image", ylabel="scale Σ", title="Scale", ylim=(0, None))
    axes.legend(loc="lower left")
