"""Kullback–Leibler divergences."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

import vimerge.distributions as vd

tfd = tfp.distributions

ONE = np.float64(1.0)
POSTERIORS = [
    vd.Gamma(3.3, 2 * ONE),
    vd.Gamma(40.0, 30 * ONE),
    tfd.Gamma(3.3, 2 * ONE),
    tfd.LogNormal(0.3, 0.5 * ONE),
    tfd.Weibull(2.5, 1.7 * ONE),
    vd.Weibull(2.5, 1.7 * ONE),
    vd.Weibull(40.0, 1.7 * ONE),
]
PRIORS = [
    tfd.Exponential(0.7 * ONE),
    tfd.Gamma(0.5, 0.7 * ONE),
    tfd.Gamma(25.0, 20 * ONE),
    tfd.Weibull(2.0, 1.2 * ONE),
    tfd.HalfNormal(1.4 * ONE),
]


def quadrature(q, p):
    log_x = np.linspace(-30.0, 5.0, 20_001)
    x = np.exp(log_x)
    log_ratio = q.log_prob(x) - p.log_prob(x)
    weights = q.prob(x) * x * (log_x[1] - log_x[0])
    return np.sum(np.where(weights > 0, weights * log_ratio, 0.0))


@pytest.mark.parametrize("q", POSTERIORS, ids=lambda d: d.name)
@pytest.mark.parametrize("p", PRIORS, ids=lambda d: d.name)
def test_closed_forms(q, p):
    assert vd.has_analytic_kl(q, p)
    np.testing.assert_allclose(vd.kl_divergence(q, p), quadrature(q, p), rtol=1e-6)


@pytest.mark.parametrize("loc", [-30.0, -1.0, 0.0, 2.0, 4.0])
@pytest.mark.parametrize("p", [PRIORS[0], PRIORS[4]], ids=lambda d: d.name)
def test_closed_forms_of_the_truncated_normal(loc, p):
    q = vd.TruncatedNormal(loc, 0.7 * ONE)
    assert vd.has_analytic_kl(q, p)
    np.testing.assert_allclose(vd.kl_divergence(q, p), quadrature(q, p), rtol=1e-6)


@pytest.mark.parametrize("p", PRIORS, ids=lambda d: d.name)
def test_of_a_prior_from_itself_is_zero(p):
    np.testing.assert_allclose(tfd.kl_divergence(p, p), 0.0, atol=1e-12)


def test_gamma_keeps_its_digits_in_float32():
    alpha = np.geomspace(1e-2, 1e8, 60)
    for concentration in (0.5, 1.0, 1e4):

        def divergence(dtype, concentration=concentration):
            q = vd.Gamma(alpha.astype(np.float32).astype(dtype), dtype(2))
            p = tfd.Gamma(dtype(concentration), (concentration / alpha).astype(np.float32).astype(dtype))
            return vd.kl_divergence(q, p).numpy()

        np.testing.assert_allclose(divergence(np.float32), divergence(np.float64), rtol=1e-5, atol=1e-5)


def test_gradient_of_gamma_at_high_concentration():
    alpha = tf.constant(np.geomspace(1.0, 1e8, 9).astype(np.float32))
    mean = tf.ones_like(alpha)
    with tf.GradientTape() as tape:
        tape.watch(alpha)
        divergence = vd.kl_divergence(vd.Gamma(alpha, alpha / mean), tfd.Exponential(1.0))
    # At fixed mean the divergence grows as ½ log α.
    np.testing.assert_allclose((alpha * tape.gradient(divergence, alpha))[4:], 0.5, rtol=1e-3)


def test_by_centricity_chooses_the_branch():
    centric = np.array([True, False, True])
    q = vd.Gamma(np.array([1.0, 2.0, 3.0]), 2 * ONE)
    p = vd.ByCentricity(centric, tfd.HalfNormal(1.4 * ONE), tfd.Weibull(2.0, 1.2 * ONE))
    expected = np.where(centric, tfd.kl_divergence(q, p.if_centric), tfd.kl_divergence(q, p.if_acentric))
    np.testing.assert_allclose(vd.kl_divergence(q, p), expected)
    same = vd.ByCentricity(centric, q, q)
    np.testing.assert_allclose(vd.kl_divergence(same, p), expected)
    shared = vd.ByCentricity(p.centric, q, q)
    np.testing.assert_allclose(vd.kl_divergence(shared, p), expected)
    np.testing.assert_allclose(vd.kl_divergence(same, tfd.HalfNormal(ONE)), tfd.kl_divergence(q, tfd.HalfNormal(ONE)))


def test_monte_carlo_otherwise():
    centric = np.array([True, False])
    loc = np.array([1.0, 2.0])
    q = vd.ByCentricity(centric, vd.FoldedNormal(loc, ONE), vd.Rice(loc, ONE))
    p = vd.ByCentricity(centric, tfd.HalfNormal(1.4 * ONE), tfd.Weibull(2.0, 1.2 * ONE))
    assert not vd.has_analytic_kl(q, p)
    expected = [quadrature(q.if_centric[0], p.if_centric), quadrature(q.if_acentric[1], p.if_acentric)]
    z = q.sample(100_000, seed=[0, 1])
    np.testing.assert_allclose(vd.kl_divergence(q, p, z), expected, atol=0.02)
    with pytest.raises(ValueError, match="pass samples"):
        vd.kl_divergence(q, p)


@pytest.mark.parametrize("jit", [False, True])
def test_inside_a_function(jit):
    @tf.function(jit_compile=jit)
    def run(alpha):
        with tf.GradientTape() as tape:
            tape.watch(alpha)
            p = vd.ByCentricity([True, False], tfd.HalfNormal(1.4), tfd.Weibull(2.0, 1.2))
            divergence = vd.kl_divergence(vd.Gamma(alpha, 2.0), p)
        return divergence, tape.gradient(divergence, alpha)

    for x in run(tf.constant([2.0, 30.0])):
        assert np.all(np.isfinite(x))
