"""The posterior of two correlated amplitudes, against SciPy's quadrature and against what is known in the limits."""

import math
import sys

import numpy as np
import pytest
from scipy import integrate
from scipy.special import i0e

from vimerge import priors
from vimerge.evidence.pairs import pairs

STEPS = 400
SIGMA = np.where(np.arange(60) % 2, 3.0, 12.0)


def prior_of(asu, r):
    """Pairs of neighbours, centric or acentric, whose mean intensities differ fourfold."""
    parents = np.full(60, -1)
    for ids in (np.flatnonzero(asu.centric), np.flatnonzero(~asu.centric)):
        parents[ids[1::2]] = ids[: len(ids) - 1 : 2]
    # Neighbours in a list of either kind need not be neighbours.
    sigma = SIGMA.copy()
    child = np.flatnonzero(parents >= 0)
    sigma[child] = 15.0 - sigma[parents[child]]
    return priors.MultivariateWilson(asu, parents, r, falloff=sigma), child.astype(np.int32), sigma * asu.epsilon


def log_likelihood(f, iobs, sigma):
    return -0.5 * ((iobs - f**2) / sigma) ** 2 - np.log(sigma) - 0.5 * np.log(2 * np.pi)


def grid(iobs, sigma, expected):
    """Amplitudes [K, n] that hold all that the likelihood and the prior allow."""
    low = np.sqrt(np.maximum(iobs - 12 * sigma, 0.0))
    high = np.sqrt(np.maximum(np.minimum(iobs + 12 * sigma, 60 * expected), 4 * sigma))
    return low + (high - low) * np.linspace(0, 1, STEPS)[:, np.newaxis]


@pytest.fixture(scope="module")
def measured(asu):
    """Intensities of every reflection, [2, n] parent and child, and errors from a fiftieth to twice their mean."""

    def make(r, relative=None, seed=5):
        prior, child, expected = prior_of(asu, r)
        rng, ids = np.random.default_rng(seed), np.stack([prior.parents[child], child])
        real, imaginary = rng.normal(size=(2, 2, len(child)))
        e = np.where(asu.centric[child], real, (real + 1j * imaginary) / np.sqrt(2))
        e[1] = r * e[0] + np.sqrt(1 - r**2) * e[1]
        relative = np.geomspace(0.02, 2.0, 2 * len(child)).reshape(2, -1)[:, rng.permutation(len(child))]
        sigma = relative * expected[ids]
        iobs = np.abs(e) ** 2 * expected[ids] + sigma * rng.normal(size=sigma.shape)
        return prior, child, ids, iobs, sigma, expected

    return make


def solve(prior, child, ids, iobs, sigma, expected):
    f = [grid(iobs[i], sigma[i], expected[ids[i]]) for i in (0, 1)]
    log_l = [log_likelihood(f[i], iobs[i], sigma[i]) for i in (0, 1)]
    return pairs(prior, child, f[0], log_l[0], f[1], log_l[1])


def log_conditional(f, loc, variance, centric):
    """Rice's or the folded normal density of a number or an array."""
    product = 2 * f * loc / variance
    if centric:
        density = np.log1p(np.exp(-product)) - 0.5 * math.log(2 * math.pi * variance)
        return density - 0.5 * (f - loc) ** 2 / variance
    return np.log(2 * f / variance * i0e(product)) - (f - loc) ** 2 / variance


