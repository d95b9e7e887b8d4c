"""What training starts from, and the exact posteriors given the scales."""

import numpy as np
import pytest
from scipy import stats

from vimerge import VariationalMergingModel, likelihoods, priors, scaling, surrogates
from vimerge.merging import start
from vimerge.reflections import ReflectionDataError

SCALE = 2.5


@pytest.fixture(scope="module")
def observed(asu, table):
    """One to six observations of each of sixty reflections, weak to strong, with an outlier or two."""
    rng = np.random.default_rng(8)
    refl_id = np.concatenate([np.arange(60), rng.integers(0, 60, 140)])
    intensity = 10.0 * asu.epsilon * np.where(asu.centric, rng.chisquare(1, 60), rng.exponential(size=60))
    sigma = np.geomspace(0.05, 30.0, 60)[refl_id]
    iobs = SCALE * intensity[refl_id] + sigma * rng.standard_t(3, len(refl_id))
    return table(asu, refl_id, iobs, sigma)


def model_of(observed, likelihood, surrogate=surrogates.Gamma, over=None):
    model = VariationalMergingModel(
        surrogate(observed.asu, over=over),
        priors.Wilson(observed.asu, 10.0),
        scaling.MLP(observed.metadata_keys, width=2, depth=0),
        likelihood,
    )
    model.scaling.adapt(observed, SCALE)
    return model


def brute_force(reflections, noise):
    """Mean and sd of F and F² of each reflection on a fine grid in double precision."""
    moments = []
    for i in range(len(reflections.asu)):
        rows = reflections.refl_id == i
        iobs, sigma = (x[rows].astype(np.float64) for x in (reflections.iobs, reflections.sigiobs))
        expected = 10.0 * float(reflections.asu.epsilon[i])
        top = np.sqrt(max(60 * expected, 2 * max(iobs, default=0.0) / SCALE))
        f = np.linspace(0, top, 200_001)[1:]
        log_p = -(f**2) / (2 * expected) if reflections.asu.centric[i] else np.log(f) - f**2 / expected
        for x, s in zip(iobs, sigma, strict=True):
            log_p = log_p + noise.logpdf((x - SCALE * f**2) / s)
        weight = np.exp(log_p - log_p.max())
        weight /= weight.sum()
        row = []
        for y in (f, f**2):
            mean = np.sum(weight * y)
            row += [mean, np.sqrt(np.sum(weight * (y - mean) ** 2))]
        moments.append(row)
    return np.array(moments).T


@pytest.mark.parametrize(
    ("likelihood", "noise"),
    [
        (likelihoods.Normal, stats.norm),
        (lambda: likelihoods.StudentT(16.0), stats.t(16.0)),
    ],
    ids=["normal", "student"],
)
def test_conditional_moments_are_those_of_brute_force(observed, likelihood, noise):
    f, sigf, i, sigi = brute_force(observed, noise)
    mean, sd = start.conditional_moments(model_of(observed, likelihood(), over="amplitude"), observed)
    assert np.all(np.abs(mean - f) < 0.02 * sigf)
    np.testing.assert_allclose(sd, sigf, rtol=0.02)
    mean, sd = start.conditional_moments(model_of(observed, likelihood()), observed)
    assert np.all(np.abs(mean - i) < 0.02 * sigi)
    np.testing.assert_allclose(sd, sigi, rtol=0.02)


def test_conditional_moments_do_not_depend_on_how_the_reflections_are_divided(observed, monkeypatch):
    model = model_of(observed, likelihoods.Normal())
    whole = start.conditional_moments(model, observed)
    monkeypatch.setattr(start, "CELLS_OF_GRID", 7 * start.GRID)
    np.testing.assert_allclose(start.conditional_moments(model, observed), whole, rtol=1e-4)


