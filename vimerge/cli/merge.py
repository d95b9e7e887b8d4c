"""Scale and merge unmerged reflection files, and write a folder of results."""

import argparse
import logging
import sys
from pathlib import Path

from vimerge.cli.quiet import import_tensorflow

HELP = "scale and merge unmerged reflections"

# The names that vimerge.merging.recipe knows: to ask it would import TensorFlow for the sake of help.
SURROGATES = ("gamma", "rice", "folded-normal", "truncated-normal", "log-normal", "weibull")
LIKELIHOODS = ("normal", "student-t")
ERROR_MODELS = ("none", "evans")


def add_arguments(parser):
    """Describe the options of `vimerge merge`."""
    parser.add_argument("files", nargs="+", metavar="FILE", help="unmerged reflections (MTZ)")
    parser.add_argument("-o", "--output", required=True, metavar="DIR", help="folder for the results")

    data = parser.add_argument_group("data")
    data.add_argument("--anomalous", action="store_true", help="keep Friedel mates apart")
    data.add_argument("--dmin", type=float, metavar="Å", help="high-resolution limit (default: all)")
    data.add_argument("--space-group", metavar="NAME", help="in place of the files' own")
    data.add_argument("--intensity-key", metavar="COLUMN", help="intensities (default: found by type)")
    data.add_argument("--uncertainty-key", metavar="COLUMN", help="their sigmas (default: found by name)")
    data.add_argument("--image-key", metavar="COLUMN", help="image numbers (default: found by type)")
    data.add_argument(
        "--metadata",
        metavar="A,B,…",
        type=lambda text: [key.strip() for key in text.split(",") if key.strip()],
        help="columns that inform the scale, and dHKL, Hobs, Kobs, Lobs (default: all that can)",
    )

    model = parser.add_argument_group("model")
    model.add_argument("--surrogate", choices=SURROGATES, default="gamma", help="q(F)")
    model.add_argument("--likelihood", choices=LIKELIHOODS, default="student-t", help="of an intensity")
    model.add_argument("--dof", type=float, default=16.0, help="degrees of freedom of student-t")
    model.add_argument("--error-model", choices=ERROR_MODELS, default="none", help="evans learns SdFac, SdB, SdAdd")
    model.add_argument("--mc-samples", type=int, default=1, metavar="N", help="samples of each expectation")

    training = parser.add_argument_group("training")
    training.add_argument("--epochs", type=int, metavar="N", help="default: as many as make 2000 steps, at least 20")
    training.add_argument("--batch-size", type=int, default=8192, metavar="N", help="observations in a batch")
    training.add_argument("--learning-rate", type=float, default=0.01, metavar="RATE", help="of Adam, at the start")
    training.add_argument("--test-fraction", type=float, default=0.05, metavar="X", help="held out of training")
    training.add_argument("--half-datasets", type=int, default=1, metavar="N", help="divisions into halves; 0 for none")
    training.add_argument("--seed", type=int, default=0, help="fixes the result bit for bit")
    training.add_argument("--quiet", action="store_true", default=argparse.SUPPRESS, help="print warnings only")


def run(arguments):
    """Run `vimerge merge`."""
    options = vars(arguments)

    def pick(*names):
        return {name: options[name] for name in names}

    merge(
        arguments.output,
        quiet=options.get("quiet", False),
        files=tuple(arguments.files),
        reading=pick("anomalous", "dmin", "space_group", "intensity_key", "uncertainty_key", "image_key", "metadata"),
        modelling=pick("surrogate", "likelihood", "dof", "error_model", "mc_samples"),
        training=pick("epochs", "batch_size", "learning_rate"),
        **pick("test_fraction", "half_datasets", "seed"),
    )


def merge(output, quiet=False, **job):
    """Run a `MergeJob` with a log and a progress bar, write its folder, and print a summary.

    Parameters
    ----------
    output : path
        The folder.
    quiet : bool
        Print warnings only.
    **job
        Fields of `merging.job.MergeJob`.

    Returns
    -------
    MergeResult
    """
    folder = Path(output)
    folder.mkdir(parents=True, exist_ok=True)
    log = logging.getLogger("vimerge")
    to_file = logging.FileHandler(folder / "log.txt", mode="w", encoding="utf-8")
    to_file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log.addHandler(to_file)
    if not quiet:
        print("loading TensorFlow …", end="\r", file=sys.stderr, flush=True)
    import_tensorflow()

    from vimerge.merging.callbacks import ProgressBar
    from vimerge.merging.job import MergeJob
    from vimerge.report.summary import summarize

    result = MergeJob(**job).run(callbacks=[] if quiet else [ProgressBar()])
    written = result.write(folder)
    log.info("%s", summarize(result.merged, result.predictions, result.half_datasets))
    log.info("written to %s: %s", folder, ", ".join(path.name for path in sorted([*written, folder / "log.txt"])))
    return result
