"""Float32 at the ends of the range: scale from 1e-6 to 1e6, location up to a million times that."""

import functools

import numpy as np
import pytest
import scipy.special
import tensorflow as tf
import tensorflow_probability as tfp
from hypothesis import given, settings
from hypothesis import strategies as st

import vimerge.distributions as vd

AMPLITUDES = [vd.Rice, vd.FoldedNormal, vd.TruncatedNormal]


@functools.cache
def everything(cls):
    """Return a function, traced once, of all values and all their gradients."""

    @tf.function(input_signature=[tf.TensorSpec([5], tf.float32)] * 3)
    def run(loc, scale, points):
        with tf.GradientTape(persistent=True) as tape:
            tape.watch([loc, scale, points])
            d = cls(loc, scale)
            z = d.sample(seed=[1, 2])
            values = z, d.log_prob(points), d.log_prob(z), d.mean(), d.stddev(), d.mode()
        gradients = [tape.gradient(y, [loc, scale, points], unconnected_gradients="zero") for y in values]
        return values, gradients, (d.cdf(points), d.entropy())

    return run


@pytest.mark.parametrize("cls", AMPLITUDES)
@settings(max_examples=50, deadline=None)
@given(log_scale=st.floats(-6, 6), log_ratio=st.one_of(st.just(-np.inf), st.floats(-6, 6)), offset=st.floats(-6, 6))
def test_everything_is_finite(cls, log_scale, log_ratio, offset):
    scale = np.float32(10.0**log_scale)
    loc = np.float32(scale * 10.0**log_ratio)
    # A sample, the location, the location moved by a few sigma, and the neighbourhood of zero.
    near = max(float(loc + offset * scale), 1e-30)
    points = [near, float(loc) + float(scale), 1e-3 * float(scale), 1e-9 * float(scale), 1e-30]
    values, gradients, others = everything(cls)(np.full(5, loc), np.full(5, scale), np.array(points, np.float32))
    z, *_, mean, stddev, _ = values
    for x in tf.nest.flatten([values, gradients, others]):
        assert np.all(np.isfinite(x))
    assert np.all(z > 0)
    assert np.all(mean >= loc * np.float32(1 - 1e-6))
    assert np.all((stddev > 0.5 * scale) & (stddev < 1.001 * scale))


@pytest.mark.parametrize("cls", AMPLITUDES)
def test_float32_equals_float64(cls):
    ratio = np.concatenate([[0.0], np.geomspace(1e-3, 1e6, 60)])
    low, high = cls(ratio.astype(np.float32), np.float32(1)), cls(ratio.astype(np.float32).astype(float), 1.0)
    for name, rtol in (("mean", 1e-6), ("variance", 1e-5), ("stddev", 5e-6), ("mode", 1e-4), ("entropy", 1e-6)):
        x, y = getattr(low, name)(), getattr(high, name)()
        np.testing.assert_allclose(x, y, rtol=rtol, atol=1e-30, err_msg=name)


@pytest.mark.parametrize("cls", AMPLITUDES)
def test_narrow_is_normal(cls):
    d = cls(1e6, np.float64(0.5))
    x = np.array([-12.0, -6.0, -1.0, 0.0, 1.0, 6.0, 12.0])
    np.testing.assert_allclose(d.log_cdf(1e6 + 0.5 * x), scipy.special.log_ndtr(x), rtol=1e-4, atol=1e-12)
    np.testing.assert_allclose(
        d.log_survival_function(1e6 + 0.5 * x), scipy.special.log_ndtr(-x), rtol=1e-4, atol=1e-12
    )


def test_rice_at_zero_location_is_rayleigh():
    z = np.geomspace(1e-8, 12.0, 30)
    d = vd.Rice(0.0, np.float64(1.0))
    np.testing.assert_allclose(d.cdf(z), -np.expm1(-0.5 * z**2), rtol=1e-11)
    np.testing.assert_allclose(d.log_survival_function(z), -0.5 * z**2, rtol=1e-9, atol=1e-15)


