"""Tables that come out of a conventional merge, with the columns and types of `vimerge merge`."""

import numpy as np
import reciprocalspaceship as rs

from vimerge.conventional.amplitudes import french_wilson
from vimerge.conventional.merging import merge_observations

__all__ = ["AMPLITUDE", "FRIEDEL", "merged_table", "predictions_table"]

AMPLITUDE = {"F": "F", "SIGF": "Q", "I": "J", "SIGI": "Q", "N": "I"}
FRIEDEL = {
    "F(+)": "G",
    "SIGF(+)": "L",
    "F(-)": "G",
    "SIGF(-)": "L",
    "I(+)": "K",
    "SIGI(+)": "M",
    "I(-)": "K",
    "SIGI(-)": "M",
    "N(+)": "I",
    "N(-)": "I",
}


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
        F(+) … N(-) of each; a mate that was not observed is NaN.
    """
    asu = reflections.asu
    apart = _merge(asu, reflections, reflections.refl_id, len(asu), sigma, scale, use, robust, internal)
    if not asu.anomalous:
        keep = apart["N"] > 0
        columns = {name: value[keep] for name, value in apart.items()}
        return _dataset(asu, asu.miller_index[keep], columns, AMPLITUDE)
    plus, minus = _pairs(asu)
    pair = np.empty(len(asu), dtype=np.int64)
    for ids in (minus, plus):
        pair[ids[ids >= 0]] = np.flatnonzero(ids >= 0)
    # A representative of the pair: the plus index, or the minus one negated.
    hkl = np.where((plus >= 0)[:, None], asu.miller_index[plus], -asu.miller_index[minus])
    both = _merge(asu, reflections, pair[reflections.refl_id], len(hkl), sigma, scale, use, robust, internal, hkl)
    columns = dict(both)
    for sign, ids in (("+", plus), ("-", minus)):
        there = ids >= 0
        for name, value in apart.items():
            missing = 0 if name == "N" else np.nan
            columns[f"{name}({sign})"] = np.where(there, value[ids], missing)
    keep = both["N"] > 0
    return _dataset(asu, hkl[keep], {name: value[keep] for name, value in columns.items()}, AMPLITUDE | FRIEDEL)


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


def _pairs(asu):
    """Refl_ids of the Friedel mates of each pair, −1 where there is none; centric ones are both."""
    ids, mate = np.arange(len(asu)), asu.friedel_mate
    is_plus = ~asu.friedel_minus
    alone = ~is_plus & (mate < 0)
    plus = np.concatenate([ids[is_plus], np.full(np.count_nonzero(alone), -1)])
    minus = np.concatenate([mate[is_plus], ids[alone]])
    return plus, minus


def predictions_table(reflections, ipred, sigipred, scale, sigscale, test):
    """
    Make the table of observed and predicted intensities, a row an observation.

    Parameters
    ----------
    reflections : Reflections
        M observations.
    ipred, sigipred, scale, sigscale : np.ndarray
        ``[M]``.
    test : np.ndarray
        ``[M]`` bool: which were held out.

    Returns
    -------
    rs.DataSet
        Unmerged, indexed by the observed H, K, L: Iobs SIGIobs Ipred SIGIpred scale SIGscale image_id test.
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
    }
    types = {"Iobs": "J", "SIGIobs": "Q", "Ipred": "J", "SIGIpred": "Q", "scale": "R", "SIGscale": "R"}
    types |= {"image_id": "I", "test": "I"}
    return _dataset(reflections.asu, reflections.hkl, columns, types, merged=False)


def _dataset(asu, hkl, columns, types, merged=True):
    data = {name: rs.DataSeries(np.asarray(columns[name], np.float32), dtype=types[name]) for name in types}
    for i, name in enumerate("HKL"):
        data[name] = rs.DataSeries(hkl[:, i].astype(np.int32), dtype="H")
    table = rs.DataSet(data, cell=asu.cell, spacegroup=asu.spacegroup, merged=merged).set_index(["H", "K", "L"])
    return table.sort_index() if merged else table
