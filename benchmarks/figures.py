"""Quality against CPU time."""

from benchmarks.metrics import METRICS
from vimerge.report import style

PANELS = ("pearson", "weighted", "spearman", "log_density", "cc_half_f", "cc_truth", "cc_truth_anom")


def quality_against_cpu(contestants, path):
    """Draw each contestant's quality as its runs get longer.

    Parameters
    ----------
    contestants : dict of list of dict
        Runs by name; see `judging`. Runs of one seed and contestant are joined by a line.
    path : path
    """
    shown = [name for name in PANELS if all(_lengths(runs, name) > 1 for runs in contestants.values())]
    if not shown:
        return
    columns = min(3, len(shown))
    figure, axes = style.panels(-(-len(shown) // columns), columns, size=(3.8, 3.1))
    for axis in axes[len(shown) :]:
        axis.remove()
    with style.context():
        for axis, name in zip(axes, shown, strict=False):
            for i, (contestant, runs) in enumerate(contestants.items()):
                _curves(axis, runs, name, contestant, style.series(i)["color"], style.marker(i))
            unit = METRICS[name].unit
            axis.set(xscale="log", title=METRIC_TITLES[name] + (f" ({unit})" if unit else ""))
            axis.set_xlabel("CPU seconds")
            # From the start of a long curve nothing is read; the end is what counts.
            axis.set_ylim(bottom=_bottom(contestants, name))
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper left", ncols=4)
    figure.savefig(path, dpi=150)


METRIC_TITLES = {
    "pearson": "held-out CC, Pearson",
    "weighted": "held-out CC, weighted by 1/σ²",
    "spearman": "held-out CC, of ranks",
    "log_density": "held-out log density",
    "cc_half_f": "CC1/2 of F",
    "cc_truth": "CC of F with the truth",
    "cc_truth_anom": "CC of F(+) − F(−) with the truth",
}


def _curves(axis, runs, name, label, colour, marker):
    for number, seed in enumerate(sorted({run["seed"] for run in runs})):
        own = sorted((r for r in runs if r["seed"] == seed and name in r["quality"]), key=lambda r: r["length"])
        value = [run["quality"][name] for run in own]
        for cost, dashes, fill, what in (("process", "-", colour, "process"), ("training", ":", "white", "training")):
            axis.plot(
                [_seconds(run, cost) for run in own],
                value,
                linestyle=dashes,
                color=colour,
                marker=marker,
                markersize=4,
                markerfacecolor=fill,
                linewidth=1.0,
                label=f"{label}, {what}" if number == 0 else None,
            )


def _seconds(run, of):
    costs = run["costs"]
    if of == "training":
        return costs.get("training_cpu_seconds", float("nan"))
    return costs.get("lean_cpu_seconds", costs["cpu_seconds"])


def _lengths(runs, name):
    return len({run["length"] for run in runs if name in run["quality"]})


def _bottom(contestants, name):
    """Where an axis begins: low enough for all but the first stages of the slower curve."""
    best = [max((r["quality"][name] for r in runs if name in r["quality"]), default=0) for runs in contestants.values()]
    worst = min(r["quality"][name] for runs in contestants.values() for r in runs if name in r["quality"])
    room = 0.25 if name != "log_density" else 1.5
    return max(worst, min(best) - room) - 0.02
