"""The section about training: its history, and the numbers that were learned."""

import numpy as np

from vimerge.report import curves, figures
from vimerge.report.definitions import DEFINITIONS
from vimerge.report.page import Cell, Section, Table, plain

__all__ = ["training"]

ERRORS = ("SdFac", "SdB", "SdAdd", "a", "b")
CYCLES = {"chi2_per_observation": "χ² per observation", "sd_of_deviations": "sd of deviations", "SdFac": "SdFac"}


def training(study):
    """Histories, a panel each, and a table of what was learned."""
    section = Section("training", "Training and error model", "Training")
    for r in study.results:
        if r.history is None or not len(r.history):
            continue
        if {"elbo", "log_likelihood"} <= set(r.history):
            names = ["ELBO", "log-likelihood"] + ["held out"] * ("val_log_likelihood" in r.history)

            def paint(_, axes, history=r.history):
                figures.training_history(axes, history)
                axes.set_title("")
                axes.get_legend().remove()

            caption = "Evidence lower bound and log-likelihood for each observation; the first epochs are far below."
            section.add(f"{r.name}: training", caption, paint, names)
        elif any(name in r.history for name in CYCLES):
            names = [label for column, label in CYCLES.items() if column in r.history]
            section.add(
                f"{r.name}: cycles of scaling",
                "The standard deviation of normalised deviations reaches one as the errors are refined.",
                lambda _, axes, history=r.history: curves.cycles(axes, history, CYCLES),
                names,
            )
    if table := _learned(study):
        section.tables.append(table)
    return section if section.pictures or section.tables else None


def _learned(study):
    """Learned numbers with names, folders side by side; of lists the median and range."""
    learned = {
        # What a single sweep has is the average already.
        r.name: {k: v for k, v in r.learned.items() if _is_number(v) and not (k.endswith("_by_sweep") and len(v) == 1)}
        for r in study.results
    }
    # The error model first, and under one name whatever part of the model it belongs to.
    learned = {name: {_short(k): v for k, v in found.items()} for name, found in learned.items()}
    keys = [k for k in ERRORS if any(k in found for found in learned.values())]
    keys += sorted({k for found in learned.values() for k in found} - set(keys))
    if not keys:
        return None
    rows = []
    for key in keys:
        text = DEFINITIONS[key].text if key in DEFINITIONS else "A number that was learned, by its name in run.json."
        form = DEFINITIONS[key].form if key in DEFINITIONS else "{:.4g}"
        cells = [Cell(_write(learned[name].get(key), form), text) for name in study.names]
        rows.append([Cell(key, text, header=True), *cells])
    head = [plain("Number", header=True), *(plain(name, header=True) for name in study.names)]
    return Table("Learned numbers", head, rows, "Of several: the median, and the range in brackets.")


def _short(key):
    last = key.rsplit(".", 1)[-1]
    return last if last in ERRORS else key


def _is_number(value):
    values = np.atleast_1d(np.asarray(value, dtype=object)).ravel()
    return len(values) > 0 and all(isinstance(x, int | float) and not isinstance(x, bool) for x in values)


def _write(value, form):
    if value is None:
        return "–"
    values = np.atleast_1d(np.asarray(value, dtype=float)).ravel()
    if len(values) == 1:
        return form.format(values[0])
    median, low, high = (form.format(x) for x in (np.median(values), values.min(), values.max()))
    return f"{median} ({low} … {high})"