def by_dblquad(centric, r, iobs, sigma, expected):
    """Log evidence, E F_p, E F_c, sd of both, covariance, mean and sd of the difference, by scipy.integrate."""
    ratio = np.sqrt(expected[1] / expected[0])

    def log_joint(y, x):
        log_l = log_likelihood(x, iobs[0], sigma[0]) + log_likelihood(y, iobs[1], sigma[1])
        conditional = log_conditional(y, r * ratio * x, expected[1] * (1 - r**2), centric)
        return log_l + log_conditional(x, 0.0, expected[0], centric) + conditional

    # Where the mass is, from a fine net.
    top = [np.sqrt(max(30 * e, 2 * i)) for e, i in zip(expected, iobs, strict=True)]
    x, y = (np.linspace(0, t, 1501)[1:] for t in top)
    net = log_joint(y[np.newaxis], x[:, np.newaxis])
    peak = net.max()
    (x_in, y_in), step = np.nonzero(net > peak - 28), (x[0], y[0])
    assert min(np.ptp(x_in), np.ptp(y_in)) > 15, "the net is too coarse"
    limits = [(max(a[i.min()] - s, 0.0), a[i.max()] + s) for a, i, s in ((x, x_in, step[0]), (y, y_in, step[1]))]

    def integral(g):
        return integrate.dblquad(
            lambda b, a: g(a, b) * np.exp(log_joint(b, a) - peak), *limits[0], *limits[1], epsabs=1e-7, epsrel=1e-6
        )[0]

    total = integral(lambda a, b: 1.0)
    means = [integral(lambda a, b, i=i: (a, b)[i]) / total for i in (0, 1)]
    centre = np.array(means)
    second = np.array(
        [
            integral(lambda a, b: (a - centre[0]) ** 2),
            integral(lambda a, b: (b - centre[1]) ** 2),
            integral(lambda a, b: (a - centre[0]) * (b - centre[1])),
        ]
    )
    second /= total
    return np.log(total) + peak, means, np.sqrt(second[:2]), second[2]


@pytest.mark.parametrize("r", [0.0, 0.7, 0.97])
def test_evidence_and_moments_are_those_of_dblquad(asu, measured, r):
    case = measured(r)
    _, child, ids, iobs, sigma, expected = case
    found = solve(*case)
    for n in (np.flatnonzero(asu.centric[child])[1], np.flatnonzero(~asu.centric[child])[2]):
        log_evidence, means, deviations, covariance = by_dblquad(
            asu.centric[child[n]], r, iobs[:, n], sigma[:, n], expected[ids[:, n]]
        )
        assert found.log_evidence[n] == pytest.approx(log_evidence, abs=1e-4)
        np.testing.assert_allclose(found.F[:, n], means, atol=1e-4 * deviations.min())
        np.testing.assert_allclose(found.SIGF[:, n], deviations, rtol=1e-4)
        assert found.covariance[n] == pytest.approx(covariance, abs=2e-4 * deviations.prod())
        assert found.dF[n] == pytest.approx(means[1] - means[0], abs=1e-4 * deviations.min())
        assert found.SIGdF[n] ** 2 == pytest.approx(np.sum(deviations**2) - 2 * covariance, rel=1e-3)


def fine(prior, child, ids, n, iobs, sigma, expected):
    """The same by brute force: a net along the ridge on which the correlation puts the child."""
    complement = float(prior.correlation.complement(child[[n]])[0])
    r = np.sqrt(1 - complement)
    own, of_parent = (np.sqrt(expected[ids[i, n]]) for i in (1, 0))
    x = (np.arange(1500) + 0.5) / 300
    v = np.sqrt(complement) * np.linspace(-7, 7, 701)[:, np.newaxis]
    y = r * x + v
    y_in = np.maximum(y, 1e-12)
    log_p = log_likelihood(x * of_parent, iobs[0, n], sigma[0, n]) + log_likelihood(y_in * own, iobs[1, n], sigma[1, n])
    f = np.where(y > 0, y, 0.0)
    log_p += log_conditional(x, 0.0, 1.0, prior.asu.centric[child[n]])
    log_p += log_conditional(y_in, r * x, complement, prior.asu.centric[child[n]])
    weight = np.where(y > 0, np.exp(log_p - log_p.max()), 0.0)
    total = weight.sum()
    step = 2 * x[0] * (v[1, 0] - v[0, 0])
    x, y = x * of_parent, f * own
    means = [np.sum(weight * a) / total for a in (x, y)]
    deviations = [np.sqrt(np.sum(weight * (a - m) ** 2) / total) for a, m in zip((x, y), means, strict=True)]
    d = y - x
    difference = np.sum(weight * d) / total
    sd = np.sqrt(np.sum(weight * (d - difference) ** 2) / total)
    return np.log(total * step) + log_p.max(), means, deviations, difference, sd


