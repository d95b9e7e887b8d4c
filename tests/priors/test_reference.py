"""The prior about a reference: what Srinivasan and Ramachandran's statistics say."""

import gemmi
import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from vimerge import priors, surrogates
from vimerge.distributions import kl_divergence
from vimerge.priors.reference import normalised_amplitudes
from vimerge.reflections import ReciprocalASU

OVER = pytest.mark.parametrize("over", ["amplitude", "intensity"])
K, B = 500.0, 25.0


@pytest.fixture(scope="module")
def crystal():
    """Some 10,400 reflections, Σ(d), and normal structure factors in units of √(εΣ): the phases and amplitudes."""
    cell, spacegroup = gemmi.UnitCell(60, 60, 80, 90, 90, 90), gemmi.SpaceGroup("P 43 21 2")
    asu = ReciprocalASU.from_observed(gemmi.make_miller_array(cell, spacegroup, 2.0), cell, spacegroup)

    def normal(rng):
        real, imaginary = rng.normal(size=(2, len(asu)))
        return np.where(asu.centric, real, (real + 1j * imaginary) / np.sqrt(2))

    return asu, K * np.exp(-B * asu.s2 / 2), normal


def of_model(e, asu):
    """Amplitudes with another scale and fall-off than the crystal's."""
    return 70.0 * np.abs(e) * np.sqrt(asu.epsilon) * np.exp(-10.0 * asu.s2 / 4)


def amplitudes_of(asu, seed=1):
    return 30.0 * np.sqrt(asu.epsilon * np.random.default_rng(seed).exponential(size=len(asu)))


@OVER
def test_without_correlation_it_is_wilsons(asu, over):
    sigma = np.geomspace(1e-2, 1e4, 60)
    wilson = priors.Wilson(asu, sigma).distribution(over=over)
    reference = priors.Reference(asu, amplitudes_of(asu), 0.0, falloff=sigma).distribution(over=over)
    x = wilson.mean() * np.geomspace(1e-4, 8.0, 30)[:, np.newaxis].astype(np.float32)
    np.testing.assert_allclose(reference.log_prob(x), wilson.log_prob(x), rtol=1e-5, atol=2e-5)
    np.testing.assert_allclose(reference.mean(), wilson.mean(), rtol=1e-5)
    np.testing.assert_allclose(reference.stddev(), wilson.stddev(), rtol=1e-5)


@OVER
@pytest.mark.parametrize("sigma_a", [0.97, "learned"])
def test_reflections_without_a_reference_have_wilsons_distribution(asu, over, sigma_a):
    amplitudes = amplitudes_of(asu)
    amplitudes[1:] = np.where(np.arange(59) % 2, amplitudes[1:], np.nan)
    prior = priors.Reference(asu, amplitudes, sigma_a, falloff=5.0)
    missing = np.flatnonzero(np.isnan(amplitudes)).astype(np.int32)
    np.testing.assert_array_equal(np.isnan(prior.reference), np.isnan(amplitudes))
    wilson = priors.Wilson(asu, 5.0).distribution(missing, over=over)
    x = np.geomspace(1e-3, 30.0, 20)[:, np.newaxis].astype(np.float32)
    found = prior.distribution(missing, over=over).log_prob(x)
    np.testing.assert_allclose(found, wilson.log_prob(x), rtol=1e-5, atol=2e-5)
    with tf.GradientTape() as tape:
        log_prob = prior.distribution(missing, over=over).log_prob(x)
    for gradient in tape.gradient(log_prob, prior.trainable_variables):
        np.testing.assert_array_equal(gradient, 0.0)


def test_density_is_that_of_srinivasan_and_ramachandran(asu):
    prior = priors.Reference(asu, amplitudes_of(asu), 0.8, falloff=3.0)
    e, variance = prior.reference.astype(np.float64), 3.0 * asu.epsilon * (1 - 0.8**2)
    centre = 0.8 * e * np.sqrt(3.0 * asu.epsilon)
    f = np.linspace(0.05, 6.0, 25)[:, np.newaxis]
    acentric = scipy.stats.rice(centre / np.sqrt(variance / 2), scale=np.sqrt(variance / 2)).logpdf(f)
    centric = scipy.stats.foldnorm(centre / np.sqrt(variance), scale=np.sqrt(variance)).logpdf(f)
    found = prior.distribution().log_prob(f.astype(np.float32))
    np.testing.assert_allclose(found, np.where(asu.centric, centric, acentric), rtol=1e-4, atol=1e-4)


