"""Correlations of structure factors: what is true comes back where amplitudes are known, and none reaches one."""

import gemmi
import keras
import numpy as np
import pytest
import tensorflow as tf

from vimerge import priors
from vimerge.priors.correlation import HIGHEST
from vimerge.priors.correlation_by_resolution import LEAST_DECAY
from vimerge.reflections import ReciprocalASU


@pytest.fixture(scope="module")
def mates():
    """Some 3,000 Friedel pairs, and 600 centric reflections."""
    cell, spacegroup = gemmi.UnitCell(40, 44, 50, 90, 90, 90), gemmi.SpaceGroup("P 21 21 21")
    hkl = gemmi.make_miller_array(cell, spacegroup, 2.4)
    return ReciprocalASU.from_observed(np.concatenate([hkl, -hkl]), cell, spacegroup, anomalous=True)


def amplitudes(asu, parents, r, sigma, seed=1):
    """F of all reflections, the children's structure factors correlated with the parents' by r [R]."""
    real, imaginary = np.random.default_rng(seed).normal(size=(2, len(asu)))
    e = np.where(asu.centric, real, (real + 1j * imaginary) / np.sqrt(2))
    child = parents >= 0
    e[child] = r[child] * e[parents[child]] + np.sqrt(1 - r[child] ** 2) * e[child]
    return np.abs(e) * np.sqrt(asu.epsilon * sigma)


def train(prior, f, steps=150, rate=0.1):
    """Maximise the density of known amplitudes, per reflection, and return the last loss."""
    child = np.flatnonzero(prior.parents >= 0).astype(np.int32)
    of_parent, own = np.float32(f[prior.parents[child]]), np.float32(f[child])
    prior.correlation.adapt(child)  # An observation each.
    optimizer = keras.optimizers.Adam(rate)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = -tf.reduce_mean(prior.conditional(child, of_parent).log_prob(own)) + sum(prior.losses)
        optimizer.apply(tape.gradient(loss, prior.trainable_variables), prior.trainable_variables)
        return loss

    for _ in range(steps):
        loss = step()
    return float(loss)


@pytest.mark.parametrize("true", [0.3, 0.9, 0.99, 0.999])
def test_a_correlation_comes_back_from_known_amplitudes(mates, true):
    start = 0.99 if true > 0.95 else 0.9
    prior = priors.MultivariateWilson.friedel(mates, start, falloff=3.0, learn=True)
    train(prior, amplitudes(mates, prior.parents, np.full(len(mates), true), 3.0))
    found = prior.parameters()["correlation"]
    # Where r is near one, log (1 − r²) of n amplitudes has the standard error √(2/n); elsewhere r² has about 1/√n.
    number = np.sum(prior.parents >= 0)
    error = max(1 / np.sqrt(number) if true < 0.5 else 0.0, (1 - true**2) * np.sqrt(2 / number))
    assert number > 2500
    assert abs(found**2 - true**2) < 3.5 * error


def test_a_correlation_comes_back_by_resolution(mates):
    s2 = mates.s2
    true = 0.99 * np.exp(-8.0 * s2 / 4)
    correlation = priors.CorrelationByResolution(2, initial=0.9)
    prior = priors.MultivariateWilson.friedel(mates, correlation, falloff=3.0)
    train(prior, amplitudes(mates, prior.parents, true, 3.0))
    found = prior.parameters()
    np.testing.assert_allclose(found["correlation_d"], [s2.min() ** -0.5, s2.max() ** -0.5])
    expected = 0.99 * np.exp(-8.0 / np.square(found["correlation_d"]) / 4)
    np.testing.assert_allclose(found["correlation"], expected, atol=0.02)
    # And everywhere between.
    assert np.max(np.abs(correlation(np.arange(len(mates))) - true)) < 0.03


def test_each_edge_has_a_correlation_of_its_own(mates):
    edge = np.random.default_rng(2).integers(0, 2, len(mates))
    true = np.where(edge == 1, 0.98, 0.6)
    correlation = priors.CorrelationByResolution(edges=edge, initial=[[0.9], [0.8]])
    prior = priors.MultivariateWilson.friedel(mates, correlation, falloff=3.0)
    train(prior, amplitudes(mates, prior.parents, true, 3.0))
    found = prior.parameters()
    assert found["correlation_0"] == pytest.approx(0.6, abs=0.06)
    assert found["correlation_1"] == pytest.approx(0.98, abs=0.004)


