"""Scale and merge unmerged reflection files, and write a folder of results."""

import argparse
import logging
import sys
from pathlib import Path

from vimerge.cli.options import add_data, add_free_flags, free_flags, open_folder
from vimerge.cli.quiet import import_tensorflow

HELP = "scale and merge unmerged reflections"

# The names that vimerge.merging.parts knows: to ask it would import TensorFlow for the sake of help.
SURROGATES = ("french-wilson", "gamma", "rice", "folded-normal", "truncated-normal", "log-normal", "weibull", "delta")
LIKELIHOODS = ("normal", "student-t", "laplace", "contaminated")
ERROR_MODELS = ("none", "evans", "xds", "neural")
PARTIALS = ("separate", "sum")
ERRORS_PER = ("dataset", "file", "image")
SCALE_POSTERIORS = ("delta", "log-normal", "gamma", "folded-normal")
FALLOFFS = ("flat", "isotropic", "anisotropic", "smooth")
OBJECTIVES = ("elbo", "collapsed")


def add_arguments(parser):
    """Describe the options of `vimerge merge`."""
    parser.add_argument("files", nargs="*", metavar="FILE", help="unmerged reflections (MTZ)")
    data = add_data(parser)
    data.add_argument(
        "--metadata",
        metavar="A,B,…",
        type=lambda text: [key.strip() for key in text.split(",") if key.strip()],
        help="columns that inform the scale, and dHKL, Hobs, Kobs, Lobs (default: all that can)",
    )
    data.add_argument("--wavelength-key", metavar="COLUMN", help="wavelengths of Laue data, whose harmonics add up")
    data.add_argument("--wavelength-min", type=float, metavar="Å", help="of the beam (default: of the data)")
    data.add_argument("--wavelength-max", type=float, metavar="Å", help="of the beam (default: of the data)")
    data.add_argument("--separate", action="store_true", help="each file is a data set: scaled together, merged apart")
    data.add_argument(
        "--dataset",
        action="append",
        default=[],
        type=named_files,
        metavar="NAME=FILE,…",
        help="files of one of several data sets, scaled together and merged apart; may be repeated",
    )
    data.add_argument(
        "--reindex", action="append", default=[], type=operator, metavar="NAME=k,h,-l", help="indices of a data set"
    )
    data.add_argument("--partials", choices=PARTIALS, default="separate", help="parts of reflections: add them up?")

    model = parser.add_argument_group("model")
    model.add_argument("--surrogate", choices=SURROGATES, default="french-wilson", help="q(F); delta is a point")
    model.add_argument("--over", choices=("amplitude", "intensity"), help="what q is of (default: what suits it)")
    model.add_argument("--falloff", choices=FALLOFFS, default="smooth", help="of the prior's mean intensity")
    model.add_argument("--learn-falloff", action="store_true", help="learn it with the rest")
    model.add_argument("--reference", metavar="FILE", help="merged MTZ or model whose amplitudes the prior is about")
    model.add_argument("--reference-column", metavar="COLUMN", help="amplitudes of the MTZ (default: found by type)")
    model.add_argument(
        "--correlate",
        action="append",
        default=[],
        type=correlation,
        metavar="ON~OFF[=R]",
        help="prior correlation of a data set's structure factors with those of another, by resolution as the evidence "
        "has it if R is left out; may be repeated",
    )
    model.add_argument(
        "--friedel-correlation", type=auto_or_number, metavar="R", help="prior correlation of Friedel mates, or auto"
    )
    model.add_argument("--likelihood", choices=LIKELIHOODS, default="student-t", help="of an intensity")
    model.add_argument("--dof", type=float, default=16.0, help="degrees of freedom of student-t")
    model.add_argument(
        "--learn-dof", action=argparse.BooleanOptionalAction, default=True, help="learn them, from --dof on"
    )
    model.add_argument("--error-model", choices=ERROR_MODELS, default="evans", help="evans learns SdFac, SdB, SdAdd")
    model.add_argument("--errors-per", choices=ERRORS_PER, help="whose error model it is (default: each image's)")
    model.add_argument(
        "--shared-errors",
        type=auto_or_number,
        default="auto",
        metavar="R",
        help="correlation of the systematic errors of spots that correlated data sets have in common, on images of the "
        "same number (default: auto, as the evidence has it)",
    )
    model.add_argument(
        "--scaling",
        metavar="A+B",
        help="mlp, layers (an mlp with a layer for each image), image, detector, physical, or a sum of them (default: "
        "layers+image, or mlp+image where images have few observations)",
    )
    model.add_argument("--scale-posterior", choices=SCALE_POSTERIORS, default="delta", help="q(Σ)")
    model.add_argument("--width", type=int, default=32, metavar="N", help="of the scaling network")
    model.add_argument("--depth", type=int, default=3, metavar="N", help="of the scaling network, in residual blocks")
    model.add_argument("--scaling-from", metavar="DIR", help="merge with the scaling of an earlier merge, frozen")
    model.add_argument("--correct-moments", action="store_true", help="F and SIGF of the exact posterior, by sampling")
    model.add_argument("--mc-samples", type=int, default=1, metavar="N", help="samples of each expectation")

    training = parser.add_argument_group("training")
    training.add_argument("--objective", choices=OBJECTIVES, help="default: collapsed, with F integrated out")
    training.add_argument("--epochs", type=int, metavar="N", help="default: what makes 800 steps, 2000 of elbo")
    training.add_argument("--batch-size", type=int, metavar="N", help="observations (default: 2048, 8192 for elbo)")
    training.add_argument(
        "--learning-rate", type=float, metavar="RATE", help="of Adam, at the start (default: 0.02, 0.01 for elbo)"
    )
    training.add_argument("--test-fraction", type=float, default=0.05, metavar="X", help="held out of training")
    training.add_argument("--half-datasets", type=int, default=1, metavar="N", help="divisions into halves; 0 for none")
    add_free_flags(training)
    training.add_argument("--seed", type=int, default=0, help="fixes the result bit for bit")
    training.add_argument("--no-report", action="store_true", help="write no report.html")
    training.add_argument("--quiet", action="store_true", default=argparse.SUPPRESS, help="print warnings only")


