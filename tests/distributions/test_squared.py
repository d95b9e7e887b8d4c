"""The square of an amplitude: what the contract of the square of a Rice distribution does not say."""

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf
import tensorflow_probability as tfp

import vimerge.distributions as vd

tfd = tfp.distributions

RATIO = np.array([0.0, 1e-3, 0.4, 1.4, 1.42, 1.5, 3.0, 12.0])
SCALE = np.array([1.0, 2.0, 0.3, 1e-2, 1.0, 7.0, 0.5, 20.0])
FAMILIES = [(vd.FoldedNormal, 1), (vd.Rice, 2)]


@pytest.fixture(params=FAMILIES, ids=lambda m: m[0].__name__)
def pair(request):
    """A batch of squares and SciPy's noncentral χ² distributions, one for each of the batch."""
    cls, dimension = request.param
    reference = [
        scipy.stats.ncx2(dimension, a**2, scale=b**2) if a else scipy.stats.gamma(0.5 * dimension, scale=2 * b**2)
        for a, b in zip(RATIO, SCALE, strict=True)
    ]
    return vd.Squared(cls(RATIO * SCALE, SCALE)), reference


def test_it_is_the_noncentral_chi_squared_distribution(pair):
    d, reference = pair
    for p in (1e-4, 0.3, 0.99):
        x = np.array([r.ppf(p) for r in reference])
        np.testing.assert_allclose(d.log_prob(x), [r.logpdf(y) for r, y in zip(reference, x, strict=True)], rtol=1e-7)
        np.testing.assert_allclose(d.cdf(x), p, rtol=1e-7)
        np.testing.assert_allclose(d.log_survival_function(x), np.log1p(-p), rtol=1e-6)
        np.testing.assert_allclose(d.quantile(p), x, rtol=1e-7)
    for order in (1, 2, 3, 4):
        np.testing.assert_allclose(d.raw_moment(order), [r.moment(order) for r in reference], rtol=1e-6)
    np.testing.assert_allclose(d.stddev(), [r.std() for r in reference], rtol=1e-9)


def test_half_moments_are_those_of_the_amplitude(pair):
    d, _ = pair
    np.testing.assert_allclose(d.raw_moment(0.5), d.amplitude.mean())
    np.testing.assert_allclose(d.raw_moment(1.5), d.amplitude.raw_moment(3))
    with pytest.raises(ValueError, match=r"whole orders, ½ and 1½ in closed form, not 0\.7"):
        d.raw_moment(0.7)


def test_moments_of_amplitude_and_intensity_do_not_depend_on_the_variate(pair):
    d, _ = pair
    for x, y in zip(vd.moments(d, "intensity"), vd.moments(d.amplitude, "amplitude"), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-12)
    with pytest.raises(ValueError, match="powers ½ and 1"):
        vd.moments(d, "amplitude")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_entropy_is_that_of_its_samples(pair, dtype):
    d, _ = pair
    d = vd.Squared(type(d.amplitude)((RATIO * SCALE).astype(dtype), SCALE.astype(dtype)))
    surprise = -d.log_prob(d.sample(100_000, seed=[1, 2])).numpy().astype(np.float64)
    error = surprise.std(axis=0) / np.sqrt(len(surprise))
    assert np.all(np.abs(surprise.mean(axis=0) - d.entropy()) < 5 * error)


def test_without_location_it_is_wilsons_distribution():
    x = np.geomspace(1e-6, 20.0, 40)
    for cls, shape in ((vd.FoldedNormal, 0.5), (vd.Rice, 1.0)):
        d = vd.Squared(cls(np.float64(0), np.float64(1.5)))
        gamma = tfd.Gamma(np.float64(shape), np.float64(0.5 / 1.5**2))
        np.testing.assert_allclose(d.log_prob(x), gamma.log_prob(x), rtol=1e-12)
        np.testing.assert_allclose(d.entropy(), gamma.entropy(), rtol=1e-7)


def test_mode_is_where_the_density_is_highest():
    a = np.concatenate([[0.0, 1.0, 1.41], np.sqrt(2) + np.geomspace(1e-4, 30.0, 40)])
    d = vd.Squared(vd.Rice(a, np.float64(1)))
    mode = d.mode().numpy()
    np.testing.assert_array_equal(mode[:3], 0.0)
    x = np.maximum(mode[3:] * np.array([[0.99], [1.0], [1.01]]), 1e-12)
    below, at, above = vd.Squared(vd.Rice(a[3:], np.float64(1))).log_prob(x).numpy()
    assert np.all(mode[3:] > 0)
    assert np.all((below < at + 1e-14) & (above < at + 1e-14))
    np.testing.assert_array_equal(vd.Squared(vd.FoldedNormal(a, np.float64(1))).mode(), 0.0)


@pytest.mark.parametrize("cls", [vd.Rice, vd.FoldedNormal])
def test_divergence_is_that_of_the_amplitudes(cls):
    q, p = vd.Squared(cls(1.0, np.float64(0.5))), vd.Squared(cls(0.7, np.float64(0.8)))
    x = q.sample(200_000, seed=[1, 2])
    by_amplitude = vd.kl_divergence(q.amplitude, p.amplitude, tf.sqrt(x))
    np.testing.assert_allclose(vd.kl_divergence(q, p, x), by_amplitude, rtol=1e-9)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("cls", [vd.Rice, vd.FoldedNormal])
def test_float32_has_the_density_and_slopes_of_float64(cls, scale):
    """From next to zero to the far tail where it is broad, over ten standard deviations where it is narrow."""
    near, far = np.meshgrid([0.0, 1e-3, 1.0, 5.0], np.geomspace(1e-8, 300.0, 30)), np.linspace(-5.0, 5.0, 30)
    a = np.concatenate([near[0].ravel(), np.repeat([30.0, 1e3], 30)]).astype(np.float32)
    reduced = np.concatenate([near[1].ravel(), (30.0 + far) ** 2, (1e3 + far) ** 2])
    x, scale = (reduced * scale**2).astype(np.float32), np.float32(scale)
    found = []
    for dtype in (np.float32, np.float64):
        loc, at = tf.constant(a * scale, dtype), tf.constant(x, dtype)
        with tf.GradientTape() as tape:
            tape.watch([loc, at])
            log_prob = vd.Squared(cls(loc, dtype(scale))).log_prob(at)
        d_loc, d_x = tape.gradient(log_prob, [loc, at])
        # The change over a standard deviation. Rounding moves x by 1e-4 of these at loc/scale = 1000.
        found.append((log_prob, d_loc * dtype(scale), d_x * dtype(2 * scale**2) * np.hypot(1, a).astype(dtype)))
    for low, high in zip(*found, strict=True):
        np.testing.assert_allclose(low, high, rtol=1e-4, atol=1e-3)


def test_it_is_reached_by_centricity_under_xla():
    @tf.function(jit_compile=True)
    def run(loc, scale, x):
        with tf.GradientTape() as tape:
            tape.watch([loc, scale, x])
            d = vd.ByCentricity([True, False], vd.Squared(vd.FoldedNormal(loc, scale)), vd.Squared(vd.Rice(loc, scale)))
            log_prob = d.log_prob(x)
        rest = d.mean(), d.stddev(), d.mode(), d.entropy(), d.cdf(x), d.sample(seed=[1, 2])
        return log_prob, *tape.gradient(log_prob, [loc, scale, x]), *rest

    for x in (0.0, 1e-38, 1e-6, 3.0):
        for value in run(tf.constant([1.0, 2.0]), tf.constant([0.5, 0.5]), tf.constant([1.0, x])):
            assert np.all(np.isfinite(value))
