"""How the estimates of log p(I) are ordered, and how fast they get there."""

import numpy as np
import pytest

from vimerge.evidence import elbo, exact, importance, naive
from vimerge.likelihoods import StudentT
from vimerge.surrogates import FoldedNormal, RiceWoolfson


@pytest.fixture(scope="module")
def truth(case):
    return exact(*case)


def test_bounds_rise_to_the_evidence(case, truth):
    def bound(samples):
        # The bound is the expectation of the estimate: the mean over seeds.
        return np.mean([importance(*case, samples=samples, seed=seed).log_evidence for seed in range(40)], axis=0)

    found = elbo(*case, samples=4000)
    bounds = [found.total, *(bound(k).sum() for k in (1, 5, 50)), importance(*case, 4000).total]
    # A single sample is the ELBO again.
    assert bounds[1] == pytest.approx(bounds[0], abs=3.0)
    assert np.all(np.diff(bounds[1:]) > 0)
    assert bounds[0] < bounds[2]
    # At 1000 times the samples the gap is all but closed.
    assert truth.total - bounds[0] > 0.5
    assert truth.total - bounds[-1] < 0.2 * (truth.total - bounds[0])
    assert np.all(found.log_evidence < truth.log_evidence + 4 * found.standard_error)


@pytest.mark.parametrize(
    ("surrogate", "over"), [(FoldedNormal, "amplitude"), (RiceWoolfson, "amplitude")], ids=["folded", "rice"]
)
def test_every_family_approaches_the_same_evidence(observed, make_case, surrogate, over):
    case = make_case(observed, surrogate=surrogate, over=over, likelihood=StudentT(8.0))
    truth, found = exact(*case), importance(*case, samples=2000)
    error = np.abs(found.log_evidence - truth.log_evidence)
    assert np.median(error) < 0.01
    assert np.all(error < 5 * found.standard_error + 0.02)


def test_naive_is_noisier(case, truth):
    by_prior, by_q = naive(*case, samples=1000), importance(*case, samples=1000)
    assert np.median(by_prior.standard_error / by_q.standard_error) > 3
    strong = case.model.surrogate.moments().SIGF.numpy() < 0.01 * truth.F
    assert strong.sum() > 5
    error = np.abs(np.array([e.log_evidence - truth.log_evidence for e in (by_prior, by_q)]))[:, strong]
    assert np.median(error[0]) > 20 * np.median(error[1])


def test_a_seed_fixes_the_estimate(case):
    for estimator in (naive, importance, elbo):
        first, again, other = (estimator(*case, samples=20, seed=seed) for seed in (5, 5, 6))
        np.testing.assert_array_equal(first.log_evidence, again.log_evidence)
        assert np.any(first.log_evidence != other.log_evidence)


def test_chunks_of_samples_add_up(case, truth, monkeypatch):
    from vimerge.evidence import monte_carlo

    monkeypatch.setattr(monte_carlo, "CELLS", 60 * 300)
    for estimator in (elbo, importance):
        found = estimator(*case, samples=1000)
        whole_error = found.standard_error
        assert np.all(np.isfinite(whole_error))
        monkeypatch.setattr(monte_carlo, "CELLS", 60 * 1000)
        whole = estimator(*case, samples=1000)
        assert np.all(
            np.abs(found.log_evidence - whole.log_evidence) < 6 * np.hypot(whole_error, whole.standard_error) + 1e-3
        )
        monkeypatch.setattr(monte_carlo, "CELLS", 60 * 300)


@pytest.mark.parametrize("estimator", [naive, importance, elbo])
def test_no_samples_are_refused(case, estimator):
    with pytest.raises(ValueError, match="must be 1 or more"):
        estimator(*case, samples=0)