def run(arguments):
    """Run `vimerge merge`."""
    options = vars(arguments)
    if options["correct_moments"] and options["surrogate"] == "delta":
        from vimerge.reflections import OptionError

        raise OptionError("A point has no moments to correct: leave out --correct-moments or take another --surrogate.")
    merge(
        arguments.output,
        quiet=options.get("quiet", False),
        correct_moments=options["correct_moments"],
        report=not options["no_report"],
        **job_options(arguments),
    )


def job_options(arguments):
    """The fields of a `MergeJob` among the options."""
    options = vars(arguments)
    if options["correct_moments"] and (arguments.correlate or arguments.friedel_correlation is not None):
        raise ValueError("Moments of reflections that a prior ties together are exact: leave out --correct-moments.")

    if any(len(values) > 1 for _, (_, values) in arguments.correlate):
        raise ValueError("Give one correlation of two data sets; vimerge sweep compares several.")

    def pick(*names):
        return {name: options[name] for name in names}

    return {
        **inputs(arguments),
        "free_flags": free_flags(arguments),
        "reading": pick(
            *("anomalous", "dmin", "space_group", "intensity_key", "uncertainty_key", "image_key", "metadata"),
            *("wavelength_key", "wavelength_min", "wavelength_max"),
        ),
        "modelling": pick(
            *("surrogate", "over", "falloff", "learn_falloff", "reference", "reference_column", "friedel_correlation"),
            *("likelihood", "dof", "learn_dof", "error_model", "errors_per", "shared_errors"),
            *("scaling", "scale_posterior", "width", "depth", "scaling_from", "mc_samples"),
        )
        | {"correlate": {child: (parent, *(values or ("auto",))) for child, (parent, values) in arguments.correlate}},
        "training": pick("objective", "epochs", "batch_size", "learning_rate"),
        **pick("partials", "test_fraction", "half_datasets", "seed"),
    }