@pytest.mark.parametrize("r", [0.999, 0.99999])
def test_a_ridge_narrower_than_any_step_is_integrated(asu, measured, r):
    case = measured(r)
    prior, child, ids, iobs, sigma, expected = case
    found = solve(*case)
    compared = 0
    for n in range(len(child)):
        if np.any(sigma[:, n] < 0.1 * expected[ids[:, n]]):
            continue  # The brute force is too coarse for these.
        compared += 1
        if compared > 6:
            break
        log_evidence, means, deviations, difference, sd = fine(prior, child, ids, n, iobs, sigma, expected)
        assert found.log_evidence[n] == pytest.approx(log_evidence, abs=2e-3)
        np.testing.assert_allclose(found.F[:, n], means, atol=2e-3 * min(deviations))
        np.testing.assert_allclose(found.SIGF[:, n], deviations, rtol=2e-3)
        # Σ is known in single precision.
        assert found.dF[n] == pytest.approx(difference, abs=2e-3 * sd + 1e-6 * means[1])
        assert found.SIGdF[n] == pytest.approx(sd, rel=2e-3)
    assert compared > 6


@pytest.mark.parametrize("r", [0.0, 0.9, 0.999, 0.99999])
def test_it_does_not_matter_which_is_the_parent(asu, measured, r):
    """The joint density of two amplitudes is symmetric; the order of the integrals is not."""
    case = measured(r)
    _, child, ids, iobs, sigma, expected = case
    found = solve(*case)
    reverse = np.full(60, -1)
    reverse[ids[0]] = child
    swapped = priors.MultivariateWilson(asu, reverse, r, falloff=expected / asu.epsilon)
    again = solve(swapped, ids[0].astype(np.int32), ids[::-1], iobs[::-1], sigma[::-1], expected)
    np.testing.assert_allclose(again.log_evidence, found.log_evidence, atol=3e-5)
    np.testing.assert_allclose((again.F[::-1] - found.F) / found.SIGF, 0.0, atol=1e-4)
    np.testing.assert_allclose(again.SIGF[::-1], found.SIGF, rtol=1e-4)
    np.testing.assert_allclose((again.I[::-1] - found.I) / found.SIGI, 0.0, atol=1e-4)
    np.testing.assert_allclose(again.SIGI[::-1], found.SIGI, rtol=1e-4)
    np.testing.assert_allclose((again.covariance - found.covariance) / found.SIGF.prod(axis=0), 0.0, atol=1e-4)
    np.testing.assert_allclose((again.dF + found.dF) / found.SIGdF, 0.0, atol=2e-3)
    np.testing.assert_allclose(again.SIGdF, found.SIGdF, rtol=1e-3)


@pytest.mark.parametrize("r", [0.3, 0.9, 0.999, 0.99999])
def test_without_data_the_moments_are_the_priors(asu, r):
    prior, child, expected = prior_of(asu, r)
    ids = np.stack([prior.parents[child], child])
    f = [np.sqrt(60 * expected[i]) * np.linspace(0, 1, 50)[:, np.newaxis] for i in ids]
    found = pairs(prior, child, f[0], 0 * f[0], f[1], 0 * f[1])
    np.testing.assert_allclose(found.log_evidence, 0.0, atol=1e-5)
    for i in (0, 1):
        marginal = prior.distribution(ids[i])
        np.testing.assert_allclose(found.F[i], marginal.mean(), rtol=1e-4)
        np.testing.assert_allclose(found.SIGF[i], marginal.stddev(), rtol=1e-4)
        np.testing.assert_allclose(found.I[i], expected[ids[i]], rtol=1e-4)
    # The covariance of intensities is known; that of amplitudes falls with r and is the variance where r is one.
    correlation = found.covariance / found.SIGF.prod(axis=0)
    assert np.all(np.abs(correlation - r**2) < 0.06)


