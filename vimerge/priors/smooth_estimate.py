"""The mean intensity against resolution, from the data and free of any formula."""

import numpy as np
from scipy.interpolate import make_smoothing_spline

OBSERVATIONS_PER_SHELL = 200
MOST_SHELLS = 40
# An acentric E² above 15 has probability 3e-7: what exceeds it by more than noise is an outlier.
HIGHEST_E2 = 15.0
HIGHEST_NOISE = 6.0


def smooth_falloff(s2_observed, intensity, s2):
    """Estimate Σ(d) = ⟨I/ε⟩ from the observations' own Wilson statistics.

    The mean is taken in resolution shells of equal count, and its logarithm smoothed over 1/d² by a cubic spline whose
    stiffness generalised cross-validation chooses.

    Parameters
    ----------
    s2_observed : array, [M]
        1/d² of each observation (Å⁻²).
    intensity : array, [M]
        Observed I/ε; noise may make it negative.
    s2 : array, [R]
        Where Σ is wanted; beyond the observed range it stays as at its end.

    Returns
    -------
    array, [R]
        Σ, positive, in the units of the intensities.

    Raises
    ------
    ValueError
        If the mean of all the intensities is not positive.
    """
    overall = float(np.mean(intensity))
    if not overall > 0:
        raise ValueError(
            f"The mean intensity is {overall:.3g}: there is no signal to scale; check that the intensity column is the "
            "right one, or cut the resolution with dmin."
        )
    x, y = _shell_means(s2_observed, intensity, floor=1e-4 * overall)
    if len(x) < 5 or np.ptp(x) == 0:
        return np.exp(np.interp(s2, x, y))
    low, width = x[0], x[-1] - x[0]
    spline = make_smoothing_spline((x - low) / width, y)
    return np.exp(spline((np.clip(s2, x[0], x[-1]) - low) / width))


def _shell_means(s2, intensity, floor):
    order = np.argsort(s2, kind="stable")
    number = int(np.clip(len(s2) // OBSERVATIONS_PER_SHELL, 1, MOST_SHELLS))
    centres, means = [], []
    for shell in np.array_split(order, number):
        values = intensity[shell]
        centres.append(s2[shell].mean())
        means.append(np.log(max(_mean_without_outliers(values), floor)))
    x, index = np.unique(centres, return_index=True)
    return x, np.asarray(means)[index]


def _mean_without_outliers(values):
    negative = values[values < 0]
    # Only noise makes an intensity negative: where there is little signal, half of a normal distribution's.
    noise = HIGHEST_NOISE * 1.4826 * np.median(-negative) if len(negative) else 0.0
    mean = np.median(values)
    for _ in range(4):
        mean = values[(values >= -noise) & (values <= HIGHEST_E2 * max(mean, 0.0) + noise)].mean()
    return mean
