"""Priors that learn, in a model: they train with the rest, stay finite and are saved."""

import keras
import numpy as np
import pytest

from vimerge import VariationalMergingModel, priors, surrogates
from vimerge.reflections import reference_amplitudes


@pytest.fixture(scope="module")
def few(reflections):
    """The first 30 images, some 2,300 observations."""
    return reflections[reflections.image_id < 30]


@pytest.fixture(scope="module")
def truth(simulation, tmp_path_factory):
    """True amplitudes of all the reflections, as a merged file."""
    path = tmp_path_factory.mktemp("truth") / "truth.mtz"
    simulation.truth.write_mtz(str(path))
    return path


LEARNED = {
    "anisotropic": lambda asu, f: priors.Wilson(asu, priors.AnisotropicFallOff(learn=True)),
    "smooth": lambda asu, f: priors.Wilson(asu, priors.SmoothFallOff(learn=True)),
    "reference": lambda asu, f: priors.Reference(asu, f, falloff=priors.SmoothFallOff(learn=True)),
}


@pytest.mark.parametrize(
    ("name", "surrogate", "over"),
    [
        ("anisotropic", surrogates.RiceWoolfson, "amplitude"),
        ("smooth", surrogates.Gamma, "intensity"),
        ("reference", surrogates.Gamma, "intensity"),
        ("reference", surrogates.FoldedNormal, "amplitude"),
    ],
    ids=lambda x: getattr(x, "__name__", x),
)
def test_what_is_learned_is_trained_and_saved(name, surrogate, over, few, truth, make_model, tmp_path):
    f = reference_amplitudes(few.asu, truth)
    model = make_model(few, surrogate, over, prior=LEARNED[name](few.asu, f), mc_samples=8)
    before, level = model.prior.parameters(), geometric_mean(model.prior)
    model.compile(keras.optimizers.Adam(0.02), run_eagerly=True)
    history = model.fit(few.dataset(), epochs=4, verbose=0).history
    assert history["skipped"] == [0] * 4
    assert history["loss"][-1] < history["loss"][0]
    after = model.prior.parameters()
    for key, values in before.items():
        assert np.all(np.isfinite(after[key]))
        assert np.array_equal(after[key], values) == key.endswith("_d"), key
    # The scaling model's business.
    assert geometric_mean(model.prior) == pytest.approx(level, rel=1e-5)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(loaded, VariationalMergingModel)
    assert type(loaded.prior) is type(model.prior)
    assert loaded.prior.parameters() == after
    np.testing.assert_array_equal(loaded.prior.mean_intensity, model.prior.mean_intensity)
    x = np.sqrt(model.prior(np.arange(len(few.asu), dtype=np.int32)))
    np.testing.assert_array_equal(
        loaded.prior.distribution(over=over).log_prob(x), model.prior.distribution(over=over).log_prob(x)
    )


def geometric_mean(prior):
    return float(np.exp(np.mean(np.log(prior.mean_intensity.numpy().astype(np.float64)))))


def test_the_crystals_own_amplitudes_are_told_from_others(few, truth):
    """By σ_A as it is estimated from the data, before anything is known of their scales."""
    f = reference_amplitudes(few.asu, truth)
    assert np.isfinite(f).mean() > 0.99
    prior = priors.Reference(few.asu, f)
    prior.adapt(few)
    assert np.all(prior.sigma_a.values > 0.75)
    shuffled = priors.Reference(few.asu, np.random.default_rng(0).permutation(f))
    shuffled.adapt(few)
    assert np.all(shuffled.sigma_a.values < 0.5)
    assert np.mean(shuffled.sigma_a.values) < 0.3
