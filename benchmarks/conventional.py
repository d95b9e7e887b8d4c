"""Conventional against variational merging: a simulation, whose truth is known, and real data.

    OPENBLAS_NUM_THREADS=1 python -m benchmarks.conventional --data simulated
    python -m benchmarks.conventional --data hypf --hypf hypf_unmerged.mtz
    python -m benchmarks.conventional --data brap --brap-dir DIR

Both methods read the same file and hold the same observations out, as long as their observations are the same, and both
divide the same images into halves. (Threads of linear algebra that wait for each other cost the conventional scaling
more than they save; `vimerge conventional` does without them by itself.) CPU seconds are of reading, scaling and
merging, half data sets included. HypF (MOSFLM, parts of reflections on neighbouring images) is one file; brap is a
folder with `brap_pk_6A.mtz`, `brap_ip_6A.mtz` and `brap_rm_6A.mtz`, three wavelengths of one crystal, each merged by
itself.
"""

import argparse
import tempfile
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

PROFILE = {"intensity_key": "IPR", "uncertainty_key": "SIGIPR"}
WAVELENGTHS = ("pk", "ip", "rm")
SUMS = {"partials": "sum"}
# Name: the options of a `MergeJob` that it differs by; None for the conventional one.
METHODS = {
    "simulated": {
        "conventional": None,
        "VI": {},
        "VI, physical": {"modelling": {"scaling": "physical"}},
        "VI, MLP + image": {"modelling": {"scaling": "mlp+image"}},
    },
    "hypf": {
        "conventional": None,
        "VI": {},
        "VI, sums": SUMS,
        "VI, sums, physical + image": SUMS | {"modelling": {"scaling": "physical+image"}},
        "VI, sums, MLP + image": SUMS | {"modelling": {"scaling": "mlp+image"}},
    },
    "brap": {
        "conventional": None,
        "VI": {},
        "VI, sums": SUMS,
        "VI, sums, physical": SUMS | {"modelling": {"scaling": "physical"}},
    },
}
HEADER = {
    "rms log scale": "rms error of the relative scales of strong observations, %",
    "CC F": "CC of merged and true F(±), three observations or more",
    "CC ΔF": "CC of merged and true F(+) − F(−)",
    "r_meas": "R_meas",
    "completeness": "completeness",
    "multiplicity": "multiplicity",
    "cc_half": "CC1/2 of I, mean over ten shells",
    "cc_half_f": "CC1/2 of F",
    "cc_anom": "CCanom of F",
    "cc_anom_weighted": "the same, weighted",
    "held out": "held-out observations of reflections that others were merged of",
    "pearson": "their CC of Iobs and Ipred",
    "weighted": "the same, weighted by 1/SIGIobs²",
    "spearman": "the same, of ranks",
    "cpu_s": "CPU s",
}


def merge(path, reading, options, seed=1):
    """Merge a file conventionally (options None) or by VI: a `ConventionalResult` or a `MergeResult`."""
    common = {"files": (path,), "reading": {"anomalous": True, **reading}, "test_fraction": 0.1, "seed": seed}
    common["half_datasets"] = 3
    if options is None:
        from vimerge.conventional import ConventionalJob

        return ConventionalJob(**common).run()
    from vimerge.merging.job import MergeJob

    return MergeJob(**common, **options).run()


def figures(result):
    """What the result says of itself."""
    from vimerge.statistics import ResultTables, merging_table, prediction_correlations, scaled_observations

    observations = scaled_observations(result.predictions)
    table = merging_table(ResultTables("", result.merged, observations, result.half_datasets, result.predictions))
    shells = table.drop(index="overall").mean()
    known = result.predictions[others_were_merged(result.predictions)]
    agreement = prediction_correlations(known).loc["test"]
    return {
        **{name: table.loc["overall", name] for name in ("r_meas", "completeness", "multiplicity")},
        **{name: shells[name] for name in ("cc_half", "cc_half_f", "cc_anom", "cc_anom_weighted")},
        "held out": int(agreement["observations"]),
        **{name: agreement[name] for name in ("pearson", "weighted", "spearman")},
        "cpu_s": result.facts["cpu_seconds"],
    }


