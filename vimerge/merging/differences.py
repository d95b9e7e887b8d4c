"""Differences of amplitudes, of two data sets or of Friedel mates, with their errors from the joint posterior."""

from typing import NamedTuple

import numpy as np

from vimerge.merging.trees import correlated, posterior_of_trees
from vimerge.reflections import JoinedASU
from vimerge.reflections.errors import OptionError
from vimerge.reflections.relations import related
from vimerge.reflections.tables import friedel_pairs, make_table


class Differences(NamedTuple):
    """Differences of pairs of amplitudes, each [P]."""

    mean: np.ndarray
    sd: np.ndarray
    correlation: np.ndarray  # of the two in the posterior


def differences(model, reflections, child, parent, operator=None, correlation=None):
    """Differences of the amplitudes of two data sets that were scaled together.

    Both are on one scale, and the difference has its error from the joint posterior: where the prior correlates the
    two, it is smaller than that of independent ones.

    Parameters
    ----------
    model : VariationalMergingModel
        Trained on several data sets. The amplitudes are integrated anew, given its mean scales.
    reflections : Reflections
        The observations to use, of the model's ASU.
    child, parent : str
        Names of two data sets; the prior's need not be correlated, or in this order.
    operator : str, optional
        Such as "k,h,-l": what makes the parent's indices of the child's, if they were indexed differently.
    correlation : Correlation, float or array [R], optional
        What to take in place of the prior's, where it correlates reflections.

    Returns
    -------
    rs.DataSet
        The reflections observed in both, indexed in the child's asymmetric unit: `DF`, F of the child less F of the
        parent, and `SIGDF`, its standard deviation; `CORR`, the posterior correlation of the two; and `F_<name>`,
        `SIGF_<name>` and `N_<name>`, their number of observations, of both. With Friedel mates apart these are of the
        mean of both, weighted by 1/SIGDF².

    Raises
    ------
    OptionError
        If there is no such data set.
    ReflectionDataError
        If the reflections are not those of the model.
    """
    asu, n = model.asu, reflections.multiplicity
    if not isinstance(asu, JoinedASU):
        raise OptionError(
            "This model is of one data set; merge two together, with --separate or --dataset, to compare."
        )
    if asu.number(child) == asu.number(parent):
        raise OptionError(f"The data set {child!r} is to be compared with itself; name two.")
    of_parent = related(asu, child, parent, operator)
    rows = np.flatnonzero((of_parent >= 0) & (n[asu.slice_of(child)] > 0) & (n[of_parent] > 0))
    ids = np.stack([rows + asu.slice_of(child).start, of_parent[rows]])
    posterior = posterior_of_trees(model, reflections, correlation)
    found = difference_of(model.prior, posterior, *ids)
    columns = {"DF": found.mean, "SIGDF": found.sd, "CORR": found.correlation}
    # A difference of amplitudes of two crystals has the type of an amplitude: D is for anomalous ones.
    types = {"DF": "F", "SIGDF": "Q", "CORR": "R"}
    for name, of in zip((child, parent), ids, strict=True):
        columns |= {f"F_{name}": posterior.F[of], f"SIGF_{name}": posterior.SIGF[of], f"N_{name}": n[of]}
        types |= {f"F_{name}": "F", f"SIGF_{name}": "Q", f"N_{name}": "I"}
    own = asu.of(child)
    hkl = own.miller_index[rows]
    if own.anomalous:
        hkl, columns = _mean_of_mates(own, rows, columns)
    return make_table(hkl, columns, types, own.cell, own.spacegroup)