def test_children_that_are_as_their_parents_do_not_make_r_one(mates):
    """The restraint's pairs hold 1 − r² at 2 strength (1 − r₀)/(strength + N/2)."""
    for strength in (1.0, 30.0):
        correlation = priors.CorrelationByResolution(initial=0.9, strength=strength)
        prior = priors.MultivariateWilson.friedel(mates, correlation, falloff=3.0)
        f = amplitudes(mates, prior.parents, np.full(len(mates), 0.5), 3.0)
        child = prior.parents >= 0
        f[child] = f[prior.parents[child]]
        train(prior, f, steps=300)
        expected = 2 * strength * 0.1 / (strength + 0.5 * child.sum())
        assert correlation.values[0, 0] < HIGHEST
        # N is that of the amplitudes, and a few are so small that even then r says little of them.
        assert 1 - correlation.values[0, 0] ** 2 == pytest.approx(expected, rel=0.3)


def test_without_a_restraint_r_stops_at_the_highest(mates):
    correlation = priors.CorrelationByResolution(initial=0.9, strength=0.0)
    prior = priors.MultivariateWilson.friedel(mates, correlation, falloff=3.0)
    assert prior.losses == []
    f = amplitudes(mates, prior.parents, np.full(len(mates), 0.5), 3.0)
    child = prior.parents >= 0
    f[child] = f[prior.parents[child]]
    assert np.isfinite(train(prior, f, steps=300, rate=0.3))
    assert 0.9999 < correlation.values[0, 0] <= HIGHEST
    correlation.trainable_variables[0].assign([[-200.0]])
    refl_id = np.flatnonzero(child)
    assert np.all(correlation(refl_id) <= np.float32(HIGHEST))
    np.testing.assert_allclose(correlation.complement(refl_id), -np.expm1(-2 * LEAST_DECAY), rtol=1e-5)
    conditional = prior.conditional(refl_id, np.float32(f[prior.parents[refl_id]]))
    assert np.all(np.isfinite(conditional.log_prob(np.float32(f[refl_id]))))
    assert np.all(conditional.stddev() > 0)


def divergence(start, r):
    """KL divergence of the normal distributions of complex pairs, by its formula for any covariance matrices."""
    old, new = (np.array([[1.0, x], [x, 1.0]]) for x in (start, r))
    return np.trace(np.linalg.solve(new, old)) - 2 + np.log(np.linalg.det(new) / np.linalg.det(old))


@pytest.mark.parametrize("learned", [0.05, 0.8, 0.95, 0.99, 0.999])
def test_restraint_is_worth_so_many_pairs_of_the_initial_correlation(asu, learned):
    correlation = priors.CorrelationByResolution(2, initial=[0.99, 0.8], edges=np.arange(60) % 3, strength=7.0)
    prior = priors.MultivariateWilson(asu, np.full(60, -1), correlation)
    assert float(sum(prior.losses)) == pytest.approx(0.0, abs=1e-5)
    correlation.adapt(range(50))
    correlation.trainable_variables[0].assign(np.full((3, 2), np.log(-np.log(learned) - LEAST_DECAY)))
    expected = 7.0 / 50 * 3 * 0.5 * (divergence(0.99, learned) + divergence(0.8, learned))
    assert float(sum(prior.losses)) == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_observations_of_the_data_divide_the_restraint(asu, table):
    prior = priors.MultivariateWilson(asu, np.full(60, -1), 0.9, falloff=3.0, learn=True)
    prior.correlation.trainable_variables[0].assign([[-4.0]])
    before = float(sum(prior.losses))
    prior.adapt(table(asu, np.tile(np.arange(60), 2), np.full(120, 5.0), 1.0))
    assert float(sum(prior.losses)) == pytest.approx(before / 120)


