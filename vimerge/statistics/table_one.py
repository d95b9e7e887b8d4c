"""All statistics of a merge by resolution shell, and the table that papers print of them."""

import math
import os

import numpy as np
import pandas as pd

from vimerge.statistics.completeness import completeness
from vimerge.statistics.half_datasets import half_dataset_correlations
from vimerge.statistics.inputs import ResultTables, read_source
from vimerge.statistics.limits import resolution_estimate
from vimerge.statistics.shells import Shells, resolution
from vimerge.statistics.twinning import twinning
from vimerge.statistics.unmerged import merging_r_factors
from vimerge.statistics.wilson import wilson_b

# Of each statistic: its label as text and in LaTeX, and how its numbers are written.
LABELS = {
    "observations": ("observations", "Observations", "{:,.0f}"),
    "unique": ("unique", "Unique reflections", "{:,.0f}"),
    "completeness": ("completeness", "Completeness (\\%)", "{:.1%}"),
    "multiplicity": ("multiplicity", "Multiplicity", "{:.1f}"),
    "mean_i": ("⟨I⟩", "$\\langle I\\rangle$", "{:.4g}"),
    "mean_i_over_sigma": ("⟨I/σ⟩", "$\\langle I/\\sigma(I)\\rangle$", "{:.1f}"),
    "r_merge": ("R_merge", "$R_\\mathrm{merge}$", "{:.3f}"),
    "r_meas": ("R_meas", "$R_\\mathrm{meas}$", "{:.3f}"),
    "r_pim": ("R_pim", "$R_\\mathrm{pim}$", "{:.3f}"),
    "cc_half": ("CC1/2", "$CC_{1/2}$", "{:.3f}"),
    "cc_half_sigma_tau": ("CC1/2 (σ-τ)", "$CC_{1/2}$ ($\\sigma$-$\\tau$)", "{:.3f}"),
    "cc_star": ("CC*", "$CC^*$", "{:.3f}"),
    "r_split": ("R_split", "$R_\\mathrm{split}$", "{:.3f}"),
    "completeness_anomalous": ("anom. completeness", "Anomalous completeness (\\%)", "{:.1%}"),
    "multiplicity_anomalous": ("anom. multiplicity", "Anomalous multiplicity", "{:.1f}"),
    "r_meas_anomalous": ("R_meas (I+, I−)", "$R_\\mathrm{meas}$ ($I^+$, $I^-$)", "{:.3f}"),
    "r_pim_anomalous": ("R_pim (I+, I−)", "$R_\\mathrm{pim}$ ($I^+$, $I^-$)", "{:.3f}"),
    "cc_anom": ("CC_anom", "$CC_\\mathrm{anom}$", "{:.3f}"),
    "anomalous_signal": ("⟨|ΔF|/σ(ΔF)⟩", "$\\langle|\\Delta F|/\\sigma(\\Delta F)\\rangle$", "{:.2f}"),
}


def merging_table(source, shells=10):
    """All statistics of a merge, by resolution shell.

    Parameters
    ----------
    source : path or ResultTables
        A folder of results, a file that `read_source` understands, or tables in memory.
    shells : int or Shells
        The shells, or the number of shells of equal count.

    Returns
    -------
    pandas.DataFrame
        A row a shell (1 …) and "overall": the columns of `completeness`, `merging_r_factors` and
        `half_dataset_correlations`, as far as the source tells them. Observations, multiplicities and R factors are
        of what was merged, without what was held out or rejected.

    Raises
    ------
    ValueError
        If a folder holds several data sets: give each of `read_results` by itself.
    """
    tables = _tables(source)
    shells = shells if isinstance(shells, Shells) else Shells(resolution(tables.reflections), shells)
    parts = []
    if tables.merged is not None:
        parts.append(completeness(tables.merged, shells))
    if tables.observations is not None:
        anomalous = tables.merged is not None and "I(+)" in tables.merged
        parts.append(merging_r_factors(tables.observations, shells, anomalous))
    if tables.half_datasets is not None:
        parts.append(half_dataset_correlations(tables.half_datasets, shells))
    result = parts[0]
    for part in parts[1:]:
        result = result.join(part.drop(columns=[name for name in part if name in result]))
    return result


def common_shells(sources, number=10):
    """Shells that hold equal numbers of the reflections of all sources together.

    Parameters
    ----------
    sources : sequence of ResultTables
        What to compare.
    number : int, optional
        How many shells.

    Returns
    -------
    Shells
    """
    return Shells(np.concatenate([resolution(source.reflections) for source in sources]), number)


