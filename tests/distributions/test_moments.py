"""Moments of amplitude and intensity."""

import numpy as np
import pytest
import scipy.special
import tensorflow as tf
import tensorflow_probability as tfp

import vimerge.distributions as vd

tfd = tfp.distributions

ONE = np.float64(1.0)
AMPLITUDES = [
    vd.Rice(1.3, ONE),
    vd.FoldedNormal(0.8, ONE),
    vd.Gamma(3.3, 2 * ONE),
    tfd.Gamma(0.7, 2 * ONE),
    tfd.LogNormal(0.3, 0.5 * ONE),
    tfd.HalfNormal(1.7 * ONE),
    tfd.Weibull(2.0, 1.7 * ONE),
    tfd.Weibull(30.0, 1.7 * ONE),
    vd.Weibull(0.8, 1.7 * ONE),
    vd.Weibull(30.0, 1.7 * ONE),
    vd.ByCentricity(True, tfd.HalfNormal(1.7 * ONE), tfd.Weibull(2.0, 1.7 * ONE)),
    vd.ByCentricity(False, vd.FoldedNormal(0.8, ONE), vd.Rice(0.8, ONE)),
]
TRUNCATED = [vd.TruncatedNormal(loc, 1.5 * ONE) for loc in (-12.0, -2.0, 0.0, 1.3, 20.0)]
INTENSITIES = [d for d in AMPLITUDES if not isinstance(d, vd.Rice | vd.FoldedNormal)][:-1]


def quadrature(d, power):
    """Mean and standard deviation of x^power by the trapezoidal rule on log x."""
    log_x = np.linspace(-60.0, 6.0, 40_001)
    x = np.exp(log_x)
    weights = d.prob(x).numpy() * x * (log_x[1] - log_x[0])
    mean = np.sum(weights * x**power)
    return mean, np.sqrt(np.sum(weights * (x**power - mean) ** 2))


def _name(d):
    return d.name


@pytest.mark.parametrize(
    ("d", "over"),
    [(d, "amplitude") for d in AMPLITUDES + TRUNCATED] + [(d, "intensity") for d in INTENSITIES + TRUNCATED],
    ids=lambda x: getattr(x, "name", x),
)
def test_moments_by_quadrature(d, over):
    found = vd.moments(d, over)
    powers = (1, 2) if over == "amplitude" else (0.5, 1)
    expected = [x for p in powers for x in quadrature(d, p)]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("d", INTENSITIES, ids=_name)
@pytest.mark.parametrize("order", [0.5, 1, 1.7, 2, 3])
def test_raw_moments_by_quadrature(d, order):
    np.testing.assert_allclose(vd.raw_moment(d, order), quadrature(d, order)[0], rtol=1e-6)


@pytest.mark.parametrize("cls", [vd.Gamma, tfd.Gamma])
def test_gamma_intensity_over_eleven_decades(cls):
    alpha = np.geomspace(1e-3, 1e8, 200).astype(np.float32)
    found = vd.moments(cls(alpha, np.float32(2)), "intensity")
    a = alpha.astype(float)
    # SciPy's ratio of gamma functions in double precision, and beyond it the asymptotic variance.
    mean = scipy.special.poch(a, 0.5)
    variance = np.where(a < 1e3, a - mean**2, 0.25 - 1 / (32 * a) - 1 / (128 * a**2))
    np.testing.assert_allclose(found.F, mean / np.sqrt(2), rtol=1e-6)
    np.testing.assert_allclose(found.SIGF, np.sqrt(variance / 2), rtol=1e-5)
    np.testing.assert_allclose(found.I, a / 2, rtol=1e-6)
    np.testing.assert_allclose(found.SIGI, np.sqrt(a) / 2, rtol=1e-6)


def test_gradients_of_gamma_moments_are_finite():
    alpha = tf.constant(np.geomspace(1e-3, 1e8, 50).astype(np.float32))
    for over in ("amplitude", "intensity"):
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(alpha)
            found = vd.moments(vd.Gamma(alpha, 1.0), over)
        for x in found:
            assert np.all(np.isfinite(tape.gradient(x, alpha)))


def test_errors_name_the_fix():
    with pytest.raises(ValueError, match="'amplitude' or 'intensity'"):
        vd.moments(vd.Rice(1.0, 1.0), "phase")
    with pytest.raises(ValueError, match="over amplitude"):
        vd.moments(vd.Rice(1.0, 1.0), "intensity")
    with pytest.raises(NotImplementedError, match="register"):
        vd.moments(tfd.Normal(1.0, 1.0), "amplitude")
    with pytest.raises(ValueError, match="order 1 to 4"):
        vd.Rice(1.0, 1.0).raw_moment(5)
