"""Simulate a small rotation experiment, merge it, compare with the truth, and draw what came out."""

import argparse
from pathlib import Path

HELP = "simulate, merge and compare with the truth, in two minutes"

# Fewer steps than the default: enough for clean simulated data.
EPOCHS = 100


def add_arguments(parser):
    """Describe the options of `vimerge demo`."""
    parser.add_argument("-o", "--output", default="vimerge_demo", metavar="DIR", help="folder for the results")
    parser.add_argument("--seed", type=int, default=0, help="fixes the crystal, the experiment and the merge")
    parser.add_argument("--epochs", type=int, default=EPOCHS, metavar="N", help="passes through the data")
    parser.add_argument("--quiet", action="store_true", default=argparse.SUPPRESS, help="print warnings only")


def run(arguments):
    """Run `vimerge demo`."""
    import logging

    from vimerge.cli.merge import merge
    from vimerge.simulation import simulate

    folder = Path(arguments.output)
    folder.mkdir(parents=True, exist_ok=True)
    simulation = simulate(seed=arguments.seed)
    observations, *_ = simulation.write(folder / "simulated.mtz")
    result = merge(
        folder,
        quiet=getattr(arguments, "quiet", False),
        files=(observations,),
        reading={"anomalous": True},
        # The simulation has errors that the sigmas do not tell of.
        modelling={"error_model": "evans"},
        training={"epochs": arguments.epochs},
        seed=arguments.seed,
    )

    from vimerge.report.demo import demo_figure, truth_correlations

    log = logging.getLogger("vimerge")
    agreement = truth_correlations(result.merged, simulation.truth)
    for name, value in agreement.items():
        log.info("%s: %.4f", name, value)
    figure = demo_figure(result, simulation.truth, folder / "demo.png")
    log.info("figures: %s", figure)
