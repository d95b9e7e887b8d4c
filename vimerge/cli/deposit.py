"""Write the results of a merge as mmCIF, with their statistics, for deposition in the Protein Data Bank."""

HELP = "write results as mmCIF, for deposition"


def add_arguments(parser):
    """Describe the options of `vimerge deposit`."""
    parser.add_argument("folder", metavar="DIR", help="results of vimerge merge or vimerge conventional")
    parser.add_argument("-o", "--output", required=True, metavar="FILE.cif", help="the file to write")
    parser.add_argument("--unmerged", action="store_true", help="with the scaled observations, as a second block")
    parser.add_argument("--entry", default="xxxx", metavar="ID", help="identifier of the entry")
    parser.add_argument("--wavelength", type=float, metavar="Å", help="default: not known")
    parser.add_argument("--shells", type=int, default=10, metavar="N", help="of equal count")


def run(arguments):
    """Run `vimerge deposit`."""
    from vimerge.reflections.deposit import write_mmcif
    from vimerge.reflections.errors import MissingColumnError
    from vimerge.statistics import merging_table, read_results, wilson_b

    results = read_results(arguments.folder)
    if len(results) > 1:
        raise ValueError(f"{arguments.folder} holds {len(results)} data sets; deposit each from a folder of its own.")
    tables = results[0]
    if arguments.unmerged and tables.observations is None:
        raise MissingColumnError(f"{arguments.folder}: there is no predictions.mtz; leave --unmerged out.")
    write_mmcif(
        arguments.output,
        tables.merged,
        merging_table(tables, arguments.shells),
        tables.observations if arguments.unmerged else None,
        entry=arguments.entry,
        wilson_b=wilson_b(tables.merged).b,
        wavelength=arguments.wavelength,
    )
    print(f"written: {arguments.output}")
