"""Which reflections are related: across data sets, and as Friedel mates."""

import numpy as np
import pytest

from vimerge.reflections import OptionError, Reflections, dataset_parents, friedel_parents, reindex, related

from .conftest import table_of


def test_related_reflections_have_the_same_index(joined):
    asu = joined.asu
    parent = related(asu, "on", "off")
    assert parent.dtype == np.int32
    own, found = asu.of("on").miller_index, parent >= 0
    np.testing.assert_array_equal(asu.miller_index[parent[found]], own[found])
    assert (asu.asu_id[parent[found]] == 0).all()
    theirs = {tuple(h) for h in asu.of("off").miller_index.tolist()}
    np.testing.assert_array_equal(found, [tuple(h) in theirs for h in own.tolist()])
    assert 0 < found.sum() < len(found)


def test_related_reflections_of_other_axes(observed):
    part = table_of(observed, spacegroup="P 43")
    other = reindex(part, "k,h,-l")
    joined = Reflections.concatenate([part, other], ["off", "on"])
    parent = related(joined.asu, "on", "off", "k,h,-l")
    # Every observation of one is one of the other: so are their reflections.
    first, second = np.split(joined.refl_id, 2)
    np.testing.assert_array_equal(parent[second - len(part.asu)], first)
    plain = related(joined.asu, "on", "off")
    assert (plain != parent).any()


def test_parents_in_a_tree_of_data_sets(observed):
    parts = [table_of(observed, slice(100 * k, 100 * k + 300)) for k in range(3)]
    asu = Reflections.concatenate(parts, ["dark", "early", "late"]).asu
    parents = dataset_parents(asu, {"early": "dark", "late": "early"})
    assert parents.dtype == np.int32
    assert parents.shape == (len(asu),)
    split = asu.split(parents)
    assert (split["dark"] == -1).all()
    np.testing.assert_array_equal(split["early"], related(asu, "early", "dark"))
    np.testing.assert_array_equal(split["late"], related(asu, "late", "early"))
    for tree, words in (
        ({"early": "dark", "dark": "early"}, "descend from each other"),
        ({"early": "early"}, "descend from each other"),
        ({"early": "drak"}, "no data set 'drak'"),
    ):
        with pytest.raises(OptionError, match=words):
            dataset_parents(asu, tree)
    with pytest.raises(OptionError, match="no parent"):
        dataset_parents(asu, {"early": "dark"}, {"late": "k,h,-l"})


def test_friedel_mates_are_a_forest(joined, observed):
    for asu in (joined.asu, joined.asu.of("on")):
        parents = friedel_parents(asu)
        child = parents >= 0
        assert child.any()
        np.testing.assert_array_equal(asu.miller_index[parents[child]], -asu.miller_index[child])
        assert asu.friedel_minus[child].all()
        assert not asu.friedel_minus[parents[child]].any()
        assert not asu.centric[child].any()
        # A minus reflection without a parent has no mate at all.
        assert (asu.friedel_mate[asu.friedel_minus & ~child] == -1).all()
    with pytest.raises(OptionError, match="--anomalous"):
        friedel_parents(table_of(observed, anomalous=False).asu)