def anomalous_differences(model, reflections, dataset=None, correlation=None):
    """Differences of Friedel mates, in the columns that phasing programs expect.

    The error is that of the joint posterior: where the prior correlates the mates, as `MultivariateWilson.friedel`
    does, it is smaller than that of independent ones.

    Parameters
    ----------
    model : VariationalMergingModel
        Trained on data with Friedel mates apart. The amplitudes are integrated anew, given its mean scales.
    reflections : Reflections
        The observations to use, of the model's ASU.
    dataset : str, optional
        Which data set, if there are several.
    correlation : Correlation, float or array [R], optional
        What to take in place of the prior's, where it correlates reflections.

    Returns
    -------
    rs.DataSet
        The observed reflections: `F`, the mean of F(+) and F(−), `SIGF`, `DANO`, F(+) less F(−), and `SIGDANO`;
        `F(+)` … `N(-)` of each mate; `CORR`, the posterior correlation of the mates. What needs both mates is NaN
        where one was not observed, but for `F`, which is then of the other; of centric reflections, which have no
        mate, `DANO` is NaN as well.

    Raises
    ------
    OptionError
        If mates are not apart, there is no such data set, or several and none was named.
    ReflectionDataError
        If the reflections are not those of the model.
    """
    asu, first = model.asu, 0
    if isinstance(asu, JoinedASU):
        if dataset is None:
            raise OptionError(f"There are several data sets; choose from {', '.join(asu.names)}.")
        asu, first = asu.of(dataset), asu.slice_of(dataset).start
    if not asu.anomalous:
        raise OptionError("Friedel mates are one reflection here; keep them apart with --anomalous (anomalous=True).")
    plus, minus, hkl = friedel_pairs(asu)
    mates = np.stack([plus, minus])
    ids = np.maximum(mates, 0) + first
    n = np.where(mates >= 0, reflections.multiplicity[ids], 0)
    keep = np.any(n > 0, axis=0)
    mates, ids, n, hkl = mates[:, keep], ids[:, keep], n[:, keep], hkl[keep]

    posterior = posterior_of_trees(model, reflections, correlation)
    f, sigf = (np.where(n > 0, values[ids], np.nan) for values in (posterior.F, posterior.SIGF))
    pair = np.all(n > 0, axis=0) & (mates[0] != mates[1])
    found = Differences(*(np.full(len(hkl), np.nan) for _ in Differences._fields))
    for values, value in zip(found, difference_of(model.prior, posterior, *ids[:, pair]), strict=True):
        values[pair] = value
    # Of a mean of two, from the variances and that of their difference.
    variance = 0.5 * np.sum(sigf**2, axis=0) - 0.25 * found.sd**2
    alone = np.argmax(n > 0, axis=0), np.arange(len(hkl))
    columns = {
        "F": np.where(pair, f.mean(axis=0), f[alone]),
        "SIGF": np.where(pair, np.sqrt(np.where(pair, variance, 0.0)), sigf[alone]),
        "DANO": found.mean,
        "SIGDANO": found.sd,
    }
    types = {"F": "F", "SIGF": "Q", "DANO": "D", "SIGDANO": "Q"}
    for i, sign in enumerate("+-"):
        columns |= {f"F({sign})": f[i], f"SIGF({sign})": sigf[i]}
        types |= {f"F({sign})": "G", f"SIGF({sign})": "L"}
    columns |= {"N(+)": n[0], "N(-)": n[1], "CORR": found.correlation}
    types |= {"N(+)": "I", "N(-)": "I", "CORR": "R"}
    return make_table(hkl, columns, types, asu.cell, asu.spacegroup)


def difference_of(prior, posterior, one, other):
    """Differences of F of pairs of reflections, one less the other.

    Parameters
    ----------
    prior : Prior
    posterior : TreePosterior
    one, other : array of int, [P]
        Their refl_ids.

    Returns
    -------
    Differences
        Of a parent and its child exact; of others of one tree, such as two children of one parent, with the product of
        the correlations on the way from one to the other, which is exact where they are normally distributed.
    """
    mean = posterior.F[one] - posterior.F[other]
    sd = posterior.SIGF[one], posterior.SIGF[other]
    correlation = np.zeros(len(mean))
    if not correlated(prior):
        return Differences(mean, np.hypot(*sd), correlation)
    parents = np.asarray(prior.parents)
    correlation = _along_branches(parents, _of_branches(parents, posterior), one, other)
    variance = sd[0] ** 2 + sd[1] ** 2 - 2.0 * correlation * sd[0] * sd[1]
    # A correlation near one leaves few digits of the variance.
    for child, parent, sign in ((one, other, 1.0), (other, one, -1.0)):
        edge = parents[child] == parent
        mean = np.where(edge, sign * posterior.dF[child], mean)
        variance = np.where(edge, posterior.SIGdF[child] ** 2, variance)
    return Differences(mean, np.sqrt(variance), correlation)


def _of_branches(parents, posterior):
    """Posterior correlation of each reflection with its parent, [R]; of roots zero."""
    spread = posterior.SIGF * posterior.SIGF[parents]
    return np.where(parents >= 0, posterior.covariance / spread, 0.0)


def _along_branches(parents, of_branches, one, other):
    """Products of the correlations on the way from one reflection to the other; zero between trees."""
    depth, above = np.zeros(len(parents), int), parents
    while np.any(above >= 0):
        depth += above >= 0
        above = np.where(above >= 0, parents[above], -1)
    ends, total = [one.copy(), other.copy()], np.ones(len(one))
    while np.any(apart := (ends[0] != ends[1]) & (total != 0)):
        # The lower end goes up; from a root the correlation is zero.
        for i, lower in enumerate((depth[ends[0]] >= depth[ends[1]], depth[ends[0]] < depth[ends[1]])):
            goes = apart & lower
            total = np.where(goes, total * of_branches[ends[i]], total)
            ends[i] = np.where(goes & (parents[ends[i]] >= 0), parents[ends[i]], ends[i])
    return total


def _mean_of_mates(asu, rows, columns):
    """Indices in the asymmetric unit and means of columns [P] of both Friedel mates, where there are two."""
    place = np.full(len(asu) + 1, -1)
    place[rows] = np.arange(len(rows))
    plus, minus, hkl = friedel_pairs(asu)
    mates = np.stack([place[plus], np.where(minus == plus, -1, place[minus])])
    some = np.any(mates >= 0, axis=0)
    mates, hkl = mates[:, some], hkl[some]
    there = mates >= 0
    weight = there / columns["SIGDF"][mates] ** 2
    weight /= weight.sum(axis=0)
    mean = {}
    for name, values in columns.items():
        of_both = np.where(there, values[mates], 0.0)
        if name.startswith("N_"):
            mean[name] = of_both.sum(axis=0)
        elif name.startswith("SIG"):
            mean[name] = np.sqrt(np.sum((weight * of_both) ** 2, axis=0))
        else:
            mean[name] = np.sum(weight * of_both, axis=0)
    return hkl, mean
