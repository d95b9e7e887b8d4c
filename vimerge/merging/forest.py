"""Trees of correlated amplitudes, and the passing of messages along their branches."""

from dataclasses import dataclass, fields
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from vimerge.merging.messages import Message, OnRange, gregory


@dataclass(frozen=True)
class Forest:
    """The reflections of some whole trees, in the order of the trees; each field has one number for each, [n].

    Parameters
    ----------
    ids : array of int
        Their refl_ids.
    parent : array of int
        Where each one's parent is among them, −1 for roots.
    depth : array of int
        How many parents are above each.
    tree : array of int
        The number of its tree, ascending.
    r, complement : array
        The correlation with the parent and 1 − r².
    centric : array of bool
    scale : array
        √⟨F²⟩, by which amplitudes are divided.
    """

    ids: np.ndarray
    parent: np.ndarray
    depth: np.ndarray
    tree: np.ndarray
    r: np.ndarray
    complement: np.ndarray
    centric: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, prior, correlation):
        """The trees of two reflections or more of a prior.

        Parameters
        ----------
        prior : MultivariateWilson
        correlation : Correlation

        Returns
        -------
        Forest
        """
        parents = np.asarray(prior.parents)
        root, depth = np.arange(len(parents)), np.zeros(len(parents), np.int64)
        while np.any(above := parents[root] >= 0):
            root, depth = np.where(above, parents[root], root), depth + above
        size = np.bincount(root, minlength=len(parents))
        ids = np.flatnonzero(size[root] > 1)
        ids = ids[np.argsort(root[ids], kind="stable")].astype(np.int32)
        place = np.full(len(parents) + 1, -1)
        place[ids] = np.arange(len(ids))

        def of_prior(function):
            return function(ids).numpy().astype(np.float64)

        r, complement = of_prior(correlation), of_prior(correlation.complement)
        tree = np.unique(root[ids], return_inverse=True)[1]
        scale = np.sqrt(of_prior(prior))
        return cls(ids, place[parents[ids]], depth[ids], tree, r, complement, prior.asu.centric[ids], scale)

    def __len__(self):
        return len(self.ids)

    def some(self, chosen):
        """Those of the trees whose reflections are `chosen`, an array of bool [n]."""
        place = np.append(np.where(chosen, np.cumsum(chosen) - 1, -1), -1)
        part = {field.name: getattr(self, field.name)[chosen] for field in fields(self)}
        return Forest(**{**part, "parent": place[part["parent"]]})

    def parts(self, size):
        """Slices of whole trees, of about so many reflections each."""
        starts = np.searchsorted(self.tree, self.tree)
        edges = np.flatnonzero(np.diff(starts // size, prepend=-1, append=-1))
        return [slice(*edge) for edge in pairwise(edges)]

    @property
    def levels(self):
        """Which reflections have one parent above them, two …, a list of arrays."""
        return [np.flatnonzero(self.depth == depth) for depth in range(1, self.depth.max(initial=0) + 1)]

    @property
    def width(self):
        """Variance of one real coordinate of a normalised structure factor given the parent's."""
        return np.where(self.centric, self.complement, 0.5 * self.complement)

    def any_of_tree(self, mask):
        """Whether any reflection of the same tree is marked, bool [n]."""
        return np.bincount(self.tree, mask, minlength=self.tree.max(initial=-1) + 1)[self.tree] > 0

    def normal_approximation(self, mean, sd):
        """Roughly where the amplitudes are, if each by itself is normally distributed.

        Parameters
        ----------
        mean, sd : array, [n]
            Of each amplitude by itself, normalised.

        Returns
        -------
        mean, sd : array, [n]
            Of each with what the others of its tree say.
        """
        precision, pull = sd**-2.0, mean * sd**-2.0
        width, said = self.width, {}
        for depth, rows in reversed(list(enumerate(self.levels))):
            said[depth] = self._told(rows, 1.0 / precision[rows], pull[rows] / precision[rows], width)
            for total, part in zip((precision, pull), said[depth], strict=True):
                np.add.at(total, self.parent[rows], part)
        for depth, rows in enumerate(self.levels):
            above = self.parent[rows]
            without = [total[above] - part for total, part in zip((precision, pull), said[depth], strict=True)]
            more = self._told(rows, 1.0 / without[0], without[1] / without[0], width)
            precision[rows] += more[0]
            pull[rows] += more[1]
        return pull / precision, precision**-0.5

    def _told(self, rows, variance, mean, width):
        """Precision of what an amplitude of this mean and variance says of its neighbour, and times its mean."""
        total = variance + width[rows]
        return self.r[rows] ** 2 / total, self.r[rows] * mean / total


class Moments(NamedTuple):
    """Posterior moments of normalised amplitudes E, each [n]; of roots the last three are zero."""

    E: np.ndarray
    variance: np.ndarray
    E2: np.ndarray
    variance2: np.ndarray  # of E²
    covariance: np.ndarray  # with the parent
    difference: np.ndarray  # F − F_parent
    difference_variance: np.ndarray
    log_evidence: np.ndarray  # of the tree, at its root


def integrate(forest, low, high, log_likelihood, nodes, shared=None):
    """Integrate the joint density of each tree's amplitudes.

    Messages go from the children to their parents, up to the roots, and from parents down to such children as have
    children themselves. What a child's observations say of its parent comes with the child's moments for each of the
    parent's amplitudes, so that those of the child, and how the two vary together, need the parent's posterior alone.

    Parameters
    ----------
    forest : Forest
        n reflections, all centric or all acentric.
    low, high : array, [n]
        Ranges of the normalised amplitudes.
    log_likelihood : array, [n, G]
        At equal steps of these.
    nodes : int
        Of the rule for each message.
    shared : SharedErrors, optional
        Pairs of observations with correlated errors, on the same steps; their terms of one amplitude alone are in
        `log_likelihood`.

    Returns
    -------
    Moments
    """
    centric, parent = bool(forest.centric[0]), forest.parent
    said = log_likelihood.copy()  # by the reflection's own observations and by its neighbours
    x = OnRange.steps(low, high, said.shape[1])

    def message(sources, values, targets, edges):
        r, complement, to = forest.r[edges], forest.complement[edges], x[targets]
        if shared is None:
            return Message(OnRange(low[sources], high[sources], values), to, r, complement, centric, nodes)
        of_both = shared.of_both(edges)
        if np.array_equal(targets, edges):
            of_both = of_both.transpose(0, 2, 1)
        # What the observations say of the source depends on the target's amplitude: a function for each of these.
        number = to.shape[1]
        each = [np.repeat(of, number) for of in (low[sources], high[sources], r, complement)]
        source = OnRange(*each[:2], (values[:, np.newaxis] + of_both).reshape(-1, values.shape[1]))
        return Message(source, to.reshape(-1, 1), *each[2:], centric, nodes).reshape(to.shape)

    upward = []
    for rows in reversed(forest.levels):
        upward.append(message(rows, said[rows], parent[rows], rows))
        np.add.at(said, parent[rows], upward[-1].log)

    moments = Moments(*np.zeros((len(Moments._fields), len(forest))))
    weights = np.empty_like(said)
    roots = np.flatnonzero(parent < 0)
    moments.log_evidence[roots] = _weigh(weights, roots, x, said, centric)
    w, at = weights[roots], x[roots]
    moments.E[roots], moments.variance[roots] = _mean_and_variance(w, at)
    moments.E2[roots], moments.variance2[roots] = _mean_and_variance(w, at**2)
    inner = np.isin(np.arange(len(forest)), parent)
    for rows, given in zip(forest.levels, reversed(upward), strict=True):
        _add_children(moments, forest, rows, given, weights[parent[rows]], x[parent[rows]])
        own = inner[rows]
        if own.any():
            down, above = rows[own], parent[rows[own]]
            said[down] += message(above, said[above] - given.log[own], down, down).log
            _weigh(weights, down, x, said, centric)
    return moments


def _weigh(weights, rows, x, said, centric):
    """Set the posterior's weights at some reflections' steps; the logarithms of their sums."""
    at = x[rows]
    with np.errstate(divide="ignore"):
        wilson = 0.5 * np.log(2.0 / np.pi) - 0.5 * at**2 if centric else np.log(2.0 * at) - at**2
    log_density = said[rows] + wilson
    peak = log_density.max(axis=1, keepdims=True)
    weight = np.exp(log_density - peak) * gregory(at.shape[1])
    total = weight.sum(axis=1, keepdims=True)
    weights[rows] = weight / total
    return (peak + np.log(total))[:, 0] + np.log(at[:, 1] - at[:, 0])


def _mean_and_variance(weight, mean, variance=0.0):
    """Of a mixture of distributions with these means and variances, over the last axis."""
    centre = np.sum(weight * mean, axis=1)
    return centre, np.sum(weight * (variance + (mean - centre[:, np.newaxis]) ** 2), axis=1)


def _add_children(moments, forest, rows, given, weight, of_parent):
    """Moments of children from those given the parent's amplitudes, and the weights of these."""
    above = forest.parent[rows]
    moments.E[rows], moments.variance[rows] = _mean_and_variance(weight, given.mean, given.variance)
    moments.E2[rows], moments.variance2[rows] = _mean_and_variance(weight, given.mean2, given.variance2)
    off = (of_parent - moments.E[above, np.newaxis]) * (given.mean - moments.E[rows, np.newaxis])
    moments.covariance[rows] = np.sum(weight * off, axis=1)
    own, other = forest.scale[rows, np.newaxis], forest.scale[above, np.newaxis]
    moments.difference[rows], moments.difference_variance[rows] = _mean_and_variance(
        weight, own * given.mean - other * of_parent, own**2 * given.variance
    )
