"""What every public surrogate must do."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from vimerge import surrogates

MEMBERS = [
    (surrogates.FrenchWilson, "intensity"),
    (surrogates.Gamma, "intensity"),
    (surrogates.Gamma, "amplitude"),
    (surrogates.RiceWoolfson, "amplitude"),
    (surrogates.FoldedNormal, "amplitude"),
    (surrogates.TruncatedNormal, "amplitude"),
    (surrogates.TruncatedNormal, "intensity"),
    (surrogates.LogNormal, "amplitude"),
    (surrogates.LogNormal, "intensity"),
    (surrogates.Weibull, "amplitude"),
    (surrogates.Weibull, "intensity"),
]

# The lowest mean/sd that each family has: that of |complex normal|, |normal|, the exponential, and none.
LOWEST_RATIO = {
    surrogates.RiceWoolfson: np.sqrt(np.pi / (4 - np.pi)),
    surrogates.FoldedNormal: np.sqrt(2 / (np.pi - 2)),
    surrogates.TruncatedNormal: 1.0,
    surrogates.FrenchWilson: 1.0,
}


IDS = [f"{cls.__name__}-{over}" for cls, over in MEMBERS]


@pytest.fixture(params=MEMBERS, ids=IDS)
def member(request):
    return request.param


@pytest.fixture
def surrogate(member, asu):
    """One with means over two orders of magnitude and mean/sd from 2 to 50."""
    layer = member[0](asu, over=member[1])
    r = np.arange(len(asu))
    mean = 10.0 ** (r % 5 / 2)
    layer.assign_moments(mean, mean / np.geomspace(2.0, 50.0, len(asu)))
    return layer


def test_samples_are_positive_and_finite_even_where_the_mass_is_at_zero(member, asu):
    layer = member[0](asu, over=member[1])
    for ratio in (0.11, 1.0, 1e3):
        layer.assign_moments(np.full(len(asu), 1e-6), np.full(len(asu), 1e-6 / ratio))
        sample = layer(tf.range(len(asu)), mc_samples=200, seed=3).numpy()
        assert np.all(np.isfinite(sample))
        assert np.all(sample > 0)
        assert np.all(np.isfinite(np.log(sample)))
        assert np.all(np.isfinite(layer.intensity(sample)))


@pytest.mark.parametrize("member", MEMBERS, ids=IDS)
@settings(max_examples=15, deadline=None)
@given(log_scale=st.floats(-6, 6), low=st.floats(2.0, 5.0), high=st.floats(5.0, 1e3))
def test_assigned_moments_come_back_at_any_scale(member, asu, log_scale, low, high):
    layer = member[0](asu, over=member[1])
    mean = 10.0**log_scale * np.linspace(0.5, 2.0, len(asu))
    sd = mean / np.geomspace(low, high, len(asu))
    layer.assign_moments(mean, sd)
    distribution = layer.distribution()
    np.testing.assert_allclose(distribution.mean(), mean, rtol=1e-3)
    np.testing.assert_allclose(distribution.stddev(), sd, rtol=1e-3)
    moments = layer.moments()
    got = (moments.I, moments.SIGI) if layer.over == "intensity" else (moments.F, moments.SIGF)
    np.testing.assert_allclose(got, (mean, sd), rtol=1e-3)
    assert np.all(np.isfinite(moments))
    assert np.all(np.asarray(moments) > 0)


def test_an_impossible_ratio_keeps_the_mean_and_takes_the_nearest_member(member, asu):
    layer = member[0](asu, over=member[1])
    mean = np.linspace(0.5, 2.0, len(asu))
    layer.assign_moments(mean, mean / 0.5)
    np.testing.assert_allclose(layer.distribution().mean(), mean, rtol=1e-3)
    lowest = np.full(len(asu), LOWEST_RATIO.get(member[0], 0.5))
    if member[0] is surrogates.RiceWoolfson:
        lowest[asu.centric] = LOWEST_RATIO[surrogates.FoldedNormal]
    if member[0] is surrogates.FrenchWilson:
        lowest[asu.centric] = np.sqrt(0.5)
    np.testing.assert_allclose(layer.distribution().stddev(), mean / lowest, rtol=1e-3)


def test_mean_intensity_is_square_of_mean_amplitude_and_its_variance(surrogate):
    f, sigf, i, _ = (np.asarray(m, np.float64) for m in surrogate.moments())
    np.testing.assert_allclose(i, f**2 + sigf**2, rtol=1e-5)


def test_gradients_reach_every_parameter_of_the_reflections_drawn_and_no_other(surrogate, asu):
    refl_id = np.arange(0, len(asu), 2, dtype=np.int32)
    assert len(surrogate.trainable_variables) == len(surrogate.parameter_names)
    x = 1.1 * tf.gather(surrogate.distribution().mean(), refl_id)

    def of_samples():
        return tf.reduce_sum(tf.math.log(surrogate(refl_id, mc_samples=4, seed=5)))

    def of_density():
        return tf.reduce_sum(surrogate.distribution(refl_id).log_prob(x))

    for function in (of_samples, of_density):
        with tf.GradientTape() as tape:
            value = function()
        for gradient in tape.gradient(value, surrogate.trainable_variables):
            gradient = tf.convert_to_tensor(gradient).numpy()
            assert np.all(np.isfinite(gradient))
            assert np.all(gradient[refl_id] != 0)
            assert np.all(np.delete(gradient, refl_id) == 0)


def test_a_variate_that_it_cannot_have_is_refused_in_a_sentence(member, asu):
    wrong = "phase"
    with pytest.raises(ValueError, match=f"^{member[0].__name__} is a distribution over .*, not over '{wrong}'\\.$"):
        member[0](asu, over=wrong)


@pytest.mark.parametrize(("mean", "sd"), [(0.0, 1.0), (1.0, 0.0), (-1.0, 1.0), (np.nan, 1.0)])
def test_moments_that_are_not_positive_are_refused(surrogate, asu, mean, sd):
    before = surrogate.get_weights()
    with pytest.raises(ValueError, match="positive"):
        surrogate.assign_moments(np.full(len(asu), mean), np.full(len(asu), sd))
    for old, new in zip(before, surrogate.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