def test_folded_normal_at_zero_location_is_half_normal():
    z = np.geomspace(1e-8, 12.0, 30)
    d = vd.FoldedNormal(0.0, np.float64(1.0))
    np.testing.assert_allclose(d.cdf(z), scipy.special.erf(z / np.sqrt(2)), rtol=1e-11)
    np.testing.assert_allclose(d.survival_function(z), scipy.special.erfc(z / np.sqrt(2)), rtol=1e-10)


def test_folded_normal_ignores_the_sign_of_loc():
    z = np.array([0.2, 1.0, 3.0])
    np.testing.assert_allclose(vd.FoldedNormal(-1.5, 0.7).log_prob(z), vd.FoldedNormal(1.5, 0.7).log_prob(z))


@pytest.mark.parametrize("cls", AMPLITUDES)
def test_implicit_gradient_has_less_variance_than_the_path(cls):
    loc, scale = tf.constant(1.0), tf.constant(1.0)
    with tf.GradientTape() as tape:
        tape.watch(loc)
        z = cls(tf.fill([20_000], loc), scale).sample(seed=[0, 1])
    implicit = tape.gradient(z, loc) / 20_000
    with tf.GradientTape() as tape:
        tape.watch(loc)
        mean = cls(loc, scale).mean()
    np.testing.assert_allclose(implicit, tape.gradient(mean, loc), rtol=0.01)


def test_gradients_of_by_centricity_at_zero_are_finite():
    scale = tf.Variable([1e-6, 1.0, 1e6, 1e6])
    with tf.GradientTape() as tape:
        prior = vd.ByCentricity(
            [True, True, True, False], tfp.distributions.HalfNormal(scale), tfp.distributions.Weibull(2.0, scale)
        )
        log_prob = tf.reduce_sum(prior.log_prob([0.0, 0.0, 0.0, 1.0]))
    assert np.all(np.isfinite(tape.gradient(log_prob, scale)))


def test_log_density_of_gamma_at_high_concentration():
    alpha = np.array([1e2, 1e4, 1e6, 1e8], np.float32)
    x = (alpha * (1 + 2 / np.sqrt(alpha))).astype(np.float32)
    reference = vd.Gamma(alpha.astype(float), np.float64(1)).log_prob(x.astype(float))
    np.testing.assert_allclose(vd.Gamma(alpha, 1.0).log_prob(x), reference, rtol=1e-4)


@pytest.mark.parametrize("cls", AMPLITUDES)
def test_quantile_inverts_far_tails(cls):
    d = cls(np.array([0.0, 1e-3, 0.5, 3.0, 8.0, 30.0], np.float32), np.float32(1))
    p = np.array([1e-20, 1e-8, 1e-4, 0.4], np.float32)[:, None]
    np.testing.assert_allclose(d.log_cdf(d.quantile(p)), np.broadcast_to(np.log(p), (4, 6)), atol=2e-5)
    np.testing.assert_allclose(
        d.log_survival_function(d.quantile(1 - p[2:])), np.log1p(-(1 - p[2:])) + 0 * d.loc, atol=2e-4
    )


def test_gradient_of_a_gamma_density_is_finite_however_small_the_variate():
    from vimerge.distributions.gamma_functions import log_density

    alpha, x = tf.constant([0.6, 2.0, 1e3, 1e6]), tf.constant([1e-30, 1e-12, 900.0, 1.001e6])
    with tf.GradientTape() as tape:
        tape.watch([alpha, x])
        total = tf.reduce_sum(log_density(alpha, x))
    for gradient in tape.gradient(total, [alpha, x]):
        assert np.all(np.isfinite(gradient))
    np.testing.assert_allclose(tape_free_slope(alpha, x), (alpha - 1.0) / x - 1.0, rtol=1e-2, atol=1e-4)


def tape_free_slope(alpha, x):
    """Slope in x by central differences, in double precision."""
    from vimerge.distributions.gamma_functions import log_density

    alpha, x = (tf.cast(value, tf.float64) for value in (alpha, x))
    step = 1e-6 * x
    return (log_density(alpha, x + step) - log_density(alpha, x - step)) / (2.0 * step)
