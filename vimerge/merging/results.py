"""Tables that come out of a merge."""

import numpy as np

from vimerge.distributions import Moments
from vimerge.reflections import JoinedASU
from vimerge.reflections.tables import AMPLITUDE, ANOMALOUS, FRIEDEL, anomalous_difference, friedel_pairs, make_table

# Where and when an observation was made, for maps of the scale and of residuals.
WHERE = ("ROT", "XDET", "YDET")


def merged(asu, moments, multiplicity):
    """Make the table of merged reflections, those observed at least once.

    Parameters
    ----------
    asu : ReciprocalASU
    moments : Moments
        E[F], sd(F), E[F²], sd(F²) of every reflection, each [R].
    multiplicity : array of int, [R]
        Number of observations of each.

    Returns
    -------
    rs.DataSet
        Indexed by H, K, L in the asymmetric unit: F, SIGF, I, SIGI, N. With Friedel mates apart these are of the mean
        of both, weighted by inverse variance, F(+) … N(-) are of each, and DANO is F(+) − F(−), its SIGDANO that of
        independent mates; a mate that was not observed is NaN. So is
        the standard deviation of a point estimate, which has none.
    """
    moments = {name: np.asarray(getattr(moments, name), np.float64) for name in Moments._fields}
    for name in ("SIGF", "SIGI"):
        moments[name] = np.where(moments[name] > 0, moments[name], np.nan)
    n = np.asarray(multiplicity)
    if not asu.anomalous:
        keep = n > 0
        columns = {**{name: value[keep] for name, value in moments.items()}, "N": n[keep]}
        return make_table(asu.miller_index[keep], columns, AMPLITUDE, asu.cell, asu.spacegroup)
    plus, minus, hkl = friedel_pairs(asu)
    some = ((plus >= 0) & (n[plus] > 0)) | ((minus >= 0) & (n[minus] > 0))
    plus, minus, hkl = plus[some], minus[some], hkl[some]
    both = np.stack([plus, minus])
    observed = (both >= 0) & (n[both] > 0)
    values = {name: np.where(observed, value[both], np.nan) for name, value in moments.items()}
    number = np.where(observed, n[both], 0)
    columns = {}
    for name in ("F", "I"):
        columns[name], columns[f"SIG{name}"] = _weighted_mean(values[name], values[f"SIG{name}"], plus == minus)
    columns["N"] = np.where(plus == minus, number[0], number.sum(axis=0))
    for i, sign in enumerate("+-"):
        columns |= {f"{name}({sign})": value[i] for name, value in values.items()}
        columns[f"N({sign})"] = number[i]
    columns |= anomalous_difference(columns, plus == minus)
    return make_table(hkl, columns, AMPLITUDE | FRIEDEL | ANOMALOUS, asu.cell, asu.spacegroup)


def merged_by_dataset(asu, moments, multiplicity):
    """Make the table of merged reflections of each data set.

    Parameters
    ----------
    asu : ReciprocalASU
        Of one data set, or a JoinedASU of several.
    moments, multiplicity
        As for `merged`.

    Returns
    -------
    dict of str to rs.DataSet
        By the name of the data set, which is empty if there is one.
    """
    if not isinstance(asu, JoinedASU):
        return {"": merged(asu, moments, multiplicity)}
    multiplicity = np.asarray(multiplicity)
    tables = {}
    for name in asu.names:
        mine = asu.slice_of(name)
        part = Moments(*(np.asarray(getattr(moments, moment))[mine] for moment in Moments._fields))
        tables[name] = merged(asu.of(name), part, multiplicity[mine])
    return tables


def _weighted_mean(value, sd, same):
    """Mean of two rows weighted by inverse variance, and its sd; of one where the other is NaN or the same."""
    known = ~np.isnan(value) & ~np.stack([np.zeros_like(same), same])
    # Points without sds weigh the same.
    weight = known / np.square(np.where(np.isnan(sd), 1.0, sd))
    total = weight.sum(axis=0)
    mean_sd = np.where(np.any(known & np.isnan(sd), axis=0), np.nan, 1.0 / np.sqrt(total))
    return np.sum(weight * np.nan_to_num(value), axis=0) / total, mean_sd


def predict(model, reflections, batch_size=8192):
    """Predict observations, without the time that `model.predict` takes to trace its function first.

    Parameters
    ----------
    model : VariationalMergingModel
    reflections : Reflections
        M observations.
    batch_size : int
        How many at once.

    Returns
    -------
    dict of arrays, [M]
        Those of `model.predicted`, in the order of the reflections; scales are of principal harmonics.
    """
    parts = []
    for batch in reflections.dataset(batch_size, shuffle=False):
        part = {name: value.numpy() for name, value in model.predicted(batch).items()}
        if "principal" in batch:
            principal = batch["principal"].numpy()
            part |= {name: part[name][principal] for name in ("scale", "SIGscale")}
        parts.append(part)
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def predictions(reflections, predicted, test):
    """Make the table of observed and predicted intensities, a row an observation.

    Parameters
    ----------
    reflections : Reflections
        The observations, M of them, of one data set.
    predicted : dict of arrays, [M]
        From `predict`.
    test : array of bool, [M]
        Which were held out.

    Returns
    -------
    rs.DataSet
        Unmerged, indexed by the observed H, K, L: Iobs SIGIobs Ipred SIGIpred scale SIGscale image_id test, and what
        the metadata have of ROT XDET YDET.
    """
    columns = {
        "Iobs": reflections.iobs,
        "SIGIobs": reflections.sigiobs,
        **{name: predicted[name] for name in ("Ipred", "SIGIpred", "scale", "SIGscale")},
        "image_id": reflections.image_id,
        "test": np.asarray(test, np.int32),
    }
    types = {"Iobs": "J", "SIGIobs": "Q", "Ipred": "J", "SIGIpred": "Q", "scale": "R", "SIGscale": "R"}
    types |= {"image_id": "I", "test": "I"}
    for name in (key for key in reflections.metadata_keys if key in WHERE):
        columns[name], types[name] = reflections.column(name), "R"
    asu = reflections.asu
    return make_table(reflections.hkl, columns, types, asu.cell, asu.spacegroup, merged=False)


def predictions_by_dataset(reflections, predicted, test):
    """Make the table of `predictions` for each data set.

    Parameters
    ----------
    reflections, predicted, test
        As for `predictions`.

    Returns
    -------
    dict of str to rs.DataSet
        By the name of the data set, which is empty if there is one.
    """
    tables = {}
    for number, name in enumerate(reflections.dataset_names):
        mine = reflections.dataset_id == number
        part = {key: value[mine] for key, value in predicted.items()}
        tables[name] = predictions(reflections.of(name), part, np.asarray(test)[mine])
    return tables
