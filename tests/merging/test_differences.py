"""Differences of data sets: their columns, their errors, and which correlation the data want."""

import gemmi
import numpy as np
import pytest
from scipy import stats

from vimerge import priors
from vimerge.evidence import held_out
from vimerge.merging.differences import anomalous_differences, difference_of, differences
from vimerge.merging.trees import posterior_of_trees
from vimerge.reflections import OptionError, Reflections, dataset_parents

from .crystal import MEAN, SPACEGROUP, Crystal, model_of

R = 0.98


@pytest.fixture(scope="module")
def drawn():
    """Two data sets of some 5,000 reflections that correlate by 0.98, and the amplitudes they were drawn from."""
    crystal = Crystal(2.7, seed=2)
    off = crystal.draw()
    on = crystal.draw(off, R)
    parts = [crystal.observe_unevenly(e) for e in (off, on)]
    root = np.sqrt(MEAN * crystal.epsilon)
    truth = dict(zip(map(tuple, crystal.hkl), np.stack([root * abs(off), root * abs(on)], 1), strict=True))
    return Reflections.concatenate(parts, ["off", "on"]), truth


@pytest.fixture(scope="module")
def tied(drawn):
    """The model that the two data sets were drawn from."""
    asu = drawn[0].asu
    return model_of(drawn[0], priors.MultivariateWilson(asu, dataset_parents(asu, {"on": "off"}), R, falloff=MEAN))


@pytest.fixture(scope="module")
def independent(drawn):
    return model_of(drawn[0], priors.Wilson(drawn[0].asu, MEAN))


@pytest.fixture(scope="module")
def tables(drawn, tied, independent):
    return [differences(model, drawn[0], "on", "off") for model in (tied, independent)]


def test_columns_are_those_of_both_data_sets(drawn, tables):
    reflections = drawn[0]
    for table in tables:
        assert {name: table[name].dtype.mtztype for name in table.columns} == {
            "DF": "F",
            "SIGDF": "Q",
            "CORR": "R",
            "F_on": "F",
            "SIGF_on": "Q",
            "N_on": "I",
            "F_off": "F",
            "SIGF_off": "Q",
            "N_off": "I",
        }
        assert table.merged
        np.testing.assert_allclose(table["DF"], table["F_on"] - table["F_off"], atol=1e-4)
        n = reflections.asu.split(reflections.multiplicity)
        both = {tuple(h) for h in reflections.asu.of("on").miller_index} & {
            tuple(h) for h in reflections.asu.of("off").miller_index
        }
        assert set(map(tuple, table.get_hkls())) == both
        for name in ("on", "off"):
            ids = reflections.asu.refl_id(table.get_hkls(), name) - reflections.asu.slice_of(name).start
            np.testing.assert_array_equal(table[f"N_{name}"], n[name][ids])
        variance = table["SIGF_on"] ** 2 + table["SIGF_off"] ** 2
        variance -= 2 * table["CORR"] * table["SIGF_on"] * table["SIGF_off"]
        np.testing.assert_allclose(np.sqrt(variance), table["SIGDF"], rtol=1e-3)
    assert (tables[0]["CORR"] > 0).all()
    assert (tables[1]["CORR"] == 0).all()


def test_intervals_of_the_difference_hold_the_truth_as_often_as_they_promise(drawn, tables):
    table, independent = tables
    true = np.array([drawn[1][tuple(h)] for h in table.get_hkls()])
    off = (np.diff(true, axis=1)[:, 0] - table["DF"].to_numpy(float)) / table["SIGDF"].to_numpy(float)
    assert len(off) > 4000
    for level in (0.5, 0.68, 0.95):
        assert np.mean(np.abs(off) < stats.norm.ppf(0.5 + level / 2)) == pytest.approx(level, abs=0.02)
    assert np.mean(off**2) == pytest.approx(1.0, abs=0.06)
    assert np.mean(off) == pytest.approx(0.0, abs=0.06)
    # And they are much shorter than those of independent amplitudes, of a better difference.
    assert np.median(table["SIGDF"] / independent["SIGDF"]) < 0.7
    error = [np.sqrt(np.mean((np.diff(true, axis=1)[:, 0] - t["DF"].to_numpy(float)) ** 2)) for t in tables]
    assert error[0] < 0.65 * error[1]


def test_the_order_of_parent_and_child_changes_the_sign_alone(drawn, tied, tables):
    reverse = differences(tied, drawn[0], "off", "on")
    np.testing.assert_allclose(reverse["DF"], -tables[0]["DF"], rtol=1e-6)
    np.testing.assert_allclose(reverse["SIGDF"], tables[0]["SIGDF"], rtol=1e-6)


