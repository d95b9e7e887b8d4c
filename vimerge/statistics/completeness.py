"""How much of reciprocal space was measured, and how well."""

import gemmi
import numpy as np

from vimerge.statistics.labels import centric, with_own_names
from vimerge.statistics.shells import Shells, resolution


def completeness(merged, shells=10):
    """Completeness, multiplicity and signal by resolution shell.

    Parameters
    ----------
    merged : rs.DataSet
        Indexed by H, K, L in the asymmetric unit, with I, SIGI and, if it is known, N (number of observations); and
        their anomalous counterparts.
    shells : int or Shells
        The shells, or the number of shells of equal count.

    Returns
    -------
    pandas.DataFrame
        A row a shell and "overall": `dmax`, `dmin` (Å), `observations`, `unique` reflections observed, `possible` ones
        (Friedel mates together, absences left out), `completeness` = unique/possible, `multiplicity` =
        observations/unique, `mean_i` = ⟨I⟩, `mean_i_over_sigma` = ⟨I/σ(I)⟩. With Friedel mates apart
        `completeness_anomalous`, the acentric reflections of which both mates were observed as a fraction of those
        possible, `multiplicity_anomalous`, observations per mate, and `anomalous_signal` = ⟨|ΔF|/σ(ΔF)⟩ of acentric
        reflections, which is √(2/π) = 0.8 where there is none (of ΔI where there are no amplitudes). Observations and
        multiplicities are NaN where N is missing.
    """
    merged = with_own_names(merged)
    d = resolution(merged)
    shells = shells if isinstance(shells, Shells) else Shells(d, shells)
    possible, acentric = _possible(merged.cell, merged.spacegroup, shells)

    def column(name):
        return merged[name].to_numpy(np.float64) if name in merged else np.full(len(merged), np.nan)

    number, intensity = column("N"), column("I")
    signal = intensity / column("SIGI")
    anomalous = _anomalous(merged, column) if "I(+)" in merged else None

    def statistic(mask):
        unique = int(mask.sum())
        row = {
            "observations": number[mask].sum() if unique else np.nan,
            "unique": unique,
            "possible": 0,
            "completeness": unique,
            "multiplicity": number[mask].mean() if unique else np.nan,
            "mean_i": intensity[mask].mean() if unique else np.nan,
            "mean_i_over_sigma": signal[mask].mean() if unique else np.nan,
        }
        if anomalous is not None:
            pair, mates, ratio = (values[mask] for values in anomalous)
            known = np.isfinite(ratio)
            row["completeness_anomalous"] = int(pair.sum())
            row["multiplicity_anomalous"] = number[mask].sum() / mates.sum() if mates.sum() else np.nan
            row["anomalous_signal"] = ratio[known].mean() if known.any() else np.nan
        return row

    table = shells.tabulate(d, statistic)
    # Of all shells, whether something was observed in them or not.
    table["possible"] = possible
    table["completeness"] /= np.where(possible > 0, possible, np.nan)
    if anomalous is not None:
        table["completeness_anomalous"] /= np.where(acentric > 0, acentric, np.nan)
    return table


def _anomalous(merged, column):
    """Whether both mates of an acentric reflection are there, how many are of any, and |Δ|/σ(Δ)."""
    is_centric = centric(merged)
    there = np.stack([np.isfinite(column("I(+)")), np.isfinite(column("I(-)"))])
    pair = there.all(axis=0) & ~is_centric
    mates = np.where(is_centric, there.any(axis=0), there.sum(axis=0))
    key = "F" if {"F(+)", "SIGF(+)", "F(-)", "SIGF(-)"} <= set(merged.columns) else "I"
    sigma = np.hypot(column(f"SIG{key}(+)"), column(f"SIG{key}(-)"))
    difference = np.abs(column(f"{key}(+)") - column(f"{key}(-)"))
    ratio = np.divide(difference, sigma, out=np.full(len(pair), np.nan), where=pair & (sigma > 0))
    return pair, mates, ratio


def _possible(cell, space_group, shells):
    """How many unique reflections, and acentric ones, each shell can have, and all together: int [shells + 1] each."""
    dmax, dmin = shells.edges[0], shells.edges[-1]
    hkl = gemmi.make_miller_array(cell, space_group, dmin * (1 - 1e-6), dmax * (1 + 1e-6), unique=True)
    d = 1.0 / np.sqrt(cell.calculate_1_d2_array(hkl))
    # Rounding must not put the limits' own reflections outside.
    shell = shells.assign(np.clip(d, dmin, dmax))
    acentric = ~np.asarray(space_group.operations().centric_flag_array(hkl), bool)
    counts = (np.bincount(part, minlength=len(shells)) for part in (shell, shell[acentric]))
    return tuple(np.append(count, count.sum()) for count in counts)
