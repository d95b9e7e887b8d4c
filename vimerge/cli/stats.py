"""Print statistics of merged, unmerged or half data sets: Table 1 as in papers, and a table by resolution shell.

R factors of a folder of results are of what was merged, without held-out and rejected observations.
"""

import argparse
import json
import logging
import math

HELP = "print Table 1 of results or of other programs' files"

FORMATS = ("text", "csv", "json", "latex", "markdown")


def add_arguments(parser):
    """Describe the options of `vimerge stats`."""
    parser.add_argument(
        "sources",
        nargs="+",
        metavar="DIR_OR_FILE",
        help="folders of results; MTZ files, merged or of half data sets; scaled unmerged reflections",
    )
    parser.add_argument("--format", choices=FORMATS, default="text", help="csv and json have all numbers in full")
    parser.add_argument("--shells", type=_shells, default=10, metavar="N", help="of equal count, common to all sources")
    parser.add_argument("--intensity-key", metavar="COLUMN", help="intensities or amplitudes (default: found by name)")
    parser.add_argument("--uncertainty-key", metavar="COLUMN", help="their sigmas (default: found by name)")
    parser.add_argument("--image-key", metavar="COLUMN", help="image numbers of unmerged files (default: by type)")
    parser.add_argument("--no-anomalous", action="store_true", help="merge the Friedel mates of unmerged files")
    parser.add_argument("--half-datasets", type=int, default=5, metavar="N", help="random halves of unmerged files")
    parser.add_argument("--seed", type=int, default=0, help="fixes them")


def run(arguments):
    """Run `vimerge stats`."""
    from vimerge.statistics import common_shells, merging_table, overall_numbers, read_source

    # Only the tables belong on the standard output, and only warnings beside them.
    for handler in logging.getLogger("vimerge").handlers:
        handler.setLevel(logging.WARNING)
    options = {name: getattr(arguments, name) for name in ("intensity_key", "uncertainty_key", "image_key", "seed")}
    options |= {"anomalous": not arguments.no_anomalous, "repeats": arguments.half_datasets}
    sources = [source for path in arguments.sources for source in read_source(path, **options)]
    names = _distinct([source.name for source in sources])
    shells = common_shells(sources, arguments.shells)
    tables = {name: merging_table(source, shells) for name, source in zip(names, sources, strict=True)}
    numbers = {name: overall_numbers(source) for name, source in zip(names, sources, strict=True)}
    print(_WRITERS[arguments.format](tables, numbers))


def _text(tables, numbers):
    from vimerge.statistics import shells_table, table_one

    first = table_one(tables, numbers)
    rows = [["", *(name if which == "overall" else "" for name, which in first)], ["", *(w for _, w in first)]]
    rows += [[label, *row] for label, row in zip(first.index, first.to_numpy().tolist(), strict=True)]
    parts = [_columns(rows)]
    for name, table in tables.items():
        written = shells_table(table)
        body = [[str(i), *row] for i, row in zip(written.index, written.to_numpy().tolist(), strict=True)]
        parts.append(f"{name}\n" + _columns([["shell", *written.columns], *body], left=False))
    return "\n\n".join(parts)


def _columns(rows, left=True):
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = (
        [
            cell.ljust(width) if left and not i else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        for row in rows
    )
    return "\n".join("  ".join(line).rstrip() for line in lines)


def _markdown(tables, numbers):
    from vimerge.statistics import shells_table, table_one

    first = table_one(tables, numbers)
    parts = [_pipes(["", *(f"{name}, {which}" for name, which in first)], first)]
    for name, table in tables.items():
        written = shells_table(table)
        parts.append(f"**{name}**\n\n" + _pipes(["shell", *written.columns], written))
    return "\n\n".join(parts)


def _pipes(head, table):
    rows = [
        head,
        ["---"] * len(head),
        *([str(i), *row] for i, row in zip(table.index, table.to_numpy().tolist(), strict=True)),
    ]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)


def _latex(tables, numbers):
    from vimerge.statistics import table_one

    first = table_one(tables, numbers, latex=True)
    groups = " & ".join(f"\\multicolumn{{3}}{{c}}{{{_escape(name)}}}" for name in tables)
    lines = [f"\\begin{{tabular}}{{l{'rrr' * len(tables)}}}", "\\hline", f" & {groups} \\\\"]
    lines += [" & " + " & ".join(["overall", "low", "high"] * len(tables)) + " \\\\", "\\hline"]
    for label, row in zip(first.index, first.to_numpy().tolist(), strict=True):
        head = _TEX.get(label, label)
        lines.append(" & ".join([head, *(_escape(cell.rstrip("%")) for cell in row)]) + " \\\\")
    return "\n".join([*lines, "\\hline", "\\end{tabular}"])


# Labels of rows that have no shells.
_TEX = {
    "resolution (Å)": "Resolution (\\AA)",
    "space group": "Space group",
    "cell (Å, °)": "Cell (\\AA, $^\\circ$)",
    "Wilson B (Å²)": "Wilson $B$ (\\AA$^2$)",
    "⟨|L|⟩": "$\\langle|L|\\rangle$",
    "CC1/2 = 0.3 (Å)": "$CC_{1/2} = 0.3$ (\\AA)",
}


def _escape(text):
    return "".join(f"\\{c}" if c in "_%&#$" else c for c in text).replace("–", "--")


def _csv(tables, numbers):
    import pandas as pd

    return pd.concat(tables, names=["source", "shell"]).to_csv().rstrip("\n")


def _json(tables, numbers):
    # By way of pandas, which writes NaN as null.
    found = [
        {"source": name, **_null(numbers[name]), "shells": json.loads(table.reset_index().to_json(orient="records"))}
        for name, table in tables.items()
    ]
    return json.dumps(found, indent=1, ensure_ascii=False)


def _null(numbers):
    return {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in numbers.items()}


def _distinct(names):
    """The names, with numbers behind those that come twice."""
    seen = {}
    found = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        found.append(name if names.count(name) == 1 else f"{name} {seen[name]}")
    return found


def _shells(text):
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("there must be one shell at least")
    return number


_WRITERS = {"text": _text, "csv": _csv, "json": _json, "latex": _latex, "markdown": _markdown}
