"""Whether standard deviations are as large as the deviations."""

import numpy as np
import pandas as pd
from scipy import stats

from vimerge.statistics.correlation import pearson
from vimerge.statistics.half_datasets import pair_halves
from vimerge.statistics.labels import with_own_names
from vimerge.statistics.shells import Shells, resolution


def normalised_deviations(predictions):
    """(Iobs − Ipred)/√(SIGIobs² + SIGIpred²) of each observation.

    Of held-out observations these are standard normal if the standard deviations are right; those of the training set
    are less spread, for the prediction has seen them. SIGIobs is the file's own: what an error model makes of it is not
    in it.

    Parameters
    ----------
    predictions : rs.DataSet
        As in `predictions.mtz`.

    Returns
    -------
    pandas.DataFrame
        A row an observation: `d` (Å), `Ipred`, `test` (bool), `deviation`; NaN of outliers that the merge `rejected`.
    """
    iobs, sigma, ipred, sigipred = (
        predictions[name].to_numpy(np.float64) for name in ("Iobs", "SIGIobs", "Ipred", "SIGIpred")
    )
    # The posterior of a point has no standard deviation.
    deviation = (iobs - ipred) / np.hypot(sigma, np.nan_to_num(sigipred))
    if "rejected" in predictions:
        deviation[predictions["rejected"].to_numpy(bool)] = np.nan
    test = predictions["test"].to_numpy(bool)
    return pd.DataFrame({"d": resolution(predictions), "Ipred": ipred, "test": test, "deviation": deviation})


def deviation_quantiles(deviation, points=101):
    """Quantiles of deviations against those of the standard normal, for a probability plot.

    Parameters
    ----------
    deviation : array_like, [N]
        NaN are left out.
    points : int, optional
        How many, at the probabilities (i − ½)/points.

    Returns
    -------
    pandas.DataFrame
        `probability`, `normal`, `deviation`.
    """
    deviation = np.asarray(deviation, np.float64)
    deviation = deviation[np.isfinite(deviation)]
    probability = (np.arange(points) + 0.5) / points
    quantiles = np.quantile(deviation, probability) if len(deviation) else np.full(points, np.nan)
    return pd.DataFrame({"probability": probability, "normal": stats.norm.ppf(probability), "deviation": quantiles})


def deviation_summary(deviations):
    """Spread of normalised deviations, in training and held out.

    Parameters
    ----------
    deviations : pandas.DataFrame
        Of `normalised_deviations`.

    Returns
    -------
    pandas.DataFrame
        Rows "train" and, if any observation was held out, "test": `observations`, `mean`, `sd`, `robust_sd` (1.4826
        times the median absolute deviation), and `beyond_3`, the fraction with |deviation| > 3 (0.0027 if normal).
    """
    rows = {}
    for name, held_out in (("train", False), ("test", True)):
        values = deviations.loc[deviations["test"] == held_out, "deviation"].to_numpy()
        values = values[np.isfinite(values)]
        if len(values):
            rows[name] = {
                "observations": len(values),
                "mean": values.mean(),
                "sd": values.std(),
                "robust_sd": stats.median_abs_deviation(values, scale="normal"),
                "beyond_3": np.mean(np.abs(values) > 3),
            }
    return pd.DataFrame.from_dict(rows, orient="index")


def sigma_calibration(halves, shells=10):
    """CC1/2 against what the standard deviations of the half data sets promise.

    Halves that agree as well as their standard deviations say correlate by

        CC1/2 = τ² / √((τ² + ⟨σ₁²⟩)(τ² + ⟨σ₂²⟩)),

    τ² being the variance of the true intensities [1]_, which is the mean of var(I) − ⟨σ²⟩ of the halves. Much the same
    is said by (I₁ − I₂)/√(σ₁² + σ₂²), of which the standard deviation should be 1. (I and σ are taken to be a
    measurement and its error. Moments of a posterior are drawn towards the prior: there, weak data deviate less.)

    Parameters
    ----------
    halves : rs.DataSet
        As for `half_dataset_correlations`.
    shells : int or Shells
        The shells, or the number of shells of equal count.

    Returns
    -------
    pandas.DataFrame
        A row a shell and "overall": `dmax`, `dmin` (Å), `mean_i_over_sigma` of the halves, `cc_half`,
        `cc_half_expected`, and `deviation_sd` and `deviation_robust_sd`.

    References
    ----------
    .. [1] Assmann, G., Brehm, W. & Diederichs, K. (2016). J. Appl. Cryst. 49, 1021–1028.
    """
    first, second = pair_halves(with_own_names(halves))
    d = resolution(first.droplevel("repeat"))
    shells = shells if isinstance(shells, Shells) else Shells(d, shells)
    signs = ("(+)", "(-)") if "I(+)" in first.columns else ("",)
    i1, i2, sigma1, sigma2 = (
        np.stack([t[f"{name}{sign}"].to_numpy(np.float64) for sign in signs])
        for name in ("I", "SIGI")
        for t in (first, second)
    )

    def statistic(mask):
        part = [x[:, mask] for x in (i1, i2, sigma1, sigma2)]
        x, y, sx, sy = (values[np.isfinite(sum(part))] for values in part)
        names = ("mean_i_over_sigma", "cc_half", "cc_half_expected", "deviation_sd", "deviation_robust_sd")
        if len(x) < 2:
            return dict.fromkeys(names, np.nan)
        noise1, noise2 = np.mean(sx**2), np.mean(sy**2)
        tau2 = max(0.5 * (x.var() - noise1 + y.var() - noise2), 0.0)
        deviation = (x - y) / np.hypot(sx, sy)
        numbers = (
            0.5 * (np.mean(x / sx) + np.mean(y / sy)),
            pearson(x, y),
            tau2 / np.sqrt((tau2 + noise1) * (tau2 + noise2)),
            np.sqrt(np.mean(deviation**2)),
            stats.median_abs_deviation(deviation, scale="normal"),
        )
        return {name: float(value) for name, value in zip(names, numbers, strict=True)}

    return shells.tabulate(d, statistic)
