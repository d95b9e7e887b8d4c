"""Compare prior correlations of data sets by observations that were held out, and merge with the best."""

import logging
import math
from itertools import product

from vimerge.cli import merge

HELP = "choose the prior correlation of data sets"

MOST = 60  # combinations to compare
BY_SHELL = "by shell"


def add_arguments(parser):
    """Describe the options of `vimerge sweep`: those of `vimerge merge`, with several numbers for --correlate."""
    merge.add_arguments(parser)


def run(arguments):
    """Run `vimerge sweep`."""
    relations = dict(arguments.correlate)
    combinations = _combinations(relations)
    # That of most evidence in each shell of resolution is found in training, and compared with the others.
    arguments.correlate = [(child, (parent, ())) for child, (parent, _) in relations.items()]
    tables = []

    def choose(model, train, test):
        from vimerge.evidence import held_out

        each = {label: _of_each(model.asu, numbers) for label, numbers in combinations.items()}
        table = held_out(model, train, test, each | {BY_SHELL: None}, seed=arguments.seed)
        tables.append(table)
        best = table["log_predictive"].idxmax()
        _log(table, best)
        if best == BY_SHELL:
            return
        model.prior.correlation.assign(each[best], _rows(model.asu, relations, combinations[best]))
        model.condition(train)
        if any(r == max(relations[child][1]) > min(relations[child][1]) for child, r in combinations[best].items()):
            logging.getLogger("vimerge").warning("That is the highest of all: a higher one may be better still.")

    def finish(_, folder):
        from vimerge.report.sweep import draw_sweep

        tables[0].to_csv(folder / "sweep.csv")
        return [folder / "sweep.csv", draw_sweep(tables[0], folder / "sweep.svg")]

    merge.merge(
        arguments.output,
        quiet=getattr(arguments, "quiet", False),
        report=not arguments.no_report,
        trained=choose,
        finish=finish,
        **merge.job_options(arguments),
    )


def _combinations(relations):
    """What to compare: dicts of r by child, by a label; what the data say without each other is the yardstick."""
    from vimerge.reflections import OptionError

    names = [f"{child}~{parent}" for child, (parent, _) in relations.items()]
    lists = [values for _, values in relations.values()]
    if not all(lists) or not any(len(values) > 1 for values in lists):
        raise OptionError(
            "A sweep needs correlations to compare, some for each relation: --correlate on~off=0.9,0.99,0.999."
        )
    if (number := math.prod(map(len, lists))) > MOST:
        raise OptionError(
            f"A sweep compares {MOST} combinations at most, not {number}; give --correlate fewer numbers."
        )
    found = sorted({(0.0,) * len(lists), *product(*lists)})
    labels = [" ".join(f"{name}={r:g}" for name, r in zip(names, numbers, strict=True)) for numbers in found]
    if len(lists) == 1:
        labels = [r for (r,) in found]
    return {label: dict(zip(relations, r, strict=True)) for label, r in zip(labels, found, strict=True)}


def _of_each(asu, numbers):
    """Correlations of all reflections with their parents, [R]."""
    import numpy as np

    return np.array([numbers.get(name, 0.0) for name in asu.names])[asu.asu_id]


def _rows(asu, relations, numbers):
    """Rows of a table as `ChosenCorrelation.assign` takes it."""
    limits = {
        child: {"d_max": float(asu.of(child).d.max()), "d_min": float(asu.of(child).d.min())} for child in numbers
    }
    return [
        {"relation": f"{child}~{relations[child][0]}", **limits[child], "correlation": r}
        for child, r in numbers.items()
    ]


def _log(table, best):
    log = logging.getLogger("vimerge")
    log.info("%s", table.to_string(float_format="{:.4f}".format))
    log.info(
        "held-out observations are best predicted with the correlation %s, which is merged with; of the numbers, %s "
        "has most evidence in the others, which is the more sensitive",
        *(best, table["log_evidence"].drop(BY_SHELL).idxmax()),
    )
    others = table.drop(best)
    runner_up = others["log_predictive"].idxmax()
    less = table["log_predictive"][best] - table["log_predictive"][runner_up]
    error = table["log_predictive_se"][runner_up]
    log.info(
        "the next best, %s, predicts %.5f nats an observation less, with a standard error of %.5f%s",
        *(runner_up, less, error),
        ": held-out observations do not tell the two apart" if less < 2.0 * error else "",
    )
