"""Small differences between data sets and between Friedel mates: simulations, whose true differences are known.

    OPENBLAS_NUM_THREADS=1 python -m benchmarks.differences --only moved drawn friedel --repeats 3

`moved`: a Laue pump–probe pair in which a group of atoms moves in some of the cells, as atoms do. `drawn`: a Laue pair
drawn from the correlated prior itself. `friedel`: a rotation experiment with anomalous scatterers. Conventional merging
takes each data set by itself; the variational merge scales both together, once, for its scales do not depend on the
correlation r, and integrates the amplitudes for each r. Of the observations 5 % are held out, by which r is chosen.
The data sets of a Laue pair are at the same orientations, and share the systematic errors of their spots; with what
correlation, the evidence chooses. All methods are judged on the reflections that all of them have.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.difference_tables import (
    HELD_OUT,
    LEVELS,
    conventional,
    conventional_pair,
    friedel_table,
    judge,
    pair_table,
)

CORRELATIONS = (0.0, 0.9, 0.99, 0.995, 0.998, 0.999, 0.9998)
DRAWN_WITH = 0.998
WAVELENGTH = "Wavelength"
CONVENTIONAL, SHELLS, APART = "conventional", "by shell", "by shell, errors apart"
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


def trained(reflections, seed, **prior):
    """A model of 95 % of the observations, these, and the others."""
    from vimerge.merging import crossvalidation, recipe, set_seed

    train, test = crossvalidation.train_test_split(reflections, HELD_OUT, seed)
    set_seed(seed)
    model = recipe.make_model(train, **prior, seed=seed)
    recipe.train(model, train, seed=seed)
    return model, train, test


def laue_pair(kind, images, seed):
    """Tables of differences of one simulated pair by method, of the choice of r, and what was simulated."""
    from vimerge.evidence import held_out
    from vimerge.merging import choose_correlations, differences
    from vimerge.reflections.datasets import read_datasets
    from vimerge.simulation import simulate_pair
    from vimerge.statistics import scale_together

    pair = simulate_pair(images=images, seed=seed, correlation=DRAWN_WITH if kind == "drawn" else None)
    truth = pair.truth
    with tempfile.TemporaryDirectory() as folder:
        off, on = pair.write(Path(folder) / "pair.mtz")[:2]
        tables = {CONVENTIONAL: conventional_pair((off, on), truth, WAVELENGTH)}
        reflections = read_datasets({"off": [off], "on": [on]}, wavelength_key=WAVELENGTH)
    model, train, test = trained(reflections, seed, correlate={"on": ("off", 0.99)})
    choice = held_out(model, train, test, CORRELATIONS)
    found, shared = choose_correlations(model, train), model.likelihood.shared_errors
    for name, r in [(r, r) for r in CORRELATIONS] + [(SHELLS, found.correlation), (APART, None)]:
        if name == APART:
            model.likelihood.shared_errors = 0.0
            r = choose_correlations(model, train).correlation
        table = differences(model, train, child="on", parent="off", correlation=r)
        tables[name] = pair_table(scale_together(table), truth)
    words = f"{len(reflections):,} observations, {len(truth):,} unique reflections; true r {true_correlation(pair)}"
    words += f", by the evidence {in_words(found.table['correlation'])}"
    words += f"; shared errors correlate by {shared:.2f}"
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
    from vimerge.merging import anomalous_differences, choose_correlations
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
    found = choose_correlations(model, train)
    for name, r in [(r, r) for r in CORRELATIONS] + [(SHELLS, found.correlation)]:
        tables[name] = friedel_table(anomalous_differences(model, train, correlation=r), simulation.truth)
    hkl, plus, minus = simulation.crystal.complex_structure_factors(simulation.dmin)
    acentric = np.abs(plus) != np.abs(minus)
    s2 = simulation.crystal.cell.calculate_1_d2_array(hkl)[acentric]
    r = correlation_by_resolution(plus[acentric], minus[acentric].conj(), s2)
    words = f"{len(reflections):,} observations of {len(reflections.asu):,} reflections; true r {r}"
    return tables, choice, f"{words}, by the evidence {in_words(found.table['correlation'])}"


def compare(tables, choice):
    """A row for each method, judged on the reflections that all of them have."""
    common = tables[CONVENTIONAL].index.intersection(tables[0.0].index)
    rows = {name: judge(table.loc[common]) for name, table in tables.items()}
    names = {CONVENTIONAL: CONVENTIONAL} | {r: f"VI, r = {r:g}" for r in CORRELATIONS} | {0.0: "VI, independent"}
    names[SHELLS] = "VI, r of each shell of resolution by evidence"
    names[APART] = "the same, errors of both data sets taken as independent"
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
