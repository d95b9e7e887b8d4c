"""Tables that come out of a conventional merge, with the columns and types of `vimerge merge`."""

import numpy as np

from vimerge.conventional.amplitudes import french_wilson
from vimerge.conventional.merging import merge_observations
from vimerge.reflections.tables import AMPLITUDE, ANOMALOUS, FRIEDEL, anomalous_difference, friedel_pairs, make_table

__all__ = ["AMPLITUDE", "FRIEDEL", "merged_table", "predictions_table"]

# Where and when an observation was made, for maps of the scale and of residuals.
WHERE = ("ROT", "XDET", "YDET", "X", "Y")


def merged_table(reflections, sigma, scale, use, robust="none", internal=True):
    """
    Merge scaled observations and work out amplitudes.

    Parameters
    ----------
    reflections : Reflections
        M observations.
    sigma, scale : np.ndarray
        ``[M]``: corrected standard deviations of the intensities, and scales g.
    use : np.ndarray
        ``[M]`` bool: which to merge.
    robust, internal
        See `merge_observations`.

    Returns
    -------
    rs.DataSet
        Indexed by H, K, L in the asymmetric unit: F, SIGF, I, SIGI, N. I and SIGI are the weighted mean, which may be
        negative, and F and SIGF French & Wilson's. With Friedel mates apart these are of both together, and
        F(+) … N(-) of each, DANO their difference; a mate that was not observed is NaN.
    """
    asu = reflections.asu
    apart = _merge(asu, reflections, reflections.refl_id, len(asu), sigma, scale, use, robust, internal)
    if not asu.anomalous:
        keep = apart["N"] > 0
        columns = {name: value[keep] for name, value in apart.items()}
        return make_table(asu.miller_index[keep], columns, AMPLITUDE, asu.cell, asu.spacegroup)
    plus, minus, hkl = friedel_pairs(asu)
    pair = np.empty(len(asu), dtype=np.int64)
    for ids in (minus, plus):
        pair[ids[ids >= 0]] = np.flatnonzero(ids >= 0)
    both = _merge(asu, reflections, pair[reflections.refl_id], len(hkl), sigma, scale, use, robust, internal, hkl)
    columns = dict(both)
    for sign, ids in (("+", plus), ("-", minus)):
        there = ids >= 0
        for name, value in apart.items():
            missing = 0 if name == "N" else np.nan
            columns[f"{name}({sign})"] = np.where(there, value[ids], missing)
    keep = both["N"] > 0
    columns = {name: value[keep] for name, value in columns.items()}
    columns |= anomalous_difference(columns, (plus == minus)[keep])
    return make_table(hkl[keep], columns, AMPLITUDE | FRIEDEL | ANOMALOUS, asu.cell, asu.spacegroup)


def _merge(asu, reflections, group, n_groups, sigma, scale, use, robust, internal, hkl=None):
    hkl = asu.miller_index if hkl is None else hkl
    means = merge_observations(group, n_groups, reflections.iobs, sigma, scale, use, robust, internal)
    moments = french_wilson(hkl, means.intensity, means.sigma, asu.cell, asu.spacegroup)
    return {
        "F": moments["F"],
        "SIGF": moments["SIGF"],
        "I": means.intensity,
        "SIGI": means.sigma,
        "N": means.number,
    }


def predictions_table(reflections, ipred, sigipred, scale, sigscale, test, rejected):
    """
    Make the table of observed and predicted intensities, a row an observation.

    Parameters
    ----------
    reflections : Reflections
        M observations.
    ipred, sigipred, scale, sigscale : np.ndarray
        ``[M]``.
    test, rejected : np.ndarray
        ``[M]`` bool: which were held out, and which others were not merged, as outliers.

    Returns
    -------
    rs.DataSet
        Unmerged, indexed by the observed H, K, L: Iobs SIGIobs Ipred SIGIpred scale SIGscale image_id test rejected,
        and what the metadata have of ROT XDET YDET X Y.
    """
    columns = {
        "Iobs": reflections.iobs,
        "SIGIobs": reflections.sigiobs,
        "Ipred": ipred,
        "SIGIpred": sigipred,
        "scale": scale,
        "SIGscale": sigscale,
        "image_id": reflections.image_id,
        "test": np.asarray(test, np.int32),
        "rejected": np.asarray(rejected, np.int32),
    }
    types = {"Iobs": "J", "SIGIobs": "Q", "Ipred": "J", "SIGIpred": "Q", "scale": "R", "SIGscale": "R"}
    types |= {"image_id": "I", "test": "I", "rejected": "I"}
    for i, name in enumerate(reflections.metadata_keys):
        if name in WHERE:
            columns[name], types[name] = reflections.metadata[:, i], "R"
    asu = reflections.asu
    return make_table(reflections.hkl, columns, types, asu.cell, asu.spacegroup, merged=False)
