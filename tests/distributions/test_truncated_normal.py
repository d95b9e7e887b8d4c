"""The truncated normal from fifty scales left of zero to a million right of it."""

import numpy as np
import pytest
import scipy.special
import scipy.stats
import tensorflow as tf

import vimerge.distributions as vd

REDUCED = np.concatenate([-np.geomspace(50.0, 0.01, 40), [0.0], np.geomspace(0.01, 1e6, 40)])
LEFT = REDUCED[REDUCED < 8]
NODE, WEIGHT = np.polynomial.legendre.leggauss(300)


def log_survival(a, r):
    """log Φ(a - r)/Φ(a) by scaled error functions, or plainly where a is positive."""
    if a > 0:
        return scipy.special.log_ndtr(a - r) - scipy.special.log_ndtr(a)
    x = -a / np.sqrt(2)
    return r * (a - r / 2) + np.log(scipy.special.erfcx(x + r / np.sqrt(2)) / scipy.special.erfcx(x))


def integrate(a, function):
    """E f(r), with E 1 beside it, over r = t² by Gauss and Legendre's rule; t is the amplitude of the intensity r."""
    high = 15 + a if a > 0 else 200 / (-a + np.sqrt(a * a + 200))
    t = np.sqrt(high) * (NODE + 1) / 2
    r = t**2
    log_norm = scipy.special.log_ndtr(a) if a > 0 else np.log(scipy.special.erfcx(-a / np.sqrt(2)) / 2)
    log_p = -((r - a) ** 2) / 2 - log_norm if a > 0 else r * (a - r / 2) - log_norm
    mass = np.sqrt(high) * WEIGHT * t * np.exp(log_p) / np.sqrt(2 * np.pi)
    return np.sum(mass * function(r)), np.sum(mass)


@pytest.mark.parametrize("over", ["amplitude", "intensity"])
@pytest.mark.parametrize(("dtype", "rtol"), [(np.float32, 1e-5), (np.float64, 1e-11)])
def test_moments_by_quadrature(over, dtype, rtol):
    a = LEFT.astype(dtype)
    found = np.asarray(vd.moments(vd.TruncatedNormal(a, dtype(1)), over), np.float64)
    expected = []
    for x in a.astype(float):
        assert abs(integrate(x, np.ones_like)[1] - 1) < 1e-12
        for p in (1, 2) if over == "amplitude" else (0.5, 1):
            mean = integrate(x, lambda r, p=p: r**p)[0]
            sd = np.sqrt(integrate(x, lambda r, p=p, mean=mean: (r**p - mean) ** 2)[0])
            expected.append((mean, sd))
    expected = np.reshape(expected, (len(a), 4)).T
    np.testing.assert_allclose(found, expected, rtol=rtol)


@pytest.mark.parametrize("over", ["amplitude", "intensity"])
def test_moments_in_float32_are_those_in_float64_at_any_scale(over):
    for scale in (1e-6, 1.0, 1e6):
        loc = (REDUCED * scale).astype(np.float32)
        low = vd.moments(vd.TruncatedNormal(loc, np.float32(scale)), over)
        high = vd.moments(vd.TruncatedNormal(loc.astype(float), float(np.float32(scale))), over)
        for x, y in zip(low, high, strict=True):
            np.testing.assert_allclose(x, y, rtol=2e-5)


def test_narrow_intensities_have_the_amplitude_moments_of_a_normal():
    a = np.geomspace(1e3, 1e6, 10).astype(np.float32)
    found = vd.moments(vd.TruncatedNormal(a, 1.0), "intensity")
    np.testing.assert_allclose(found.F, np.sqrt(a.astype(float)), rtol=1e-6)
    np.testing.assert_allclose(found.SIGF, 0.5 / np.sqrt(a.astype(float)), rtol=1e-5)


