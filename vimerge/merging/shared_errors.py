"""Errors that related data sets share: spots of one reflection, recorded at one orientation."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.interpolate import CubicSpline

# Normal scores are smooth in F, and dear: they are worked out at every so many steps, and interpolated.
STRIDE = 2


class SharedErrors(NamedTuple):
    """Pairs of observations of a child and its parent whose errors are correlated, K of them, on grids of G amplitudes.

    The errors of two observations are put on the scale of normal ones, z, and their joint density has the factor

        c(z, z') = (1 − ρ²)^−½ exp(−[ρ² (z² + z'²) − 2ρ z z'] / [2 (1 − ρ²)])

    of a Gaussian copula [1]_: each by itself has the distribution that the likelihood gives it. Of several children of
    one parent the errors are independent given the parent's.

    References
    ----------
    .. [1] Song, P. X.-K. (2000). Scand. J. Statist. 27, 305–320.
    """

    edge: np.ndarray  # where the child is in the forest, [K]
    correlation: np.ndarray  # ρ, [K]
    child: np.ndarray  # z of the child's observation at the steps of the child's amplitude, [K, G]
    parent: np.ndarray  # z' of the parent's, at those of the parent's, [K, G]

    def some(self, chosen):
        """Those of the children that are `chosen`, an array of bool [n]; places are counted among the chosen."""
        kept, place = chosen[self.edge], np.cumsum(chosen) - 1
        part = [values[kept] for values in self]
        return SharedErrors(place[part[0]], *part[1:])

    def add_own(self, log_likelihood, parent):
        """Add the terms of one amplitude alone to log-likelihoods [n, G]; `parent` [n] is where parents are."""
        rest = 1.0 - self.correlation**2
        factor = (0.5 * self.correlation**2 / rest)[:, np.newaxis]
        np.add.at(log_likelihood, self.edge, -0.5 * np.log(rest)[:, np.newaxis] - factor * self.child**2)
        np.add.at(log_likelihood, parent[self.edge], -factor * self.parent**2)

    def of_both(self, rows):
        """The terms of both amplitudes of the children `rows`, [len(rows), G, G]: parent's steps first."""
        place = np.full(max(self.edge.max(initial=-1), rows.max(initial=-1)) + 1, -1)
        place[rows] = np.arange(len(rows))
        total = np.zeros((len(rows), self.parent.shape[1], self.child.shape[1]))
        at = place[self.edge]
        weight = self.correlation / (1.0 - self.correlation**2)
        # One observation of each child at a time: the products are then of many children at once.
        order = np.flatnonzero(at >= 0)
        order = order[np.argsort(at[order], kind="stable")]
        rank = np.arange(len(order)) - np.searchsorted(at[order], at[order])
        for number in range(rank.max(initial=-1) + 1):
            k = order[rank == number]
            total[at[k]] += (weight[k, np.newaxis] * self.parent[k])[:, :, np.newaxis] * self.child[k][:, np.newaxis, :]
        return total


class Pairs(NamedTuple):
    """Pairs of observations with correlated errors, each [K]."""

    refl_id: np.ndarray  # of the child
    child: np.ndarray  # the predictions
    parent: np.ndarray
    correlation: np.ndarray

    @classmethod
    def of(cls, joint, reflections, parents, amplitude, correlation):
        """Pair the observations of a table.

        The errors that two observations share are systematic ones, in proportion to the intensity: of their correlation
        as much remains as the shares of these in both variances allow, ρ √(s s').

        Parameters
        ----------
        joint : LogJoint
            Of these observations.
        reflections : Reflections
        parents : array of int, [R]
            The parent of each reflection, −1 for none.
        amplitude : array, [R]
            About what each is: where the shares are taken.
        correlation : float
            Of systematic errors.
        """
        pairs = paired_observations(reflections, parents)
        share = [joint.systematic_share(amplitude[reflections.refl_id[of]], of) for of in pairs]
        return cls(reflections.refl_id[pairs[0]], *pairs, correlation * np.sqrt(share[0] * share[1]))

    def on(self, joint, forest, f):
        """The errors of some trees' observations for amplitudes f [n, G], `SharedErrors`; None if none are paired."""
        place = np.full(joint.number, -1)
        place[forest.ids] = np.arange(len(forest))
        edge = place[self.refl_id]
        kept = np.flatnonzero(edge >= 0)
        if not len(kept):
            return None
        edge = edge[kept]
        between = _interpolation(f.shape[1])
        child, parent = (
            joint.normal_scores(f[rows, ::STRIDE].T, of[kept]).T @ between
            for rows, of in ((edge, self.child), (forest.parent[edge], self.parent))
        )
        return SharedErrors(edge, self.correlation[kept], child, parent)


def _interpolation(steps):
    """What makes values at all steps from those at every `STRIDE`-th, by cubic splines: a matrix to multiply with."""
    known = np.arange(0, steps, STRIDE)
    return CubicSpline(known, np.eye(len(known)))(np.arange(steps)).T


def paired_observations(reflections, parents):
    """Observations of children and their parents that were recorded as one spot on the image of the same number.

    Where the images of two data sets of one crystal are numbered alike and at the same orientations, as in a
    pump–probe experiment, such spots have the same place, the same partiality and the same absorption.

    Parameters
    ----------
    reflections : Reflections
        Observations of several data sets, N predictions.
    parents : array of int, [R]
        The parent of each reflection, −1 for none.

    Returns
    -------
    child, parent : array of int, [K]
        Which predictions. Each is in one pair at most; spots of several harmonics are in none.
    """
    number = reflections.images["image"].to_numpy()[reflections.image_id]
    alone = np.ones(len(reflections), bool)
    of = np.arange(len(reflections))
    if reflections.is_laue:
        of, alone = reflections.harmonic_id, reflections.harmonics.counts == 1
    table = pd.DataFrame(reflections.hkl[of], columns=list("HKL"))
    table = table.assign(image=number[of], refl_id=reflections.refl_id, prediction=np.arange(len(of)))[alone[of]]
    children = table.assign(refl_id=np.asarray(parents)[table["refl_id"]]).query("refl_id >= 0")
    both = children.merge(table, on=["H", "K", "L", "image", "refl_id"], suffixes=("", "_parent"))
    both = both.drop_duplicates("prediction").drop_duplicates("prediction_parent")
    return both["prediction"].to_numpy(), both["prediction_parent"].to_numpy()
