"""Correlations that the evidence chooses: the truth comes back, by resolution, and is kept with the model."""

import logging

import keras
import numpy as np
import pytest

from vimerge import priors
from vimerge.merging import choose_correlations, correlations, crossvalidation, posterior_of_trees, recipe
from vimerge.merging.correlations import chosen_rows, settle_correlations
from vimerge.reflections import OptionError, Reflections, dataset_parents

from .crystal import MEAN, Crystal, model_of


def tied(reflections, correlation, children=("on",)):
    parents = dataset_parents(reflections.asu, dict.fromkeys(children, "off"))
    return model_of(reflections, priors.MultivariateWilson(reflections.asu, parents, correlation, falloff=MEAN))


def draw(dmin, seed=4):
    """Three data sets: r of the second and the first is 0.997 at low and 0.9 at high resolution, of the third 0."""
    crystal = Crystal(dmin, seed)
    r = np.where(crystal.s2 < np.median(crystal.s2), 0.997, 0.9)
    off = crystal.draw()
    return [crystal.observe(e) for e in (off, crystal.draw(off, r), crystal.draw())]


@pytest.fixture(scope="module")
def pair():
    return Reflections.concatenate(draw(4.8)[:2], ["off", "on"])


@pytest.fixture(scope="module")
def few():
    return draw(7.0)


@pytest.fixture(scope="module")
def chosen(pair):
    model = tied(pair, "auto")
    return model, choose_correlations(model, pair, shells=4)


def test_correlations_that_differ_with_resolution_come_back(pair, chosen):
    model, found = chosen
    table, asu = found.table, pair.asu
    assert list(table.columns) == ["relation", "d_max", "d_min", "children", "correlation", "error", "log_evidence"]
    assert set(table["relation"]) == {"on~off"}
    assert table["children"].sum() == len(asu.of("on"))
    assert np.ptp(table["children"]) <= 1
    off = np.log1p(-table["correlation"]) - np.log([0.003, 0.003, 0.1, 0.1])
    assert table["error"].between(0.02, 0.35).all()
    assert np.all(np.abs(off / table["error"]) < 3.0)
    assert (table["log_evidence"] > 50).all()
    # What the table says is what the reflections have, and the evidence that is promised.
    child = np.flatnonzero(model.prior.parents >= 0)
    outwards = child[np.argsort(asu.s2[child], kind="stable")]
    np.testing.assert_array_equal(found.correlation[outwards], np.repeat(table["correlation"], table["children"]))
    assert not found.correlation[model.prior.parents < 0].any()
    gain = [posterior_of_trees(model, pair, r).total for r in (found.correlation, 0.0)]
    assert gain[0] - gain[1] == pytest.approx(table["log_evidence"].sum(), abs=0.5)
    # No step from there to either side has more of it.
    for factor in (0.7, 1.4):
        beside = np.where(found.correlation > 0, 1 - factor * (1 - found.correlation), 0.0)
        assert posterior_of_trees(model, pair, beside).total < gain[0] - 2.0


def test_of_many_reflections_a_random_part_is_enough(pair, chosen):
    model, found = chosen
    part = choose_correlations(model, pair, shells=4, most=60, seed=1).table
    assert list(part["children"]) == [60] * 4
    # Of the same reflections and more, the maximum is elsewhere by the difference of two variances.
    expected = np.sqrt(part["error"] ** 2 - found.table["error"] ** 2)
    moved = np.log1p(-part["correlation"]) - np.log1p(-found.table["correlation"])
    assert np.all(np.abs(moved / expected) < 3.5)
    assert np.std(moved / expected) > 0.1


def test_data_sets_that_have_nothing_in_common_stay_apart(few):
    """As the difference of amplitudes knows r² alone, r of n pairs is known to about n^(−1/4)."""
    reflections = Reflections.concatenate([few[0], few[2]], ["off", "on"])
    table = choose_correlations(tied(reflections, "auto"), reflections, shells=1).table
    assert table["correlation"][0] < 2.0 * table["children"][0] ** -0.25
    assert 0.0 <= table["log_evidence"][0] < 4.0


@pytest.mark.slow
def test_each_relation_has_its_own(few):
    reflections = Reflections.concatenate(few, ["off", "on", "other"])
    model = tied(reflections, "auto", ("on", "other"))
    table = choose_correlations(model, reflections, shells=2).table
    on, other = (table[table["relation"] == name] for name in ("on~off", "other~off"))
    assert len(on) == len(other) == 2
    assert np.all(np.abs(np.log1p(-on["correlation"]) - np.log([0.003, 0.1])) < 3.0 * on["error"])
    assert np.all(other["correlation"] < 2.0 * other["children"] ** -0.25)
    # They are what each has by itself, for the third data set says nothing of the others.
    two = Reflections.concatenate(few[:2], ["off", "on"])
    alone = choose_correlations(tied(two, "auto"), two, shells=2).table
    off = np.log1p(-alone["correlation"].to_numpy()) - np.log1p(-on["correlation"].to_numpy())
    assert np.all(np.abs(off) < 0.5 * alone["error"])
    # One that is given is left as it is.
    r = np.where(reflections.asu.asu_id == 1, 0.5, np.nan)
    model = tied(reflections, priors.ChosenCorrelation(r), ("on", "other"))
    settle_correlations(model, reflections)
    ids = np.flatnonzero(model.prior.parents >= 0)
    of = reflections.asu.asu_id[ids]
    found = model.prior.correlation(ids).numpy()
    np.testing.assert_allclose(found[of == 1], 0.5, rtol=1e-6)
    assert not np.any(found[of == 2] == 0.5)
    assert {row["relation"] for row in chosen_rows(model)} == {"other~off"}