@pytest.mark.parametrize("jit", [False, True], ids=["graph", "jit"])
def test_samples_are_uniform_in_their_survival_function(jit):
    """For each location the probabilities of 4000 samples pass Kolmogorov's and Smirnov's test."""
    a = np.concatenate([REDUCED[::4], [-1.26, -1.24]]).astype(np.float32)

    @tf.function(jit_compile=jit)
    def draw(loc, scale):
        with tf.GradientTape() as tape:
            tape.watch([loc, scale])
            z = vd.TruncatedNormal(loc, scale).sample(4000, seed=[1, 2])
        return z, tape.gradient(z, [loc, scale])

    for scale in (1e-6, 1.0, 1e6):
        z, gradients = draw(tf.constant(a * np.float32(scale)), tf.fill(a.shape, np.float32(scale)))
        assert np.all(z > 0)
        assert np.all(np.isfinite(gradients))
        r = z.numpy().astype(float) / float(np.float32(scale))
        for i, x in enumerate(a.astype(float)):
            # From a million scales away float32 leaves z no more than sixteen steps a scale.
            if x < 1e4:
                u = np.exp(log_survival(x, r[:, i]))
                assert scipy.stats.kstest(u, "uniform").pvalue > 1e-5


@pytest.mark.parametrize(("dtype", "rtol"), [(np.float32, 1e-3), (np.float64, 1e-6)])
def test_gradient_of_the_quantile_is_its_finite_difference(dtype, rtol):
    # All probabilities and steps at once: the search for the root takes as long for one as for many.
    a, p = LEFT[::3], np.array([1e-3, 0.3, 0.9, 0.999])[:, np.newaxis]
    loc, scale = (tf.constant(np.broadcast_to(x, (len(p), len(a))).astype(dtype)) for x in (2 * a, 2.0))
    with tf.GradientTape() as tape:
        tape.watch([loc, scale])
        z = vd.TruncatedNormal(loc, scale).quantile(p.astype(dtype))
    found = tape.gradient(z, [loc, scale])
    h = 1e-4 * np.maximum(np.abs(a), 1.0)
    x, one = 2 * a.astype(dtype).astype(float), np.ones(len(a))
    loc, scale = np.array([x + h, x - h, x, x]), 2 * np.array([one, one, 1.0001 * one, 0.9999 * one])
    right, left, wide, narrow = vd.TruncatedNormal(loc[:, np.newaxis], scale[:, np.newaxis]).quantile(p).numpy()
    np.testing.assert_allclose(found[0], (right - left) / (2 * h), rtol=rtol, atol=1e-7)
    np.testing.assert_allclose(found[1], (wide - narrow) / 4e-4, rtol=rtol, atol=1e-7)


@pytest.mark.parametrize(("dtype", "atol"), [(np.float32, 1e-5), (np.float64, 1e-11)])
def test_tails_and_density_left_of_zero(dtype, atol):
    a = LEFT.astype(dtype)
    d = vd.TruncatedNormal(a, dtype(1))
    p = np.array([1e-6, 1e-3, 0.3, 0.9, 1 - 1e-4], dtype)[:, None]
    r = d.quantile(p).numpy()
    expected = np.array(
        [[log_survival(x, y) for x, y in zip(a.astype(float), row, strict=True)] for row in r.astype(float)]
    )
    np.testing.assert_allclose(d.log_survival_function(r), expected, rtol=atol, atol=atol)
    np.testing.assert_allclose(d.log_cdf(r) + 0 * r, np.log(p) + 0 * r, atol=3 * max(atol, 1e-10))
    slope = tf.constant(r.astype(float))
    with tf.GradientTape() as tape:
        tape.watch(slope)
        log_sf = vd.TruncatedNormal(a.astype(float), np.float64(1)).log_survival_function(slope)
    log_density = np.log(-tape.gradient(log_sf, slope).numpy()) + expected
    np.testing.assert_allclose(d.log_prob(r), log_density, rtol=atol, atol=atol)


def test_far_left_it_is_exponential():
    d = vd.TruncatedNormal(np.float32(-50.0), np.float32(1.0))
    np.testing.assert_allclose(d.mean(), 1 / 50, rtol=1e-3)
    np.testing.assert_allclose(d.stddev(), 1 / 50, rtol=2e-3)
    np.testing.assert_allclose(d.entropy(), 1 - np.log(50.0), rtol=1e-3)
    assert d.mode() == 0