def inputs(arguments):
    """The files, or the data sets and how to reindex them: fields of a `MergeJob`."""
    datasets = dict(arguments.dataset)
    if len(datasets) < len(arguments.dataset):
        raise ValueError("A data set was named twice: give all its files at once, --dataset name=one.mtz,two.mtz.")
    if datasets and (arguments.files or arguments.separate):
        raise ValueError("Give either files, of one data set or --separate, or each data set with --dataset.")
    if arguments.separate:
        stems = [Path(path).stem for path in arguments.files]
        if len(set(stems)) < len(stems):
            raise ValueError("Two files have the same name: name the data sets with --dataset name=file.")
        datasets = {stem: (path,) for stem, path in zip(stems, arguments.files, strict=True)}
    if not datasets and not arguments.files:
        raise ValueError("No file was given: name at least one unmerged reflection file.")
    if not datasets and arguments.reindex:
        raise ValueError("--reindex is for one of several data sets: name them with --separate or --dataset.")
    files = () if datasets else tuple(arguments.files)
    return {"files": files, "datasets": datasets or None, "reindex": dict(arguments.reindex)}


def named_files(text):
    """Parse NAME=FILE,FILE."""
    name, equals, paths = text.partition("=")
    paths = tuple(path for path in paths.split(",") if path)
    if not (name and equals and paths):
        raise argparse.ArgumentTypeError(f"{text!r} is not a name with files, such as off=off_1.mtz,off_2.mtz")
    return name, paths


def operator(text):
    """Parse NAME=OPERATOR."""
    name, equals, triplet = text.partition("=")
    if not (name and equals and triplet):
        raise argparse.ArgumentTypeError(f"{text!r} is not a data set with an operator, such as on=k,h,-l")
    return name, triplet


def correlation(text):
    """Parse CHILD~PARENT, CHILD~PARENT=R, or with several correlations CHILD~PARENT=R,R."""
    pair, equals, numbers = text.partition("=")
    child, tilde, parent = pair.partition("~")
    try:
        values = tuple(float(number) for number in numbers.split(",")) if equals else ()
    except ValueError:
        values = (-1.0,)
    if not (child and tilde and parent and all(0 <= value < 1 for value in values)):
        raise argparse.ArgumentTypeError(f"{text!r} does not tie two data sets, such as on~off=0.99, or on~off")
    return child, (parent, values)


def auto_or_number(text):
    """Parse a number, or auto."""
    try:
        return text if text == "auto" else float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number, such as 0.9, nor auto") from None


def merge(output, quiet=False, correct_moments=False, report=True, trained=None, finish=None, **job):
    """Run a `MergeJob` with a log and a progress bar, write its folder, and print a summary.

    Parameters
    ----------
    output : path
        The folder.
    quiet : bool
        Print warnings only.
    correct_moments : bool
        Merge the moments of `vimerge.evidence.corrected_moments` in place of the surrogate's.
    report : bool
        Write `report.html` beside the results.
    trained : callable, optional
        See `merging.job.MergeJob.run`.
    finish : callable, optional
        Takes the result and the folder, writes more into it and returns the paths.
    **job
        Fields of `merging.job.MergeJob`.

    Returns
    -------
    MergeResult
    """
    folder, log = open_folder(output), logging.getLogger("vimerge")
    if not quiet:
        print("loading TensorFlow …", end="\r", file=sys.stderr, flush=True)
    import_tensorflow()

    from vimerge.merging.callbacks import ProgressBar
    from vimerge.merging.job import MergeJob
    from vimerge.report.summary import summarize

    moments = _corrected if correct_moments else None
    result = MergeJob(**job).run([] if quiet else [ProgressBar()], moments, trained)
    written = result.write(folder)
    for name, tables in result.datasets.items():
        log.info("%s%s", f"data set {name}: " if name else "", summarize(*tables))
    if finish is not None:
        written += finish(result, folder)
    if report:
        from vimerge.report.html import write_report

        written.append(write_report([folder], folder / "report.html"))
    log.info("written to %s: %s", folder, ", ".join(path.name for path in sorted([*written, folder / "log.txt"])))
    return result


def _corrected(model, reflections):
    from vimerge.evidence import corrected_moments

    corrected = corrected_moments(model, reflections)
    log = logging.getLogger("vimerge")
    log.info("moments corrected; Pareto k̂ is below 0.7 for %.1f %% of the reflections", 100 * corrected.trusted.mean())
    return corrected
