"""Differences of data sets and of Friedel mates: their columns, their errors, and which correlation the data want."""

import gemmi
import numpy as np
import pytest
from scipy import stats

from vimerge import VariationalMergingModel, likelihoods, priors, scaling, surrogates
from vimerge.evidence import held_out
from vimerge.merging.differences import anomalous_differences, difference_of, differences
from vimerge.merging.trees import posterior_of_trees
from vimerge.reflections import OptionError, Reflections, dataset_parents

MEAN, R = 10.0, 0.98
CELL, SPACEGROUP = gemmi.UnitCell(50, 60, 70, 90, 90, 90), gemmi.SpaceGroup("P 21 21 21")


def observations(rng, hkl, e, epsilon, anomalous=False):
    """One to five observations of reflections of known E, weak to strong; a tenth of them are missing."""
    rows = np.repeat(np.arange(len(hkl)), rng.integers(1, 6, len(hkl)) * (rng.random(len(hkl)) < 0.9))
    sigma = MEAN * np.exp(rng.uniform(np.log(0.05), np.log(1.0), len(hkl)))[rows]
    intensity = MEAN * epsilon[rows] * np.abs(e[rows]) ** 2 + sigma * rng.normal(size=len(rows))
    image = rng.integers(0, 20, len(rows))
    return Reflections.from_arrays(
        hkl[rows], intensity, sigma, image, cell=CELL, spacegroup=SPACEGROUP, anomalous=anomalous, metadata={}
    )


def complex_normal(rng, centric):
    real, imaginary = rng.normal(size=(2, len(centric)))
    return np.where(centric, real, (real + 1j * imaginary) / np.sqrt(2))


def model_of(reflections, prior, **options):
    model = VariationalMergingModel(
        surrogates.FoldedNormal(reflections.asu),
        prior,
        scaling.MLP(reflections.metadata_keys, width=2, depth=0),
        likelihoods.Normal(),
        seed=1,
        **options,
    )
    model.initialize(reflections)
    model.scaling.adapt(reflections, 1.0)
    return model


@pytest.fixture(scope="module")
def drawn():
    """Two data sets of some 5,000 reflections that correlate by 0.98, and the amplitudes they were drawn from."""
    rng = np.random.default_rng(2)
    hkl = gemmi.make_miller_array(CELL, SPACEGROUP, 2.7)
    operations = SPACEGROUP.operations()
    centric = np.asarray(operations.centric_flag_array(hkl))
    epsilon = np.asarray(operations.epsilon_factor_without_centering_array(hkl), float)
    off = complex_normal(rng, centric)
    on = R * off + np.sqrt(1 - R**2) * complex_normal(rng, centric)
    parts = [observations(rng, hkl, e, epsilon) for e in (off, on)]
    root = np.sqrt(MEAN * epsilon)
    truth = {
        tuple(index): pair for index, pair in zip(hkl, np.stack([root * abs(off), root * abs(on)], 1), strict=True)
    }
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


# --- Friedel mates ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mates():
    """Friedel mates that correlate by 0.999, apart; and their true amplitudes."""
    rng = np.random.default_rng(3)
    hkl = gemmi.make_miller_array(CELL, SPACEGROUP, 4.0)
    operations = SPACEGROUP.operations()
    centric = np.asarray(operations.centric_flag_array(hkl))
    epsilon = np.asarray(operations.epsilon_factor_without_centering_array(hkl), float)
    plus = complex_normal(rng, centric)
    minus = np.where(centric, plus, 0.999 * plus + np.sqrt(1 - 0.999**2) * complex_normal(rng, centric))
    both = np.concatenate([hkl, -hkl[~centric]])
    e = np.concatenate([plus, minus[~centric]])
    reflections = observations(rng, both, e, np.concatenate([epsilon, epsilon[~centric]]), anomalous=True)
    root = np.sqrt(MEAN * epsilon)
    truth = {tuple(h): d for h, d in zip(hkl, root * (np.abs(plus) - np.abs(minus)), strict=True)}
    return reflections, truth


