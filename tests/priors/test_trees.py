"""Which reflections the prior of related crystals ties together."""

import gemmi
import keras
import numpy as np
import pytest

from vimerge import priors
from vimerge.reflections import JoinedASU, ReciprocalASU, dataset_parents

from .conftest import chains


def test_friedel_mates_are_a_tree_of_two():
    cell, spacegroup = gemmi.UnitCell(20, 24, 30, 90, 90, 90), gemmi.SpaceGroup("P 21 21 21")
    hkl = gemmi.make_miller_array(cell, spacegroup, 3.0)
    asu = ReciprocalASU.from_observed(np.concatenate([hkl, -hkl[::2]]), cell, spacegroup, anomalous=True)
    alone = ReciprocalASU.from_observed(np.concatenate([hkl[1:], -hkl[::2]]), cell, spacegroup, anomalous=True)
    for some in (asu, alone):
        prior = priors.MultivariateWilson.friedel(some, 0.98, falloff=3.0)
        child = prior.parents >= 0
        np.testing.assert_array_equal(child, some.friedel_minus & (some.friedel_mate >= 0))
        assert child.sum() > 50
        np.testing.assert_array_equal(some.miller_index[child], -some.miller_index[prior.parents[child]])
        assert np.all(prior.parents[prior.parents[child]] == -1)
        np.testing.assert_allclose(prior.correlation(np.arange(len(some))), 0.98, rtol=1e-6)
    with pytest.raises(ValueError, match="Friedel mates are one reflection here"):
        priors.MultivariateWilson.friedel(ReciprocalASU.from_observed(hkl, cell, spacegroup))


def test_data_sets_of_their_own_cells_are_a_tree(asu):
    """Each child of another data set has the same index there; what is missing there is a root."""
    smaller = ReciprocalASU(asu.miller_index[5:], gemmi.UnitCell(20.1, 20.1, 29.8, 90, 90, 90), asu.spacegroup)
    joined = JoinedASU([smaller, asu], ["off", "on"])
    parents = dataset_parents(joined, {"on": "off"})
    prior = priors.MultivariateWilson(joined, parents, 0.99, falloff=np.geomspace(1.0, 9.0, len(joined)))
    np.testing.assert_array_equal(prior.parents, np.r_[np.full(55 + 5, -1), np.arange(55)])
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(prior))
    assert again.asu.matches(joined)
    ids = np.arange(len(joined))
    f = np.float32(np.sqrt(prior(ids)))
    log_prob = prior.conditional(ids, f).log_prob(f).numpy()
    np.testing.assert_array_equal(again.conditional(ids, f).log_prob(f), log_prob)
    # Where each has its own mean intensity the child is near r times its parent, in its own units.
    child = parents >= 0
    mean = prior.conditional(ids, f[np.maximum(parents, 0)]).mean().numpy()
    assert np.all(np.abs(mean[child] / (0.99 * f[child]) - 1.0) < 0.01)


def test_impossible_parents_are_refused(asu):
    good = chains(asu)
    centric, acentric = np.flatnonzero(asu.centric)[0], np.flatnonzero(~asu.centric)[0]

    def changed(**at):
        parents = good.copy()
        for refl_id, parent in at.items():
            parents[int(refl_id[1:])] = parent
        return parents

    for parents, message in (
        (good[:-1], r"for each of the 60 reflections, not an array of int32 of shape \(59,\)"),
        (good.astype(float), "not an array of float64"),
        (changed(_7=60), "a refl_id from 0 to 59"),
        (changed(_7=-2), "a refl_id from 0 to 59"),
        (changed(_7=7), "go round in a circle at refl_id 7"),
        (changed(**{f"_{i}": j for i, j in zip((3, 4, 5), (5, 3, 4), strict=True)}), "go round in a circle"),
        (changed(**{f"_{centric}": acentric}), f"refl_id {centric} and its parent {acentric} are not both centric"),
    ):
        with pytest.raises(ValueError, match=message):
            priors.MultivariateWilson(asu, parents)
