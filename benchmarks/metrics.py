"""What a merge is judged by: each number with its unit and which way is better.

The definitions are those of the statistics of the field, of `vimerge.statistics` where it has them: the same for all
contestants, from the tables that they write.
"""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from vimerge.statistics import (
    Shells,
    half_dataset_correlations,
    pearson,
    prediction_correlations,
    resolution,
    spearman,
    weighted_pearson,
)
from vimerge.statistics.half_datasets import pair_halves

DOF = 16.0
SHELLS = 10


@dataclass(frozen=True)
class Metric:
    """What a number means.

    Parameters
    ----------
    label, unit : str
        The unit is empty where there is none.
    better : {"higher", "lower"}
    """

    label: str
    unit: str
    better: str

    def ratio(self, ours, theirs):
        """How many times better ours is, for what is counted from zero (costs)."""
        return theirs / ours if self.better == "lower" else ours / theirs

    def is_better(self, ours, theirs):
        return ours < theirs if self.better == "lower" else ours > theirs


METRICS = {
    "pearson": Metric("held-out CC of Iobs and Ipred", "", "higher"),
    "weighted": Metric("the same, weighted by 1/σ²", "", "higher"),
    "spearman": Metric("the same, of ranks", "", "higher"),
    "log_density": Metric("held-out log density", "nats per observation", "higher"),
    "cc_half": Metric("CC1/2 of I", "", "higher"),
    "cc_half_f": Metric("CC1/2 of F", "", "higher"),
    "cc_anom": Metric("CCanom of F", "", "higher"),
    "cc_anom_weighted": Metric("the same, weighted by 1/σ²", "", "higher"),
    "cc_anom_spearman": Metric("the same, of ranks", "", "higher"),
    "cc_truth": Metric("CC of F with the truth", "", "higher"),
    "cc_truth_anom": Metric("CC of F(+) − F(−) with the truth", "", "higher"),
    "cc_truth_anom_weighted": Metric("the same, weighted by 1/σ²", "", "higher"),
    "wall_seconds": Metric("wall time", "s", "lower"),
    "cpu_seconds": Metric("CPU time of the process", "s", "lower"),
    "training_cpu_seconds": Metric("CPU time of training", "s", "lower"),
    "lean_cpu_seconds": Metric("CPU time without half data sets", "s", "lower"),
    "peak_bytes": Metric("peak memory", "bytes", "lower"),
}
HELD_OUT = ("pearson", "weighted", "spearman")
HALVES = ("cc_half", "cc_half_f", "cc_anom", "cc_anom_weighted", "cc_anom_spearman")
TRUTH = ("cc_truth", "cc_truth_anom", "cc_truth_anom_weighted")
QUALITY = (*HELD_OUT, "log_density", *HALVES, *TRUTH)


def quality(predictions=None, halves=None, merged=None, truth=None):
    """All metrics that there are tables for.

    Parameters
    ----------
    predictions : DataFrame, optional
        Iobs, SIGIobs, Ipred, test.
    halves, merged, truth : rs.DataSet, optional
        Half data sets stacked, merged reflections and true ones, with vimerge's column names.

    Returns
    -------
    dict of float
        By the names of `METRICS`.
    """
    found = {}
    if predictions is not None:
        found |= held_out(predictions)
    if halves is not None:
        found |= half_dataset_means(halves)
    if merged is not None and truth is not None:
        found |= against_truth(merged, truth)
    return found


def held_out(predictions):
    """Agreement of the held-out observations with their predictions, empty if there are none.

    The log density is the mean of that of Student's t with 16 degrees of freedom about the prediction, of the width
    that the file's sigma says, in units of the held-out intensities' standard deviation.
    """
    table = predictions[np.isfinite(predictions["Ipred"].to_numpy(float))]
    correlations = prediction_correlations(table)
    if "test" not in correlations.index:
        return {}
    test = table["test"].to_numpy(bool)
    iobs, sigma, ipred = (table[name].to_numpy(np.float64)[test] for name in ("Iobs", "SIGIobs", "Ipred"))
    log_density = stats.t.logpdf((iobs - ipred) / sigma, DOF) - np.log(sigma / iobs.std())
    return {name: correlations.loc["test", name] for name in HELD_OUT} | {"log_density": float(log_density.mean())}


def half_dataset_means(halves):
    """CC1/2 and, with Friedel mates apart, CCanom: means over ten shells of equal count."""
    means = half_dataset_correlations(halves, SHELLS).drop(index="overall").mean()
    found = {name: float(means[name]) for name in HALVES if name in means}
    if "cc_anom" in found:
        found["cc_anom_spearman"] = _mean_over_shells(*_half_differences(halves), spearman)
    return found


def complete_in_halves(halves):
    """The reflections, and repeats, whose amplitudes are all in both half data sets, a MultiIndex."""
    first, second = pair_halves(halves)
    amplitudes = [name for name in ("F(+)", "F(-)") if name in first] or ["F"]
    there = [np.isfinite(t[amplitudes].to_numpy(np.float64)).all(axis=1) for t in (first, second)]
    return first.index[there[0] & there[1]]


def half_dataset_means_of(halves, reflections):
    """`half_dataset_means` of some reflections and repeats alone."""
    index = halves.set_index("repeat", append=True).index
    return half_dataset_means(halves[index.isin(reflections)])


def _half_differences(halves):
    first, second = pair_halves(halves)
    x, y = ((t["F(+)"] - t["F(-)"]).to_numpy(np.float64) for t in (first, second))
    return resolution(first.droplevel("repeat")), x, y


def against_truth(merged, truth):
    """Correlation with the truth of F and of F(+) − F(−) of acentric reflections, means over ten shells.

    Within shells, because a program may take the fall-off with resolution for a part of the scale.
    """
    true = truth[["F", "F(+)", "F(-)"]].rename(columns=lambda name: f"{name} true")
    table = merged.join(true, how="inner")
    d = resolution(table)
    values = {name: table[name].to_numpy(np.float64) for name in table.columns}
    both = _both_mates(values)
    found = {"cc_truth": _mean_over_shells(d, both, values["F true"], pearson)}
    if "F(+)" in merged:
        x, y = values["F(+)"] - values["F(-)"], values["F(+) true"] - values["F(-) true"]
        weight = 1.0 / (values["SIGF(+)"] ** 2 + values["SIGF(-)"] ** 2)
        found["cc_truth_anom"] = _mean_over_shells(d, x, y, pearson)
        found["cc_truth_anom_weighted"] = _mean_over_shells(d, x, y, weighted_pearson, weight)
    return found


def _both_mates(values):
    """F whatever program merged it: the mean of both mates or the one that was seen."""
    if "F(+)" not in values:
        return values["F"]
    plus, minus = values["F(+)"], values["F(-)"]
    return np.where(np.isnan(plus), minus, np.where(np.isnan(minus), plus, 0.5 * (plus + minus)))


def _mean_over_shells(d, x, y, statistic, *weight):
    """The mean over shells of a statistic of what both have; differences that are both zero do not count."""

    def of_shell(mask):
        use = mask & np.isfinite(x) & np.isfinite(y) & ~((x == 0) & (y == 0))
        for w in weight:
            use &= np.isfinite(w)
        return {"value": statistic(x[use], y[use], *(w[use] for w in weight))}

    return float(Shells(d, SHELLS).tabulate(d, of_shell).drop(index="overall")["value"].mean())
