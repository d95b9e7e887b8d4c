"""Tests for twinning, by the distribution of intensities."""

import itertools
from typing import NamedTuple

import numpy as np

from vimerge.reflections import hkl as miller
from vimerge.statistics.labels import centric, with_own_names
from vimerge.statistics.shells import Shells, resolution

# Steps between neighbours, even so that no pseudo-translation by half a cell makes them differ; one of ±step.
_STEPS = [step for step in itertools.product((-2, 0, 2), repeat=3) if step > (0, 0, 0)]
_PER_SHELL = 100


class Twinning(NamedTuple):
    """Outcome of `twinning`. In brackets what is expected without and with perfect twinning.

    Parameters
    ----------
    mean_abs_l, mean_l2 : float
        ⟨|L|⟩ (0.500, 0.375) and ⟨L²⟩ (0.333, 0.200).
    fraction : float
        The twin fraction at which ⟨|L|⟩ is expected to be what it is.
    pairs : int
        How many went into L.
    moment_acentric, moment_centric : float
        ⟨I²⟩/⟨I⟩² of acentric (2, 1.5) and centric reflections (3, 2).
    e2_1_acentric, e2_1_centric : float
        ⟨|E² − 1|⟩ (0.736, 0.541; 0.968, 0.736).
    dmax, dmin : float
        Limits of the reflections used (Å).
    """

    mean_abs_l: float
    mean_l2: float
    fraction: float
    pairs: int
    moment_acentric: float
    moment_centric: float
    e2_1_acentric: float
    e2_1_centric: float
    dmax: float
    dmin: float


def twinning(merged, dmax=10.0, least_signal=4.0):
    """Padilla and Yeates' L test [1]_ and second moments.

    L = (I₁ − I₂)/(I₁ + I₂) of acentric neighbours in reciprocal space (their indices differ by −2, 0 or 2, so that
    pseudo-translations do not matter), where noise is small. Noise makes data look less twinned, and so does shrinking
    it make them look more so: intensities should be measured ones rather than means of a posterior.

    Parameters
    ----------
    merged : rs.DataSet
        Indexed by H, K, L in the asymmetric unit, with I and SIGI.
    dmax : float, optional
        Low-resolution limit (Å): solvent's contrast spoils the statistics there.
    least_signal : float, optional
        The high-resolution limit is where ⟨I/σ⟩ of a shell falls below it.

    Returns
    -------
    Twinning
        NaN where there are too few reflections.

    References
    ----------
    .. [1] Padilla, J. E. & Yeates, T. O. (2003). Acta Cryst. D59, 1124–1130.
    """
    merged = with_own_names(merged)
    hkl = merged.reset_index()[["H", "K", "L"]].to_numpy(np.int32)
    d, intensity, is_centric = resolution(merged), merged["I"].to_numpy(np.float64), centric(merged)
    use = np.isfinite(intensity) & (d <= dmax)
    if "SIGI" in merged:
        with np.errstate(divide="ignore", invalid="ignore"):
            signal = intensity / merged["SIGI"].to_numpy(np.float64)
        use &= d >= _limit(d[use], signal[use], least_signal)
    if not use.any():
        return Twinning(*[np.nan] * 3, 0, *[np.nan] * 6)
    hkl, d, intensity, is_centric = hkl[use], d[use], intensity[use], is_centric[use]
    l_values = _local_ratios(hkl[~is_centric], intensity[~is_centric])
    epsilon = np.asarray(merged.spacegroup.operations().epsilon_factor_without_centering_array(hkl), np.float64)
    shells = Shells(d, int(np.clip(len(d) // _PER_SHELL, 1, 20)))
    shell = shells.assign(d)
    e2 = intensity / epsilon
    e2 = e2 / (np.bincount(shell, e2) / np.bincount(shell))[shell]
    mean_abs = np.abs(l_values).mean() if len(l_values) else np.nan
    return Twinning(
        float(mean_abs),
        float(np.mean(l_values**2)) if len(l_values) else np.nan,
        twin_fraction(mean_abs),
        len(l_values),
        *(_moment(e2[part]) for part in (~is_centric, is_centric)),
        *(float(np.abs(e2[part] - 1).mean()) if part.any() else np.nan for part in (~is_centric, is_centric)),
        float(d.max()),
        float(d.min()),
    )


def expected_abs_l(fraction):
    """⟨|L|⟩ of twins whose components' intensities are independent, by the twin fraction.

    A twin's intensity is (1 − α) J₁ + α J₂, J exponential, whose density is a difference of two exponentials.

    Parameters
    ----------
    fraction : float
        α from 0 to 0.5.

    Returns
    -------
    float
        From 1/2 to 3/8.
    """
    if abs(1 - 2 * fraction) < 1e-3:
        return 0.375
    means = np.array([1 - fraction, fraction])
    weight = np.array([1 - fraction, -fraction]) / (1 - 2 * fraction)
    x, w = np.polynomial.legendre.leggauss(60)
    u = np.concatenate([0.25 + 0.25 * x, 0.75 + 0.25 * x])
    w = np.concatenate([w, w]) / 4
    total = 0.0
    for (a, p), (b, q) in itertools.product(zip(means, weight, strict=True), repeat=2):
        if a > 0 and b > 0:
            # U = X/(X + Y) of exponentials with means a and b.
            total += p * q * np.sum(w * np.abs(2 * u - 1) * a * b / (a + (b - a) * u) ** 2)
    return float(total)


def twin_fraction(mean_abs_l):
    """The twin fraction with that ⟨|L|⟩: 0 above 1/2, 0.5 below 3/8."""
    if not np.isfinite(mean_abs_l):
        return np.nan
    fractions = np.append(np.linspace(0.02, 0.48, 47), 0.5)
    expected = [expected_abs_l(x) for x in fractions]
    return float(np.interp(-mean_abs_l, [-0.5, *(-x for x in expected)], [0.0, *fractions]))


def _local_ratios(hkl, intensity):
    """L of all pairs of neighbours."""
    keys = miller.pack(hkl)
    order = np.argsort(keys)
    found = []
    for step in _STEPS if len(keys) else []:
        wanted = miller.pack(hkl + np.array(step, np.int32))
        position = np.minimum(np.searchsorted(keys[order], wanted), len(keys) - 1)
        first = np.flatnonzero(keys[order][position] == wanted)
        total = intensity[first] + intensity[order[position[first]]]
        difference = intensity[first] - intensity[order[position[first]]]
        # Beyond ±1 there is only noise.
        found.append(np.clip(difference[total > 0] / total[total > 0], -1.0, 1.0))
    return np.concatenate(found) if found else np.zeros(0)


def _limit(d, signal, least):
    """Where ⟨I/σ⟩ of a shell first falls below the least (Å)."""
    if not np.isfinite(signal).any():
        return 0.0
    shells = Shells(d, int(np.clip(len(d) // _PER_SHELL, 1, 20)))
    shell = shells.assign(d)
    for i in range(len(shells)):
        if not np.nanmean(signal[shell == i]) >= least:
            return shells.edges[i]
    return 0.0


def _moment(e2):
    return float(np.mean(e2**2) / np.mean(e2) ** 2) if len(e2) else np.nan
