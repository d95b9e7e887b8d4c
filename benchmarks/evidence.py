"""How close each surrogate comes to the exact posterior, and how fast the estimates of the evidence converge.

    python -m benchmarks.evidence [--quick] [--json OUT] [--french-wilson fw_mcmc_data.csv]

Reflections of known scale are observed with normal errors of known size, so that the evidence and the posteriors can be
integrated exactly. Every surrogate is trained by the ELBO, starting from the exact mean and standard deviation, where
its optimum is not. The last measured tables are in evidence.md.
"""

import argparse
import json
import os
import time
from pathlib import Path

import gemmi
import keras
import numpy as np
import pandas as pd

from vimerge import Reflections, VariationalMergingModel, likelihoods, priors, scaling, set_seed, surrogates
from vimerge.evidence import corrected_moments, elbo, exact, importance, naive

# --- what is measured -----------------------------------------------------------------------------------------------

# The true intensity over the error of one observation.
STRENGTHS = {"I/σ < 1": (0.3, 0.7), "I/σ 1–3": (1.3, 2.5), "I/σ > 3": (4.0, 10.0)}
MULTIPLICITIES = (1, 2, 5, 10, 20, 50)
KINDS = ("acentric", "centric")
SURROGATES = [
    (family, over)
    for family in map(vars(surrogates).get, surrogates.__all__)
    if family not in (surrogates.Surrogate, surrogates.Delta)
    for over in family.allowed_over
]
SAMPLES = (1, 10, 100, 1000)
CONVERGED_BY = (surrogates.Gamma, "intensity")  # which the importance-weighted bound is of, untrained
MOMENTS = ("F", "SIGF", "I", "SIGI")

FULL = {"repeats": 2, "steps": 1000, "seeds": 10, "every": 1, "fw_steps": 400}
QUICK = {"repeats": 1, "steps": 100, "seeds": 3, "every": 20, "fw_steps": 100}
# Of Adam, at the start. A step changes a parameter by so much of itself: one that is large beside the relative width of
# a posterior would undo what it started from.
RATE, FW_RATE, MC_SAMPLES = 1.5e-3, 4e-3, 16

# Largest gap in nats of the best surrogate on acentric reflections, and largest errors in %.
GAPS = {"I/σ > 3": 0.01, "I/σ < 1": 0.05}
CORRECTED, FW_MEAN, FW_SD = 1.0, 2.0, 5.0


def metrics(model, reflections, truth, samples):
    """The numbers of each reflection that the first table averages, a dict of arrays [R]."""
    found, corrected = model.surrogate.moments(), corrected_moments(model, reflections)
    error = [np.abs(getattr(corrected, name) / getattr(truth, name) - 1.0) for name in MOMENTS]
    return {
        "gap": truth.log_evidence - elbo(model, reflections, samples).log_evidence,
        "mean F %": 100.0 * np.abs(found.F.numpy() / truth.F - 1.0),
        "sd F %": 100.0 * np.abs(found.SIGF.numpy() / truth.SIGF - 1.0),
        "k̂ < 0.7": corrected.trusted.astype(float),
        "corrected %": np.where(corrected.trusted, 100.0 * np.max(error, axis=0), 0.0),
        "distrusted %": np.where(corrected.trusted, 0.0, 100.0 * np.max(error, axis=0)),
    }


SUMMARIES = {  # of a group of reflections, and what to call it
    "gap": ("mean", "log p(I) − ELBO, mean, nats per reflection"),
    "mean F %": ("median", "Error of E F, median, %"),
    "sd F %": ("median", "Error of sd F, median, %"),
    "k̂ < 0.7": ("mean", "Share of reflections with k̂ < 0.7"),
    "corrected %": ("max", "Largest error of a corrected E F, sd F, E F² or sd F² where k̂ < 0.7, %"),
    "distrusted %": ("max", "And where k̂ ≥ 0.7, %"),
}


# --- how ------------------------------------------------------------------------------------------------------------


