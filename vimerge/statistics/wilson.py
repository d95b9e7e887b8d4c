"""Wilson's plot: the fall-off of the mean intensity with resolution."""

from typing import NamedTuple

import gemmi
import numpy as np
import pandas as pd

from vimerge.statistics.labels import centric, with_own_names
from vimerge.statistics.shells import Shells, resolution

# Atoms of a mean residue of a protein.
RESIDUE = {"C": 5.0, "N": 1.35, "O": 1.5, "S": 0.05, "H": 8.0}
# Beyond this resolution the structure's own order no longer bends the plot.
STRAIGHT = 4.0
_LEAST = 200


class WilsonB(NamedTuple):
    """Outcome of `wilson_b`.

    Parameters
    ----------
    b, sigma : float
        The B factor and its standard error (Å²).
    scale : float
        k, the mean intensity of a residue's worth of atoms at rest being k Σf².
    dmax, dmin : float
        Limits of the fit (Å).
    """

    b: float
    sigma: float
    scale: float
    dmax: float
    dmin: float


def scattering(s2, composition=None):
    """Σf² of atoms at rest, in electrons² [1]_.

    Parameters
    ----------
    s2 : array_like, [N]
        1/d² (Å⁻²).
    composition : dict of str to float, optional
        Numbers of atoms by element; a mean residue of a protein by default.

    Returns
    -------
    array, [N]

    References
    ----------
    .. [1] International Tables for Crystallography (1992), Volume C, table 6.1.1.4.
    """
    stol2 = np.asarray(s2, np.float64) / 4
    total = np.zeros_like(stol2)
    for element, number in (RESIDUE if composition is None else composition).items():
        table = gemmi.Element(element).it92
        f = table.c + sum(a * np.exp(-b * stol2) for a, b in zip(table.a, table.b, strict=True))
        total += number * f**2
    return total


def wilson_b(merged, dmax=None, composition=None):
    """Wilson's B factor [1]_, by likelihood from single reflections.

    ⟨I⟩ = k ε Σf² exp(−B s²/2) with s = 1/d; an intensity's variance about that is its square (twice that if centric)
    and σ². k and B solve the likelihood equations of a mean whose logarithm is linear in s²,
    Σ w (I/⟨I⟩ − 1) (1, s²) = 0 with w = 1/(1 or 2 + σ²/⟨I⟩²), so that weak and negative intensities need no special
    care.

    Parameters
    ----------
    merged : rs.DataSet
        Indexed by H, K, L, with I and SIGI.
    dmax : float, optional
        Low-resolution limit of the fit (Å): 4 Å if 200 reflections or more are beyond it, else none.
    composition : dict of str to float, optional
        Of the crystal, see `scattering`.

    Returns
    -------
    WilsonB
        NaN where there are fewer than ten reflections or no signal.

    References
    ----------
    .. [1] Wilson, A. J. C. (1942). Nature, 150, 151–152.
    """
    d, ratio, sigma, spread = _normalised(merged, composition)
    if dmax is None:
        dmax = STRAIGHT if np.count_nonzero(d <= STRAIGHT) >= _LEAST else np.inf
    use = d <= dmax
    if use.sum() < 10 or not ratio[use].mean() > 0:
        return WilsonB(*[np.nan] * 5)
    s2, ratio, sigma, spread = d[use] ** -2.0, ratio[use], sigma[use], spread[use]
    middle = s2.mean()
    terms = np.stack([np.ones(len(s2)), s2 - middle], axis=1)
    theta = np.array([np.log(ratio.mean()), 0.0])
    for _ in range(100):
        mean = np.exp(terms @ theta)
        weight = 1.0 / (spread + (sigma / mean) ** 2)
        information = (terms * weight[:, None]).T @ terms
        step = np.linalg.solve(information, terms.T @ (weight * (ratio / mean - 1)))
        # A step of more than a factor e overshoots.
        theta = theta + step / max(1.0, np.abs(step * [1.0, np.ptp(s2)]).max())
        if np.abs(step * [1.0, np.ptp(s2)]).max() < 1e-9:
            break
    else:
        return WilsonB(*[np.nan] * 5)
    error = 2 * np.sqrt(np.linalg.inv(information)[1, 1])
    scale = np.exp(theta[0] - theta[1] * middle)
    return WilsonB(float(-2 * theta[1]), float(error), float(scale), float(d[use].max()), float(d[use].min()))


def wilson_plot(merged, shells=20, composition=None):
    """Points and line of Wilson's plot.

    Parameters
    ----------
    merged : rs.DataSet
        Indexed by H, K, L, with I and SIGI.
    shells : int or Shells
        The shells, or the number of shells of equal count.
    composition : dict of str to float, optional
        Of the crystal, see `scattering`.

    Returns
    -------
    pandas.DataFrame
        A row a shell: `dmax`, `dmin` (Å), `s2` (mean of 1/d², Å⁻²), `observed` = ln(⟨I/ε⟩/Σf²), NaN where that is not
        positive, and `fitted`, the line of `wilson_b`.
    """
    d, ratio, _, _ = _normalised(merged, composition)
    shells = shells if isinstance(shells, Shells) else Shells(d, shells)
    fit = wilson_b(merged, composition=composition)

    def statistic(mask):
        s2, mean = np.mean(d[mask] ** -2.0) if mask.any() else np.nan, ratio[mask].mean() if mask.any() else np.nan
        return {
            "s2": s2,
            "observed": np.log(mean) if mean > 0 else np.nan,
            "fitted": np.log(fit.scale) - fit.b * s2 / 2,
        }

    return pd.DataFrame(shells.tabulate(d, statistic).drop(index="overall"))


def _normalised(merged, composition):
    """Resolution, I/(ε Σf²), its σ, and the variance of I/⟨I⟩, of reflections with an intensity."""
    merged = with_own_names(merged)
    d = resolution(merged)
    hkl = np.ascontiguousarray(merged.reset_index()[["H", "K", "L"]].to_numpy(np.int32))
    epsilon = np.asarray(merged.spacegroup.operations().epsilon_factor_without_centering_array(hkl), np.float64)
    unit = epsilon * scattering(d**-2.0, composition)
    intensity = merged["I"].to_numpy(np.float64) / unit
    sigma = merged["SIGI"].to_numpy(np.float64) / unit if "SIGI" in merged else np.zeros(len(d))
    known = np.isfinite(intensity)
    # A point estimate has no standard deviation.
    sigma = np.nan_to_num(sigma)
    return d[known], intensity[known], sigma[known], np.where(centric(merged), 2.0, 1.0)[known]