def test_a_child_without_data_is_told_by_its_parent(asu):
    prior, child, expected = prior_of(asu, 0.999)
    ids = np.stack([prior.parents[child], child])
    f = [np.sqrt(60 * expected[i]) * np.linspace(0, 1, 2000)[:, np.newaxis] for i in ids]
    true = np.float32(1.5 * np.sqrt(expected[ids[0]]))
    sd = 1e-3 * true
    found = pairs(prior, child, f[0], -0.5 * ((f[0] - true) / sd) ** 2, f[1], 0 * f[1])
    conditional = prior.conditional(child, true)
    np.testing.assert_allclose(found.F[0], true, atol=0.02 * sd.min())
    np.testing.assert_allclose(found.F[1], conditional.mean(), rtol=1e-4)
    spread = np.hypot(conditional.stddev(), 0.999 * np.sqrt(expected[ids[1]] / expected[ids[0]]) * sd)
    np.testing.assert_allclose(found.SIGF[1], spread, rtol=1e-3)


def test_roots_are_independent_of_what_is_made_up_for_their_parents(asu, measured):
    prior, child, ids, iobs, sigma, expected = measured(0.0)
    uncorrelated = solve(prior, child, ids, iobs, sigma, expected)
    alone = priors.MultivariateWilson(asu, np.full(60, -1), 0.999, falloff=expected / asu.epsilon)
    ids = np.stack([child, child])
    found = solve(alone, child, ids, iobs, sigma, expected)
    np.testing.assert_allclose(found.F[1], uncorrelated.F[1], rtol=1e-5)
    np.testing.assert_allclose(found.SIGF[1], uncorrelated.SIGF[1], rtol=1e-4)
    np.testing.assert_allclose(found.covariance, 0.0, atol=1e-6 * found.SIGF.prod(axis=0).max())


def test_data_that_contradict_the_correlation_are_integrated(asu):
    prior, child, expected = prior_of(asu, 0.9999)
    ids = np.stack([prior.parents[child], child])
    # Of normalised amplitudes 1 and 2, each good to a hundredth; the conditional is as wide.
    sd = 0.01 * np.sqrt(expected[ids])
    centre = np.array([[1.0], [2.0]]) * np.sqrt(expected[ids])
    f = [np.sqrt(60 * expected[i]) * np.linspace(0, 1, 2000)[:, np.newaxis] for i in ids]
    log_l = [-0.5 * ((f[i] - centre[i]) / sd[i]) ** 2 for i in (0, 1)]
    found = pairs(prior, child, f[0], log_l[0], f[1], log_l[1])
    e = found.F / np.sqrt(expected[ids])
    width2 = 2e-4 * np.where(asu.centric[child], 1.0, 0.5)
    # Three normal densities in a row, but for Wilson's slow slope: their mean is where their pulls are equal.
    pull = 1.0 / (2e-4 + width2)
    np.testing.assert_allclose(e[0], 1.0 + 1e-4 * pull, atol=2e-3)
    np.testing.assert_allclose(e[1], 2.0 - 1e-4 * pull, atol=2e-3)
    np.testing.assert_allclose(found.log_evidence, -0.5 * pull, rtol=0.02)


def test_many_pairs_are_integrated_in_parts(measured, monkeypatch):
    case = measured(0.9)
    whole = solve(*case)
    monkeypatch.setattr(sys.modules[pairs.__module__], "PAIRS_AT_ONCE", 7)
    for part, value in zip(solve(*case), whole, strict=True):
        assert part.shape == value.shape
        np.testing.assert_allclose(part, value, rtol=1e-5, atol=1e-6)


def test_grids_that_cannot_be_used_are_refused(asu, measured):
    prior, child = measured(0.9)[:2]
    f = np.linspace(0, 1, 20)[:, np.newaxis] * np.ones(len(child))
    uneven = f.copy()
    uneven[5, 3] += 0.02
    with pytest.raises(ValueError, match=r"f = low \+ \(high − low\) unit"):
        pairs(prior, child, uneven, f, f, f)
    with pytest.raises(ValueError, match=r"arrays \[K, n\] of one shape"):
        pairs(prior, child, f, f[:-1], f, f)
    with pytest.raises(ValueError, match="a column for each of the"):
        pairs(prior, child[:-1], f, f, f, f)
    assert pairs(prior, child[:0], *[f[:, :0]] * 4).F.shape == (2, 0)
