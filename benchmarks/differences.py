"""Small differences between data sets and between Friedel mates: simulations, whose true differences are known.

    OPENBLAS_NUM_THREADS=1 python -m benchmarks.differences --only moved drawn friedel --repeats 3

`moved`: a Laue pump–probe pair in which a group of atoms moves in some of the cells, as atoms do. `drawn`: a Laue pair
drawn from the correlated prior itself. `friedel`: a rotation experiment with anomalous scatterers. Conventional merging
takes each data set by itself; the variational merge scales both together, once, for its scales do not depend on the
correlation r, and integrates the amplitudes for each r. Of the observations 5 % are held out, by which r is chosen.
All methods are judged on the reflections that all of them have.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

CORRELATIONS = (0.0, 0.9, 0.99, 0.993, 0.995, 0.997, 0.998, 0.999, 0.9998)
DRAWN_WITH = 0.998
HELD_OUT = 0.05
FALLOFF_DEGREE = 4
LEVELS = (0.5, 0.683, 0.954)
WAVELENGTH = "Wavelength"
CONVENTIONAL, SHELLS = "conventional", "by shell"
R_SHELLS = 5
KINDS = {
    "moved": "Laue pump–probe pair: twelve atoms move by 1.5 Å in 30 % of the cells",
    "drawn": f"Laue pair drawn from the correlated prior, r = {DRAWN_WITH}",
    "friedel": "Friedel mates: a rotation experiment with three selenium atoms",
}
HEADER = {
    "reflections": "reflections",
    "CC": "CC of inferred and true ΔF",
    "CC weighted": "the same, weighted by 1/SIGDF²",
    "rms error": "rms error over rms of the true ΔF",
    "SIGDF": "rms SIGDF over rms of the true ΔF",
    **{level: f"true ΔF inside the {100 * level:g} % interval, %" for level in LEVELS},
    "log_predictive": "held-out log p, nats an observation, less the best",
    "pearson": "CCpred",
    "weighted": "CCpred weighted by 1/SIGIobs²",
    "log_evidence": "log evidence, nats, less the best",
}


# What is compared: tables with DF and SIGDF, and DF_TRUE in electrons.


def conventional_pair(paths, truth):
    """Differences of two conventional merges, scaled together."""
    from vimerge.statistics import difference_table, scale_together

    merged = [conventional(path, wavelength_key=WAVELENGTH) for path in paths]
    return pair_table(scale_together(difference_table(*merged)), truth)


def conventional(path, *, anomalous=False, wavelength_key=None):
    """The merged table of a conventional merge."""
    from vimerge.conventional import ConventionalJob
    from vimerge.conventional.scaling import ScalingOptions

    job = ConventionalJob(
        files=(path,),
        reading={"anomalous": anomalous},
        scaling=ScalingOptions(wavelength_key=wavelength_key),
        test_fraction=HELD_OUT,
        half_datasets=0,
        seed=1,
    )
    return job.run().merged


def pair_table(table, truth):
    """ΔF of two data sets with the true one on the same scale."""
    table = table.join(truth[["F_OFF", "F_ON"]], how="inner")
    f, sd, true = (
        np.concatenate([table[name.format(*two)].to_numpy(float) for two in (("off", "OFF"), ("on", "ON"))])
        for name in ("F_{0}", "SIGF_{0}", "F_{1}")
    )
    factor = scale_to_truth(f, sd, true, np.tile(_s2(table), 2))[: len(table)]
    table["DF_TRUE"] = factor * (table["F_ON"] - table["F_OFF"]).to_numpy(float)
    return table[["DF", "SIGDF", "DF_TRUE"]]


def friedel_table(table, truth):
    """F(+) − F(−) with the true one on the same scale; the columns are named as those of pairs."""
    table = table[table["SIGDANO"] > 0].join(truth[["F(+)", "F(-)"]], rsuffix=" true", how="inner")
    f, sd, true = (
        np.concatenate([table[name.format(sign)].to_numpy(float) for sign in "+-"])
        for name in ("F({})", "SIGF({})", "F({}) true")
    )
    factor = scale_to_truth(f, sd, true, np.tile(_s2(table), 2))[: len(table)]
    table["DF_TRUE"] = factor * (table["F(+) true"] - table["F(-) true"]).to_numpy(float)
    return table.rename(columns={"DANO": "DF", "SIGDANO": "SIGDF"})[["DF", "SIGDF", "DF_TRUE"]]


def scale_to_truth(f, sd, true, s2):
    """What turns true into merged amplitudes, smooth in resolution and common to both of each two, [N].

    No data tell a factor of F from one of the scale, at any resolution.
    """
    strong = f > 5 * sd
    design = np.polynomial.chebyshev.chebvander(2.0 * s2 / s2.max() - 1.0, FALLOFF_DEGREE)
    weight = np.minimum(f / sd, 50.0)[strong]
    target = np.log(f[strong] / true[strong])
    return np.exp(design @ np.linalg.lstsq(design[strong] * weight[:, None], target * weight, rcond=None)[0])


def _s2(table):
    return table.cell.calculate_1_d2_array(np.ascontiguousarray(table.reset_index()[["H", "K", "L"]], np.int32))


def judge(table):
    """How near the differences are to the truth, and how often it is inside their intervals."""
    from vimerge.statistics import coverage, pearson, weighted_pearson

    df, sd, true = (table[name].to_numpy(float) for name in ("DF", "SIGDF", "DF_TRUE"))
    inside = coverage(stats.norm.cdf((true - df) / sd), levels=LEVELS).loc["overall"]
    size = np.sqrt(np.mean(true**2))
    return {
        "reflections": len(table),
        "CC": pearson(df, true),
        "CC weighted": weighted_pearson(df, true, sd**-2.0),
        "rms error": np.sqrt(np.mean((df - true) ** 2)) / size,
        "SIGDF": np.sqrt(np.mean(sd**2)) / size,
        **{level: 100.0 * inside[level] for level in LEVELS},
    }


# The variational merge.


def trained(reflections, seed, **prior):
    """A model of 95 % of the observations, these, and the others."""
    from vimerge.merging import crossvalidation, recipe, set_seed

    train, test = crossvalidation.train_test_split(reflections, HELD_OUT, seed)
    set_seed(seed)
    model = recipe.make_model(train, **prior, seed=seed)
    recipe.train(model, train, seed=seed)
    return model, train, test


def best_by_shell(model, train):
    """r of each reflection, [R]: in each shell of resolution the one of most evidence, by a parabola through three.

    Evidence adds up over trees, so that that of a shell is the sum over its trees.
    """
    from vimerge.merging.trees import posterior_of_trees

    tried = np.array(CORRELATIONS[1:])
    evidence = np.stack([posterior_of_trees(model, train, r).log_evidence for r in tried])
    edges = np.quantile(model.asu.s2, np.linspace(0, 1, R_SHELLS + 1)[1:-1])
    shell, x = np.digitize(model.asu.s2, edges), np.log(1.0 - tried)
    of_shell = np.empty(R_SHELLS)
    for i in range(R_SHELLS):
        total = evidence[:, shell == i].sum(axis=1)
        at = int(np.clip(total.argmax(), 1, len(tried) - 2))
        a, b, _ = np.polyfit(x[at - 1 : at + 2] - x[at], total[at - 1 : at + 2] - total[at], 2)
        of_shell[i] = np.clip(x[at] - b / (2 * a) if a < 0 else x[total.argmax()], x.min(), x.max())
    return 1.0 - np.exp(of_shell[shell]), 1.0 - np.exp(of_shell)


def with_correlation(model, r):
    """The model, with another correlation in its prior."""
    from vimerge.priors import GivenCorrelation

    model.prior.correlation = GivenCorrelation(r)
    model.prior.correlation.bind(model.asu)
    return model


def laue_pair(kind, images, seed):
    """Tables of differences of one simulated pair by method, of the choice of r, and what was simulated."""
    from vimerge.evidence import held_out
    from vimerge.merging.differences import differences
    from vimerge.reflections.datasets import read_datasets
    from vimerge.simulation import simulate_pair
    from vimerge.statistics import scale_together

    pair = simulate_pair(images=images, seed=seed, correlation=DRAWN_WITH if kind == "drawn" else None)
    truth = pair.truth
    with tempfile.TemporaryDirectory() as folder:
        off, on = pair.write(Path(folder) / "pair.mtz")[:2]
        tables = {CONVENTIONAL: conventional_pair((off, on), truth)}
        reflections = read_datasets({"off": [off], "on": [on]}, wavelength_key=WAVELENGTH)
    model, train, test = trained(reflections, seed, correlate={"on": ("off", 0.99)})
    choice = held_out(model, train, test, CORRELATIONS)
    for r in CORRELATIONS:
        table = differences(with_correlation(model, r), train, child="on", parent="off")
        tables[r] = pair_table(scale_together(table), truth)
    by_shell, found = best_by_shell(model, train)
    table = differences(with_correlation(model, by_shell), train, child="on", parent="off")
    tables[SHELLS] = pair_table(scale_together(table), truth)
    words = f"{len(reflections):,} observations, {len(truth):,} unique reflections; true r {true_correlation(pair)}"
    words += f", by the evidence {in_words(found)}"
    return tables, choice, words


def true_correlation(pair):
    """r of the structure factors of both crystals by resolution."""
    (hkl, one, _), (_, other, _) = (s.crystal.complex_structure_factors(s.dmin) for s in (pair.off, pair.on))
    return correlation_by_resolution(one, other, pair.off.crystal.cell.calculate_1_d2_array(hkl))


def correlation_by_resolution(one, other, s2, shells=5):
    """The correlation of complex numbers in shells of resolution, from low to high, in words."""
    parts = np.array_split(np.argsort(s2), shells)
    r = [abs(np.vdot(one[k], other[k])) / np.linalg.norm(one[k]) / np.linalg.norm(other[k]) for k in parts]
    return in_words(r)


def in_words(r):
    """Correlations, to four digits."""
    return " ".join(f"{value:.4f}" for value in r)


def friedel(images, seed):
    """The same of Friedel mates in a rotation experiment."""
    from vimerge.evidence import held_out
    from vimerge.merging.differences import anomalous_differences
    from vimerge.reflections import Reflections
    from vimerge.simulation import simulate
    from vimerge.statistics.difference_coefficients import anomalous_differences as of_merged

    simulation = simulate(images=images, seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        path = simulation.write(Path(folder) / "simulated.mtz")[0]
        tables = {CONVENTIONAL: friedel_table(of_merged(conventional(path, anomalous=True)), simulation.truth)}
        reflections = Reflections.read([path], anomalous=True)
    model, train, test = trained(reflections, seed, friedel_correlation=0.99)
    choice = held_out(model, train, test, CORRELATIONS)
    for r in CORRELATIONS:
        table = anomalous_differences(with_correlation(model, r), train)
        tables[r] = friedel_table(table, simulation.truth)
    by_shell, found = best_by_shell(model, train)
    table = anomalous_differences(with_correlation(model, by_shell), train)
    tables[SHELLS] = friedel_table(table, simulation.truth)
    hkl, plus, minus = simulation.crystal.complex_structure_factors(simulation.dmin)
    acentric = np.abs(plus) != np.abs(minus)
    s2 = simulation.crystal.cell.calculate_1_d2_array(hkl)[acentric]
    r = correlation_by_resolution(plus[acentric], minus[acentric].conj(), s2)
    words = f"{len(reflections):,} observations of {len(reflections.asu):,} reflections; true r {r}"
    return tables, choice, f"{words}, by the evidence {in_words(found)}"


# The tables.


def compare(tables, choice):
    """A row for each method, judged on the reflections that all of them have."""
    common = tables[CONVENTIONAL].index.intersection(tables[0.0].index)
    rows = {name: judge(table.loc[common]) for name, table in tables.items()}
    names = {CONVENTIONAL: CONVENTIONAL} | {r: f"VI, r = {r:g}" for r in CORRELATIONS} | {0.0: "VI, independent"}
    names[SHELLS] = "VI, r of each shell of resolution by evidence"
    named = {names[key]: row for key, row in rows.items()}
    for title, column in (("held-out data", "log_predictive"), ("evidence", "log_evidence")):
        named[f"VI, r chosen by {title}"] = rows[choice[column].idxmax()]
    return pd.DataFrame.from_dict(named, orient="index")


def relative_to_best(choice):
    """What held-out data and the evidence say of each r."""
    table = choice[["log_predictive", "pearson", "weighted", "log_evidence"]].copy()
    for name in ("log_predictive", "log_evidence"):
        table[name] -= table[name].max()
    return table.rename(index="r = {:g}".format)


def markdown(table):
    """A table of numbers in Markdown."""
    heads = [HEADER[name] for name in table.columns]
    lines = ["| " + " | ".join(["", *heads]) + " |", "|" + "---|" * (len(heads) + 1)]
    for name, row in table.iterrows():
        lines.append("| " + " | ".join([str(name), *map(_written, row.index, row)]) + " |")
    return "\n".join(lines)


def _written(column, value):
    if column in ("reflections", "log_evidence"):
        return f"{value:,.0f}"
    if column in LEVELS:
        return f"{value:.1f}"
    return f"{value:.4f}" if column in ("pearson", "weighted", "log_predictive") else f"{value:.3f}"


def main(argv=None):
    """Run the simulations and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--images", type=int, default=20, help="of each Laue data set; 20 make 20,000 observations")
    parser.add_argument("--rotation-images", type=int, default=280, help="280 make 40,000 observations")
    parser.add_argument("--repeats", type=int, default=3, help="simulations of each kind, whose tables are averaged")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(argv)
    for kind in options.only:
        print(f"## {KINDS[kind]}\n", flush=True)
        found, choices = [], []
        for seed in range(options.seed, options.seed + options.repeats):
            if kind == "friedel":
                tables, choice, words = friedel(options.rotation_images, seed)
            else:
                tables, choice, words = laue_pair(kind, options.images, seed)
            best = ", ".join(f"{choice[name].idxmax():g} by {name}" for name in ("log_predictive", "log_evidence"))
            print(f"- Seed {seed}: {words}; best r {best}", flush=True)
            found.append(compare(tables, choice))
            choices.append(relative_to_best(choice))
        for parts in (found, choices):
            print(f"\n{markdown(sum(parts) / len(parts))}", flush=True)
        print()


if __name__ == "__main__":
    main()
