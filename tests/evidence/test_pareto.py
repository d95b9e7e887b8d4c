"""Pareto smoothing against ArviZ's, and the moments that it corrects."""

import warnings

import numpy as np
import pytest
from scipy import stats

from vimerge import surrogates
from vimerge.evidence import corrected_moments, elbo, exact, importance, naive, psis, to_inference_data
from vimerge.evidence.pareto import fit_generalised_pareto
from vimerge.likelihoods import Normal, StudentT

# Every family that has a density, and everything that it can be a density of.
DENSITIES = [
    (family, over)
    for family in map(vars(surrogates).get, surrogates.__all__)
    if family not in (surrogates.Surrogate, surrogates.Delta)
    for over in family.allowed_over
]


@pytest.fixture(scope="module")
def arviz():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return pytest.importorskip("arviz", exc_type=ImportError)


@pytest.mark.parametrize("samples", [40, 1000, 3001])
def test_psis_agrees_with_arviz(arviz, samples):
    rng = np.random.default_rng(0)
    # Weights with light tails, heavy ones, and bounded ones.
    log_weight = np.stack(
        [
            0.1 * rng.normal(size=samples),
            *(k * rng.exponential(size=samples) for k in (0.1, 0.5, 0.9, 1.5)),
            np.log(rng.uniform(size=samples)),
            -500 + 20 * rng.normal(size=samples),
        ],
        axis=1,
    )
    found = psis(log_weight, no_tail=0.0)
    for column in range(log_weight.shape[1]):
        expected, khat = arviz.psislw(log_weight[:, column].copy())
        assert found.khat[column] == pytest.approx(float(khat), abs=1e-6)
        np.testing.assert_allclose(found.log_weight[:, column], expected, atol=1e-6)


def test_the_shape_of_a_pareto_tail_is_found():
    rng = np.random.default_rng(1)
    shapes = np.array([-0.3, 0.1, 0.5, 1.0])
    excess = np.sort(stats.genpareto.rvs(shapes, scale=2.0, size=(20_000, 4), random_state=rng), axis=0)
    shape, scale = fit_generalised_pareto(excess)
    np.testing.assert_allclose(shape, shapes, atol=0.04)
    np.testing.assert_allclose(scale, 2.0, rtol=0.05)


def test_a_tail_of_few_weights_is_one_of_its_own():
    # The edge of a bulk of nearly equal weights is no tail, and what stands out from it is fitted by itself.
    rng = np.random.default_rng(2)
    log_weight = np.stack([1e-3 * rng.uniform(size=2000) for _ in range(3)], axis=1)
    log_weight[:20, 1] += 0.2 * rng.uniform(size=20)
    log_weight[:20, 2] = np.log(1.3 + rng.pareto(1.0, size=20))
    bare, found = psis(log_weight, no_tail=0.0), psis(log_weight)
    assert bare.khat[1] > 0.7
    assert found.khat[0] == found.khat[1] == 0.0
    tail = np.sort(np.exp(log_weight[:20, 2]))
    tail = tail[tail > 1.3 * np.exp(log_weight[:, 2]).mean()]
    cutoff = np.sort(np.exp(log_weight[:, 2]))[-len(tail) - 1]
    assert found.khat[2] == pytest.approx(fit_generalised_pareto((tail - cutoff)[:, np.newaxis])[0][0], abs=0.02)
    np.testing.assert_allclose(np.exp(found.log_weight).sum(axis=0), 1.0)


def test_weights_without_a_tail():
    log_weight = np.zeros((100, 3))
    log_weight[:, 1] = -1e4
    log_weight[0, 1] = 0.0
    log_weight[50:, 2] = -np.inf
    found = psis(log_weight)
    assert found.khat[0] == 0.0
    assert found.khat[1] == np.inf
    np.testing.assert_allclose(np.exp(found.log_weight).sum(axis=0), 1.0)
    assert np.exp(found.log_weight[0, 1]) == pytest.approx(1.0)
    with pytest.raises(ValueError, match="finite weight"):
        psis(np.full((100, 1), -np.inf))


