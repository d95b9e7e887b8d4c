"""Relations of reflections that a prior ties together, and their shells of resolution."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from vimerge.priors import forest
from vimerge.reflections import JoinedASU

LEAST_CHILDREN = 100


class RelationShells(NamedTuple):
    """Shells of resolution, K of all the relations together; each has whole trees of those that its relation is in."""

    table: pd.DataFrame  # a row for each shell: `relation`, `d_max`, `d_min` (Å) and `children`, those of `some`
    shell: np.ndarray  # the row of each child, int [R]; −1 of other reflections
    roots: np.ndarray  # of each tree once for each relation that it has, int [T]
    shell_of_root: np.ndarray  # the row of each of them, int [T]
    some: np.ndarray  # the reflections of enough trees of each shell, bool [R]
    turns: list  # of arrays of rows: relations whose trees are theirs alone all at once, others one by one

    def sums(self, values):
        """Sums over the roots of each shell among `some`, [K], of a value of each reflection, [R]."""
        values = np.where(self.some, values, 0.0)
        return np.bincount(self.shell_of_root, values[self.roots], minlength=len(self.table))


def shells_of_relations(asu, parents, chosen, multiplicity, shells, most, seed):
    """Divide the children of each relation by the resolution of their roots.

    Parameters
    ----------
    asu : ReciprocalASU
        R reflections.
    parents : array, int [R]
        −1 for roots.
    chosen : array, bool [R]
        Which children there are to be in the shells.
    multiplicity : array, int [R]
        The number of observations. Shells have equal numbers of children that were observed with their parents.
    shells : int
        For each relation, or fewer where they would have less than 100 such children.
    most : int
        Enough such children for a shell: of more, the trees of so many are taken at random.
    seed : int
        For that.

    Returns
    -------
    RelationShells
    """
    root = forest.roots(parents)
    told = chosen & (multiplicity > 0) & (multiplicity[parents] > 0)
    rows, roots, of_roots, shell = [], [], [], np.full(len(parents), -1)
    some, rng = np.zeros(len(parents), bool), np.random.default_rng(seed)
    for name, children in _relations(asu, parents, chosen):
        s2, known = asu.s2[root[children]], told[children]
        number = int(np.clip(known.sum() // LEAST_CHILDREN, 1, shells))
        edges = np.quantile(s2[known] if known.any() else s2, np.linspace(0.0, 1.0, number + 1)[1:-1])
        own = np.digitize(s2, edges)
        shell[children] = len(rows) + own
        each, first = np.unique(root[children], return_index=True)
        roots.append(each)
        of_roots.append(len(rows) + own[first])
        for i in range(number):
            d = asu.s2[children[own == i]] ** -0.5
            rows.append({"relation": name, "d_max": d.max(), "d_min": d.min()})
            some[root[rng.permutation(children[known & (own == i)])[:most]]] = True
    table, roots, of_roots = pd.DataFrame(rows), np.concatenate(roots), np.concatenate(of_roots)
    some = some[root]
    table["children"] = np.bincount(shell[told & some], minlength=len(table))
    if len(np.unique(roots)) == len(roots):
        turns = [np.arange(len(table))]
    else:
        turns = [np.flatnonzero(table["relation"] == name) for name in table["relation"].unique()]
    return RelationShells(table, shell, roots, of_roots, some, turns)


def _relations(asu, parents, chosen):
    """The name of each relation and its children."""
    children = np.flatnonzero(chosen)
    if not isinstance(asu, JoinedASU):
        return [("Friedel mates" if asu.anomalous else "children", children)]
    pairs, of = np.unique(np.stack([asu.asu_id[children], asu.asu_id[parents[children]]]), axis=1, return_inverse=True)
    names = [
        f"{asu.names[child]}~{asu.names[parent]}" if child != parent else f"Friedel mates of {asu.names[child]}"
        for child, parent in pairs.T
    ]
    return [(name, children[of.ravel() == i]) for i, name in enumerate(names)]
