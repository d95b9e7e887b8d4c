"""KL[q(F) || p(F)] of every surrogate and Wilson's prior, against quadrature in double precision."""

import numpy as np
import pytest
from scipy import stats
from scipy.special import gammaln

from vimerge import surrogates
from vimerge.distributions import has_analytic_kl, kl_divergence
from vimerge.priors import Wilson

SIGMA = np.geomspace(1e-2, 1e4, 60)


def gamma(layer):
    mean, alpha = (p.value.numpy().astype(np.float64) for p in layer._parameters.values())
    return lambda i: stats.gamma(alpha[i], scale=mean[i] / alpha[i])


def folded(layer):
    loc, scale = (p.value.numpy().astype(np.float64) for p in layer._parameters.values())
    return lambda i: stats.foldnorm(loc[i] / scale[i], scale=scale[i])


def rice_or_folded(layer):
    loc, scale = (p.value.numpy().astype(np.float64) for p in layer._parameters.values())
    family = np.where(layer.asu.centric, stats.foldnorm, stats.rice)
    return lambda i: family[i](loc[i] / scale[i], scale=scale[i])


MEMBERS = [
    (surrogates.Gamma, "intensity", gamma),
    (surrogates.Gamma, "amplitude", gamma),
    (surrogates.RiceWoolfson, "amplitude", rice_or_folded),
    (surrogates.FoldedNormal, "amplitude", folded),
]


def wilson(asu, over, i):
    expected = SIGMA[i] * float(asu.epsilon[i])
    if over == "intensity":
        return stats.gamma(0.5, scale=2 * expected) if asu.centric[i] else stats.expon(scale=expected)
    root = np.sqrt(expected)
    return stats.halfnorm(scale=root) if asu.centric[i] else stats.rayleigh(scale=root / np.sqrt(2))


def quadrature(q, p, over):
    """∫ q (log q − log p) by the trapezium rule in √x, or √√x where the density may be infinite at zero."""
    power = 4 if over == "intensity" else 2
    low, high = max(q.mean() - 12 * q.std(), 0.0), q.mean() + 20 * q.std()
    t = np.linspace(low ** (1 / power), high ** (1 / power), 20_001)[1:]
    x = t**power
    log_q = np.maximum(q.logpdf(x), -700.0)
    return np.trapezoid(np.exp(log_q) * power * t ** (power - 1) * (log_q - p.logpdf(x)), t)


@pytest.fixture(params=MEMBERS, ids=lambda m: f"{m[0].__name__}-{m[1]}")
def pair(request, asu):
    """A surrogate with means from 0.3 to 2 of the prior's and mean/sd from 2 to 30, its prior, and their KL."""
    cls, over, reference = request.param
    layer, prior = cls(asu, over=over), Wilson(asu, SIGMA)
    expected = SIGMA * asu.epsilon
    mean = (expected if over == "intensity" else np.sqrt(expected)) * np.tile([0.3, 0.7, 1.0, 2.0], 15)
    layer.assign_moments(mean, mean / np.tile(np.geomspace(2.0, 30.0, 20), 3))
    q = reference(layer)
    kl = np.array([quadrature(q(i), wilson(asu, over, i), over) for i in range(len(asu))])
    return layer.distribution(), prior.distribution(over=over), kl


def test_kl_is_that_of_quadrature(pair):
    q, p, expected = pair
    draws = 20_000
    sample = q.sample(draws, seed=3)
    kl = kl_divergence(q, p, sample).numpy()
    log_ratio = (q.log_prob(sample) - p.log_prob(sample)).numpy().astype(np.float64)
    error = 5 * log_ratio.std(axis=0) / np.sqrt(draws)
    assert np.all(np.abs(log_ratio.mean(axis=0) - expected) < error + 1e-4)
    if has_analytic_kl(q, p):
        np.testing.assert_allclose(kl, expected, rtol=2e-4, atol=2e-4)
    else:
        assert np.all(np.abs(kl - expected) < error + 1e-4)


def test_gamma_has_a_closed_form(asu):
    for over in ("intensity", "amplitude"):
        q, p = surrogates.Gamma(asu, over=over).distribution(), Wilson(asu).distribution(over=over)
        assert has_analytic_kl(q, p)


def test_gamma_over_intensity_contains_the_prior(asu):
    layer, prior = surrogates.Gamma(asu), Wilson(asu, SIGMA)
    p = prior.distribution(over="intensity")
    layer.assign_moments(p.mean().numpy(), p.stddev().numpy())
    np.testing.assert_allclose(kl_divergence(layer.distribution(), p), 0.0, atol=1e-5)


def test_rice_woolfson_with_no_location_is_the_prior(asu):
    layer, prior = surrogates.RiceWoolfson(asu), Wilson(asu, SIGMA)
    p = prior.distribution()
    layer.assign_moments(p.mean().numpy(), p.stddev().numpy())
    x = p.mean() * np.array([[0.1], [1.0], [2.0]], np.float32)
    np.testing.assert_allclose(layer.distribution().log_prob(x), p.log_prob(x), atol=1e-3, rtol=1e-3)


def test_kl_keeps_its_digits_for_strong_reflections(asu):
    # (I/σ)² is the concentration: I/σ = 1000 is a strong reflection of high multiplicity.
    layer, prior = surrogates.Gamma(asu), Wilson(asu, 1.0)
    mean = np.linspace(0.5, 2.0, len(asu))
    layer.assign_moments(mean, mean / 1e3)
    kl = kl_divergence(layer.distribution(), prior.distribution(over="intensity")).numpy()
    q = gamma(layer)
    shape = np.where(asu.centric, 0.5, 1.0)
    rate = shape / asu.epsilon
    # E log x by its asymptotic series, log p being linear in x and log x.
    mean, alpha = (p.value.numpy().astype(np.float64) for p in layer._parameters.values())
    expected_log = np.log(mean) - 1 / (2 * alpha)
    cross = shape * np.log(rate) - gammaln(shape) + (shape - 1) * expected_log - rate * mean
    expected = [-q(i).entropy() - cross[i] for i in range(len(asu))]
    np.testing.assert_allclose(kl, expected, atol=2e-3)