def test_data_that_are_the_same_do_not_make_r_one(few):
    reflections = Reflections.concatenate([few[0], few[0]], ["off", "on"])
    table = choose_correlations(tied(reflections, "auto"), reflections).table
    assert 0.995 < table["correlation"].max() <= 0.9999
    assert len(table) == table["children"].sum() // 100


def test_friedel_mates_are_merged_with_what_was_chosen(caplog, tmp_path):
    crystal = Crystal(6.5, seed=5)
    acentric = ~crystal.centric
    plus = crystal.draw()
    minus = crystal.draw(plus, 0.98)[acentric]
    hkl = np.concatenate([crystal.hkl[acentric], -crystal.hkl[acentric]])
    reflections = crystal.observe(np.concatenate([plus[acentric], minus]), hkl, anomalous=True)
    model = model_of(reflections, priors.MultivariateWilson.friedel(reflections.asu, "auto", falloff=MEAN))
    ids = np.flatnonzero(model.prior.parents >= 0)
    assert not model.prior.correlation(ids).numpy().any()
    with caplog.at_level(logging.INFO, "vimerge"):
        settle_correlations(model, reflections)
    assert "Friedel mates" in caplog.text
    r = model.prior.correlation(ids).numpy()
    found = [row["correlation"] for row in chosen_rows(model)]
    number = len(found)
    assert np.all(np.abs(r[:, np.newaxis] - found).min(axis=1) < 1e-6)
    # Errors of log(1 − r) where r is near one, and a little for the noise.
    assert np.abs(np.log1p(-r) - np.log(0.02)).max() < 3.0 * 1.3 * np.sqrt(2 * number / len(ids))
    # It is saved and loaded with the model, and half data sets are merged with it.
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.prior.correlation.complement(ids), model.prior.correlation.complement(ids))
    assert chosen_rows(again) == chosen_rows(model)
    alone = model_of(reflections, priors.Wilson(reflections.asu, MEAN))
    halves = [crossvalidation.half_datasets(m, reflections)["SIGF(+)"].mean() for m in (again, alone)]
    assert halves[0] < 0.95 * halves[1]


def test_training_chooses_before_q_is_set_for_the_last_time(few, monkeypatch):
    reflections = Reflections.concatenate(few[:2], ["off", "on"])
    # Three places are enough to see which is best.
    monkeypatch.setattr(correlations, "FIRST", np.log([1.0, 0.1, 0.01]))
    monkeypatch.setattr(correlations, "MOST_REFINEMENTS", 0)
    options = {"likelihood": "normal", "error_model": "none", "scaling": "mlp", "width": 2, "depth": 0, "seed": 1}
    model = recipe.make_model(reflections, correlate={"on": ("off", "auto")}, **options)
    recipe.train(model, reflections, epochs=2, batch_size=2000)
    r = model.prior.correlation(np.flatnonzero(model.prior.parents >= 0)).numpy()
    assert np.all(r > 0.7)
    found = [row["correlation"] for row in chosen_rows(model)]
    assert np.all(np.abs(r[:, np.newaxis] - found).min(axis=1) < 1e-6)
    posterior, moments = posterior_of_trees(model, reflections), model.surrogate.moments()
    np.testing.assert_allclose((moments.F - posterior.F) / posterior.SIGF, 0.0, atol=0.2)


def test_maxima_of_many_curves_are_found_at_once():
    """The evidence of log(1 − r) where structure factors are known but for their phases, n pairs with the true r."""
    n = np.array([100, 1000, 5000, 300, 300])
    true = np.array([0.1, 0.02, 0.0004, 0.5, 1e-7])

    def evidence(x):
        complement = 1.0 - (1.0 - np.exp(x)) ** 2
        known = 1.0 - (1.0 - true) ** 2
        return -0.5 * n * (np.log(complement) + known / complement)

    places = [np.full(5, x) for x in correlations.FIRST]
    x, error, gain = correlations._maximise(evidence, places, correlations.MOST_REFINEMENTS)
    off = x[:4] - np.log(true[:4])
    assert np.all(np.abs(off) < np.fmax(0.03, 0.3 * error[:4]))
    assert x[4] == correlations.HIGHEST
    # The second derivative is n/2 where r is near one.
    np.testing.assert_allclose(error[1:3], np.sqrt(2 / n[1:3]), rtol=0.15)
    assert np.isnan(error[4])
    best = evidence(np.append(np.log(true[:4]), correlations.HIGHEST)) - evidence(np.zeros(5))
    np.testing.assert_allclose(gain, best, atol=0.5, rtol=1e-3)


def test_what_cannot_be_chosen_is_told(pair):
    alone = model_of(pair, priors.Wilson(pair.asu, MEAN))
    with pytest.raises(OptionError, match="--correlate"):
        choose_correlations(alone, pair)
    model = tied(pair, 0.9)
    with pytest.raises(OptionError, match="not of 0"):
        choose_correlations(model, pair, shells=0)
    with pytest.raises(OptionError, match="leave out chosen="):
        choose_correlations(model, pair, chosen=model.prior.parents < 0)
    # What is given is not chosen.
    settle_correlations(model, pair)
    np.testing.assert_allclose(model.prior.correlation(np.arange(5)), 0.9, rtol=1e-6)
    with pytest.raises(ValueError, match='"auto"'):
        tied(pair, "best")
