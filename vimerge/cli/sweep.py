"""Compare prior correlations of data sets by observations that were held out, and merge with the best."""

import logging

from vimerge.cli import merge

HELP = "choose the prior correlation of data sets"


def add_arguments(parser):
    """Describe the options of `vimerge sweep`: those of `vimerge merge`, with several numbers for --correlate."""
    merge.add_arguments(parser)


def run(arguments):
    """Run `vimerge sweep`."""
    from vimerge.reflections import OptionError

    given = {values for _, (_, values) in arguments.correlate}
    if len(given) != 1 or len(next(iter(given))) < 2:
        raise OptionError(
            "A sweep needs correlations to compare, the same for all relations: --correlate on~off=0.9,0.99,0.999."
        )
    # What the data say without each other is the yardstick.
    correlations = sorted({0.0, *next(iter(given))})
    tables = []

    def choose(model, train, test):
        from vimerge.evidence import held_out
        from vimerge.priors import GivenCorrelation

        table = held_out(model, train, test, correlations, seed=arguments.seed)
        best = float(table["log_predictive"].idxmax())
        model.prior.correlation = GivenCorrelation(best)
        model.prior.correlation.bind(model.asu)
        model.condition(train)
        tables.append(table)
        log = logging.getLogger("vimerge")
        log.info("%s", table.to_string(float_format="{:.4f}".format))
        log.info(
            "held-out observations are best predicted with a correlation of %g, which is merged with; the evidence of "
            "the others, which is the more sensitive, is highest at %g",
            *(best, float(table["log_evidence"].idxmax())),
        )
        if best == correlations[-1]:
            log.warning("That is the highest of all: a higher one may be better still.")

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
