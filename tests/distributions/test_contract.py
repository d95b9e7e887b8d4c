"""What every public distribution must do."""

import inspect

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

import vimerge.distributions as vd

from .conftest import FIRST, SECOND

tfd = tfp.distributions

LEVELS = np.array([1e-6, 1e-3, 0.1, 0.4, 0.6, 0.9, 0.999])[:, None]


def gradients(function, *xs):
    xs = [tf.convert_to_tensor(x) for x in xs]
    with tf.GradientTape() as tape:
        tape.watch(xs)
        y = function(*xs)
    return y, tape.gradient(y, xs)


def differences(function, args, step=1e-5):
    """Central differences in each argument, from one call of the function with all that is moved by a step."""
    steps = [step * np.maximum(np.abs(x), 1e-3) for x in args]
    moved = np.stack([args] * 2 * len(args), axis=1)
    for i, h in enumerate(steps):
        moved[i, 2 * i] += h
        moved[i, 2 * i + 1] -= h
    y = np.asarray(function(*moved))
    return [(y[2 * i] - y[2 * i + 1]) / (2 * h) for i, h in enumerate(steps)]


def test_every_public_distribution_is_a_member(members):
    public = {c for c in (getattr(vd, n) for n in vd.__all__) if inspect.isclass(c) and issubclass(c, tfd.Distribution)}
    assert public == {m.cls for m in members}


def test_density_integrates_to_the_cdf(member):
    d = member()
    top = d.mean() + 40 * d.stddev()
    nodes, weights = np.polynomial.legendre.leggauss(400)
    for fraction in (0.2, 0.5, 1.0):
        # The square takes care of a density that is infinite at zero.
        t = 0.5 * (1 + nodes[:, None]) * tf.sqrt(fraction * top)
        integral = tf.reduce_sum(d.prob(t**2) * t * weights[:, None], axis=0) * tf.sqrt(fraction * top)
        np.testing.assert_allclose(integral, d.cdf(fraction * top), rtol=1e-9)
    np.testing.assert_allclose(integral + d.survival_function(top), 1.0, rtol=1e-9)


def test_agrees_with_scipy(member, dtype):
    d, reference = member(dtype), member.scipy()
    rtol = 2e-4 if dtype == np.float32 else 1e-8
    x = reference.ppf(LEVELS)
    x32 = x.astype(dtype)
    x = x32.astype(np.float64)
    np.testing.assert_allclose(d.log_prob(x32), reference.logpdf(x), rtol=rtol, atol=rtol)
    np.testing.assert_allclose(d.cdf(x32)[1:], reference.cdf(x)[1:], rtol=rtol)
    # SciPy's own tails of the Rice distribution are good to 1e-5 or so.
    np.testing.assert_allclose(d.survival_function(x32), reference.sf(x), rtol=max(rtol, 1e-5))
    np.testing.assert_allclose(d.quantile(LEVELS.astype(dtype))[1:], reference.ppf(LEVELS)[1:], rtol=max(rtol, 1e-6))
    np.testing.assert_allclose(d.mean(), reference.mean(), rtol=1e-5)
    np.testing.assert_allclose(d.stddev(), reference.std(), rtol=1e-5 if dtype == np.float32 else 1e-9)
    np.testing.assert_allclose(d.variance(), reference.var(), rtol=2e-5 if dtype == np.float32 else 1e-9)


def test_cdf_and_survival_function_are_complements_and_quantile_inverts(member, dtype):
    d = member(dtype)
    x = d.quantile(LEVELS.astype(dtype))
    np.testing.assert_allclose(d.cdf(x) + d.survival_function(x), 1.0, rtol=1e-5)
    np.testing.assert_allclose(d.cdf(x), np.broadcast_to(LEVELS, x.shape), rtol=2e-4)
    np.testing.assert_array_equal(d.quantile(dtype(0.0)), 0.0)


def test_raw_moments(member, dtype):
    reference = [[m.moment(k) for m in scalars(member)] for k in (1, 2, 3, 4)]
    for k in (1, 2, 3, 4):
        np.testing.assert_allclose(vd.raw_moment(member(dtype), k), reference[k - 1], rtol=1e-5)


def scalars(member):
    """SciPy's distributions one by one: its moments are not vectorised."""
    if member.cls is vd.ByCentricity:
        mixed = member.scipy()
        return [mixed.parts[i % 2].dist(*(np.ravel(FIRST / SECOND)[i],), scale=SECOND[i]) for i in range(len(FIRST))]
    return [member.scipy(a, b) for a, b in zip(FIRST, SECOND, strict=True)]


def test_entropy_and_mode(member):
    d = member()
    np.testing.assert_allclose(d.entropy(), [m.entropy() for m in scalars(member)], rtol=1e-6, atol=1e-6)
    mode = d.mode().numpy()
    at_mode = d.log_prob(mode)
    inside = mode > 0
    assert inside.sum() >= 4
    for shift in (0.999, 1.001):
        assert np.all((d.log_prob(mode * shift) <= at_mode)[inside])


def test_samples_have_the_stated_moments(member, dtype):
    d = member(dtype)
    n = 200_000
    z = d.sample(n, seed=[0, 1]).numpy().astype(np.float64)
    assert z.dtype == np.float64
    assert z.shape == (n, len(FIRST))
    error = z.std(axis=0) / np.sqrt(n)
    assert np.all(np.abs(z.mean(axis=0) - d.mean()) < 5 * error)
    deviation = (z - d.mean().numpy()) ** 2
    assert np.all(np.abs(deviation.mean(axis=0) - d.variance()) < 5 * deviation.std(axis=0) / np.sqrt(n))