def simulate(repeats, seed=0):
    """Reflections with Wilson's distribution of mean one, and a table of what each is, a row a refl_id."""
    rng = np.random.default_rng(seed)
    rows = [
        (kind, strength, ratio, number)
        for kind in KINDS
        for strength, ratios in STRENGTHS.items()
        for ratio in ratios
        for number in MULTIPLICITIES
        for _ in range(repeats)
    ]
    cases = pd.DataFrame(rows, columns=["kind", "strength", "ratio", "multiplicity"])
    centric = (cases.kind == "centric").to_numpy()
    true = np.where(centric, rng.chisquare(1, len(cases)), rng.exponential(size=len(cases)))
    case = np.repeat(np.arange(len(cases)), cases.multiplicity)
    sigma = (true / cases.ratio.to_numpy())[case]
    reflections = observe(centric, case, true[case] + sigma * rng.normal(size=len(case)), sigma)
    return reflections, by_refl_id(reflections, case, cases)


def observe(centric, case, iobs, sigiobs):
    """Reflections from observations of numbered cases, in P 4, where hk0 is centric."""
    n = np.arange(len(centric))
    hkl = np.stack([1 + n // 60, 1 + n % 60, np.where(centric, 0, 1)], axis=1)
    return Reflections.from_arrays(
        hkl[case],
        iobs,
        sigiobs,
        np.arange(len(case)) % 4,
        cell=gemmi.UnitCell(100, 100, 100, 90, 90, 90),
        spacegroup=gemmi.SpaceGroup("P 4"),
        anomalous=False,
    )


def by_refl_id(reflections, case, cases):
    """The table of cases in the order of refl_id."""
    order = np.empty(len(cases), int)
    order[reflections.refl_id] = case
    return cases.iloc[order].reset_index(drop=True)


def made(family, over, reflections, expected):
    """A model of scale 1, its surrogate with the exact posterior's moments, and the exact posterior.

    Parameters
    ----------
    family : type
        Of the surrogate.
    over : str
    reflections : Reflections
    expected : float or array, [R]
        Mean intensity of Wilson's prior.

    Returns
    -------
    model : VariationalMergingModel
    truth : vimerge.evidence.Exact
    """
    set_seed(1)
    model = VariationalMergingModel(
        family(reflections.asu, over=over),
        priors.Wilson(reflections.asu, expected),
        scaling.MLP(reflections.metadata_keys, width=1, depth=0),
        likelihoods.Normal(),
        mc_samples=MC_SAMPLES,
        seed=1,
    )
    model.scaling.adapt(reflections, 1.0)
    model.scaling.trainable = False
    model.initialize(reflections)
    model.condition(reflections)
    return model, exact(model, reflections)


def train(model, reflections, steps, rate):
    """Train the surrogate by the ELBO, at a rate that falls to nearly nothing."""
    schedule = keras.optimizers.schedules.CosineDecay(rate, steps, alpha=1e-3)
    model.compile(keras.optimizers.Adam(schedule, epsilon=1e-12))
    model.fit(reflections.dataset(shuffle=False).repeat(steps), epochs=1, steps_per_epoch=steps, verbose=0)


def surrogate_tables(settings):
    """One table for each metric, surrogates × (kind, strength), by their titles."""
    reflections, cases = simulate(settings["repeats"])
    parts = []
    for family, over in SURROGATES:
        model, truth = made(family, over, reflections, 1.0)
        train(model, reflections, settings["steps"], RATE)
        found = pd.DataFrame(metrics(model, reflections, truth, 4000))
        parts.append(found.join(cases).assign(surrogate=name_of(family, over)))
    every = pd.concat(parts)
    groups = [(kind, strength) for kind in KINDS for strength in STRENGTHS]
    names = [name_of(*s) for s in SURROGATES]
    return {
        title: every.pivot_table(metric, "surrogate", ["kind", "strength"], aggfunc=summary).loc[names, groups]
        for metric, (summary, title) in SUMMARIES.items()
    }


def convergence_table(settings):
    """Mean error in nats of log p(I) averaged over the prior, and of the importance-weighted bound, against K."""
    reflections, cases = simulate(settings["repeats"])
    model, truth = made(*CONVERGED_BY, reflections, 1.0)
    rows = {}
    for k in SAMPLES:
        for name, estimator in (("naive", naive), ("importance", importance)):
            found = [estimator(model, reflections, k, seed).log_evidence for seed in range(settings["seeds"])]
            error = pd.Series(np.mean(found, axis=0) - truth.log_evidence)
            for strength, mean in error.groupby(cases.strength).mean().items():
                rows.setdefault(k, {})[name, strength] = mean
    columns = [(name, strength) for name in ("naive", "importance") for strength in STRENGTHS]
    return pd.DataFrame.from_dict(rows, orient="index")[columns].rename_axis("K")


def french_wilson_table(path, settings):
    """Median errors in % of each surrogate trained on single observations, by centricity.

    Parameters
    ----------
    path : path
        A CSV file with the columns I, SigI, Sigma (the mean intensity) and CENTRIC, a row an observation.
    settings : dict
    """
    data = pd.read_csv(path).iloc[:: settings["every"]]
    centric = data.CENTRIC.to_numpy(bool)
    case = np.arange(len(data))
    reflections = observe(centric, case, data.I.to_numpy(), data.SigI.to_numpy())
    ordered = by_refl_id(reflections, case, data)
    rows = {}
    for family, over in SURROGATES:
        model, truth = made(family, over, reflections, ordered.Sigma.to_numpy())
        train(model, reflections, settings["fw_steps"], FW_RATE)
        found = model.surrogate.moments()
        row = rows.setdefault(name_of(family, over), {})
        for kind, rows_of in (("acentric", ~ordered.CENTRIC), ("centric", ordered.CENTRIC)):
            for name in MOMENTS:
                error = np.abs(getattr(found, name).numpy() / getattr(truth, name) - 1.0)
                row[kind, name] = 100.0 * np.median(error[rows_of.to_numpy(bool)])
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("surrogate")


def name_of(family, over):
    """What a surrogate is called in the tables."""
    return f"{family.__name__} {over}"


def verdicts(gap, corrected, french_wilson=None):
    """What has to be true, and whether it is: a list of sentences, given three of the tables."""
    best = gap["acentric"].min()
    found = [
        (f"Best gap, acentric, {s}: {best[s]:.4f} nats, at most {limit}", best[s] <= limit) for s, limit in GAPS.items()
    ]
    worst = corrected.max(axis=None)
    found.append((f"Corrected moments where k̂ < 0.7: {worst:.3f} % off, at most {CORRECTED:g} %", worst <= CORRECTED))
    if french_wilson is not None:
        for kind in KINDS:
            for name, limit in (("F", FW_MEAN), ("SIGF", FW_SD)):
                error = french_wilson[kind, name]
                failing = ", ".join(error.index[error > limit]) or "none"
                found.append((f"French–Wilson, {kind}, {name}: above {limit:g} %: {failing}", failing == "none"))
    return [f"{'met    ' if met else 'NOT MET'} {sentence}" for sentence, met in found]


def as_text(number):
    """Four decimals, of a large number three digits."""
    return f"{number:.4f}" if abs(number) < 1000 else f"{number:.2e}"


def main():
    """Measure, print and maybe write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few reflections and steps: whether it runs")
    parser.add_argument("--json", type=Path, help="write the tables to this file too")
    parser.add_argument(
        "--french-wilson",
        type=Path,
        default=os.environ.get("VIMERGE_FRENCH_WILSON"),
        help="CSV file of single observations: I, SigI, Sigma, CENTRIC (default: $VIMERGE_FRENCH_WILSON)",
    )
    options = parser.parse_args()
    settings, start = QUICK if options.quick else FULL, time.perf_counter()

    tables = surrogate_tables(settings)
    judged = [tables[SUMMARIES[metric][1]] for metric in ("gap", "corrected %")]
    tables["Mean error of log p(I), nats per reflection"] = convergence_table(settings)
    if options.french_wilson:
        judged.append(french_wilson_table(options.french_wilson, settings))
        tables["Single observations (French & Wilson, 1978): median error, %"] = judged[-1]
    for title, table in tables.items():
        print(f"{title}\n{table.to_string(float_format=as_text)}\n")
    lines = verdicts(*judged)
    print("\n".join(lines))
    print(f"{time.perf_counter() - start:.0f} s")
    if options.json:
        content = {
            title: json.loads(table.to_json(orient="split", double_precision=6)) for title, table in tables.items()
        }
        options.json.write_text(json.dumps({**content, "verdicts": lines}, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
