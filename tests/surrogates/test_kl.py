"""KL of truncated normal, log-normal and Weibull from Wilson's prior, by quadrature in double precision."""

import numpy as np
import pytest
from scipy import stats

from vimerge import surrogates
from vimerge.distributions import has_analytic_kl, kl_divergence
from vimerge.priors import Wilson

SIGMA = np.geomspace(1e-2, 1e4, 60)


def truncated(peak, scale):
    loc = peak - scale**2 / peak
    return stats.truncnorm(-loc / scale, 60.0, loc=loc, scale=scale)


FAMILIES = {
    surrogates.TruncatedNormal: truncated,
    surrogates.LogNormal: lambda median, scale: stats.lognorm(scale, scale=median),
    surrogates.Weibull: lambda scale, concentration: stats.weibull_min(concentration, scale=scale),
}
MEMBERS = [(cls, over) for cls in FAMILIES for over in cls.allowed_over]


def expected_kl(q, expected, centric, over):
    """∫ q (log q − log p) over t, x = t⁴ for intensities and t² for amplitudes, in whose t nothing is infinite."""
    if over == "intensity":
        p = stats.gamma(0.5, scale=2 * expected) if centric else stats.expon(scale=expected)
    else:
        root = np.sqrt(expected)
        p = stats.halfnorm(scale=root) if centric else stats.rayleigh(scale=root / np.sqrt(2))
    power = 4 if over == "intensity" else 2
    low, high = max(q.mean() - 15 * q.std(), 0.0), q.mean() + 40 * q.std()
    t = np.linspace(low ** (1 / power), high ** (1 / power), 20_001)[1:]
    x = t**power
    log_q = np.maximum(q.logpdf(x), -700.0)
    return np.trapezoid(np.exp(log_q) * power * t ** (power - 1) * (log_q - p.logpdf(x)), t)


@pytest.mark.parametrize(("cls", "over"), MEMBERS, ids=lambda x: getattr(x, "__name__", x))
def test_kl_is_that_of_quadrature(cls, over, asu):
    layer, prior = cls(asu, over=over), Wilson(asu, SIGMA)
    wilson = SIGMA * asu.epsilon
    mean = (wilson if over == "intensity" else np.sqrt(wilson)) * np.tile([0.3, 0.7, 1.0, 2.0], 15)
    layer.assign_moments(mean, mean / np.tile(np.geomspace(1.5, 30.0, 20), 3))
    values = [p.value.numpy().astype(np.float64) for p in layer._parameters.values()]
    some = np.arange(0, len(asu), 3)
    expected = np.array(
        [expected_kl(FAMILIES[cls](*(v[i] for v in values)), wilson[i], asu.centric[i], over) for i in some]
    )
    q, p = layer.distribution(some.astype(np.int32)), prior.distribution(some.astype(np.int32), over=over)
    draws = 20_000
    sample = q.sample(draws, seed=3)
    log_ratio = (q.log_prob(sample) - p.log_prob(sample)).numpy().astype(np.float64)
    error = 5 * log_ratio.std(axis=0) / np.sqrt(draws)
    assert np.all(np.abs(log_ratio.mean(axis=0) - expected) < error + 2e-4)
    assert has_analytic_kl(q, p) == (cls is not surrogates.TruncatedNormal)
    if has_analytic_kl(q, p):
        np.testing.assert_allclose(kl_divergence(q, p), expected, rtol=2e-4, atol=2e-4)


def test_weibull_contains_the_acentric_prior(asu):
    for over in surrogates.Weibull.allowed_over:
        layer, p = surrogates.Weibull(asu, over=over), Wilson(asu, SIGMA).distribution(over=over)
        layer.assign_moments(p.mean().numpy(), p.stddev().numpy())
        kl = kl_divergence(layer.distribution(), p).numpy()
        np.testing.assert_allclose(kl[~asu.centric], 0.0, atol=1e-5)


def test_truncated_normal_over_intensity_is_the_posterior_of_french_and_wilson(asu):
    """Its density is that of a normal measurement and an exponential prior, whatever the sign of the measurement."""
    layer = surrogates.TruncatedNormal(asu, over="intensity")
    measured, sd, mean_intensity = np.linspace(-4.0, 30.0, len(asu)), 1.5, 3.0
    loc = measured - sd**2 / mean_intensity
    posterior = stats.truncnorm(-loc / sd, 60.0, loc=loc, scale=sd)
    layer.assign_moments(posterior.mean(), posterior.std())
    x = np.array([[0.01], [0.5], [2.0], [10.0]])
    log_posterior = -((x - measured) ** 2) / (2 * sd**2) - x / mean_intensity
    found = layer.distribution().log_prob(x.astype(np.float32)).numpy()
    difference = found - log_posterior
    np.testing.assert_allclose(difference - difference[0], 0.0, atol=2e-2)