def test_samples_are_reproducible(member):
    np.testing.assert_array_equal(member().sample(3, seed=[0, 7]), member().sample(3, seed=[0, 7]))
    assert np.all(member().sample(3, seed=[0, 7]) != member().sample(3, seed=[0, 8]))


@pytest.mark.parametrize("jit", [False, True], ids=["eager", "jit"])
def test_sample_gradient_is_that_of_the_quantile(member, jit):
    def run(a, b):
        return gradients(lambda a, b: member.make(a, b).sample(1, seed=[0, 3])[0], a, b)

    args = tf.constant(FIRST), tf.constant(SECOND)
    z, (d_first, d_second) = tf.function(run, jit_compile=True)(*args) if jit else run(*args)
    u = member.scipy().cdf(z.numpy())

    def quantile(a, b):
        return member.scipy(a, b).ppf(u)

    for found, expected in zip((d_first, d_second), differences(quantile, (FIRST, SECOND)), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("method", ["log_prob", "cdf", "log_survival_function", "quantile"])
def test_gradients_are_finite_differences(member, method):
    def function(a, b, x):
        return getattr(member.make(a, b), method)(x)

    x = np.full_like(FIRST, 0.3) if method == "quantile" else member.scipy().ppf(0.3)
    if member.cls in (vd.Gamma, vd.ByCentricity) and method == "quantile":
        return  # TFP's own, and a choice between two that are tested here
    args = FIRST, SECOND, x
    _, found = gradients(function, *args)
    for gradient, expected in zip(found, differences(function, args), strict=True):
        np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-7)


def test_jit_gives_the_same(member, dtype):
    def run(a, b, x):
        return gradients(lambda *args: member.make(*args[:2]).log_prob(args[2]), a, b, x), moments(member.make(a, b))

    def moments(d):
        return d.mean(), d.stddev()

    # Samples are left out: XLA's generator of random numbers is another.
    args = [tf.constant(x.astype(dtype)) for x in (FIRST, SECOND, member.scipy().ppf(0.3))]
    eager, jitted = run(*args), tf.function(run, jit_compile=True)(*args)
    tolerance = {"rtol": 2e-4, "atol": 1e-4} if dtype == np.float32 else {"rtol": 1e-9, "atol": 1e-9}
    for x, y in zip(tf.nest.flatten(eager), tf.nest.flatten(jitted), strict=True):
        np.testing.assert_allclose(x, y, **tolerance)


# A truncated normal's quantile takes XLA a quarter of a minute; its density, moments and samples are compiled above.
@pytest.mark.parametrize("cls", [vd.Rice, vd.FoldedNormal, pytest.param(vd.TruncatedNormal, marks=pytest.mark.slow)])
def test_the_rest_under_jit(cls):
    def run(a, b):
        d = cls(a, b)
        return d.cdf(a), d.quantile(tf.constant(0.3)), d.mode(), d.entropy()

    args = [tf.constant(x.astype(np.float32)) for x in (FIRST, SECOND)]
    for x, y in zip(run(*args), tf.function(run, jit_compile=True)(*args), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-4)


def test_shapes(member, dtype):
    d = member(dtype)
    n = len(FIRST)
    assert d.dtype == dtype
    assert d.batch_shape == [n]
    assert d.event_shape == []
    assert d.sample([2, 3]).shape == [2, 3, n]
    assert d[1:3].batch_shape == [2]
    np.testing.assert_allclose(d[2:4].mean(), d.mean()[2:4])
    assert d.log_prob(np.ones((5, 1), dtype)).shape == [5, n]
    assert d.copy().batch_shape == [n]
    assert d.reparameterization_type == tfd.FULLY_REPARAMETERIZED
    z = d.experimental_default_event_space_bijector()(np.array([-3.0, 0.0, 3.0], dtype))
    assert np.all(z > 0)


def test_dynamic_shapes(member):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)] * 2)
    def run(a, b):
        if member.cls is vd.ByCentricity:
            d = vd.ByCentricity(a > 2.0, vd.FoldedNormal(a, b), vd.Rice(a, b))
        else:
            d = member.make(a, b)
        z = d.sample(3, seed=[1, 2])
        return z, d.log_prob(z), d.cdf(z), d.mean(), d.stddev(), d.mode()[2:]

    for x in run(FIRST.astype(np.float32), SECOND.astype(np.float32)):
        assert x.shape[-1] in (len(FIRST), len(FIRST) - 2)
        assert np.all(np.isfinite(x))


def test_arguments_are_checked(member):
    if member.cls is vd.ByCentricity:
        with pytest.raises(ValueError, match="same dtype"):
            vd.ByCentricity(True, vd.Rice(1.0, 1.0), vd.Rice(np.float64(1.0), np.float64(1.0)))
        return
    if member.cls is vd.Squared:
        with pytest.raises(TypeError, match="needs the distribution of an amplitude, Rice or FoldedNormal, not"):
            vd.Squared(vd.Gamma(1.0, 1.0))
        with pytest.raises(tf.errors.InvalidArgumentError, match="must be"):
            vd.Squared(vd.Rice(1.0, 1.0), validate_args=True).log_prob(-1.0)
        return
    with pytest.raises(tf.errors.InvalidArgumentError, match="must be positive"):
        member.cls(1.0, -1.0, validate_args=True)
    with pytest.raises(tf.errors.InvalidArgumentError, match="must be"):
        member.cls(1.0, 1.0, validate_args=True).log_prob(-1.0)


def test_outside_the_support(member):
    d = member(np.float32)
    assert np.all(d.log_prob(-1.0) == -np.inf)
    assert np.all(d.cdf(-1.0) == 0.0)
    assert np.all(d.survival_function(-1.0) == 1.0)
