"""Surrogates × likelihoods × error models on one data set: what the defaults are chosen from.

    python -m benchmarks.families hypf_unmerged.mtz --anomalous --intensity-key IPR --uncertainty-key SIGIPR

Each likelihood with each error model is trained once, with F integrated out; then every surrogate takes its posterior
and is judged by observations that were held out and by half data sets.
"""

import argparse
import json
import time
from itertools import product
from pathlib import Path

import pandas as pd

NOISE = {
    "normal": {"likelihood": "normal"},
    "student-t 16": {"likelihood": "student-t", "dof": 16.0},
    "student-t 4": {"likelihood": "student-t", "dof": 4.0},
    "student-t learned": {"likelihood": "student-t", "dof": 16.0, "learn_dof": True},
    "laplace": {"likelihood": "laplace"},
    "contaminated": {"likelihood": "contaminated"},
}
ERRORS = {
    "none": {"error_model": "none"},
    "evans": {"error_model": "evans"},
    "xds": {"error_model": "xds"},
    "neural": {"error_model": "neural"},
    "evans per image": {"error_model": "evans", "errors_per": "image"},
}
HEADER = {
    "log_p": "held-out log density, nats per observation",
    "pearson": "held-out CC of Iobs and Ipred",
    "weighted": "the same, weighted by 1/SIGIobs²",
    "spearman": "the same, of ranks",
    "cc_half": "CC1/2 of F, mean over ten shells",
    "cc_half_I": "CC1/2 of I",
    "cc_anom": "CCanom of F",
    "cc_anom_w": "CCanom of F, weighted by 1/σ²",
    "cpu_s": "CPU seconds of training",
}


def surrogates_to_compare():
    """(name, class, over) of every surrogate with a width."""
    from vimerge import surrogates
    from vimerge.merging.recipe import SURROGATES

    kinds = {name: cls for name, cls in SURROGATES.items() if cls is not surrogates.Delta}
    return [(f"{name}, {over}", cls, over) for name, cls in kinds.items() for over in cls.allowed_over]


def trained(reflections, train, noise, errors, options, seed):
    """A model with the default surrogate, trained, and the CPU seconds that took."""
    from vimerge.merging import recipe, set_seed

    set_seed(seed)
    model = recipe.make_model(train, **NOISE[noise], **ERRORS[errors], **options, seed=seed)
    started = time.process_time()
    recipe.train(model, train, seed=seed)
    return model, time.process_time() - started


def with_surrogate(model, cls, over, train):
    """The same model with another surrogate, at its posterior."""
    from vimerge import VariationalMergingModel

    other = VariationalMergingModel(cls(train.asu, over=over), model.prior, model.scaling, model.likelihood)
    other.condition(train)
    return other


def judged(model, reflections, test, repeats, seed):
    """The figures of a model."""
    import numpy as np

    from vimerge import evidence, statistics
    from vimerge.merging.crossvalidation import half_datasets

    predicted = model.predict(test.dataset(shuffle=False), verbose=0)
    table = pd.DataFrame({"Iobs": test.iobs, "SIGIobs": test.sigiobs, "Ipred": predicted["Ipred"], "test": True})
    agreement = statistics.prediction_correlations(table).loc["test"]
    halves = statistics.half_dataset_correlations(half_datasets(model, reflections, repeats, seed))
    shells = halves.drop(index="overall").mean()
    return {
        "log_p": float(np.mean(evidence.log_predictive(model, test))),
        **{name: agreement[name] for name in ("pearson", "weighted", "spearman")},
        "cc_half": shells["cc_half_f"],
        "cc_half_I": shells["cc_half"],
        "cc_anom": shells.get("cc_anom", float("nan")),
        "cc_anom_w": shells.get("cc_anom_weighted", float("nan")),
    }


def main(argv=None):
    """Run the comparison and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("--anomalous", action="store_true")
    parser.add_argument("--intensity-key")
    parser.add_argument("--uncertainty-key")
    parser.add_argument("--noise", nargs="+", choices=NOISE, default=list(NOISE))
    parser.add_argument("--errors", nargs="+", choices=ERRORS, default=list(ERRORS))
    parser.add_argument("--every-surrogate", action="store_true", help="not only the default one")
    parser.add_argument("--width", type=int)
    parser.add_argument("--depth", type=int)
    parser.add_argument("--repeats", type=int, default=3, help="divisions into half data sets")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(argv)

    from vimerge import Reflections, crossvalidation

    reading = {name: getattr(options, name) for name in ("anomalous", "intensity_key", "uncertainty_key")}
    reflections = Reflections.read(options.file, **reading)
    train, test = crossvalidation.train_test_split(reflections, 0.1, seed=options.seed)
    size = {name: getattr(options, name) for name in ("width", "depth") if getattr(options, name)}
    rows = []
    for noise, errors in product(options.noise, options.errors):
        model, seconds = trained(reflections, train, noise, errors, size, options.seed)
        members = surrogates_to_compare() if options.every_surrogate else surrogates_to_compare()[:1]
        for name, cls, over in members:
            other = with_surrogate(model, cls, over, train)
            figures = judged(other, reflections, test, options.repeats, options.seed)
            rows.append({"likelihood": noise, "errors": errors, "surrogate": name, **figures, "cpu_s": seconds})
            print("  ".join(f"{v:.4f}" if isinstance(v, float) else v for v in rows[-1].values()), flush=True)
    table = pd.DataFrame(rows)
    print()
    print(table.to_string(index=False, float_format="{:.3f}".format))
    print("\n".join(f"{name}: {text}" for name, text in HEADER.items()))
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