def others_were_merged(predictions):
    """Of which observations the reflection, mates apart, was observed in training too, bool [N].

    Of the others the prediction is the prior's, or by the mate.
    """
    from vimerge.reflections import hkl as miller
    from vimerge.statistics.labels import centric

    hkl = np.ascontiguousarray(predictions.reset_index()[["H", "K", "L"]].to_numpy(np.int32))
    mapped, plus = miller.to_asu(hkl, predictions.spacegroup)
    rows = np.column_stack([mapped, plus | centric(predictions)])
    group = np.unique(rows, axis=0, return_inverse=True)[1].ravel()
    return np.bincount(group, ~predictions["test"].to_numpy(bool))[group] > 0


def scale_error(scale, simulation):
    """Rms error (%) of the logarithms of scales less a constant and a common B, which no data tell, of I > 10 σ."""
    from vimerge.statistics import resolution

    table = simulation.observations
    iobs, sigma = (table[name].to_numpy(np.float64) for name in ("I", "SIGI"))
    strong = (iobs > 10 * sigma) & ~simulation.outlier
    error = np.log(scale / simulation.true_scale)[strong]
    columns = np.column_stack([np.ones(strong.sum()), resolution(table)[strong] ** -2.0])
    return 100.0 * float(np.std(error - columns @ np.linalg.lstsq(columns, error, rcond=None)[0]))


def against_truth(result, simulation):
    """How near scales, amplitudes and anomalous differences are to the truth."""
    from vimerge.report.demo import truth_correlations

    amplitude, difference = truth_correlations(result.merged, simulation.truth).values()
    scale = result.predictions["scale"].to_numpy(np.float64)
    return {"rms log scale": scale_error(scale, simulation), "CC F": amplitude, "CC ΔF": difference}


def simulated(images, seed):
    """The table of the simulation, and what was simulated in words."""
    from vimerge.simulation import simulate

    simulation = simulate(images=images, seed=seed)
    rows, held_out = {}, []
    with tempfile.TemporaryDirectory() as folder:
        path = simulation.write(Path(folder) / "simulated.mtz")[0]
        for name, options in METHODS["simulated"].items():
            result = merge(path, {}, options, seed)
            held_out.append(result.predictions["test"].to_numpy(bool))
            rows[name] = against_truth(result, simulation) | figures(result)
    assert all(np.array_equal(held_out[0], other) for other in held_out)
    words = (
        f"{len(simulation.observations):,} observations of {len(simulation.truth):,} reflections on {images} images, "
        f"{int(simulation.outlier.sum())} of them outliers"
    )
    return pd.DataFrame(rows).T, words


def hypf(path, seed):
    """The table of HypF."""
    return pd.DataFrame({n: figures(merge(path, PROFILE, o, seed)) for n, o in METHODS["hypf"].items()}).T


def differences(merged):
    """F(+) − F(−) and its variance, of acentric reflections of which both mates were observed, by H, K, L."""
    from vimerge.statistics.labels import centric

    delta = merged["F(+)"].to_numpy(np.float64) - merged["F(-)"].to_numpy(np.float64)
    variance = sum(merged[f"SIGF({sign})"].to_numpy(np.float64) ** 2 for sign in "+-")
    table = pd.DataFrame({"delta": delta, "variance": variance}, index=merged.index)
    return table[~centric(merged)].dropna()


