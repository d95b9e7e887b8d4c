"""The short summary at the end of a merge."""

from vimerge.statistics import completeness, half_dataset_correlations, prediction_correlations

LABELS = {
    "unique": ("unique", "{:.0f}"),
    "completeness": ("compl.", "{:.1%}"),
    "multiplicity": ("mult.", "{:.1f}"),
    "mean_i_over_sigma": ("<I/sd>", "{:.1f}"),
    "cc_half": ("CC1/2", "{:.3f}"),
    "cc_half_f": ("CC1/2(F)", "{:.3f}"),
    "cc_anom": ("CCanom", "{:.3f}"),
    "cc_anom_weighted": ("(weighted)", "{:.3f}"),
}


def summarize(merged, predictions, half_datasets=None, shells=10):
    """Say how good a merge is, in a table by resolution and a few lines.

    Parameters
    ----------
    merged, predictions : rs.DataSet
        See `merging.results`.
    half_datasets : rs.DataSet, optional
        See `merging.crossvalidation`.
    shells : int
        How many resolution shells.

    Returns
    -------
    str
    """
    table = completeness(merged, shells)
    overall = table.loc["overall"]
    lines = [
        f"{overall['unique']:.0f} unique reflections to {overall['dmin']:.2f} Å, multiplicity "
        f"{overall['multiplicity']:.1f}, completeness {overall['completeness']:.1%}"
    ]
    for name, row in prediction_correlations(predictions).iterrows():
        kind = "held-out" if name == "test" else "training"
        lines.append(
            f"observed against predicted intensity, {row['observations']:.0f} {kind} observations: CC "
            f"{row['pearson']:.3f}, weighted {row['weighted']:.3f}, rank {row['spearman']:.3f}"
        )
    if half_datasets is not None:
        from vimerge.statistics import Shells, resolution

        halves = half_dataset_correlations(half_datasets, Shells(resolution(merged), shells))
        table = table.join(halves.drop(columns=["dmax", "dmin", "reflections"]))
    return "\n".join([*lines, "", format_shells(table)])


def format_shells(table):
    """Lay a table by resolution shell out as text."""
    columns = [name for name in LABELS if name in table]
    rows = [["resolution (Å)", *(LABELS[name][0] for name in columns)]]
    for shell, row in table.iterrows():
        limits = f"{row['dmax']:.2f}–{row['dmin']:.2f}"
        numbers = (LABELS[name][1].format(row[name]) for name in columns)
        rows.append([f"overall {limits}" if shell == "overall" else limits, *numbers])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
