"""Differences of Friedel mates: those of the joint posterior, and of data sets whose mates are apart."""

import numpy as np
import pytest

from vimerge import priors
from vimerge.merging.differences import anomalous_differences, differences
from vimerge.merging.trees import posterior_of_trees
from vimerge.reflections import Reflections, dataset_parents

from .crystal import MEAN, Crystal, model_of


@pytest.fixture(scope="module")
def mates():
    """Friedel mates that correlate by 0.999, apart; and their true amplitudes."""
    crystal = Crystal(4.0, seed=3)
    hkl, acentric, epsilon = crystal.hkl, ~crystal.centric, crystal.epsilon
    plus = crystal.draw()
    minus = np.where(acentric, crystal.draw(plus, 0.999), plus)
    both, e = np.concatenate([hkl, -hkl[acentric]]), np.concatenate([plus, minus[acentric]])
    reflections = crystal.observe_unevenly(e, both, np.concatenate([epsilon, epsilon[acentric]]), anomalous=True)
    truth = dict(zip(map(tuple, hkl), np.sqrt(MEAN * epsilon) * (np.abs(plus) - np.abs(minus)), strict=True))
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


def test_another_correlation_is_that_of_a_prior_that_has_it(mates):
    reflections = mates[0]
    two = [
        model_of(reflections, priors.MultivariateWilson.friedel(reflections.asu, r, falloff=MEAN)) for r in (0.5, 0.9)
    ]
    found = [anomalous_differences(two[0], reflections, correlation=0.9), anomalous_differences(two[1], reflections)]
    for name in ("DANO", "SIGDANO"):
        np.testing.assert_allclose(found[0][name], found[1][name], rtol=1e-4, atol=1e-5)
