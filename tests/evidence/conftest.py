"""Observations of known scale, and the posteriors that SciPy integrates one by one."""

from collections import namedtuple

import numpy as np
import pytest
from scipy import integrate

SCALE = 2.5
MEAN = 10.0
Case = namedtuple("Case", "model reflections")


@pytest.fixture(scope="session")
def observed(asu, table):
    """Sixty reflections observed 1 to 50 times each, I/σ from below −3 to above 300."""
    rng = np.random.default_rng(4)
    number = rng.permutation(np.geomspace(1, 50, 60).round().astype(int))
    strength = rng.permutation(np.geomspace(0.1, 300.0, 60))
    refl_id = np.repeat(np.arange(60), number)
    true = MEAN * asu.epsilon * np.where(asu.centric, rng.chisquare(1, 60), rng.exponential(size=60)) + 0.05
    sigma = SCALE * (true / strength)[refl_id]
    iobs = SCALE * true[refl_id] + sigma * rng.normal(size=len(refl_id))
    # Two that are as negative as ever come, one of them centric.
    alone = [np.flatnonzero((number == number[m].min()) & m)[0] for m in (asu.centric, ~asu.centric)]
    for refl, x in zip(alone, (-3.0, -4.0), strict=True):
        iobs[refl_id == refl] = x * sigma[refl_id == refl]
    return table(asu, refl_id, iobs, sigma)


@pytest.fixture(scope="session")
def make_case():
    """Make a model whose scales are known: make_case(reflections, prior, likelihood, surrogate, over, scale)."""
    from vimerge import VariationalMergingModel, likelihoods, priors, scaling, surrogates

    def make(reflections, prior=None, likelihood=None, surrogate=surrogates.Gamma, over=None, scale=SCALE):
        model = VariationalMergingModel(
            surrogate(reflections.asu, over=over),
            prior or priors.Wilson(reflections.asu, MEAN),
            scaling.MLP(reflections.metadata_keys, width=2, depth=0),
            likelihood or likelihoods.Normal(),
        )
        model.scaling.adapt(reflections, scale)
        model.condition(reflections)
        return Case(model, reflections)

    return make


@pytest.fixture(scope="session")
def case(make_case, observed):
    return make_case(observed)


@pytest.fixture(scope="session")
def by_quad():
    """Log evidence, E F, sd F, E F², sd F² of one reflection by scipy.integrate.quad in double precision."""

    def moments(log_joint, top):
        grid = np.linspace(0.0, top, 40_001)[1:]
        values = log_joint(grid)
        mode, peak = grid[values.argmax()], values.max()
        mass = grid[values > peak - 45.0]
        low, high = max(mass[0] - grid[0], 0.0), mass[-1] + grid[0]
        points = np.clip([mode, 0.5 * (low + mode), 0.5 * (mode + high)], low, high)

        def integral(g):
            density = lambda f: g(f) * np.exp(log_joint(f) - peak)  # noqa: E731
            return integrate.quad(density, low, high, points=points, limit=200, epsabs=0, epsrel=1e-10)[0]

        total = integral(lambda f: 1.0)
        f, i = (integral(lambda f, n=n: f**n) / total for n in (1, 2))
        sigf, sigi = (np.sqrt(integral(lambda f, n=n, m=m: (f**n - m) ** 2) / total) for n, m in ((1, f), (2, i)))
        return np.array([np.log(total) + peak, f, sigf, i, sigi])

    return moments
