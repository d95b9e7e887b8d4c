"""A model is saved and loaded without arbitrary code, parts from outside the package included."""

import keras
import numpy as np
import pytest
import tensorflow_probability as tfp

from vimerge import VariationalMergingModel, likelihoods, surrogates


@keras.saving.register_keras_serializable(package="test_saving")
class Cauchy(likelihoods.Likelihood):
    """Cauchy noise."""

    def _distribution(self, ipred, sigma):
        return tfp.distributions.Cauchy(ipred, sigma)


@keras.saving.register_keras_serializable(package="test_saving")
class Inflated(likelihoods.ErrorModel):
    """σ² plus a constant."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.floor = self.add_positive("Floor", 2.0)

    def _sigma(self, sigiobs, ipred, batch):
        return (sigiobs**2 + self.floor.value**2) ** 0.5 + 0.0 * ipred


COMBINATIONS = {
    "gamma-normal": (surrogates.Gamma, lambda: likelihoods.Normal(), "delta"),
    "rice-student-evans": (
        surrogates.RiceWoolfson,
        lambda: likelihoods.StudentT(8.0, error_model=likelihoods.Evans2011()),
        "log-normal",
    ),
    "folded-cauchy": (surrogates.FoldedNormal, lambda: Cauchy(), "delta"),
    "gamma-cauchy-inflated": (surrogates.Gamma, lambda: Cauchy(error_model=Inflated()), "delta"),
}


# What is the package's, and what is a user's own; with -m slow also half of each.
MIXED = {"gamma-normal", "folded-cauchy"}


@pytest.fixture(
    scope="module", params=[pytest.param(n, marks=pytest.mark.slow) if n in MIXED else n for n in COMBINATIONS]
)
def trained(request, reflections, make_model):
    surrogate, likelihood, posterior = COMBINATIONS[request.param]
    model = make_model(reflections, surrogate, likelihood=likelihood(), posterior=posterior, mc_samples=2)
    model.compile(keras.optimizers.Adam(0.02), run_eagerly=True)
    history = model.fit(reflections.dataset(), epochs=6, verbose=0).history
    assert history["skipped"] == [0] * 6
    assert history["loss"][-1] < history["loss"][0]
    return model


@pytest.fixture(scope="module")
def loaded(trained, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.keras"
    trained.save(path)
    return keras.saving.load_model(path)


def test_predictions_are_identical(trained, loaded, reflections):
    assert isinstance(loaded, VariationalMergingModel)
    ours, theirs = (m.predict(reflections.dataset(2500, shuffle=False), verbose=0) for m in (trained, loaded))
    assert ours.keys() == theirs.keys()
    for name, values in ours.items():
        np.testing.assert_array_equal(theirs[name], values, err_msg=name)


def test_merged_amplitudes_are_identical(trained, loaded, reflections):
    assert loaded.merge(reflections).equals(trained.merge(reflections))


def test_parts_and_numbers_are_identical(trained, loaded):
    for name in ("surrogate", "prior", "scaling", "likelihood"):
        assert type(getattr(loaded, name)) is type(getattr(trained, name))
    assert type(loaded.likelihood.error_model) is type(trained.likelihood.error_model)
    assert loaded.likelihood.parameters() == trained.likelihood.parameters()
    assert (loaded.mc_samples, loaded.kl_weight, loaded.seed) == (trained.mc_samples, trained.kl_weight, trained.seed)
    np.testing.assert_array_equal(loaded.prior.mean_intensity, trained.prior.mean_intensity)


def test_a_loaded_model_trains_on(loaded, reflections, caplog):
    steps = int(loaded.optimizer.iterations)
    assert steps == 6
    history = loaded.fit(reflections.dataset(), epochs=1, verbose=0).history
    assert history["skipped"] == [0]
    assert int(loaded.optimizer.iterations) == steps + 1
    assert "not started from the data" not in caplog.text


def test_weights_alone_can_be_saved(trained, reflections, make_model, tmp_path):
    trained.save_weights(tmp_path / "model.weights.h5")
    model = VariationalMergingModel.from_config(trained.get_config())
    model.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(model.surrogate.moments(), trained.surrogate.moments())
    batch = next(iter(reflections.dataset(shuffle=False)))
    np.testing.assert_array_equal(model(batch), trained(batch))
