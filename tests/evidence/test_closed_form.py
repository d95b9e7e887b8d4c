"""Every estimator against a marginal that is tractable: normal prior and normal likelihood on intensity."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from scipy import stats

from vimerge.evidence import corrected_moments, elbo, exact, importance, naive
from vimerge.evidence.monte_carlo import draw
from vimerge.evidence.pareto import psis
from vimerge.merging.joint import LogJoint
from vimerge.priors import Prior

tfb, tfd = tfp.bijectors, tfp.distributions
SCALE, MEAN, SD = 2.5, 10.0, 5.0


class PositiveNormal(Prior):
    """F² normal, and positive."""

    def _distribution(self, refl_id, centric, over):
        loc = tf.fill(tf.shape(refl_id), MEAN)
        intensity = tfd.TruncatedNormal(loc, SD, 0.0, 1e4)
        return intensity if over == "intensity" else tfd.TransformedDistribution(intensity, tfb.Invert(tfb.Square()))


@pytest.fixture(scope="module")
def weak(asu, table):
    """One to five observations of each reflection, as uncertain as the prior or somewhat less."""
    rng = np.random.default_rng(2)
    refl_id = np.repeat(np.arange(60), 1 + np.arange(60) % 5)
    true = rng.normal(MEAN, SD, 60).clip(0.5)
    sigma = SCALE * np.geomspace(1.0, 10.0, 60)[refl_id]
    return table(asu, refl_id, SCALE * true[refl_id] + sigma * rng.normal(size=len(refl_id)), sigma)


@pytest.fixture(scope="module")
def tractable(weak, make_case):
    return make_case(weak, PositiveNormal(weak.asu), over="intensity")


@pytest.fixture(scope="module")
def truth(weak):
    """Log evidence, E F², sd F²: the product of normal densities is one, cut off at zero."""
    x, s, refl_id = weak.iobs.astype(np.float64), weak.sigiobs.astype(np.float64), weak.refl_id
    precision = 1 / SD**2 + np.bincount(refl_id, (SCALE / s) ** 2)
    mean = (MEAN / SD**2 + np.bincount(refl_id, SCALE * x / s**2)) / precision
    root = np.sqrt(precision)
    log_evidence = (
        np.bincount(refl_id, stats.norm.logpdf(x, scale=s))
        + 0.5 * (mean * root) ** 2
        - 0.5 * (MEAN / SD) ** 2
        - np.log(SD * root)
        + stats.norm.logcdf(mean * root)
        - stats.norm.logcdf(MEAN / SD)
    )
    posterior = stats.truncnorm(-mean * root, np.inf, mean, 1 / root)
    return log_evidence, posterior.mean(), posterior.std()


def test_exact(tractable, truth):
    found = exact(*tractable)
    np.testing.assert_allclose(found.log_evidence, truth[0], atol=1e-4)
    np.testing.assert_allclose(found.I, truth[1], rtol=1e-4)
    np.testing.assert_allclose(found.SIGI, truth[2], rtol=1e-4)


@pytest.mark.parametrize("estimator", [naive, importance])
def test_unbiased_estimators(tractable, truth, estimator):
    found = estimator(*tractable, samples=4000, seed=1)
    error = (found.log_evidence - truth[0]) / found.standard_error
    # Weights p/q whose tail has a shape of ½ or more have no variance, and an estimate from them no standard error.
    joint = LogJoint(*tractable)
    light = psis(draw(joint, np.arange(60), 20_000, (9, 9)).log_weight).khat < 0.4
    assert light.sum() > 15
    assert np.abs(error[light] if estimator is importance else error).max() < 4.5
    assert 0.7 < np.sqrt(np.mean(error**2)) < 1.4
    assert found.total == pytest.approx(truth[0].sum(), abs=5 * np.sqrt(np.sum(found.standard_error**2)))


def test_elbo_falls_short_by_the_divergence_from_the_posterior(tractable, truth):
    model, _ = tractable
    found = elbo(*tractable, samples=4000, seed=1)
    # KL[q ‖ exact posterior] by a sum over a fine grid.
    grid = np.linspace(0.0, 60.0, 20_001)[1:, np.newaxis]
    log_q = model.surrogate.distribution().log_prob(grid.astype(np.float32)).numpy().astype(np.float64)
    data = tractable.reflections
    x, s = data.iobs.astype(np.float64), data.sigiobs.astype(np.float64)
    rows = [data.refl_id == h for h in range(60)]
    log_p = -0.5 * ((grid - MEAN) / SD) ** 2
    log_p = log_p + np.stack([stats.norm.logpdf(x[r], SCALE * grid, s[r]).sum(axis=1) for r in rows], axis=1)
    log_p -= np.log(np.sqrt(2 * np.pi) * SD) + stats.norm.logcdf(MEAN / SD)
    kl = np.sum(np.exp(log_q) * (log_q - log_p), axis=0) * (grid[1] - grid[0]) + truth[0]
    assert np.all(kl > 0)
    assert np.all(np.abs(truth[0] - kl - found.log_evidence) < 4.5 * found.standard_error + 2e-3)


def test_corrected_moments(tractable, truth):
    found = corrected_moments(*tractable, seed=3)
    assert 20 < found.trusted.sum() < 50
    # A k̂ that is too high for the surrogate does not keep the sum from being right.
    np.testing.assert_allclose(found.I, truth[1], rtol=0.002)
    np.testing.assert_allclose(found.SIGI, truth[2], rtol=0.002)