def test_mean_intensity_is_linear_in_that_of_the_reference(asu):
    prior = priors.Reference(asu, amplitudes_of(asu), 0.6, falloff=3.0)
    expected = 3.0 * asu.epsilon * (1 + 0.6**2 * (prior.reference**2 - 1))
    np.testing.assert_allclose(prior(tf.range(60)), expected, rtol=1e-5)


@OVER
@pytest.mark.parametrize("sigma_a", [0.5, 0.95])
def test_averaged_over_references_it_is_wilsons(crystal, over, sigma_a):
    """Draw a reference by Wilson's statistics, and F about it: F has Wilson's statistics too."""
    asu, sigma, normal = crystal
    prior = priors.Reference(asu, of_model(normal(np.random.default_rng(1)), asu), sigma_a, falloff=sigma)
    x = prior.distribution(over=over).sample(seed=[1, 2]).numpy().astype(np.float64)
    e2 = (x**2 if over == "amplitude" else x) / (asu.epsilon * sigma)
    assert scipy.stats.kstest(e2[~asu.centric], "expon").pvalue > 0.01
    assert scipy.stats.kstest(e2[asu.centric], scipy.stats.chi2(1).cdf).pvalue > 0.01
    # The two are correlated as intended.
    slope = np.polyfit(prior.reference**2 - 1, e2 - 1, 1)[0]
    assert slope == pytest.approx(sigma_a**2, abs=0.05)


def test_reference_is_normalised_whatever_its_scale_and_fall_off(crystal):
    asu, _, normal = crystal
    e = normal(np.random.default_rng(1))
    found = normalised_amplitudes(asu, of_model(e, asu))
    # A smooth curve through the shells is good to a per cent or two.
    assert np.sqrt(np.mean((found / np.abs(e) - 1) ** 2)) < 0.03
    for shell in np.array_split(np.argsort(asu.s2), 5):
        assert np.mean(found[shell] ** 2) == pytest.approx(1.0, abs=0.08)
    np.testing.assert_allclose(normalised_amplitudes(asu, 1e3 * of_model(e, asu)), found, rtol=1e-6)
    # Their absences do not matter for the others.
    hidden = np.where(np.arange(len(asu)) % 3, of_model(e, asu), np.nan)
    again = normalised_amplitudes(asu, hidden)
    np.testing.assert_array_equal(np.isnan(again), np.isnan(hidden))
    assert np.nanstd(again / found) < 0.03


@pytest.mark.parametrize("noise", [1.0, 100.0])
def test_sigma_a_is_estimated_by_resolution(crystal, table, noise):
    asu, sigma, normal = crystal
    rng = np.random.default_rng(2)
    true = 0.95 - 1.6 * asu.s2
    e_ref = normal(rng)
    e = true * e_ref + np.sqrt(1 - true**2) * normal(rng)
    refl_id = np.repeat(np.arange(len(asu)), 4)
    # Image scales that nothing has corrected for, noise, and outliers.
    iobs = (sigma * asu.epsilon * np.abs(e) ** 2)[refl_id] * rng.lognormal(sigma=0.3, size=len(refl_id))
    iobs += noise * rng.normal(size=len(refl_id))
    iobs[rng.random(len(iobs)) < 0.003] += 1e3 * K
    prior = priors.Reference(asu, of_model(e_ref, asu))
    prior.adapt(table(asu, refl_id, iobs, noise))
    expected = 0.95 - 1.6 / prior.sigma_a.d**2
    # Σ at the highest resolution is a fifth of the larger noise.
    np.testing.assert_allclose(prior.sigma_a.values, expected, atol=0.1)
    assert np.sqrt(np.mean((prior.sigma_a.values - expected) ** 2)) < 0.06
    assert prior.parameters() == prior.sigma_a.parameters()


