"""Simulate a rotation experiment on a crystal of random atoms: unmerged reflections, and beside them the truth."""

import argparse

HELP = "simulate a rotation experiment with known truth"

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


def add_arguments(parser):
    """Describe the options of `vimerge simulate`."""
    parser.formatter_class = argparse.HelpFormatter
    parser.add_argument("-o", "--output", required=True, metavar="FILE.mtz", help="FILE_truth.mtz goes beside it")
    parser.add_argument("--space-group", metavar="NAME", help="default: P 21 21 21")
    parser.add_argument("--cell", nargs=6, type=float, metavar=("A", "B", "C", "α", "β", "γ"), help="Å and degrees")
    parser.add_argument("--element", metavar="SYMBOL", help="of the anomalous scatterers (default: Se)")
    for name, (kind, unit, text) in NUMBERS.items():
        parser.add_argument(f"--{name}", type=kind, metavar=unit, help=text)


def run(arguments):
    """Run `vimerge simulate`."""
    from vimerge.simulation import simulate

    options = {k: v for k, v in vars(arguments).items() if k not in ("output", "run") and v is not None}
    simulation = simulate(**options)
    written = simulation.write(arguments.output)
    print(f"{len(simulation.observations):,} observations of {len(simulation.truth):,} unique reflections")
    print("written: " + ", ".join(str(path) for path in written))