NOISES = {"normal": Normal, "student": lambda: StudentT(4.0)}
# Of each family one likelihood, in turn; both with -m slow.
FAMILIES = [
    pytest.param(
        *density, noise, marks=[] if i % 2 == j else pytest.mark.slow, id=f"{density[0].__name__}-{density[1]}-{name}"
    )
    for i, density in enumerate(DENSITIES)
    for j, (name, noise) in enumerate(NOISES.items())
]


@pytest.mark.parametrize(("surrogate", "over", "likelihood"), FAMILIES)
def test_corrected_moments_are_exact_whatever_the_family(observed, make_case, surrogate, over, likelihood):
    case = make_case(observed, surrogate=surrogate, over=over, likelihood=likelihood())
    truth, found = exact(*case), corrected_moments(*case, seed=7)
    assert found.trusted.sum() > 30
    for name in ("F", "SIGF", "I", "SIGI"):
        corrected, expected = (getattr(m, name) for m in (found, truth))
        np.testing.assert_allclose(corrected[found.trusted], expected[found.trusted], rtol=0.002, err_msg=name)


@pytest.mark.parametrize("estimator", [elbo, importance, corrected_moments, to_inference_data])
def test_a_point_is_refused(observed, make_case, estimator):
    case = make_case(observed, surrogate=surrogates.Delta)
    with pytest.raises(ValueError, match=r"Delta is a point.*: use exact or naive, or"):
        estimator(*case)


def test_a_point_has_an_evidence(case, make_case, observed):
    # Neither the quadrature nor the average over the prior asks what the surrogate is.
    point = make_case(observed, surrogate=surrogates.Delta)
    np.testing.assert_array_equal(exact(*point), exact(*case))
    np.testing.assert_array_equal(naive(*point, samples=50).log_evidence, naive(*case, samples=50).log_evidence)


def test_correction_repairs_a_surrogate_that_is_wrong(case, make_case, observed):
    model, reflections = make_case(observed)
    truth = exact(model, reflections)
    # Everywhere 30 % too wide and half a standard deviation too high.
    model.surrogate.assign_moments(truth.I + 0.5 * truth.SIGI, 1.3 * truth.SIGI)
    found = corrected_moments(model, reflections)
    good = found.trusted
    assert good.sum() > 40
    assert np.median(np.abs(found.SIGI / truth.SIGI - 1)[good]) < 0.005
    assert np.median(np.abs(found.I - truth.I)[good] / truth.SIGI[good]) < 0.01


def test_a_surrogate_that_is_too_narrow_is_distrusted(observed, make_case):
    model, reflections = make_case(observed)
    truth = exact(model, reflections)
    model.surrogate.assign_moments(truth.I, 0.2 * truth.SIGI)
    assert np.mean(corrected_moments(model, reflections).trusted) < 0.1


def test_too_few_samples_are_refused(case):
    with pytest.raises(ValueError, match="25 samples or more"):
        corrected_moments(*case, samples=10)


def test_inference_data(arviz, case):
    data = to_inference_data(*case, samples=50)
    assert data.posterior["F"].dims == ("chain", "draw", "reflection")
    assert data.posterior["F"].shape == data.prior["F"].shape == data.sample_stats["log_weight"].shape == (1, 50, 60)
    assert data.posterior["reflection"].values[0] == " ".join(map(str, case.model.asu.miller_index[0]))
    assert data.constant_data["khat"].shape == (60,)
    np.testing.assert_array_equal(data.observed_data["iobs"], case.reflections.iobs)
    mean = data.posterior["F"].mean(("chain", "draw")).values
    moments = case.model.surrogate.moments()
    assert np.all(np.abs(mean - moments.F) < 5 * moments.SIGF / np.sqrt(50))