def overall_numbers(source):
    """Numbers that belong to a whole data set.

    Parameters
    ----------
    source : path or ResultTables
        As for `merging_table`.

    Returns
    -------
    dict
        `space_group`, `cell` (Å and degrees), `dmax`, `dmin` (Å); with merged data `wilson_b` and `wilson_b_sigma`
        (Å²), `mean_abs_l`, `mean_l2` and `twin_fraction`; with half data sets `d_cc_half_0.3`, see
        `resolution_estimate`, and `reached`, whether CC1/2 falls to 0.3 within the data.
    """
    tables = _tables(source)
    table = tables.reflections
    d = resolution(table)
    numbers = {
        "space_group": table.spacegroup.xhm(),
        "cell": [round(x, 4) for x in table.cell.parameters],
        "dmax": float(d.max()),
        "dmin": float(d.min()),
    }
    if tables.merged is not None:
        wilson, twin = wilson_b(tables.merged), twinning(tables.merged)
        numbers |= {"wilson_b": wilson.b, "wilson_b_sigma": wilson.sigma}
        numbers |= {"mean_abs_l": twin.mean_abs_l, "mean_l2": twin.mean_l2, "twin_fraction": twin.fraction}
    if tables.half_datasets is not None:
        number = int(np.clip(len(d) // 100, 3, 20))
        estimate = resolution_estimate(half_dataset_correlations(tables.half_datasets, number))
        numbers |= {"d_cc_half_0.3": estimate.d, "reached": estimate.reached}
    return numbers


def table_one(tables, numbers=None, latex=False):
    """Lay the statistics of several merges out side by side as papers do: overall, lowest and highest shell.

    Parameters
    ----------
    tables : dict of str to pandas.DataFrame
        `merging_table` of each, by name.
    numbers : dict of str to dict, optional
        `overall_numbers` of each, for the rows that have no shells.
    latex : bool, optional
        Whether labels are LaTeX.

    Returns
    -------
    pandas.DataFrame
        Of text; a row a statistic, columns (name, "overall"/"low"/"high").
    """
    columns = {}
    for name, table in tables.items():
        shells = table.drop(index="overall")
        rows = {"overall": table.loc["overall"], "low": shells.iloc[0], "high": shells.iloc[-1]}
        for which, row in rows.items():
            text = {"resolution (Å)": f"{row['dmax']:.2f}–{row['dmin']:.2f}"}
            text |= {key: _written(row.get(key), LABELS[key][2]) for key in LABELS}
            columns[name, which] = text | (_of_whole(numbers[name]) if numbers and which == "overall" else {})
    result = pd.DataFrame(columns).fillna("")
    result = result[(result != "").any(axis=1)]
    return result.rename(index={key: label[latex] for key, label in LABELS.items()})


def shells_table(table):
    """Lay the statistics of one merge out by shell, as text: a row a shell."""
    text = {"resolution (Å)": [f"{row['dmax']:.2f}–{row['dmin']:.2f}" for _, row in table.iterrows()]}
    for key, (label, _, written) in LABELS.items():
        if key in table and table[key].notna().any():
            text[label] = [_written(value, written) for value in table[key]]
    return pd.DataFrame(text, index=table.index)


def _of_whole(numbers):
    twin = numbers.get("mean_abs_l", math.nan)
    text = {
        "space group": numbers["space_group"],
        "cell (Å, °)": " ".join(f"{x:.6g}" for x in numbers["cell"]),
        "Wilson B (Å²)": _written(numbers.get("wilson_b"), "{:.1f}"),
        "⟨|L|⟩": _written(twin, "{:.3f}"),
    }
    if "d_cc_half_0.3" in numbers:
        limit = _written(numbers["d_cc_half_0.3"], "{:.2f}")
        text["CC1/2 = 0.3 (Å)"] = limit if numbers["reached"] or not limit else f"beyond {limit}"
    return text


def _written(value, form):
    return "" if value is None or not np.isfinite(value) else form.format(value)


def _tables(source):
    if isinstance(source, ResultTables):
        return source
    found = read_source(os.fspath(source))
    if len(found) != 1:
        names = ", ".join(tables.name for tables in found)
        raise ValueError(f"{source} holds {len(found)} data sets ({names}); give each of read_results by itself.")
    return found[0]
