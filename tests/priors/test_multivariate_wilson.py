"""The prior of related crystals: what the complex normal distribution that it comes from says."""

import keras
import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from vimerge import VariationalMergingModel, likelihoods, priors, scaling, surrogates
from vimerge.testing.gradients import Direction, check_gradient, one_by_one

from .conftest import chains

SIGMA = np.random.default_rng(8).permutation(np.geomspace(0.05, 50.0, 60))
CORRELATIONS = pytest.mark.parametrize("r", [0.0, 0.5, 0.9, 0.99, 0.999, 0.99999])
OVER = pytest.mark.parametrize("over", ["amplitude", "intensity"])


def prior_of(asu, r, falloff=SIGMA, **options):
    return priors.MultivariateWilson(asu, chains(asu), r, falloff=falloff, **options)


def children(prior, per_kind=2):
    """Some reflections that have a parent and some that have a grandparent, centric and acentric."""
    parents, centric = prior.parents, prior.asu.centric
    grand = (parents >= 0) & (parents[parents] >= 0)
    kinds = [(parents >= 0) & ~grand & centric, (parents >= 0) & ~grand & ~centric, grand & centric, grand & ~centric]
    return np.concatenate([np.flatnonzero(kind)[:per_kind] for kind in kinds]).astype(np.int32)


def mean_intensity(asu):
    return SIGMA * asu.epsilon


def normal(asu, ids, rng, number):
    """Structure factors E [number, N], complex or real, of mean square one."""
    real, imaginary = rng.normal(size=(2, number, len(ids)))
    return np.where(asu.centric[ids], real, (real + 1j * imaginary) / np.sqrt(2))


def child_of(asu, ids, parent, r, rng):
    return r * parent + np.sqrt(1 - r**2) * normal(asu, ids, rng, len(parent))


def roots_of(prior, ids):
    """√(εΣ) of reflections and of their parents."""
    expected = mean_intensity(prior.asu)
    return np.sqrt(expected[ids]), np.sqrt(expected[prior.parents[ids]])


@pytest.mark.parametrize("r", [0.0, 0.3, 0.9, 0.99])
def test_joint_density_integrates_to_one(asu, r):
    prior = prior_of(asu, r)
    ids = children(prior)
    own, of_parent = roots_of(prior, ids)
    # Steps of a hundredth: the conditional is seven times as wide where it is narrowest.
    e = (np.arange(700) + 0.5)[:, np.newaxis] / 100
    f_parent, f = e * of_parent, (e * own)[:, np.newaxis]
    log_parent = prior.distribution(prior.parents[ids]).log_prob(np.float32(f_parent))
    log_child = prior.conditional(ids, np.float32(f_parent)).log_prob(np.float32(f))
    assert log_child.shape == (700, 700, len(ids))
    joint = np.exp(log_parent.numpy().astype(np.float64) + log_child.numpy())
    total = joint.sum(axis=(0, 1)) * own * of_parent * 1e-4
    np.testing.assert_allclose(total, 1.0, atol=2e-4)


@OVER
@CORRELATIONS
def test_moments_given_the_parent_are_those_of_the_complex_normal_distribution(asu, r, over):
    prior, rng = prior_of(asu, r), np.random.default_rng(1)
    ids = children(prior)
    own, of_parent = roots_of(prior, ids)
    for e_parent in (0.1, 1.0, 2.5):
        distribution = prior.conditional(ids, np.float32(e_parent * of_parent), over)
        f = own * np.abs(child_of(asu, ids, np.full((40_000, len(ids)), e_parent + 0j), r, rng))
        x = f if over == "amplitude" else f**2
        error = x.std(axis=0) / np.sqrt(len(x))
        assert np.all(np.abs(distribution.mean() - x.mean(axis=0)) < 5 * error)
        fourth = np.mean((x - x.mean(axis=0)) ** 4, axis=0)
        error = np.sqrt(fourth - x.var(axis=0) ** 2) / np.sqrt(len(x)) / (2 * x.std(axis=0))
        assert np.all(np.abs(distribution.stddev() - x.std(axis=0)) < 5 * error)


@pytest.mark.parametrize("r", [0.6, 0.99])
def test_pairs_drawn_from_the_prior_are_those_of_the_complex_normal_distribution(asu, r):
    prior, rng = prior_of(asu, r), np.random.default_rng(2)
    ids = children(prior)
    own, of_parent = roots_of(prior, ids)
    f_parent = prior.distribution(prior.parents[ids]).sample(20_000, seed=[1, 2])
    f = prior.conditional(ids, f_parent).sample(seed=[3, 4]).numpy()
    e_parent = normal(asu, ids, rng, 20_000)
    e = np.abs(child_of(asu, ids, e_parent, r, rng))
    ours = {"child": f / own, "difference": f / own - f_parent / of_parent, "sum": f / own + f_parent / of_parent}
    theirs = {"child": e, "difference": e - np.abs(e_parent), "sum": e + np.abs(e_parent)}
    for name in ours:
        for n in range(len(ids)):
            assert scipy.stats.ks_2samp(ours[name][:, n], theirs[name][:, n]).pvalue > 1e-4, name
    # By theory: the intensities have the correlation r².
    correlation = [np.corrcoef(f[:, n] ** 2, f_parent[:, n] ** 2)[0, 1] for n in range(len(ids))]
    np.testing.assert_allclose(correlation, r**2, atol=0.03)


