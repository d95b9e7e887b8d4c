"""Calibration by simulation: does the true F fall inside the intervals as often as they promise?

    python -m benchmarks.calibration [--surrogate gamma] [--repeats 3] [--figure calibration.png]

Amplitudes are drawn from Wilson's prior, scales from a smooth function of where and when an observation was made, and
observations from the likelihood. They are merged with the scales known and with the scales learned, and the truth is
ranked within q(F). A factor of F that is the same for all reflections at a resolution is the scale's as much as F's,
and no data tell: with learned scales a smooth one is taken out, a polynomial of 1/d².
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import gemmi
import numpy as np
import pandas as pd

FALLOFF_DEGREE = 4
KEYS = ("ROT", "XDET", "YDET", "dHKL")


@dataclass(frozen=True)
class Truth:
    """What was simulated: the observations, each true F and the true scales."""

    reflections: object
    F: np.ndarray
    scale: np.ndarray


def log_scale(rot, x, y):
    """The logarithm of the true scale."""
    return 0.4 * np.sin(np.radians(rot)) + 0.25 * np.cos(np.radians(2 * rot)) - 0.3 * x**2 + 0.2 * x * y


def simulate(seed, most=50, dof=16.0, sdfac=1.3, sdadd=0.04, mean=100.0, wilson_b=15.0):
    """Observations of every reflection of a crystal, from one to fifty of each, from noise to 50 σ."""
    from vimerge import ReciprocalASU, Reflections

    rng = np.random.default_rng(seed)
    cell, spacegroup = gemmi.UnitCell(42, 52, 61, 90, 90, 90), gemmi.SpaceGroup("P 21 21 21")
    hkl = gemmi.make_miller_array(cell, spacegroup, 2.6)
    asu = ReciprocalASU.from_observed(hkl, cell, spacegroup)
    number = np.round(np.exp(rng.uniform(0.0, np.log(most), len(asu)))).astype(int)
    sigma_d = mean * np.exp(-0.5 * wilson_b * asu.s2) * asu.epsilon
    intensity = sigma_d * np.where(asu.centric, rng.chisquare(1, len(asu)), rng.exponential(size=len(asu)))
    refl_id = np.repeat(np.arange(len(asu)), number)
    rot, x, y = rng.uniform(0, 360, len(refl_id)), *rng.uniform(-1, 1, (2, len(refl_id)))
    scale = np.exp(log_scale(rot, x, y))
    true = scale * intensity[refl_id]
    # Errors of integration that tell nothing of F, as the likelihood takes them: those of the background.
    given = np.exp(rng.normal(1.5, 1.5, len(asu)))[refl_id] * np.exp(rng.normal(0.0, 0.3, len(refl_id)))
    sigma = sdfac * np.sqrt(given**2 + (sdadd * true) ** 2)
    iobs = true + sigma * rng.standard_t(dof, len(refl_id))
    reflections = Reflections.from_arrays(
        asu.miller_index[refl_id],
        iobs.astype(np.float32),
        given.astype(np.float32),
        (rot // 4).astype(int),
        cell=cell,
        spacegroup=spacegroup,
        metadata={"ROT": rot, "XDET": x, "YDET": y},
        metadata_keys=list(KEYS),
    )
    assert reflections.asu.matches(asu)
    return Truth(reflections, np.sqrt(intensity), scale)


def known_scaling():
    """A scaling model that is the truth, with nothing to learn."""
    import tensorflow as tf

    from vimerge import scaling

    class Known(scaling.Scaling):
        def _parameters(self, batch):
            rot, x, y = (batch["metadata"][:, i] for i in range(3))
            radians = rot * np.float32(np.pi / 180)
            log = 0.4 * tf.sin(radians) + 0.25 * tf.cos(2 * radians) - 0.3 * x**2 + 0.2 * x * y
            return log[:, tf.newaxis]

    return Known(metadata_keys=KEYS)


def merged(truth, known, seed, **options):
    """A trained model of a simulation."""
    from vimerge import VariationalMergingModel
    from vimerge.merging import recipe, set_seed

    set_seed(seed)
    reflections = truth.reflections
    model = recipe.make_model(reflections, **options, seed=seed)
    if known:
        layer = known_scaling()
        layer.trainable = False
        model = VariationalMergingModel(model.surrogate, model.prior, layer, model.likelihood, seed=seed)
        model.initialize(reflections)
    recipe.train(model, reflections, seed=seed)
    return model


def ranks(model, truth, known):
    """The probability integral transform of each true F, on the scale of the merge."""
    asu = truth.reflections.asu
    f = truth.F
    if not known:
        moments = model.surrogate.moments()
        mean, sd = np.asarray(moments.F, np.float64), np.asarray(moments.SIGF, np.float64)
        strong = mean > 5 * sd
        design = np.polynomial.chebyshev.chebvander(2.0 * asu.s2 / asu.s2.max() - 1.0, FALLOFF_DEGREE)
        weight = np.minimum(mean / sd, 50.0)[strong]
        log_ratio = np.log(mean / f)[strong]
        found = np.linalg.lstsq(design[strong] * weight[:, None], log_ratio * weight, rcond=None)[0]
        f = f * np.exp(design @ found)
    x = f if model.surrogate.over == "amplitude" else f**2
    return model.surrogate.distribution().cdf(x.astype(np.float32)).numpy().astype(np.float64)


def groups(model, truth):
    """What to tabulate by: {name: label of each reflection}."""
    asu, n = truth.reflections.asu, truth.reflections.multiplicity
    moments = model.surrogate.moments()
    strength = np.asarray(moments.I) / np.asarray(moments.SIGI)
    shells = np.digitize(asu.s2, np.quantile(asu.s2, [0.2, 0.4, 0.6, 0.8]))
    return {
        "resolution shell": np.array([f"{i + 1} of 5" for i in shells]),
        "I/σ(I)": np.array(["below 1.5", "1.5 to 5", "5 to 20", "above 20"])[np.digitize(strength, [1.5, 5.0, 20.0])],
        "multiplicity": np.array(["1 to 2", "3 to 6", "7 to 20", "over 20"])[np.digitize(n, [3, 7, 21])],
        "kind": np.where(asu.centric, "centric", "acentric"),
    }


def draw(tables, path):
    """Rank histograms, and coverage against what was promised."""
    import matplotlib.pyplot as plt

    from vimerge.statistics import coverage

    figure, axes = plt.subplots(2, len(tables), figsize=(4.2 * len(tables), 6.4), squeeze=False, layout="constrained")
    for (title, (pit, _)), (above, below) in zip(tables.items(), axes.T, strict=True):
        above.hist(pit, 20, range=(0, 1), color="#4477aa", edgecolor="white", linewidth=0.5)
        expected, sd = len(pit) / 20, np.sqrt(len(pit) / 20 * 0.95)
        above.axhspan(expected - 2 * sd, expected + 2 * sd, color="#bbbbbb", alpha=0.5, lw=0)
        above.set(title=title, xlabel="rank of the true F in q(F)", ylabel="reflections")
        levels = np.linspace(0.05, 0.99, 48)
        found = coverage(pit, levels=levels).loc["overall", list(levels)].to_numpy(float)
        below.axhline(0.0, color="black", lw=0.8)
        below.axhspan(-1.5, 1.5, color="#bbbbbb", alpha=0.5, lw=0)
        below.plot(100 * levels, 100 * (found - levels), color="#4477aa")
        below.set(xlabel="nominal coverage (%)", ylabel="found − nominal (points)", ylim=(-5, 5))
    figure.savefig(path, dpi=150)


def main(argv=None):
    """Run the simulations and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--surrogate", default=None)
    parser.add_argument("--over", default=None)
    parser.add_argument("--scaling", default=None)
    parser.add_argument("--width", type=int, default=None)
    parser.add_argument("--only", choices=("known", "learned"), help="scales")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--figure", type=Path)
    options = parser.parse_args(argv)

    from vimerge.statistics import coverage

    given = {
        name: getattr(options, name) for name in ("surrogate", "over", "scaling", "width") if getattr(options, name)
    }
    tables = {}
    for known in (True, False):
        if options.only == ("learned" if known else "known"):
            continue
        pits, labels = [], []
        for seed in range(options.seed, options.seed + options.repeats):
            truth = simulate(seed)
            model = merged(truth, known, seed, **given)
            pits.append(ranks(model, truth, known))
            labels.append(pd.DataFrame(groups(model, truth)))
        pit, by = np.concatenate(pits), pd.concat(labels)
        title = "scales known" if known else "scales learned"
        print(f"\n{title}; {truth.reflections!r}\n")
        for name in by:
            print(f"by {name}")
            print(coverage(pit, by[name].to_numpy()).to_string(float_format="{:.3f}".format), "\n")
        tables[title] = pit, by
    if options.figure:
        draw(tables, options.figure)


if __name__ == "__main__":
    main()
