"""The ELBO is that of the mathematics, whatever the batch."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import integrate, stats

from vimerge import VariationalMergingModel, likelihoods, priors, scaling, surrogates
from vimerge.merging import ELBO


def compiled(model):
    """The ELBO as a graph, which is many times faster."""
    graph = tf.function(model.elbo, reduce_retracing=True)
    return lambda batch: np.array(graph(batch), np.float64)


def epoch_mean(elbo, batches):
    """Mean of the terms over the batches of an epoch, weighted by their numbers of observations."""
    terms = [(len(b["iobs"]), elbo(b)) for b in batches]
    sizes = np.array([size for size, _ in terms])
    return sum(size * term for size, term in terms) / sizes.sum(), sizes


@pytest.fixture(scope="module")
def narrow(reflections, make_model):
    """A model whose samples are all but equal to their mean: its Monte Carlo error is negligible."""
    likelihood = likelihoods.StudentT(4.0, error_model=likelihoods.Evans2011())
    model = make_model(reflections, likelihood=likelihood, posterior="log-normal")
    mean = model.surrogate.moments().I.numpy()
    model.surrogate.assign_moments(mean, 1e-4 * mean)
    model.scaling.posterior.sd = 1e-5
    return model


@pytest.fixture(scope="module")
def full(narrow, reflections):
    return np.array(narrow.elbo(next(iter(reflections.dataset()))), np.float64)


def test_terms_are_named_and_add_up(narrow, reflections):
    terms = narrow.elbo(next(iter(reflections.dataset())))
    assert isinstance(terms, ELBO)
    assert ELBO._fields == ("elbo", "log_likelihood", "kl_f", "kl_scale")
    assert float(terms.elbo) == pytest.approx(float(terms.log_likelihood - terms.kl_f - terms.kl_scale), rel=1e-6)
    assert all(term.shape == () for term in terms)


def test_kl_of_f_is_counted_once_for_each_reflection_observed(reflections, make_model):
    from vimerge.distributions import kl_divergence

    model = make_model(reflections)
    part = reflections[::3]
    each = kl_divergence(model.surrogate.distribution(), model.prior.distribution(over="intensity")).numpy()
    expected = each[part.multiplicity > 0].sum(dtype=np.float64) / len(part)
    assert float(model.elbo(next(iter(part.dataset()))).kl_f) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("batch_size", [100, pytest.param(1000, marks=pytest.mark.slow), 6000])
def test_minibatches_of_observations_are_unbiased(narrow, reflections, full, batch_size):
    elbo = compiled(narrow)
    for seed in (0, 1):
        mean, sizes = epoch_mean(elbo, reflections.dataset(batch_size, seed=seed))
        assert len(sizes) > 1
        np.testing.assert_allclose(mean, full, rtol=2e-4)


def test_minibatches_of_images_are_unbiased(narrow, reflections, full):
    batches = []
    everything = next(iter(reflections.dataset(shuffle=False)))
    everything = {name: value.numpy() for name, value in everything.items()}
    for images in np.array_split(np.random.default_rng(0).permutation(reflections.n_images), 7):
        rows = np.isin(everything["image_id"], images)
        batch = {name: value[rows] for name, value in everything.items()}
        # Each image is drawn with the same probability, so that one of 7 batches stands for a seventh of the sum.
        batch["weight"] = np.full(rows.sum(), 7 / len(reflections), np.float32)
        batch["harmonic_id"] = np.arange(rows.sum(), dtype=np.int32)
        batches.append({name: tf.constant(value) for name, value in batch.items()})
    elbo = compiled(narrow)
    terms = np.array([elbo(batch) for batch in batches])
    np.testing.assert_allclose(terms.mean(axis=0), full, rtol=2e-4)


def test_samples_are_unbiased_over_minibatches(reflections, make_model):
    # With the surrogate as wide as it starts: many epochs agree with many samples of the full batch.
    model = make_model(reflections, likelihood=likelihoods.StudentT(4.0))
    whole = next(iter(reflections.dataset()))
    elbo = compiled(model)
    full = np.array([elbo(whole) for _ in range(30)])
    mini = np.array([epoch_mean(elbo, reflections.dataset(2000, seed=s))[0] for s in range(30)])
    error = np.sqrt(full.var(axis=0, ddof=1) / 30 + mini.var(axis=0, ddof=1) / 30)
    assert np.all(np.abs(full.mean(axis=0) - mini.mean(axis=0)) < 5 * error + 1e-5)
    np.testing.assert_allclose(full[:, 2], mini[:, 2], rtol=1e-5)


def test_more_samples_have_the_same_mean_and_less_noise(reflections, make_model):
    whole = next(iter(reflections.dataset()))
    spread, mean = {}, {}
    for mc_samples in (1, 25):
        model = make_model(reflections, mc_samples=mc_samples)
        elbo = compiled(model)
        values = [elbo(whole)[1] for _ in range(20)]
        spread[mc_samples], mean[mc_samples] = np.std(values), np.mean(values)
    assert spread[25] < 0.5 * spread[1]
    assert abs(mean[1] - mean[25]) < 5 * spread[1] / np.sqrt(20)


def test_kl_weight_scales_both_kls_in_the_loss_and_not_in_the_elbo(reflections, make_model):
    model = make_model(reflections, kl_weight=0.1)
    terms = model.elbo(next(iter(reflections.dataset())))
    expected = -terms.log_likelihood + 0.1 * (terms.kl_f + terms.kl_scale)
    assert float(model.loss_of(terms)) == pytest.approx(float(expected), rel=1e-6)
    assert float(terms.elbo) == pytest.approx(float(terms.log_likelihood - terms.kl_f - terms.kl_scale), rel=1e-6)


def test_two_predictions_of_one_observation_are_one_datum(asu, table, make_model):
    reflections = table(asu, np.arange(60), np.linspace(1.0, 50.0, 60), 2.0)
    model = make_model(reflections)
    model.surrogate.assign_moments(np.linspace(1.0, 30.0, 60), np.full(60, 1e-5))
    batch = dict(next(iter(reflections.dataset(shuffle=False))))
    batch["harmonic_id"] = tf.range(60) // 2
    batch |= {name: batch[name][:30] for name in ("iobs", "sigiobs")}
    batch["weight"] = tf.fill([30], 1 / 30)
    scaled = model.scaling(batch).numpy() * model.surrogate.moments().I.numpy()
    expected = stats.norm.logpdf(batch["iobs"].numpy(), scaled.reshape(30, 2).sum(axis=1), 2.0).mean()
    assert float(model.elbo(batch).log_likelihood) == pytest.approx(expected, rel=1e-3)


# --- against the exact evidence ------------------------------------------------------------------------------------

DATA = [1.2, 0.7, 1.9], [-0.3, 0.4], [4.0]


@pytest.fixture(scope="module")
def tiny(asu):
    """Three reflections of six observations, with the scale 1 and σ = 0.5: axial (ε = 4), centric and general."""
    from vimerge.reflections import Reflections

    kinds = asu.epsilon == 4, asu.centric, ~asu.centric & (asu.epsilon == 1)
    ids = np.concatenate([[np.flatnonzero(kind)[0]] * len(iobs) for kind, iobs in zip(kinds, DATA, strict=True)])
    reflections = Reflections.from_arrays(
        asu.miller_index[ids],
        np.concatenate(DATA),
        np.full(6, 0.5),
        np.arange(6),
        cell=asu.cell,
        spacegroup=asu.spacegroup,
        metadata_keys=["BATCH"],
    )
    assert sorted(reflections.asu.epsilon) == [1, 1, 4]
    assert reflections.asu.centric.sum() == 1
    return reflections


def log_evidence(reflections):
    """Log p(I) by quadrature over each amplitude, in double precision; Σ is 1."""
    total = 0.0
    for i in range(len(reflections.asu)):
        iobs = reflections.iobs[reflections.refl_id == i].astype(np.float64)
        root = np.sqrt(float(reflections.asu.epsilon[i]))
        prior = stats.halfnorm(scale=root) if reflections.asu.centric[i] else stats.rayleigh(scale=root / np.sqrt(2))

        def joint(f, iobs=iobs, prior=prior):
            return prior.pdf(f) * np.prod(stats.norm.pdf(iobs, f**2, 0.5))

        total += np.log(integrate.quad(joint, 0, 10, epsabs=0, epsrel=1e-8, limit=500)[0])
    return total


@pytest.mark.parametrize(
    ("surrogate", "over"),
    [
        (surrogates.Gamma, "intensity"),
        pytest.param(surrogates.Gamma, "amplitude", marks=pytest.mark.slow),
        (surrogates.RiceWoolfson, "amplitude"),
        (surrogates.FoldedNormal, "amplitude"),
    ],
)
def test_elbo_is_a_tight_lower_bound_of_the_evidence(tiny, surrogate, over):
    model = VariationalMergingModel(
        surrogate(tiny.asu, over=over),
        priors.Wilson(tiny.asu, 1.0),
        scaling.MLP(tiny.metadata_keys, width=1, depth=0),
        likelihoods.Normal(),
        mc_samples=500,
        seed=2,
    )
    model.initialize(tiny)
    model.scaling.adapt(tiny, 1.0)
    model.scaling.trainable = False
    exact = log_evidence(tiny)
    batch = next(iter(tiny.dataset()))

    elbo = compiled(model)

    def estimate():
        values = len(tiny) * np.array([elbo(batch)[0] for _ in range(40)])
        return values.mean(), values.std(ddof=1) / np.sqrt(40)

    start, error = estimate()
    assert start < exact + 5 * error
    model.compile(keras.optimizers.Adam(0.05))
    model.fit(tiny.dataset().repeat(150), epochs=1, verbose=0)
    trained, error = estimate()
    assert error < 0.02
    assert start < trained < exact + 5 * error
    # The families are near the posterior, and hence the bound near the evidence: within 0.05 nats for each F.
    assert trained > exact - 0.15