@pytest.mark.parametrize("r", [0.5, 0.95])
def test_a_grandchild_depends_on_its_parent_alone(asu, r):
    """In a chain of complex structure factors whose phases are unknown the amplitudes are a chain as well."""
    prior, rng = prior_of(asu, r), np.random.default_rng(3)
    ids = children(prior)[4:]
    own, of_parent = roots_of(prior, ids)
    first = normal(asu, ids, rng, 20_000)
    second = child_of(asu, ids, first, r, rng)
    third = child_of(asu, ids, second, r, rng)
    rank = prior.conditional(ids, np.float32(np.abs(second) * of_parent)).cdf(np.float32(np.abs(third) * own)).numpy()
    for n in range(len(ids)):
        e = np.abs(first[:, n])
        # What the grandparent is, given the parent, as far as the parent tells.
        surplus = e - np.abs(second[:, n])
        for chosen in (e < 0.5, e > 1.3, surplus < np.quantile(surplus, 0.2), surplus > np.quantile(surplus, 0.8)):
            # The surplus selects parents too, of which the rank is independent.
            assert scipy.stats.kstest(rank[chosen, n], "uniform").pvalue > 1e-4
    # The rank would not be uniform if the child were not correlated with its grandparent by r².
    assert np.corrcoef(np.abs(first[:, -1]) ** 2, np.abs(third[:, -1]) ** 2)[0, 1] == pytest.approx(r**4, abs=0.03)


@pytest.mark.parametrize("r", [0.3, 0.9, 0.999, 0.99999])
def test_integrated_over_the_parent_it_is_wilsons(asu, r):
    prior = prior_of(asu, r)
    ids = children(prior)
    own, of_parent = roots_of(prior, ids)
    f = own * np.geomspace(0.02, 3.5, 12)[:, np.newaxis]
    # The child says where the parent is: about r F, with the same width as the other way round.
    width = np.sqrt(1 - r**2) * np.where(asu.centric[ids], 1.0, np.sqrt(0.5))
    low, high = np.maximum(r * f / own - 10 * width, 0.0), r * f / own + 10 * width
    e = low + (high - low) * ((np.arange(1000) + 0.5) / 1000)[:, np.newaxis, np.newaxis]
    log_parent = prior.log_marginal(prior.parents[ids], e * of_parent)
    joint = np.exp(log_parent + prior.log_conditional(ids, f, e * of_parent))
    marginal = np.mean(joint, axis=0) * (high - low) * of_parent
    np.testing.assert_allclose(marginal, np.exp(prior.log_marginal(ids, f)), rtol=2e-4)


@OVER
def test_without_correlation_it_is_wilsons(asu, over):
    prior, wilson = prior_of(asu, 0.0), priors.Wilson(asu, SIGMA).distribution(over=over)
    conditional = prior.conditional(np.arange(60), np.linspace(0.0, 30.0, 60, dtype=np.float32), over)
    x = wilson.mean() * np.geomspace(1e-4, 8.0, 30)[:, np.newaxis].astype(np.float32)
    np.testing.assert_allclose(conditional.log_prob(x), wilson.log_prob(x), rtol=1e-5, atol=2e-5)
    np.testing.assert_allclose(conditional.mean(), wilson.mean(), rtol=1e-5)
    np.testing.assert_allclose(conditional.stddev(), wilson.stddev(), rtol=1e-5)
    np.testing.assert_array_equal(prior.distribution(over=over).log_prob(x), wilson.log_prob(x))


@OVER
def test_a_root_is_wilsons_whatever_is_given_for_its_parent(asu, over):
    prior = prior_of(asu, 0.999, learn=True)
    roots = np.flatnonzero(prior.parents < 0)
    wilson = prior.distribution(roots, over=over)
    x = wilson.mean() * np.geomspace(1e-4, 8.0, 30)[:, np.newaxis].astype(np.float32)
    for given in (0.0, 100.0, np.inf, np.nan):
        given = tf.fill([len(roots)], np.float32(given))
        with tf.GradientTape() as tape:
            tape.watch(given)
            log_prob = prior.conditional(roots, given, over).log_prob(x)
        np.testing.assert_allclose(log_prob, wilson.log_prob(x), rtol=1e-5, atol=2e-5)
        for gradient in tape.gradient(log_prob, [given, *prior.trainable_variables]):
            np.testing.assert_array_equal(gradient, 0.0)
        if over == "amplitude":
            np.testing.assert_array_equal(
                prior.log_conditional(roots, x.numpy(), given.numpy()), prior.log_marginal(roots, x.numpy())
            )


