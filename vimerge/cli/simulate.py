"""Simulate an experiment on a crystal of random atoms: unmerged reflections, and beside them the truth."""

import argparse

HELP = "simulate a rotation or Laue experiment with known truth"

# --option: (type, help); the defaults are those of vimerge.simulation.simulate.
NUMBERS = {
    "dmin": (float, "Å", "high-resolution limit (default: 2.0)"),
    "images": (int, "N", "number of images (default: 360)"),
    "oscillation": (float, "DEG", "rotation of an image (default: 0.6)"),
    "wavelength": (float, "Å", "default: 0.979"),
    "atoms": (int, "N", "in the asymmetric unit (default: as many as fill half of it)"),
    "anomalous-scatterers": (int, "N", "in the asymmetric unit (default: 3)"),
    "signal": (float, "PHOTONS", "of a mean reflection at low resolution (default: 500)"),
    "background": (float, "PHOTONS", "under a reflection at low resolution (default: 60)"),
    "gain": (float, "X", "counts a photon (default: 1)"),
    "absorption": (float, "X", "rms relative variation over the crystal (default: 0.1)"),
    "decay": (float, "X", "relative loss of the beam by the end (default: 0.2)"),
    "illumination": (float, "X", "relative variation of the illuminated volume (default: 0.1)"),
    "damage": (float, "Å²", "B factor gained by the end (default: 3)"),
    "jitter": (float, "X", "relative sd of the images' scales (default: 0.03)"),
    "sensitivity": (float, "X", "relative variation over the detector (default: 0.02)"),
    "multiplicative-error": (float, "X", "relative sd that the sigmas do not tell of (default: 0.03)"),
    "outliers": (float, "X", "fraction of the observations (default: 0.003)"),
    "seed": (int, "N", "default: 0"),
}
# The same for --laue, with the defaults of vimerge.simulation.simulate_laue …
LAUE = {
    "wavelength-min": (float, "Å", "short end of the band (default: 1.0)"),
    "wavelength-max": (float, "Å", "long end of the band (default: 1.25)"),
    "step": (float, "DEG", "rotation between the images (default: 4.5)"),
}
# … and for --pair, with those of vimerge.simulation.simulate_pair.
PAIR = {
    "moved-atoms": (int, "N", "neighbouring atoms that the change moves (default: 12)"),
    "shift": (float, "Å", "distance that each moves (default: 1.5)"),
    "fraction": (float, "X", "fraction of the cells that is changed (default: 0.3)"),
    "correlation": (float, "R", "instead, draw structure factors that are so correlated"),
}
ROTATION = ("oscillation", "wavelength", "anomalous-scatterers", "element")


def add_arguments(parser):
    """Describe the options of `vimerge simulate`."""
    parser.formatter_class = argparse.HelpFormatter
    parser.add_argument("-o", "--output", required=True, metavar="FILE.mtz", help="FILE_truth.mtz goes beside it")
    parser.add_argument("--space-group", metavar="NAME", help="default: P 21 21 21")
    parser.add_argument("--cell", nargs=6, type=float, metavar=("A", "B", "C", "α", "β", "γ"), help="Å and degrees")
    parser.add_argument("--element", metavar="SYMBOL", help="of the anomalous scatterers (default: Se)")
    _add_numbers(parser, NUMBERS)
    laue = parser.add_argument_group("Laue experiments")
    laue.add_argument(
        "--laue",
        action="store_true",
        help="stills in a polychromatic beam (default: 40 images, 2000 photons in a mean reflection, 200 under it)",
    )
    _add_numbers(laue, LAUE)
    pair = parser.add_argument_group("pairs")
    pair.add_argument(
        "--pair",
        action="store_true",
        help="two data sets, of the crystal and of one a little different: FILE_off.mtz, FILE_on.mtz, FILE_truth.mtz",
    )
    _add_numbers(pair, PAIR)


def run(arguments):
    """Run `vimerge simulate`."""
    from vimerge.simulation import simulate, simulate_laue, simulate_pair

    options = {k: v for k, v in vars(arguments).items() if k not in ("output", "run", "laue", "pair") and v is not None}
    _refuse(options, ROTATION if arguments.laue else LAUE, "without" if arguments.laue else "with", "--laue")
    if not arguments.pair:
        _refuse(options, PAIR, "with", "--pair")
        simulation = (simulate_laue if arguments.laue else simulate)(**options)
        print(f"{len(simulation.observations):,} observations of {len(simulation.truth):,} unique reflections")
    else:
        if "correlation" in options:
            _refuse(options, ("moved-atoms", "shift", "fraction"), "without", "--correlation")
        simulation = simulate_pair(laue=arguments.laue, **options)
        off, on = simulation.off, simulation.on
        print(
            f"{len(off.observations):,} and {len(on.observations):,} observations of {len(off.truth):,} unique "
            "reflections"
        )
    written = simulation.write(arguments.output)
    print("written: " + ", ".join(str(path) for path in written))


def _add_numbers(parser, numbers):
    for name, (kind, unit, text) in numbers.items():
        parser.add_argument(f"--{name}", type=kind, metavar=unit, help=text)


def _refuse(options, names, how, switch):
    """Raise a ``ValueError`` if an option was given that would do nothing."""
    for name in names:
        if name.replace("-", "_") in options:
            fix = f"add {switch}" if how == "with" else "leave one of the two out"
            raise ValueError(f"--{name} means something only {how} {switch}; {fix}.")
