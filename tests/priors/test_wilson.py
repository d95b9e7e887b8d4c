import gemmi
import keras
import numpy as np
import pytest

from vimerge.priors import Wilson
from vimerge.reflections import ReciprocalASU

REPEATS = 4
K, B = 500.0, 25.0


@pytest.fixture(scope="module")
def crystal():
    """Intensities of some 10,400 reflections that follow Wilson's statistics about a known Σ(d)."""
    cell, spacegroup = gemmi.UnitCell(60, 60, 80, 90, 90, 90), gemmi.SpaceGroup("P 43 21 2")
    asu = ReciprocalASU.from_observed(gemmi.make_miller_array(cell, spacegroup, 2.0), cell, spacegroup)
    rng = np.random.default_rng(2)
    shape = np.where(asu.centric, 0.5, 1.0)
    return asu, K * np.exp(-B * asu.s2 / 2), asu.epsilon * rng.gamma(shape) / shape


def estimate(crystal, table, noise=0.0, fall_off=True, spoil=None):
    """Σ estimated from REPEATS noisy observations of each reflection, over the true Σ."""
    asu, sigma, unit = crystal
    rng = np.random.default_rng(5)
    sigma = sigma if fall_off else np.full(len(asu), K)
    refl_id = np.repeat(np.arange(len(asu)), REPEATS)
    iobs = (sigma * unit)[refl_id] + noise * rng.normal(size=len(refl_id))
    if spoil is not None:
        bad = rng.random(len(iobs)) < 0.003
        iobs[bad] += spoil * K
    prior = Wilson(asu)
    prior.adapt(table(asu, refl_id, iobs, max(noise, 1.0)))
    return np.asarray(prior.mean_intensity) / sigma


def interior(asu):
    low, high = np.quantile(asu.s2, [0.03, 0.97])
    return (asu.s2 > low) & (asu.s2 < high)


def test_mean_intensity_is_sigma_times_epsilon(asu):
    prior = Wilson(asu, 7.0)
    np.testing.assert_allclose(prior(np.arange(len(asu))), 7.0 * asu.epsilon, rtol=1e-6)
    np.testing.assert_allclose(prior.mean_intensity, 7.0, rtol=1e-6)


def test_centric_and_acentric_intensities_spread_as_wilson_says(asu):
    prior = Wilson(asu, 7.0)
    distribution = prior.distribution(over="intensity")
    expected = np.where(asu.centric, np.sqrt(2.0), 1.0)
    np.testing.assert_allclose(distribution.stddev() / distribution.mean(), expected, rtol=1e-5)


def test_known_fall_off_comes_back(crystal, table):
    ratio = estimate(crystal, table)[interior(crystal[0])]
    # Each of 40 shells has 260 reflections and so an error of 6 %; a smooth curve through them is better than that.
    assert np.sqrt(np.mean((ratio - 1) ** 2)) < 0.04
    assert np.abs(ratio - 1).max() < 0.10


def test_fall_off_takes_negative_intensities_as_they_come(crystal, table):
    # Σ falls to 2 at the edge: a tenth of the noise, and half of the weakest intensities are negative.
    ratio = estimate(crystal, table, noise=20.0)[interior(crystal[0])]
    assert np.sqrt(np.mean((ratio - 1) ** 2)) < 0.06


def test_fall_off_is_not_biased_where_noise_is_ten_times_the_signal(crystal, table):
    ratio = estimate(crystal, table, noise=10 * K, fall_off=False)
    # Four observations of 10,400 reflections, each with an error of 10, average to 0.05; the logarithm of a shell's
    # mean, good to 0.3, is on average another 0.05 too low.
    assert np.mean(ratio) == pytest.approx(1.0, abs=0.2)


@pytest.mark.parametrize("size", [100.0, 1000.0])
def test_fall_off_withstands_gross_outliers(crystal, table, size):
    ratio = estimate(crystal, table, fall_off=False, spoil=size)[interior(crystal[0])]
    # Were the 0.3 % believed, Σ would be wrong by 30 % and by 300 %.
    assert np.sqrt(np.mean((ratio - 1) ** 2)) < 0.06


def test_reflections_without_observations_have_the_sigma_of_their_resolution(crystal, table):
    asu, sigma, unit = crystal
    refl_id = np.repeat(np.arange(len(asu)), REPEATS)
    reflections = table(asu, refl_id, (sigma * unit)[refl_id], 1.0)
    hidden = np.random.default_rng(6).random(len(asu)) < 0.3
    prior = Wilson(asu)
    prior.adapt(reflections[~hidden[reflections.refl_id]])
    ratio = np.asarray(prior.mean_intensity)[hidden & interior(asu)] / sigma[hidden & interior(asu)]
    assert np.abs(ratio - 1).max() < 0.1


def test_a_handful_of_observations_gives_a_positive_sigma(asu, table):
    reflections = table(asu, np.arange(60), np.linspace(-1.0, 5.0, 60), 1.0)
    prior = Wilson(asu)
    prior.adapt(reflections)
    assert np.all(np.isfinite(prior.mean_intensity))
    np.testing.assert_allclose(prior.mean_intensity, np.mean(reflections.iobs / asu.epsilon), rtol=0.2)


def test_no_signal_at_all_is_an_error(asu, table):
    with pytest.raises(ValueError, match=r"The mean intensity is -0\.938: there is no signal to scale; check .*\.$"):
        Wilson(asu).adapt(table(asu, np.arange(60), np.full(60, -1.0), 1.0))


@pytest.mark.parametrize("given", [3.0, np.linspace(1.0, 2.0, 60)], ids=["one", "each"])
def test_a_given_mean_intensity_is_kept(asu, table, given):
    prior = Wilson(asu, given)
    reloaded = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(prior))
    for layer in (prior, reloaded):
        layer.adapt(table(asu, np.arange(60), np.full(60, 100.0), 1.0))
        np.testing.assert_allclose(layer.mean_intensity, np.broadcast_to(given, 60), rtol=1e-6)


def test_a_mean_intensity_that_is_not_positive_is_refused(asu):
    with pytest.raises(ValueError, match="mean_intensity must be positive"):
        Wilson(asu, 0.0)
