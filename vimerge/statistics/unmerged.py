"""R factors of scaled, unmerged observations, and what they merge to."""

import gemmi
import numpy as np
import reciprocalspaceship as rs

from vimerge.reflections.splits import half_datasets
from vimerge.reflections.tables import AMPLITUDE, FRIEDEL, friedel_pairs, make_table
from vimerge.statistics.shells import Shells, resolution

_SCALED = {"I": "J", "SIGI": "Q", "image_id": "I"}


def scaled_observations(predictions, held_out=False):
    """Put observations on the scale of the merged data, I = Iobs/Σ and σ = SIGIobs/Σ.

    Parameters
    ----------
    predictions : rs.DataSet
        As in `predictions.mtz`: indexed by the observed H, K, L, with Iobs, SIGIobs, scale, image_id, test and, where
        the merge told them, `rejected` outliers, which are left out.
    held_out : bool, optional
        Whether to take those held out of merging as well.

    Returns
    -------
    rs.DataSet
        Unmerged: I, SIGI, image_id.
    """
    scale, sigma = (predictions[name].to_numpy(np.float64) for name in ("scale", "SIGIobs"))
    use = (scale > 0) & (sigma > 0)
    if "rejected" in predictions:
        use &= ~predictions["rejected"].to_numpy(bool)
    if not held_out:
        use &= ~predictions["test"].to_numpy(bool)
    values = {"I": predictions["Iobs"].to_numpy(np.float64)[use] / scale[use], "SIGI": sigma[use] / scale[use]}
    values["image_id"] = predictions["image_id"].to_numpy()[use]
    hkl = predictions.reset_index()[["H", "K", "L"]].to_numpy(np.int32)[use]
    return make_table(hkl, values, _SCALED, predictions.cell, predictions.spacegroup, merged=False)


def merging_r_factors(observations, shells=10, anomalous=False):
    """R_merge, R_meas, R_pim and the σ-τ CC1/2 of scaled observations by resolution shell, by gemmi.

    With n_h observations I_i of reflection h and their mean ⟨I⟩ weighted by 1/σ²,

        R_merge = Σ_h Σ_i |I_i − ⟨I⟩| / Σ_h n_h ⟨I⟩,

    R_meas [1]_ with √(n_h/(n_h − 1)) and R_pim [2]_ with √(1/(n_h − 1)) before the inner sum of the numerator;
    reflections observed once are left out. Of a folder of results the observations are those that were merged, neither
    held out nor rejected (see `scaled_observations`). The σ-τ CC1/2 [3]_ is found from variances, without random
    halves.

    Parameters
    ----------
    observations : rs.DataSet
        Unmerged: indexed by observed H, K, L, with I and SIGI.
    shells : int or Shells
        The shells, or the number of shells of equal count.
    anomalous : bool, optional
        Whether to add `r_merge_anomalous`, `r_meas_anomalous` and `r_pim_anomalous`, for which Friedel mates are
        reflections of their own.

    Returns
    -------
    pandas.DataFrame
        A row a shell and "overall": `dmax`, `dmin` (Å), `observations`, `r_merge`, `r_meas`, `r_pim`,
        `cc_half_sigma_tau`. NaN where no reflection was observed twice.

    References
    ----------
    .. [1] Diederichs, K. & Karplus, P. A. (1997). Nat. Struct. Biol. 4, 269–275.
    .. [2] Weiss, M. S. (2001). J. Appl. Cryst. 34, 130–135.
    .. [3] Assmann, G., Brehm, W. & Diederichs, K. (2016). J. Appl. Cryst. 49, 1021–1028.
    """
    d = resolution(observations)
    shells = shells if isinstance(shells, Shells) else Shells(d, shells)
    hkl = np.ascontiguousarray(observations.reset_index()[["H", "K", "L"]].to_numpy(np.int32))
    values = [observations[name].to_numpy(np.float64) for name in ("I", "SIGI")]

    def gemmi_statistics(mask, kind):
        intensities = gemmi.Intensities()
        part = [np.ascontiguousarray(column[mask]) for column in (hkl, *values)]
        intensities.set_data(observations.cell, observations.spacegroup, *part)
        intensities.prepare_for_merging(kind)
        return intensities.calculate_merging_stats(None)[0]

    def statistic(mask):
        row = {"observations": int(mask.sum())} | dict.fromkeys(("r_merge", "r_meas", "r_pim"), np.nan)
        kinds = {"": gemmi.DataType.Mean} | ({"_anomalous": gemmi.DataType.Anomalous} if anomalous else {})
        for suffix, kind in kinds.items():
            found = gemmi_statistics(mask, kind) if mask.any() else None
            repeated = found is not None and found.stats_refl > 0
            for name in ("r_merge", "r_meas", "r_pim"):
                row[f"{name}{suffix}"] = getattr(found, name)() if repeated else np.nan
            if not suffix:
                row["cc_half_sigma_tau"] = found.cc_half() if repeated and found.stats_refl > 1 else np.nan
        return row

    return shells.tabulate(d, statistic)