def between_wavelengths(merged, number):
    """Correlation of the anomalous differences of every two wavelengths by resolution shell.

    Parameters
    ----------
    merged : dict of str to dict of str to rs.DataSet
        By method and wavelength.
    number : int
        Shells of equal count.

    Returns
    -------
    plain, weighted : pandas.DataFrame
        Rows are shells and "overall"; columns the number of reflections, which all methods and wavelengths have, and
        (pair, method). Weights are the inverse of the sum of both variances.
    """
    from vimerge.statistics import Shells, pearson, weighted_pearson

    found = {(m, w): differences(table) for m, tables in merged.items() for w, table in tables.items()}
    common = next(iter(found.values())).index
    for table in found.values():
        common = common.intersection(table.index)
    found = {key: table.loc[common] for key, table in found.items()}
    cell = merged["conventional"]["pk"].cell
    d = 1.0 / np.sqrt(cell.calculate_1_d2_array(np.array(common.to_list(), dtype=np.int32)))
    shells = Shells(d, number)

    def statistic(mask, weighted):
        row = {"reflections": int(mask.sum())}
        for one, two in combinations(WAVELENGTHS, 2):
            for method in merged:
                x, y = found[method, one][mask], found[method, two][mask]
                both = x["delta"].to_numpy(), y["delta"].to_numpy()
                weight = 1.0 / (x["variance"] + y["variance"]).to_numpy()
                cc = weighted_pearson(*both, weight) if weighted else pearson(*both)
                row[f"{one}–{two}: {method}"] = cc
        return row

    tables = []
    for weighted in (False, True):
        table = shells.tabulate(d, lambda mask, weighted=weighted: statistic(mask, weighted))
        limits = [f"{row['dmax']:.1f}–{row['dmin']:.1f}" for _, row in table.iterrows()]
        table.index = [*limits[:-1], "overall"]
        tables.append(table.drop(columns=["dmax", "dmin"]))
    return tables


def brap(folder, shells, seed):
    """Tables of the three wavelengths: of correlations between them, plain and weighted, and of each by itself."""
    merged, rows = {}, {}
    for name, options in METHODS["brap"].items():
        merged[name] = {}
        for wavelength in WAVELENGTHS:
            result = merge(Path(folder) / f"brap_{wavelength}_6A.mtz", PROFILE, options, seed)
            merged[name][wavelength] = result.merged
            rows[f"{wavelength}, {name}"] = figures(result)
    return *between_wavelengths(merged, shells), pd.DataFrame(rows).T


def markdown(table):
    """A table of numbers in Markdown."""
    heads = [HEADER.get(name, name) for name in table.columns]
    lines = ["| " + " | ".join(["", *heads]) + " |", "|" + "---|" * (len(heads) + 1)]
    for name, row in table.iterrows():
        lines.append("| " + " | ".join([str(name), *map(_written, row)]) + " |")
    return "\n".join(lines)


def _written(value):
    if value == round(value) and abs(value) >= 2:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 2 else f"{value:.3f}"


def main(argv=None):
    """Run the comparisons and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", choices=METHODS, default=["simulated"])
    parser.add_argument("--images", type=int, default=700, help="of the simulation; 700 make 100,000 observations")
    parser.add_argument("--hypf", type=Path, metavar="FILE")
    parser.add_argument("--brap-dir", type=Path, metavar="DIR")
    parser.add_argument("--shells", type=int, default=5, help="of the correlations between wavelengths")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(argv)
    for name, given, option in (("hypf", options.hypf, "--hypf"), ("brap", options.brap_dir, "--brap-dir")):
        if name in options.data and given is None:
            parser.error(f"--data {name} needs {option}")
    if "simulated" in options.data:
        table, words = simulated(options.images, options.seed)
        print(f"## Simulated\n\n{words}\n\n{markdown(table)}\n", flush=True)
    if "hypf" in options.data:
        print(f"## HypF\n\n{markdown(hypf(options.hypf, options.seed))}\n", flush=True)
    if "brap" in options.data:
        plain, weighted, each = brap(options.brap_dir, options.shells, options.seed)
        print(f"## Between wavelengths\n\n{markdown(plain)}\n\nWeighted:\n\n{markdown(weighted)}\n")
        print(f"## Each wavelength\n\n{markdown(each)}\n", flush=True)


if __name__ == "__main__":
    main()
