"""Compare two data sets, scaled together: differences of F with their errors, a map for Coot, and its peaks."""

import logging
from pathlib import Path

from vimerge.cli import merge
from vimerge.cli.options import open_folder

HELP = "differences of two data sets, with a map"

WEIGHTS = ("shrinkage", "q", "none")


def add_arguments(parser):
    """Describe the options of `vimerge difference`: those of a map, and those of `vimerge merge`."""
    merge.add_arguments(parser)
    # A difference is noisy enough with all that was measured.
    parser.set_defaults(test_fraction=0.0)
    maps = parser.add_argument_group(
        "difference",
        "Of two unmerged files, the second less the first; they are merged first. Of two merged files (MTZ with F and "
        "SIGF) the options of a merge are of no use.",
    )
    maps.add_argument("--phases", metavar="FILE", help="a model (PDB, mmCIF) or a merged MTZ with phases, for a map")
    maps.add_argument("--model", metavar="FILE", help="atoms to name peaks by (default: that of the phases)")
    maps.add_argument(
        "--weights", choices=WEIGHTS, help="default: shrinkage, but q where the prior correlates the data sets"
    )
    maps.add_argument("--around", nargs="+", metavar="RESIDUE", help="residues to look around, such as HC4 A/69")
    maps.add_argument("--peaks", type=int, default=20, metavar="N", help="peaks, and holes, to list")
    maps.add_argument("--ccp4", action="store_true", help="write the map too")


def run(arguments):
    """Run `vimerge difference`."""
    from vimerge.reflections import OptionError

    names = [name for name, _ in arguments.dataset] or [Path(path).stem for path in arguments.files]
    if len(names) != 2:
        raise OptionError(f"A difference is of two data sets, not of {len(names)}; name two files, or two --dataset.")
    if arguments.around and not (arguments.phases or arguments.model):
        raise OptionError("Residues are looked for in a model: give --phases model.pdb, or --model.")
    if arguments.files and all(_is_merged(path) for path in arguments.files):
        _of_merged_files(arguments, names)
    else:
        _of_unmerged_files(arguments, names)


def _of_merged_files(arguments, names):
    from vimerge.statistics import difference_table, read_amplitudes

    folder = open_folder(arguments.output)
    names = names if len(set(names)) == 2 else ["off", "on"]
    table = difference_table(*(read_amplitudes(path) for path in arguments.files), names)
    written = _write(table, folder, arguments, tied=False)
    logging.getLogger("vimerge").info("written to %s: %s", folder, ", ".join(path.name for path in written))


def _of_unmerged_files(arguments, names):
    arguments.separate = not arguments.dataset
    if _errors_can_be_shared(arguments):
        # Amplitudes that are independent a priori; what the data sets share ties their posteriors.
        arguments.correlate = [(names[1], (names[0], (0.0,)))]
    tied = any(values != (0.0,) for _, (_, values) in arguments.correlate)
    tables = []

    def compare(model, train, _):
        from vimerge.merging.differences import differences

        tables.append(differences(model, train, child=names[1], parent=names[0]))

    merge.merge(
        arguments.output,
        quiet=getattr(arguments, "quiet", False),
        correct_moments=arguments.correct_moments,
        report=not arguments.no_report,
        trained=compare,
        finish=lambda _, folder: _write(tables[0], folder, arguments, tied),
        **merge.job_options(arguments),
    )


def _errors_can_be_shared(arguments):
    """Whether a joint posterior is to be had without a prior that correlates the amplitudes."""
    other_prior = arguments.correlate or arguments.reference or arguments.friedel_correlation is not None
    with_errors = arguments.error_model != "none" and arguments.shared_errors != 0
    return with_errors and not other_prior and not arguments.correct_moments


def _write(table, folder, arguments, tied):
    """Scale, weight and phase the differences, write them and look for peaks; the paths written."""
    from vimerge.reflections.writing import write_together
    from vimerge.statistics import DifferenceMap, difference_coefficients, phases, read_model, scale_together
    from vimerge.statistics.atomic_models import is_model

    log = logging.getLogger("vimerge")
    table, path = scale_together(table), folder / "difference.mtz"
    log.info("%s common reflections; |ΔF| / σ(ΔF) is %.2f on average", f"{len(table):,}", _mean_significance(table))
    if arguments.phases is None:
        write_together({path: table.write_mtz})
        return [path]
    # Means of a posterior whose prior correlates both data sets are shrunk towards each other already.
    weights = arguments.weights or ("q" if tied else "shrinkage")
    coefficients = difference_coefficients(table, phases(table, arguments.phases), weights=weights)
    new = [name for name in coefficients.columns if name not in table.columns]
    density = DifferenceMap.from_coefficients(coefficients)
    source = arguments.model or (arguments.phases if is_model(arguments.phases) else None)
    model = None if source is None else read_model(source, table.cell, table.spacegroup)
    peaks = density.peaks(arguments.peaks, model=model, around=arguments.around)
    writers = {path: table.join(coefficients[new]).write_mtz, folder / "peaks.csv": peaks.to_csv}
    if arguments.ccp4:
        writers[folder / "difference.ccp4"] = density.write_ccp4
    write_together(writers)
    log.info("map weighted by %s; heights in σ of the map\n%s", weights, peaks.round(2).to_string())
    if arguments.around:
        found = density.around(model, arguments.around)
        log.info(
            "around %s: highest %.2f σ (%s), lowest %.2f σ (%s), rms at its %d atoms %.2f σ",
            " ".join(arguments.around),
            *(found.maximum, found.maximum_atom, found.minimum, found.minimum_atom, found.atoms, found.rms),
        )
    return list(writers)


def _mean_significance(table):
    return float((table["DF"].abs() / table["SIGDF"]).mean())


def _is_merged(path):
    """Whether a file is an MTZ file of merged reflections."""
    import gemmi

    try:
        mtz = gemmi.read_mtz_file(str(path), with_data=False)
    except (RuntimeError, OSError, ValueError):
        return False
    return not mtz.batches and "M/ISYM" not in mtz.column_labels()
