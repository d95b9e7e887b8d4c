"""Errors on the scale of normal ones: the probability of a smaller intensity is that of a smaller normal number."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import integrate, stats

from vimerge import likelihoods

FAMILIES = {
    "normal": likelihoods.Normal,
    "laplace": likelihoods.Laplace,
    "cauchy": lambda: likelihoods.StudentT(1.0),
    "student-t": lambda: likelihoods.StudentT(4.0),
    "contaminated": lambda: likelihoods.ContaminatedNormal(0.05),
}
IPRED, SIGMA = 100.0, 5.0


def at(iobs):
    """A batch of these intensities, and their prediction."""
    batch = {"iobs": tf.constant(iobs, tf.float32), "sigiobs": tf.fill(len(iobs), SIGMA)}
    return tf.fill((1, len(iobs)), IPRED), {**batch, "harmonic_id": tf.range(len(iobs))}


@pytest.mark.parametrize("family", FAMILIES)
def test_they_have_the_probability_that_the_density_gives(family):
    likelihood = FAMILIES[family]()
    iobs = IPRED + SIGMA * np.array([-3.0, -1.0, -0.2, 0.0, 0.4, 1.5, 2.5])

    def density(x):
        return float(np.exp(likelihood(*at(np.array([x])))[0, 0]))

    # The density in the middle of the distribution, from the prediction on.
    inside = [integrate.quad(density, IPRED, x, epsrel=1e-5)[0] for x in iobs]
    found = likelihood.normal_scores(*at(iobs))
    assert found.shape == (1, 7)
    np.testing.assert_allclose(stats.norm.cdf(found[0]), 0.5 + np.array(inside), atol=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_they_keep_their_digits_in_both_tails(family):
    likelihood = FAMILIES[family]()
    off = SIGMA * np.array([5.0, 8.0, 12.0])
    above, below = (likelihood.normal_scores(*at(IPRED + sign * off))[0] for sign in (1, -1))
    np.testing.assert_allclose(above, -below, rtol=1e-4)
    assert np.all(np.diff(above) > 0.1)
    if family == "normal":
        np.testing.assert_allclose(above, off / SIGMA, rtol=1e-4)


def test_likelihoods_without_a_cumulative_distribution_say_so():
    import tensorflow_probability as tfp

    class Unknown(tfp.distributions.Normal):
        def _log_cdf(self, value):
            raise NotImplementedError("log_cdf")

    class WithoutCdf(likelihoods.Likelihood):
        def _distribution(self, ipred, sigma):
            return Unknown(ipred, sigma)

    with pytest.raises(NotImplementedError):
        WithoutCdf().normal_scores(*at(np.array([IPRED])))