def test_sigma_a_cannot_reach_one(asu):
    prior = priors.Reference(asu, amplitudes_of(asu), falloff=3.0)
    prior.trainable_variables[0].assign(np.full(5, 1e3))
    assert np.all(prior.sigma_a(tf.range(60)) <= np.float32(0.999))
    for over in ("amplitude", "intensity"):
        p = prior.distribution(over=over)
        assert np.all(p.stddev() > 0.01)
        assert np.all(np.isfinite(p.log_prob([[1e-30], [1e-3], [1.0], [1e3]])))


SURROGATES = [
    (cls, over)
    for cls in (getattr(surrogates, name) for name in surrogates.__all__)
    if cls not in (surrogates.Surrogate, surrogates.Delta)
    for over in cls.allowed_over
]


@pytest.mark.parametrize(("cls", "over"), SURROGATES, ids=lambda x: getattr(x, "__name__", x))
def test_divergence_from_every_surrogate_is_that_of_quadrature(cls, over, asu):
    prior, layer = priors.Reference(asu, amplitudes_of(asu), 0.8, falloff=3.0), cls(asu, over=over)
    some = np.arange(0, 60, 4, dtype=np.int32)
    expected = prior.distribution(over=over)
    mean = expected.mean().numpy().astype(np.float64)
    layer.assign_moments(mean, mean / np.tile(np.geomspace(2.0, 20.0, 20), 3))
    p = prior.distribution(some, over=over)
    with tf.GradientTape() as tape:
        q = layer.distribution(some)
        sample = layer.sample(q, 4000, 3)
        kl = kl_divergence(q, p, sample)
    for gradient in tape.gradient(kl, layer.trainable_variables):
        assert np.all(np.isfinite(tf.convert_to_tensor(gradient)))
    log_ratio = (q.log_prob(sample) - p.log_prob(sample)).numpy().astype(np.float64)
    error = log_ratio.std(axis=0) / np.sqrt(len(log_ratio))
    # x = t⁴, in which no density is infinite at zero.
    top = q.mean().numpy() + 30 * q.stddev().numpy()
    t = np.linspace(0, top**0.25, 6001)[1:]
    x = (t**4).astype(np.float32)
    log_q, log_p = (d.log_prob(x).numpy().astype(np.float64) for d in (q, p))
    log_q = np.maximum(log_q, -700.0)
    quadrature = np.trapezoid(np.exp(log_q) * (log_q - log_p) * 4 * t**3, t, axis=0)
    assert np.all(np.abs(kl - quadrature) < 5 * error + 1e-3)


def test_divergence_of_a_point_is_its_log_density(asu):
    prior, layer = priors.Reference(asu, amplitudes_of(asu), 0.8, falloff=3.0), surrogates.Delta(asu)
    layer.assign_moments(np.linspace(0.5, 3.0, 60), np.ones(60))
    q, p = layer.distribution(), prior.distribution()
    np.testing.assert_allclose(kl_divergence(q, p, layer.sample(q, 2)), -p.log_prob(q.loc), rtol=1e-6)


def test_impossible_references_are_refused(asu):
    f = amplitudes_of(asu)
    with pytest.raises(ValueError, match=r"amplitudes needs a number for each of the 60 reflections"):
        priors.Reference(asu, f[:-1])
    with pytest.raises(ValueError, match="must be finite and not negative, and NaN where there is none"):
        priors.Reference(asu, -f)
    with pytest.raises(ValueError, match="no amplitude of the reference above zero: check that"):
        priors.Reference(asu, np.full(60, np.nan))
    with pytest.raises(ValueError, match=r"sigma_a must be between 0 and 0\.999 everywhere"):
        priors.Reference(asu, f, 1.0)
    with pytest.raises(ValueError, match="there is no 'estimated'"):
        priors.Reference(asu, f, "estimated")
    with pytest.raises(ValueError, match="one node or more"):
        priors.SigmaA(0)
    with pytest.raises(ValueError, match=r"start between 0 and 0\.999"):
        priors.SigmaA(initial=1.0)
