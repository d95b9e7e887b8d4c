"""Location and scale of Rice, folded and truncated normal distributions from their mean and standard deviation."""

from functools import cache

import numpy as np
from scipy.special import erf, ive, log_ndtr

RICE, FOLDED_NORMAL, TRUNCATED_NORMAL = "rice", "folded normal", "truncated normal"

# loc/scale: below the first the distribution is that of loc = 0 to 1e-4, above the last it is normal to 1e-4.
LOWEST, HIGHEST = 1e-2, 1e2
# A truncated normal is exponential to 1e-3 below this.
LOWEST_TRUNCATED = -50.0


@cache
def _table(family):
    ratio = np.geomspace(LOWEST, HIGHEST, 800)
    if family == RICE:
        # SciPy's rice overflows at a large ratio; with scaled Bessel functions the mean does not.
        x = ratio**2 / 4
        mean = np.sqrt(np.pi / 2) * ((1 + 2 * x) * ive(0, x) + 2 * x * ive(1, x))
        variance = 2 + ratio**2 - mean**2
    elif family == TRUNCATED_NORMAL:
        ratio = np.sinh(np.linspace(np.arcsinh(LOWEST_TRUNCATED), np.arcsinh(HIGHEST), 1600))
        hazard = np.exp(-0.5 * ratio**2 - 0.5 * np.log(2 * np.pi) - log_ndtr(ratio))
        mean = ratio + hazard
        variance = 1 - hazard * mean
    else:
        mean = ratio * erf(ratio / np.sqrt(2)) + np.sqrt(2 / np.pi) * np.exp(-(ratio**2) / 2)
        variance = 1 + ratio**2 - mean**2
    sd = np.sqrt(variance)
    return ratio, mean / sd, sd


def invert_moments(family, mean, sd):
    """Find the location and scale that give a mean and a standard deviation.

    Parameters
    ----------
    family : {RICE, FOLDED_NORMAL, TRUNCATED_NORMAL}
    mean, sd : array, [R]
        Positive. A mean/sd lower than the family allows gives its lowest.

    Returns
    -------
    loc, scale : array, [R]
        In the units of the mean.
    """
    ratio, mean_over_sd, unit_sd = _table(family)
    wanted = mean / sd
    inside = np.interp(wanted, mean_over_sd, ratio)
    theta = np.where(wanted > mean_over_sd[-1], wanted, inside)
    scale = sd / np.where(wanted > mean_over_sd[-1], 1.0, np.interp(theta, ratio, unit_sd))
    # Where mean/sd is impossible, keep the mean, which is the better known of the two.
    impossible = wanted < mean_over_sd[0]
    scale = np.where(impossible, mean / (mean_over_sd[0] * unit_sd[0]), scale)
    return theta * scale, scale
