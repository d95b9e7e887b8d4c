import numpy as np
import pytest
import tensorflow as tf

from vimerge import scaling
from vimerge.distributions import has_analytic_kl

WITH_SPREAD = [scaling.LogNormal, scaling.Gamma, scaling.FoldedNormal]


@pytest.fixture(params=WITH_SPREAD)
def family(request):
    return request.param


def relative_sd(distribution):
    return (distribution.stddev() / distribution.mean()).numpy()


@pytest.mark.parametrize("sds", [{"sd": 0.0}, {"sd": -1.0}, {"prior_sd": -1.0}, {"sd": 2.0, "prior_sd": 1.0}])
def test_it_needs_a_positive_sd_below_the_priors(family, sds):
    with pytest.raises(ValueError, match=r"must be (positive|above 0.0001) and below the prior's"):
        family(**sds)


@pytest.mark.parametrize("raw", [-30.0, 0.0, 8.0, 100.0])
def test_it_stays_narrower_than_its_prior_whatever_the_network_says(family, raw):
    posterior = family(sd=0.1, prior_sd=0.5)
    distribution = posterior.distribution(tf.constant([[0.0, raw]]))
    assert 0 < relative_sd(distribution)[0] <= relative_sd(posterior.prior) * (1 + 1e-6)
    sample = distribution.sample(1000, seed=1)
    assert np.all(np.isfinite(sample))
    assert np.all(sample.numpy() > 0)
    kl = posterior.kl_divergence(distribution, sample).numpy()
    assert np.isfinite(kl[0])
    # As wide as the prior and about the same scale, it is the prior.
    if raw == 100.0:
        np.testing.assert_allclose(kl, 0.0, atol=1e-5)


def test_it_starts_with_its_sd(family):
    distribution = family(sd=0.02).distribution(tf.zeros([3, 2]))
    np.testing.assert_allclose(relative_sd(distribution), 0.02, rtol=1e-3)


def test_the_log_scale_moves_it_as_a_whole(family):
    posterior = family(sd=0.2)
    one, other = (posterior.distribution(tf.constant([[x, 0.7]])) for x in (0.0, 2.0))
    np.testing.assert_allclose(other.mean() / one.mean(), np.exp(2.0), rtol=1e-5)
    np.testing.assert_allclose(relative_sd(other), relative_sd(one), rtol=1e-5)


def test_the_prior_is_about_the_mean_scale(family):
    posterior = family(prior_sd=0.1)
    posterior.adapt(50.0)
    np.testing.assert_allclose(posterior.prior.mean(), 50.0, rtol=6e-3)
    np.testing.assert_allclose(relative_sd(posterior.prior), 0.1, rtol=6e-3)


def test_the_unit_of_the_intensities_does_not_matter_to_the_kl(family):
    posterior = family()
    kl = []
    for unit in (1e-6, 1.0, 1e6):
        posterior.adapt(2.0 * unit)
        distribution = posterior.distribution(tf.constant([[np.log(unit), 0.3]], tf.float32))
        kl.append(posterior.kl_divergence(distribution, distribution.sample(500, seed=[1, 2])).numpy())
    np.testing.assert_allclose(kl, np.broadcast_to(kl[1], (3, 1)), rtol=1e-4)


def test_a_gamma_has_its_kl_in_closed_form():
    posterior = scaling.Gamma()
    assert has_analytic_kl(posterior.distribution(tf.zeros([1, 2])), posterior.prior)
