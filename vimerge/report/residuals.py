"""Normalised residuals of observations."""

import numpy as np
import pandas as pd

__all__ = ["corrected_sigma", "normalised_residuals", "outliers", "quantiles", "rejected", "spread_by"]

# An observation that is most of its own prediction says nothing by agreeing with it.
_LEAST_FREEDOM = 0.1


def rejected(predictions):
    """Which observations the merge left out as outliers, bool ``[M]``: none if it does not tell."""
    if "rejected" not in predictions:
        return np.zeros(len(predictions), dtype=bool)
    return predictions["rejected"].to_numpy(bool)


def corrected_sigma(predictions, learned):
    """Standard deviations of the intensities by the error model that was learned.

        SdFac √(σ² + SdB J + (SdAdd J)²)   or   √(a (σ² + b J²)),   J = max(Ipred, 0)

    Parameters
    ----------
    predictions : DataFrame
        Columns `SIGIobs`, `Ipred`, `image_id`.
    learned : dict
        `Results.learned`; an error model of each image has lists.

    Returns
    -------
    sigma : np.ndarray
        ``[M]``: as given in the file if no error model is known.
    name : str
        Whose they are, in words.
    """
    sigma = predictions["SIGIobs"].to_numpy(np.float64)
    expected = np.maximum(predictions["Ipred"].to_numpy(np.float64), 0.0)
    image = predictions["image_id"].to_numpy(int)
    numbers = {}
    for name, value in learned.items():
        value = np.atleast_1d(np.asarray(value, dtype=object))
        if len(value) == 1:
            numbers[name.rsplit(".", 1)[-1]] = float(value[0])
        elif len(value) > image.max(initial=0):
            numbers[name.rsplit(".", 1)[-1]] = value.astype(np.float64)[image]
    if {"SdFac", "SdB", "SdAdd"} <= set(numbers):
        inner = sigma**2 + numbers["SdB"] * expected + np.square(numbers["SdAdd"] * expected)
        return numbers["SdFac"] * np.sqrt(inner), "corrected by SdFac, SdB and SdAdd"
    if {"a", "b"} <= set(numbers):
        return np.sqrt(numbers["a"] * (sigma**2 + numbers["b"] * expected**2)), "corrected by the a and b of XDS"
    return sigma, "as they came in the file"


def normalised_residuals(predictions, sigma):
    """Residuals in units of what they should be, so that their variance is one if all is right.

        z = (Iobs − Ipred) / √(σ² ± SIGIpred²)

    with + for observations that were held out or rejected. One that was trained on has drawn the prediction towards
    itself: for normal errors the variance of its residual is *less* than σ² by that of the prediction, whatever the
    prior.

    Parameters
    ----------
    predictions : DataFrame
        Columns `Iobs`, `Ipred`, `SIGIpred`, `test` and perhaps `rejected`.
    sigma : np.ndarray
        ``[M]``.

    Returns
    -------
    np.ndarray
        ``[M]``; NaN of observations in training that make up more than nine tenths of their own prediction.
    """
    iobs, ipred, spread = (predictions[c].to_numpy(np.float64) for c in ("Iobs", "Ipred", "SIGIpred"))
    spread = np.nan_to_num(spread) ** 2
    apart = predictions["test"].to_numpy(bool) | rejected(predictions)
    variance = sigma**2 + np.where(apart, spread, -spread)
    usable = variance > _LEAST_FREEDOM * sigma**2
    return np.where(usable, (iobs - ipred) / np.sqrt(np.where(usable, variance, 1.0)), np.nan)


def quantiles(z, points=400):
    """Sorted residuals against those of a normal distribution, for a plot of at most so many points.

    Parameters
    ----------
    z : np.ndarray
        ``[M]``; NaNs are left out.
    points : int

    Returns
    -------
    normal, observed : np.ndarray
        ``[points]``: evenly spaced in normal quantiles, from one extreme to the other.
    """
    from scipy.stats import norm

    z = np.sort(z[np.isfinite(z)])
    if len(z) < 2:
        return np.empty(0), np.empty(0)
    expected = norm.ppf((np.arange(len(z)) + 0.5) / len(z))
    normal = np.linspace(expected[0], expected[-1], points)
    return normal, np.interp(normal, expected, z)


def spread_by(z, x, bins=20, least=50):
    """Root mean square of residuals in bins of equal count.

    Parameters
    ----------
    z, x : np.ndarray
        ``[M]``; NaNs are left out.
    bins, least : int
        At most so many bins, of so many residuals at least.

    Returns
    -------
    pandas.DataFrame
        A row a bin: `x`, the median; `rms`; `robust`, 1.4826 times the median of |z|, which a few outliers do not move;
        `n`.
    """
    use = np.isfinite(z) & np.isfinite(x)
    z, x = z[use], x[use]
    rows = []
    for part in np.array_split(np.argsort(x, kind="stable"), max(1, min(bins, len(z) // least))):
        if len(part):
            rms, robust = np.sqrt(np.mean(z[part] ** 2)), 1.4826 * np.median(np.abs(z[part]))
            rows.append((np.median(x[part]), rms, robust, len(part)))
    return pd.DataFrame(rows, columns=["x", "rms", "robust", "n"])


def outliers(predictions, z, sigma, number=20):
    """The observations with the largest residuals.

    Parameters
    ----------
    predictions : DataFrame
    z, sigma : np.ndarray
        ``[M]``.
    number : int
        How many.

    Returns
    -------
    pandas.DataFrame
        Rows of `predictions` with `z` and `sigma`, the largest first.
    """
    size = np.nan_to_num(np.abs(z), nan=-1.0)
    number = min(number, int(np.sum(size >= 0)))
    rows = np.argsort(-size, kind="stable")[:number]
    return predictions.iloc[rows].assign(z=z[rows], sigma=sigma[rows])
