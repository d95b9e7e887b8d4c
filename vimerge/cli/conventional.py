"""Scale by least squares and merge by inverse variance, as conventional programs do: the baseline to compare with."""

import argparse
import logging
import os

from vimerge.cli import options

HELP = "scale and merge the conventional way"

# The names that vimerge.conventional knows: to ask it would import much for the sake of help.
PARTIALS = ("sum", "scale", "single")
ROBUST = ("none", "huber", "tukey")


def add_arguments(parser):
    """Describe the options of `vimerge conventional`."""
    parser.add_argument("files", nargs="+", metavar="FILE", help="unmerged reflections (MTZ)")
    data = options.add_data(parser, "found by type; IPR of several")
    data.add_argument(
        "--wavelength-key",
        metavar="COLUMN",
        help="wavelengths of Laue data, which are normalised, and overlaps of harmonics rejected",
    )
    data.add_argument(
        "--partials",
        choices=PARTIALS,
        default="sum",
        help="add parts up and reject incomplete sums, or scale these by their fraction, or scale each part by itself",
    )
    data.add_argument("--min-fraction", type=float, default=0.5, metavar="X", help="least fraction to scale")
    data.add_argument(
        "--combine",
        metavar="I,SIGI",
        type=_pair,
        help="summed intensities to use for strong reflections, with the profile-fitted ones for weak",
    )

    scaling = parser.add_argument_group("scaling")
    scaling.add_argument("--scale-spacing", type=float, default=10.0, metavar="DEG", help="between knots of the scale")
    scaling.add_argument("--b-spacing", type=float, default=20.0, metavar="DEG", help="between knots of B")
    scaling.add_argument("--absorption", type=int, default=4, metavar="L", help="degree of harmonics; 0 for none")
    scaling.add_argument(
        "--detector",
        type=int,
        default=3,
        metavar="N",
        help="intervals of the detector's surface, which replaces harmonics if headers lack the geometry; 0 for none",
    )
    scaling.add_argument("--no-image-scales", action="store_true", help="none for each image besides the smooth one")
    scaling.add_argument(
        "--error-model", choices=("none", "evans"), default="evans", help="evans refines SdFac, SdB and SdAdd"
    )
    scaling.add_argument("--outlier-limit", type=float, default=6.0, metavar="X", help="sigmas from the equivalents")
    scaling.add_argument("--friedel-limit", type=float, default=10.0, metavar="X", help="and from Friedel mates too")
    scaling.add_argument("--e-limit", type=float, default=10.0, metavar="E", help="largest |E|")
    scaling.add_argument("--cycles", type=int, default=10, metavar="N", help="of scaling, at most")

    merging = parser.add_argument_group("merging")
    merging.add_argument("--robust", choices=ROBUST, default="none", help="weights that fall off with the deviation")
    merging.add_argument("--test-fraction", type=float, default=0.05, metavar="X", help="held out of scaling")
    merging.add_argument("--half-datasets", type=int, default=1, metavar="N", help="divisions into halves; 0 for none")
    options.add_free_flags(merging)
    merging.add_argument("--seed", type=int, default=0, help="fixes the result")
    merging.add_argument("--no-report", action="store_true", help="write no report.html")
    merging.add_argument("--quiet", action="store_true", default=argparse.SUPPRESS, help="print warnings only")


def run(arguments):
    """Run `vimerge conventional`."""
    # The matrices are small, and threads that wait for each other cost more than they save.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    folder, log = options.open_folder(arguments.output), logging.getLogger("vimerge")

    from vimerge.conventional import ConventionalJob, ModelOptions, ScalingOptions
    from vimerge.report.summary import summarize

    def pick(*names):
        return {name: getattr(arguments, name) for name in names}

    model = ModelOptions(
        **pick("scale_spacing", "b_spacing", "absorption", "detector"), image_scales=not arguments.no_image_scales
    )
    scaling = ScalingOptions(
        model=model,
        error_model=arguments.error_model != "none",
        **pick("outlier_limit", "friedel_limit", "e_limit", "cycles", "wavelength_key"),
    )
    job = ConventionalJob(
        files=tuple(arguments.files),
        reading=pick("anomalous", "dmin", "space_group", "intensity_key", "uncertainty_key", "image_key"),
        partials={"how": arguments.partials, "minimum": arguments.min_fraction},
        combine=arguments.combine,
        scaling=scaling,
        merging=pick("robust"),
        free_flags=options.free_flags(arguments),
        **pick("test_fraction", "half_datasets", "seed"),
    )
    result = job.run()
    written = result.write(folder)
    log.info("%s", summarize(result.merged, result.predictions, result.half_datasets))
    if not arguments.no_report:
        from vimerge.report.html import write_report

        written.append(write_report(folder, folder / "report.html"))
    log.info("written to %s: %s", folder, ", ".join(path.name for path in sorted([*written, folder / "log.txt"])))


def _pair(text):
    names = [name.strip() for name in text.split(",") if name.strip()]
    if len(names) not in (2, 3):
        raise argparse.ArgumentTypeError(f"{text!r} is not two columns, such as I,SIGI (or three, with LP)")
    return dict(zip(("summation", "sigma", "lp"), names, strict=False))