def test_data_indexed_differently_are_compared_by_their_operator(drawn, tables):
    """The parent as it would be had a and b been exchanged: each reflection still finds its own."""
    reflections = drawn[0]
    cell = gemmi.UnitCell(60, 50, 70, 90, 90, 90)
    off, on = (reflections.of(name) for name in ("off", "on"))
    swapped = Reflections.from_arrays(
        off.hkl[:, [1, 0, 2]] * [1, 1, -1],
        off.iobs,
        off.sigiobs,
        off.image_id,
        cell=cell,
        spacegroup=SPACEGROUP,
        metadata={},
    )
    joined = Reflections.concatenate([swapped, on], ["off", "on"])
    parents = dataset_parents(joined.asu, {"on": "off"}, {"on": "k,h,-l"})
    model = model_of(joined, priors.MultivariateWilson(joined.asu, parents, R, falloff=MEAN))
    found = differences(model, joined, "on", "off", "k,h,-l")
    np.testing.assert_array_equal(found.get_hkls(), tables[0].get_hkls())
    np.testing.assert_allclose(found["DF"], tables[0]["DF"], atol=1e-4)
    assert len(differences(model, joined, "on", "off")) < len(found)


def test_siblings_are_correlated_through_their_parent(drawn):
    off, on = (drawn[0].of(name) for name in ("off", "on"))
    joined = Reflections.concatenate([off, on, on], ["off", "on", "again"])
    asu, star = joined.asu, dataset_parents(joined.asu, {"on": "off", "again": "off"})
    model = model_of(joined, priors.MultivariateWilson(asu, star, R, falloff=MEAN))
    posterior = posterior_of_trees(model, joined)
    one, other = (np.arange(len(asu))[asu.slice_of(name)] for name in ("on", "again"))
    tied = star[one] >= 0
    found = difference_of(model.prior, posterior, one[tied], other[tied])
    ways = [difference_of(model.prior, posterior, i[tied], star[i[tied]]).correlation for i in (one, other)]
    np.testing.assert_allclose(found.correlation, ways[0] * ways[1])
    # Of the same data twice, and nothing to tell them apart.
    np.testing.assert_allclose(found.mean / found.sd, 0.0, atol=1e-3)
    assert np.all(found.sd <= np.hypot(*posterior.SIGF[[one[tied], other[tied]]]) * (1 + 1e-6))
    unrelated = difference_of(model.prior, posterior, one[tied][:-1], one[tied][1:])
    np.testing.assert_array_equal(unrelated.correlation, 0.0)
    np.testing.assert_allclose(unrelated.sd, np.hypot(posterior.SIGF[one[tied][:-1]], posterior.SIGF[one[tied][1:]]))


def test_one_data_set_has_no_differences(drawn, tied):
    off = drawn[0].of("off")
    model = model_of(off, priors.Wilson(off.asu, MEAN))
    with pytest.raises(OptionError, match="one data set"):
        differences(model, off, "on", "off")
    with pytest.raises(OptionError, match="choose from off, on"):
        differences(tied, drawn[0], "on", "of")
    with pytest.raises(OptionError, match="itself"):
        differences(tied, drawn[0], "on", "on")
    with pytest.raises(OptionError, match="--anomalous"):
        anomalous_differences(model, off)
    with pytest.raises(OptionError, match="choose from off, on"):
        anomalous_differences(tied, drawn[0])


def test_another_correlation_is_that_of_a_prior_that_has_it(drawn, tied, tables):
    asu = drawn[0].asu
    other = model_of(drawn[0], priors.MultivariateWilson(asu, dataset_parents(asu, {"on": "off"}), 0.5, falloff=MEAN))
    found = differences(other, drawn[0], "on", "off", correlation=R)
    for name in ("DF", "SIGDF", "CORR"):
        np.testing.assert_allclose(found[name], tables[0][name], rtol=1e-4, atol=1e-5)


# --- which correlation -----------------------------------------------------------------------------------------------


def test_held_out_data_and_the_evidence_find_the_correlation(drawn, tied):
    reflections = drawn[0]
    test = np.random.default_rng(1).random(len(reflections)) < 0.1
    weights = tied.surrogate.get_weights()
    found = held_out(tied, reflections[~test], reflections[test], [0.0, 0.9, R, 0.9999], samples=300)
    assert list(found.index) == [0.0, 0.9, R, 0.9999]
    for one, other in zip(weights, tied.surrogate.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    for criterion in ("log_evidence", "log_predictive", "log_predictive_children"):
        assert found[criterion].idxmax() == R, criterion
    # Errors of differences observation by observation: far smaller than those of two means by themselves.
    for suffix in ("", "_children"):
        error = found[f"log_predictive_se{suffix}"]
        assert error[R] == 0.0
        assert error.drop(R).between(1e-4, 0.1).all()
        assert error[0.9] < error[0.0]
        assert found[f"log_predictive{suffix}"][R] - found[f"log_predictive{suffix}"][0.0] > 5 * error[0.0]
    for criterion in ("pearson", "weighted", "spearman"):
        assert found[criterion].between(0.5, 1).all()
        assert found[f"{criterion}_children"].between(0.5, 1).all()
    assert found.loc[R, "pearson_children"] > found.loc[0.0, "pearson_children"]


def test_there_must_be_something_to_choose(drawn, tied, independent):
    reflections = drawn[0]
    with pytest.raises(OptionError, match="--correlate"):
        held_out(independent, reflections, reflections[:10], [0.9])
    with pytest.raises(OptionError, match="--test-fraction"):
        held_out(tied, reflections, reflections[:0], [0.9])