@pytest.mark.parametrize("r", [0.5, 0.99, 0.9999, 0.99999])
def test_one_less_r_squared_keeps_its_digits(asu, r):
    start = min(r, 0.99998)
    for correlation, exact in (
        (priors.GivenCorrelation(r), r),
        (priors.GivenCorrelation(np.full(60, r)), r),
        (priors.CorrelationByResolution(initial=start), start),
    ):
        correlation.bind(asu)
        np.testing.assert_allclose(correlation.complement(np.arange(60)), (1 - exact) * (1 + exact), rtol=3e-6)
        np.testing.assert_allclose(correlation(np.arange(60)), exact, rtol=1e-6)


def test_what_is_not_learned_is_not_reported(asu):
    fixed = priors.CorrelationByResolution(2, [0.99, 0.9], learn=False)
    prior = priors.MultivariateWilson(asu, np.full(60, -1), fixed, falloff=3.0)
    assert prior.trainable_variables == prior.losses == []
    assert prior.parameters() == {}
    # It is r₀ exp(−B s²/4).
    rate = np.log(0.99 / 0.9) / np.ptp(asu.s2)
    expected = 0.99 * np.exp(-rate * (asu.s2 - asu.s2.min()))
    np.testing.assert_allclose(fixed(np.arange(60)), expected, rtol=1e-5)


def test_impossible_correlations_are_refused(asu):
    roots = np.full(60, -1)
    for correlation, options, message in (
        (1.0, {}, r"between 0 and 0\.99999 everywhere: at 1"),
        (-0.1, {}, "between 0 and"),
        (np.full(59, 0.5), {}, "correlation needs a number for each of the 60 reflections"),
        (np.full(60, 0.5), {"learn": True}, r"give CorrelationByResolution\(edges=\.\.\.\)"),
        (priors.GivenCorrelation(0.5), {"learn": True}, "leave out learn=True"),
        (0.0, {"learn": True}, "must start between 0 and 0.99999, both excluded"),
        (priors.CorrelationByResolution(edges=np.zeros(59, int)), {}, "edges needs a number for each of the 60"),
    ):
        with pytest.raises(ValueError, match=message):
            priors.MultivariateWilson(asu, roots, correlation, **options)
    for arguments, message in (
        ({"nodes": 0}, "one node or more"),
        ({"strength": -1.0}, "must not be negative"),
        ({"initial": [0.5, 0.6]}, r"an array of shape \(1, 1\), not of shape \(2,\)"),
        ({"edges": np.array([-1, 0])}, "edges must be the number of a correlation"),
        ({"edges": np.array([0.5])}, "edges must be the number of a correlation"),
    ):
        with pytest.raises(ValueError, match=message):
            priors.CorrelationByResolution(**arguments)
    correlation = priors.GivenCorrelation(0.5)
    correlation.bind(asu)
    other = ReciprocalASU(asu.miller_index[:-1], asu.cell, asu.spacegroup)
    with pytest.raises(ValueError, match="is of other reflections: make one for each prior"):
        correlation.bind(other)


def test_a_step_that_was_traced_before_a_correlation_is_chosen_sees_it(asu):
    given = np.where(np.arange(60) % 2, np.nan, 0.5)
    correlation = priors.ChosenCorrelation(given)
    correlation.bind(asu)
    refl_id = np.arange(60)
    complement = tf.function(lambda: correlation.complement(refl_id))
    np.testing.assert_array_equal(correlation.open, np.isnan(given))
    np.testing.assert_allclose(complement(), np.where(np.isnan(given), 1.0, 0.75), rtol=1e-6)
    # As many digits of 1 − r² as there can be.
    correlation.assign(np.full(60, 0.99999), [{"relation": "on~off", "correlation": 0.99999}])
    np.testing.assert_allclose(complement(), 1 - 0.99999**2, rtol=1e-5)
    assert correlation.table == [{"relation": "on~off", "correlation": 0.99999}]
    assert correlation.parameters() == {}
    with pytest.raises(ValueError, match="between 0 and"):
        correlation.assign(np.full(60, 1.1))
    with pytest.raises(ValueError, match="between 0 and"):
        priors.ChosenCorrelation(given + 1)
    with pytest.raises(ValueError, match="for each of the 60"):
        priors.ChosenCorrelation([0.5, np.nan]).bind(asu)