def test_anomalous_differences_are_those_of_the_joint_posterior(mates):
    reflections, truth = mates
    asu = reflections.asu
    tied = model_of(reflections, priors.MultivariateWilson.friedel(asu, 0.999, falloff=MEAN))
    table = anomalous_differences(tied, reflections)
    alone = anomalous_differences(model_of(reflections, priors.Wilson(asu, MEAN)), reflections)
    kinds = [table[name].dtype.mtztype for name in table.columns]
    assert list(table.columns[:8]) == ["F", "SIGF", "DANO", "SIGDANO", "F(+)", "SIGF(+)", "F(-)", "SIGF(-)"]
    assert "".join(kinds) == "FQDQGLGLIIR"
    assert table.index.equals(alone.index)
    pair = ~np.isnan(table["DANO"].to_numpy(float))
    n = table[["N(+)", "N(-)"]].to_numpy()
    is_centric = table.label_centrics()["CENTRIC"].to_numpy()
    np.testing.assert_array_equal(pair, (n > 0).all(axis=1) & ~is_centric)
    assert (~pair & ~is_centric).any()
    found = table[pair]
    np.testing.assert_allclose(found["DANO"], found["F(+)"] - found["F(-)"], atol=1e-4)
    np.testing.assert_allclose(found["F"], (found["F(+)"] + found["F(-)"]) / 2, rtol=1e-5)
    # Var (a + b)/2 = (Var a + Var b)/2 − Var (a − b)/4.
    variance = found["SIGF(+)"] ** 2 / 2 + found["SIGF(-)"] ** 2 / 2 - found["SIGDANO"] ** 2 / 4
    np.testing.assert_allclose(found["SIGF"], np.sqrt(variance), rtol=1e-4)
    other = table[~pair & ~is_centric]
    f = np.where(other["N(+)"] > 0, other["F(+)"], other["F(-)"])
    np.testing.assert_allclose(other["F"], f)
    true = np.array([truth[tuple(h)] for h in found.get_hkls()])
    off = (true - found["DANO"].to_numpy(float)) / found["SIGDANO"].to_numpy(float)
    assert np.mean(np.abs(off) < 1) == pytest.approx(0.68, abs=0.05)
    correlation = [np.corrcoef(t[pair]["DANO"].to_numpy(float), true)[0, 1] for t in (table, alone)]
    assert correlation[0] > correlation[1] + 0.03


def test_differences_of_data_with_mates_apart_are_of_their_mean(mates):
    reflections, _ = mates
    joined = Reflections.concatenate([reflections[::2], reflections[1::2]], ["a", "b"])
    model = model_of(
        joined, priors.MultivariateWilson(joined.asu, dataset_parents(joined.asu, {"b": "a"}), 0.9, falloff=MEAN)
    )
    table = differences(model, joined, "b", "a")
    assert table.index.is_unique
    asu = joined.asu.of("b")
    assert not np.any(table.hkl_to_asu().get_hkls() != table.get_hkls())
    np.testing.assert_allclose(table["DF"], table["F_b"] - table["F_a"], atol=1e-4)
    posterior = posterior_of_trees(model, joined)
    first, n = joined.asu.slice_of("b").start, joined.multiplicity
    parents = model.prior.parents
    for h in table.get_hkls()[::101]:
        ids = {int(asu.refl_id([x])[0]) + first for x in (h, -h) if asu.refl_id([x])[0] >= 0}
        ids = np.array([i for i in ids if n[i] and parents[i] >= 0 and n[parents[i]]])
        weight = posterior.SIGdF[ids] ** -2.0
        row = table.loc[tuple(h)]
        assert row["DF"] == pytest.approx(np.sum(weight * posterior.dF[ids]) / weight.sum(), rel=1e-4, abs=1e-5)
        assert row["SIGDF"] == pytest.approx(weight.sum() ** -0.5, rel=1e-4)
        assert row["N_b"] == n[ids].sum()
    per_mate = anomalous_differences(model, joined, "a")
    assert (per_mate["CORR"].dropna() == 0).all()


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


def test_another_correlation_is_that_of_a_prior_that_has_it(drawn, tied, tables, mates):
    asu = drawn[0].asu
    other = model_of(drawn[0], priors.MultivariateWilson(asu, dataset_parents(asu, {"on": "off"}), 0.5, falloff=MEAN))
    found = differences(other, drawn[0], "on", "off", correlation=R)
    for name in ("DF", "SIGDF", "CORR"):
        np.testing.assert_allclose(found[name], tables[0][name], rtol=1e-4, atol=1e-5)
    reflections = mates[0]
    two = [
        model_of(reflections, priors.MultivariateWilson.friedel(reflections.asu, r, falloff=MEAN)) for r in (0.5, 0.9)
    ]
    found = [anomalous_differences(two[0], reflections, correlation=0.9), anomalous_differences(two[1], reflections)]
    for name in ("DANO", "SIGDANO"):
        np.testing.assert_allclose(found[0][name], found[1][name], rtol=1e-4, atol=1e-5)


def test_there_must_be_something_to_choose(drawn, tied, independent):
    reflections = drawn[0]
    with pytest.raises(OptionError, match="--correlate"):
        held_out(independent, reflections, reflections[:10], [0.9])
    with pytest.raises(OptionError, match="--test-fraction"):
        held_out(tied, reflections, reflections[:0], [0.9])
