"""The predictive density of held-out observations."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import integrate, stats

from vimerge import VariationalMergingModel, likelihoods, priors, scaling, surrogates
from vimerge.evidence import log_predictive, predictive
from vimerge.reflections import ReflectionDataError

SCALE = 2.5
MEAN = 10.0


class Pairs:
    """Reflections whose every two predictions are harmonics of one observation."""

    def __init__(self, reflections):
        self.asu = reflections.asu
        self._batch = dict(next(iter(reflections.dataset(shuffle=False))))
        number = len(reflections) // 2
        self._batch["harmonic_id"] = tf.range(2 * number) // 2
        self._batch |= {name: self._batch[name][::2] for name in ("iobs", "sigiobs", "weight")}

    def dataset(self, **options):
        return [self._batch]


@pytest.fixture(scope="module")
def held_out(asu, table):
    """Two observations of each reflection, with errors from a tenth of their posterior's width to ten times it."""
    rng = np.random.default_rng(8)
    refl_id = np.repeat(np.arange(60), 2)
    sigma = SCALE * MEAN * np.geomspace(0.03, 3.0, 60)[refl_id]
    iobs = SCALE * MEAN * rng.exponential(size=120) + sigma * rng.normal(size=120)
    return table(asu, refl_id, iobs, sigma)


def make(reflections, surrogate, posterior="delta", likelihood=None):
    """A model of posteriors that are wide and of scales that are known, or log-normal about it."""
    model = VariationalMergingModel(
        surrogate(reflections.asu),
        priors.Wilson(reflections.asu, MEAN),
        scaling.MLP(reflections.metadata_keys, width=2, depth=0, posterior=posterior),
        likelihood or likelihoods.Normal(),
    )
    model.scaling.adapt(reflections, SCALE)
    f = np.sqrt(MEAN) * np.linspace(0.5, 1.5, 60)
    model.surrogate.assign_moments(f, 0.3 * f)
    return model


def of_amplitude(f):
    """The exact posterior of the fixture's TruncatedNormal models, from their moments alone."""
    loc, scale = f.loc.numpy().astype(float), f.scale.numpy().astype(float)
    return [stats.truncnorm(-m / s, np.inf, m, s) for m, s in zip(loc, scale, strict=True)]


def test_it_is_the_integral_over_the_amplitude(held_out):
    model = make(held_out, surrogates.TruncatedNormal)
    found = log_predictive(model, held_out, samples=5000)
    assert found.dtype == np.float64
    assert found.shape == (120,)
    posterior = of_amplitude(model.surrogate.distribution())
    known = 0
    for i in range(0, 120, 7):
        q, x, s = posterior[held_out.refl_id[i]], float(held_out.iobs[i]), float(held_out.sigiobs[i])
        low, high = q.ppf([1e-12, 1 - 1e-12])
        peak = np.clip(np.sqrt(max(x, 0.0) / SCALE), low, high)

        def mean(power, q=q, x=x, s=s, limits=(low, high), peak=peak):
            # In units of the density at the peak, lest what is improbable be nothing.
            reference = stats.norm.logpdf(x, SCALE * peak**2, s)
            density = lambda f: q.pdf(f) * np.exp(power * (stats.norm.logpdf(x, SCALE * f**2, s) - reference))  # noqa: E731
            return integrate.quad(density, *limits, points=[peak], limit=200)[0], reference

        (first, reference), (second, _) = mean(1), mean(2)
        error = np.sqrt((second / first**2 - 1.0) / 5000)
        if error < 0.3:  # of an improbable observation all hangs on the few samples in q's tail
            known += 1
            assert abs(found[i] - np.log(first) - reference) < 4.5 * error + 1e-4
    assert known > 12


def test_two_harmonics_are_integrated_together(held_out):
    model = make(held_out, surrogates.TruncatedNormal)
    # Each observation is of a reflection and of the next one.
    order = np.stack([np.arange(0, 120, 2), (np.arange(0, 120, 2) + 2) % 120], axis=1).ravel()
    pairs = Pairs(held_out[order])
    found = log_predictive(model, pairs, samples=5000)
    assert found.shape == (60,)
    posterior = of_amplitude(model.surrogate.distribution())
    unit = (np.arange(1000) + 0.5) / 1000
    for i in range(60, 5, -7):
        i -= 1
        one, other = (SCALE * posterior[held_out.refl_id[order[2 * i + j]]].ppf(unit) ** 2 for j in (0, 1))
        x, s = held_out.iobs[order[2 * i]], held_out.sigiobs[order[2 * i]]
        density = stats.norm.pdf(x, one[:, np.newaxis] + other, s)
        error = density.std() / density.mean() / np.sqrt(5000)
        assert abs(found[i] - np.log(density.mean())) < 4.5 * error + 2e-3


def test_an_uncertain_scale_is_integrated_over(held_out):
    model = make(held_out, surrogates.Delta, scaling.posteriors.LogNormal(sd=0.3))
    found = log_predictive(model, held_out, samples=5000)
    scale = SCALE * np.exp(0.3 * stats.norm.ppf((np.arange(2000) + 0.5) / 2000))[:, np.newaxis]
    intensity = model.surrogate.moments().I.numpy().astype(float)[held_out.refl_id]
    density = stats.norm.pdf(held_out.iobs, scale * intensity, held_out.sigiobs)
    # Twelve standard deviations off, no more of the samples than of the quantiles are near.
    probable = density.mean(axis=0) * held_out.sigiobs > 0.02
    assert probable.sum() > 80
    found, density = found[probable], density[:, probable]
    error = density.std(axis=0) / density.mean(axis=0) / np.sqrt(5000)
    assert np.all(np.abs(found - np.log(density.mean(axis=0))) < 4.5 * error + 2e-3)


@pytest.mark.parametrize("likelihood", [likelihoods.Normal(), likelihoods.StudentT(4.0)], ids=["normal", "student"])
def test_points_give_the_plug_in_density(held_out, likelihood):
    model = make(held_out, surrogates.Delta, likelihood=likelihood)
    found = log_predictive(model, held_out, samples=3)
    f = model.surrogate.moments().F.numpy().astype(float)[held_out.refl_id]
    noise = stats.norm() if isinstance(likelihood, likelihoods.Normal) else stats.t(4.0)
    s = held_out.sigiobs.astype(float)
    expected = noise.logpdf((held_out.iobs - SCALE * f**2) / s) - np.log(s)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_batches_follow_the_table(held_out, monkeypatch):
    model = make(held_out, surrogates.Delta, likelihood=likelihoods.StudentT(4.0))
    whole = log_predictive(model, held_out, samples=10)
    monkeypatch.setattr(predictive, "CELLS", 70)
    np.testing.assert_allclose(log_predictive(model, held_out, samples=10), whole, rtol=1e-6)
    shuffled = np.random.default_rng(0).permutation(120)[:50]
    np.testing.assert_allclose(log_predictive(model, held_out[shuffled], samples=10), whole[shuffled], rtol=1e-6)


def test_the_seed_fixes_the_samples(held_out):
    model = make(held_out, surrogates.Gamma, "log-normal")
    first, again, other = (log_predictive(model, held_out, samples=20, seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert np.all(first != other)


def test_no_samples_and_other_reflections_are_refused(held_out, reflections):
    model = make(held_out, surrogates.Gamma)
    with pytest.raises(ValueError, match="must be 1 or more"):
        log_predictive(model, held_out, samples=0)
    with pytest.raises(ReflectionDataError, match="not those that the model was made for"):
        log_predictive(model, reflections)