@CORRELATIONS
def test_density_is_scipys_and_single_precision_follows_it(asu, r):
    prior = prior_of(asu, r)
    ids = children(prior, per_kind=5)
    own, of_parent = roots_of(prior, ids)
    for e_parent in (1e-3, 0.3, 1.0, 4.0):
        f_parent = np.float32(e_parent * of_parent)
        loc, scale = r * own / of_parent * f_parent, own * np.sqrt((1 - r) * (1 + r))
        f = np.float32(np.abs(loc + scale * np.linspace(-5, 5, 14)[:, np.newaxis])).astype(np.float64)
        half = np.sqrt(0.5) * scale
        centric = scipy.stats.foldnorm(loc / scale, scale=scale).logpdf(f)
        with np.errstate(invalid="ignore", over="ignore"):
            acentric = scipy.stats.rice(loc / half, scale=half).logpdf(f)
        expected = np.where(asu.centric[ids], centric, acentric)
        # SciPy's fails where it overflows; that of the larger noise is right.
        good = np.isfinite(expected)
        assert good.mean() > 0.9
        double = prior.log_conditional(ids, f, f_parent)
        np.testing.assert_allclose(double[good], expected[good], atol=2e-3 if r > 0.9999 else 1e-4)
        single = prior.conditional(ids, f_parent).log_prob(np.float32(f)).numpy()
        # Rounding of F in units of the conditional's width, five of which is the slope.
        rounding = 5 * 6e-8 * (1 + f_parent.max() / of_parent.max()) / np.sqrt(1 - r**2)
        np.testing.assert_allclose(single, double, rtol=1e-5, atol=2e-5 + 10 * rounding)


@OVER
@CORRELATIONS
def test_densities_and_gradients_are_finite_at_the_extremes(asu, over, r):
    # Amplitudes of any size in data of any unit; what contradicts the parent by far may be impossible.
    for unit in (1e-6, 1.0, 1e6):
        prior = prior_of(asu, r, falloff=unit**2 * SIGMA)
        ids = children(prior)
        own, of_parent = (np.float32(unit * root) for root in roots_of(prior, ids))
        e = np.r_[0.0, np.geomspace(1e-6, 1e3, 10)].astype(np.float32)[:, np.newaxis]
        f_parent, ratio = tf.constant(e * of_parent), np.geomspace(0.5, 2.0, 5, dtype=np.float32)[:, None, None]
        f = tf.constant(np.maximum(ratio * e, 1e-6) * own)
        with tf.GradientTape() as tape:
            tape.watch([f, f_parent])
            log_prob = prior.conditional(ids, f_parent, over).log_prob(f if over == "amplitude" else tf.square(f))
        for value in (log_prob, *tape.gradient(log_prob, [f, f_parent])):
            assert np.all(np.isfinite(value))


@OVER
@pytest.mark.parametrize("r", [0.5, 0.95, 0.999])
def test_gradients_are_those_of_finite_differences(asu, over, r):
    prior = prior_of(asu, r, falloff=priors.AnisotropicFallOff(learn=True), learn=True)
    for weight in prior.falloff.trainable_variables:
        weight.assign(weight + 0.4)
    ids = children(prior)
    expected = prior(ids).numpy()
    of_parent = np.sqrt(prior(prior.parents[ids]).numpy())
    e = np.array([0.3, 1.0, 2.0], np.float32)[:, np.newaxis]
    log_f_parent = tf.Variable(np.log(e * of_parent))
    f = tf.constant((r * e + 0.7 * np.sqrt(1 - r**2)) * np.sqrt(expected), tf.float32)
    x = f if over == "amplitude" else tf.square(f)

    def log_prob():
        return prior.conditional(ids, tf.exp(log_f_parent), over).log_prob(x)

    # A step that is small beside the conditional's width.
    step = min(0.02, 0.2 * np.sqrt(1 - r**2))
    along = Direction("log F of the parent", [log_f_parent], [np.ones(log_f_parent.shape, np.float32)])
    check_gradient(log_prob, [along], "log_prob", str, step=step)
    check_gradient(log_prob, one_by_one(prior.trainable_variables), "log_prob", str, step=step)
    assert len(prior.trainable_variables) == 2


def test_it_is_saved_within_a_model(asu, tmp_path):
    prior = prior_of(asu, priors.CorrelationByResolution(2, 0.97, edges=np.arange(60) % 3), falloff="smooth")
    model = VariationalMergingModel(
        surrogates.Gamma(asu), prior, scaling.MLP(("dHKL",), width=2, depth=0), likelihoods.Normal()
    )
    prior.correlation.trainable_variables[0].assign(np.log(np.linspace(0.01, 0.3, 6)).reshape(3, 2))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras").prior
    np.testing.assert_array_equal(loaded.parents, prior.parents)
    assert loaded.parameters() == prior.parameters()
    ids = children(prior)
    f = np.float32(np.linspace(0.2, 2.0, len(ids)))
    for conditional in (lambda p: p.conditional(ids, f).log_prob(f[::-1]), lambda p: p.log_conditional(ids, f, f)):
        np.testing.assert_array_equal(conditional(loaded), conditional(prior))