def merge_scaled(reflections, use=None):
    """Merge scaled observations by inverse variance.

    Parameters
    ----------
    reflections : Reflections
        M observations, scaled by some program.
    use : array of bool, [M], optional
        Which to merge.

    Returns
    -------
    rs.DataSet
        Indexed by H, K, L in the asymmetric unit: I, SIGI, N and, with Friedel mates apart, I(+) … N(-).
    """
    asu = reflections.asu
    use = np.ones(len(reflections), bool) if use is None else use
    refl_id = reflections.refl_id[use]
    weight = reflections.sigiobs[use].astype(np.float64) ** -2.0
    number = np.bincount(refl_id, minlength=len(asu))
    precision = np.bincount(refl_id, weight, minlength=len(asu))
    total = np.bincount(refl_id, weight * reflections.iobs[use], minlength=len(asu))
    names = ("I", "SIGI", "N")

    def columns(number, precision, total, sign=""):
        known = number > 0
        with np.errstate(divide="ignore", invalid="ignore"):
            values = (np.where(known, total / precision, np.nan), np.where(known, precision**-0.5, np.nan), number)
        return {f"{name}{sign}": value for name, value in zip(names, values, strict=True)}

    if not asu.anomalous:
        found, hkl, types = columns(number, precision, total), asu.miller_index, {k: AMPLITUDE[k] for k in names}
    else:
        plus, minus, hkl = friedel_pairs(asu)
        mates = [[np.where(ids >= 0, a[ids], 0) for a in (number, precision, total)] for ids in (plus, minus)]
        # A centric reflection is its own mate.
        second = [np.where(plus == minus, 0, a) for a in mates[1]]
        found = columns(*(a + b for a, b in zip(mates[0], second, strict=True)))
        found |= columns(*mates[0], sign="(+)") | columns(*mates[1], sign="(-)")
        types = {k: v for k, v in (AMPLITUDE | FRIEDEL).items() if k in found}
    keep = found["N"] > 0
    return make_table(hkl[keep], {k: v[keep] for k, v in found.items()}, types, asu.cell, asu.spacegroup)


def merge_random_halves(reflections, repeats=1, seed=0):
    """Merge random halves of the images of scaled observations, for `half_dataset_correlations`.

    Parameters
    ----------
    reflections : Reflections
        Scaled by some program.
    repeats : int, optional
        Number of random divisions.
    seed : int, optional
        Fixes them.

    Returns
    -------
    rs.DataSet
        As `merge_scaled`, with `half` and `repeat`.
    """
    parts = []
    for repeat, *halves in half_datasets(reflections, seed, repeats):
        for half, mask in enumerate(halves):
            table = merge_scaled(reflections, mask)
            for name, value in (("half", half), ("repeat", repeat)):
                table[name] = rs.DataSeries([value] * len(table), index=table.index, dtype="I")
            parts.append(table)
    return rs.concat(parts)


def observations_table(reflections):
    """Scaled `Reflections` as the table that `merging_r_factors` takes."""
    values = {"I": reflections.iobs, "SIGI": reflections.sigiobs, "image_id": reflections.image_id}
    asu = reflections.asu
    return make_table(reflections.hkl, values, _SCALED, asu.cell, asu.spacegroup, merged=False)
