"""How far the data reach."""

from typing import NamedTuple

import numpy as np
from scipy import optimize


class ResolutionEstimate(NamedTuple):
    """Outcome of `resolution_estimate`.

    Parameters
    ----------
    d : float
        The resolution (Å) at which the fitted curve falls to the threshold, but no better than that of the data.
    reached : bool
        Whether the curve falls to it within the data; else they reach farther than was measured.
    half : float
        1/d at which the curve is one half (Å⁻¹).
    width : float
        The curve's width r (Å⁻¹).
    """

    d: float
    reached: bool
    half: float
    width: float

    def curve(self, d):
        """CC1/2 by the fit at a resolution (Å)."""
        return 0.5 * (1 - np.tanh((1 / np.asarray(d, np.float64) - self.half) / self.width))


def resolution_estimate(table, threshold=0.3, column="cc_half"):
    """Where CC1/2 falls to a threshold, by fitting ½ (1 − tanh((1/d − s₀)/r)) to its shells [1]_.

    Parameters
    ----------
    table : pandas.DataFrame
        By shell, with `dmax`, `dmin` and CC1/2, as of `half_dataset_correlations`; more shells tell more, say 20.
    threshold : float, optional
        Of CC1/2.
    column : str, optional
        The column with CC1/2.

    Returns
    -------
    ResolutionEstimate
        NaN where fewer than three shells have a CC1/2.

    References
    ----------
    .. [1] Evans, P. R. & Murshudov, G. N. (2013). Acta Cryst. D69, 1204–1214.
    """
    shells = table.drop(index="overall", errors="ignore")
    y = shells[column].to_numpy(np.float64)
    s2 = 0.5 * (shells["dmax"].to_numpy(np.float64) ** -2 + shells["dmin"].to_numpy(np.float64) ** -2)
    weight = np.sqrt(shells["reflections"].to_numpy(np.float64)) if "reflections" in shells else np.ones(len(y))
    known = np.isfinite(y) & (weight > 0)
    end = float(shells["dmin"].min())
    if known.sum() < 3:
        return ResolutionEstimate(np.nan, False, np.nan, np.nan)
    s, y, weight = np.sqrt(s2[known]), y[known], weight[known] / weight[known].max()

    def residual(parameters):
        half, log_width = parameters
        return weight * (0.5 * (1 - np.tanh((s - half) / np.exp(log_width))) - y)

    starts = [(half, np.log(0.2 * s.max())) for half in (0.7 * s.max(), s.max(), 1.5 * s.max())]
    # A CC1/2 of 1 throughout says only that the end is far away.
    bounds = ([0.0, np.log(1e-3 * s.max())], [10 * s.max(), np.log(10 * s.max())])
    fit = min((optimize.least_squares(residual, x, bounds=bounds) for x in starts), key=lambda fit: fit.cost)
    half, width = float(fit.x[0]), float(np.exp(fit.x[1]))
    at = half + width * np.arctanh(1 - 2 * threshold)
    reached = bool(0 < at < 1 / end)
    return ResolutionEstimate(1 / at if reached else end, reached, half, width)