def test_an_intensity_that_the_prior_would_not_expect_is_followed(asu, table):
    # Wilson's prior at 10: an intensity of 3000 is 300 times the mean, and measured to 1 %.
    iobs = np.full(60, 10.0 * SCALE)
    rows = np.flatnonzero((asu.epsilon == 1) & ~asu.centric)[:5]
    iobs[rows] = 3000.0 * SCALE
    reflections = table(asu, np.arange(60), iobs, 30.0 * SCALE)
    mean, sd = start.conditional_moments(model_of(reflections, likelihoods.Normal()), reflections)
    # The prior's log density falls by 1 for each 10: it shifts the mean by σ²/10.
    np.testing.assert_allclose(mean[rows], 3000.0 - 30.0**2 / 10.0, rtol=1e-3)
    np.testing.assert_allclose(sd[rows], 30.0, rtol=0.02)


@pytest.mark.parametrize("over", ["intensity", "amplitude"])
def test_conditioning_on_nothing_gives_the_prior(observed, over):
    model = model_of(observed, likelihoods.Normal(), over=over)
    missing = np.arange(60) % 4 == 0
    model.condition(observed[~missing[observed.refl_id]])
    prior = model.prior.distribution(over=over)
    posterior = model.surrogate.distribution()
    np.testing.assert_allclose(posterior.mean().numpy()[missing], prior.mean().numpy()[missing], rtol=5e-3)
    np.testing.assert_allclose(posterior.stddev().numpy()[missing], prior.stddev().numpy()[missing], rtol=5e-3)
    assert np.all(posterior.stddev().numpy()[~missing] < 1.01 * prior.stddev().numpy()[~missing])


def test_condition_assigns_the_conditional_moments(observed):
    model = model_of(observed, likelihoods.StudentT(4.0), surrogates.RiceWoolfson)
    mean, _ = start.conditional_moments(model, observed)
    model.condition(observed)
    np.testing.assert_allclose(model.surrogate.moments().F, mean, rtol=1e-3)


def test_strong_data_with_known_scales_give_the_true_amplitudes(asu, table):
    rng = np.random.default_rng(1)
    true = 10.0 * asu.epsilon * rng.exponential(size=60) + 0.5
    refl_id = np.repeat(np.arange(60), 5)
    sigma = 0.01 * SCALE * true[refl_id]
    reflections = table(asu, refl_id, SCALE * true[refl_id] + sigma * rng.normal(size=300), sigma)
    model = model_of(reflections, likelihoods.Normal())
    model.condition(reflections)
    f, sigf, i, sigi = (m.numpy() for m in model.surrogate.moments())
    np.testing.assert_allclose(f, np.sqrt(true), rtol=0.02)
    np.testing.assert_allclose(sigi / i, 0.01 / np.sqrt(5), rtol=0.03)
    assert np.all(np.abs(f - np.sqrt(true)) < 4 * sigf)


def test_initialize_starts_near_the_truth(simulation, reflections, make_model):
    for surrogate, over in ((surrogates.Gamma, "intensity"), (surrogates.RiceWoolfson, "amplitude")):
        model = make_model(reflections, surrogate, over)
        batch = next(iter(reflections.dataset(shuffle=False)))
        moments = model.surrogate.moments()
        assert np.all(np.isfinite(moments))
        predicted = model(batch).numpy()
        assert np.corrcoef(predicted, reflections.iobs)[0, 1] > 0.8
        assert predicted.mean() == pytest.approx(reflections.iobs.mean(), rel=0.15)
        assert model.scaling(batch).numpy() == pytest.approx(np.full(len(reflections), model.scaling(batch)[0]))


def test_initialize_takes_any_unit(reflections, make_model):
    from dataclasses import replace

    for unit in (np.float32(1e-4), np.float32(1e4)):
        scaled = replace(reflections, iobs=unit * reflections.iobs, sigiobs=unit * reflections.sigiobs)
        predicted = make_model(scaled)(next(iter(scaled.dataset())))
        assert np.mean(predicted) == pytest.approx(scaled.iobs.mean(), rel=0.15)


def test_reflections_of_another_asu_are_refused(observed, reflections):
    model = model_of(observed, likelihoods.Normal())
    for method in (model.check, model.initialize, model.condition, model.merge):
        with pytest.raises(ReflectionDataError, match="not those that the model was made for"):
            method(reflections)
