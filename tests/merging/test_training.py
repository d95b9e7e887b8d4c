"""Training with Keras's own fit, and what happens when a gradient is not finite."""

import csv
import itertools
import logging

import keras
import numpy as np
import pytest
import tensorflow as tf

import vimerge
from vimerge import VariationalMergingModel, likelihoods, priors, scaling, surrogates
from vimerge.merging import NonFiniteGradientError

SURROGATES = [
    (surrogates.FrenchWilson, "intensity"),
    (surrogates.Gamma, "intensity"),
    (surrogates.Gamma, "amplitude"),
    (surrogates.RiceWoolfson, "amplitude"),
    (surrogates.FoldedNormal, "amplitude"),
    *(
        (cls, over)
        for cls in (surrogates.TruncatedNormal, surrogates.LogNormal, surrogates.Weibull)
        for over in cls.allowed_over
    ),
]
LOGGED = {"elbo", "log_likelihood", "kl_f", "kl_scale", "loss", "grad_norm", "skipped"}


@pytest.fixture(scope="module")
def few(reflections):
    """The first 12 images."""
    return reflections[reflections.image_id < 12]


@pytest.fixture(scope="module")
def fitted(reflections, make_model):
    """A model after two epochs of training with validation."""
    model = make_model(reflections)
    model.compile(keras.optimizers.Adam(0.01))
    train, test = vimerge.crossvalidation.train_test_split(reflections, 0.1)
    history = model.fit(train.dataset(3000), epochs=2, validation_data=test.dataset(), verbose=0)
    return model, history.history


def poisoned(reflections, values=None):
    """The whole data as one batch, with the first observations' sigmas replaced."""
    batch = dict(next(iter(reflections.dataset(shuffle=False))))
    sigma = batch["sigiobs"].numpy().copy()
    sigma[: len(values)] = values
    return {**batch, "sigiobs": tf.constant(sigma)}


def test_every_public_surrogate_is_trained_here():
    # A point has no KL in closed form nor samples that differ; it has tests of its own.
    public = {getattr(surrogates, name) for name in surrogates.__all__} - {surrogates.Surrogate, surrogates.Delta}
    assert {(cls, over) for cls in public for over in cls.allowed_over} == set(SURROGATES)


NOISES = list(itertools.product([likelihoods.Normal, likelihoods.StudentT], [None, likelihoods.Evans2011]))
# Of each surrogate one combination, in turn; all of them with -m slow.
COMBINATIONS = [
    pytest.param(
        *surrogate,
        *noise,
        marks=[] if i % len(NOISES) == j else pytest.mark.slow,
        id="-".join(getattr(part, "__name__", str(part)) for part in (*surrogate, *noise)),
    )
    for i, surrogate in enumerate(SURROGATES)
    for j, noise in enumerate(NOISES)
]


@pytest.mark.parametrize(("surrogate", "over", "noise", "error_model"), COMBINATIONS)
def test_every_combination_trains(few, make_model, surrogate, over, noise, error_model):
    posterior = "log-normal" if error_model and noise is likelihoods.StudentT else "delta"
    likelihood = noise(error_model=error_model() if error_model else None)
    model = make_model(few, surrogate, over, likelihood, posterior, mc_samples=4)
    # Eagerly: five steps take less time than tracing a graph does.
    model.compile(keras.optimizers.Adam(0.05), run_eagerly=True)
    history = model.fit(few.dataset(), epochs=5, verbose=0).history
    assert history["skipped"] == [0] * 5
    assert history["loss"][-1] < history["loss"][0]


def test_every_epoch_logs_the_terms(fitted):
    _, history = fitted
    assert set(history) >= LOGGED
    assert {f"val_{name}" for name in LOGGED - {"grad_norm", "skipped"}} <= set(history)
    assert all(len(values) == 2 and np.all(np.isfinite(values)) for values in history.values())
    assert history["skipped"] == [0, 0]
    np.testing.assert_allclose(history["loss"], -np.array(history["elbo"]), rtol=1e-5)
    assert history["elbo"][1] > history["elbo"][0]
    assert min(history["grad_norm"]) > 0


def test_every_trainable_weight_is_trained_and_no_other(few, make_model):
    likelihood = likelihoods.StudentT(error_model=likelihoods.Evans2011())
    model = make_model(few, likelihood=likelihood, posterior="log-normal")
    before = {w.path: w.numpy().copy() for w in model.weights}
    model.compile(keras.optimizers.Adam(0.01), run_eagerly=True)
    model.fit(few.dataset(), epochs=2, verbose=0)
    for weight in model.trainable_variables:
        assert np.any(weight.numpy() != before[weight.path]), weight.path
    for weight in (*model.prior.weights, *model.scaling.non_trainable_variables):
        np.testing.assert_array_equal(weight, before[weight.path], err_msg=weight.path)


# --- non-finite gradients -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0])
def test_a_non_finite_gradient_changes_nothing_and_is_counted(few, make_model, bad):
    model = make_model(few)
    model.compile(keras.optimizers.Adam(0.01), run_eagerly=True)
    good = dict(next(iter(few.dataset(shuffle=False))))
    dataset = tf.data.Dataset.from_tensors(good)
    assert model.fit(dataset, epochs=1, verbose=0).history["skipped"] == [0]
    weights, optimizer = model.get_weights(), [v.numpy() for v in model.optimizer.variables]
    history = model.fit(tf.data.Dataset.from_tensors(poisoned(few, [bad])), epochs=1, verbose=0).history
    if bad == np.inf:
        # An infinitely uncertain observation has a log density of −∞ and a loss that is not finite.
        assert not np.isfinite(float(model.elbo(poisoned(few, [bad])).elbo))
    assert history["skipped"] == [1]
    for old, new, variable in zip(weights, model.get_weights(), model.weights, strict=True):
        if variable.path.split("/")[-1] not in ("seed_generator_state", "skipped_in_a_row", "total", "count"):
            np.testing.assert_array_equal(new, old, err_msg=variable.path)
    for old, variable in zip(optimizer, model.optimizer.variables, strict=True):
        np.testing.assert_array_equal(variable.numpy(), old, err_msg=variable.path)


def test_a_skipped_step_leaves_the_epochs_means_to_the_others(few, make_model):
    good = dict(next(iter(few.dataset(shuffle=False))))
    bad = poisoned(few, [np.nan])
    mixed = tf.data.Dataset.from_tensors(bad).concatenate(tf.data.Dataset.from_tensors(good))
    model = make_model(few)
    mean = model.surrogate.moments().I.numpy()
    model.surrogate.assign_moments(mean, 1e-4 * mean)
    model.compile(keras.optimizers.SGD(1e-12))
    history = model.fit(mixed.concatenate(mixed), epochs=1, verbose=0).history
    assert history["skipped"] == [2]
    assert history["elbo"][0] == pytest.approx(float(model.elbo(good).elbo), rel=1e-3)


def test_an_epoch_of_skipped_steps_has_no_loss(few, make_model):
    model = make_model(few)
    model.compile(keras.optimizers.Adam(0.01), run_eagerly=True)
    history = model.fit(tf.data.Dataset.from_tensors(poisoned(few, [np.nan])), epochs=1, verbose=0).history
    # Zero would be the best loss of all to a callback that keeps the best model.
    assert np.isnan(history["loss"]).all()
    assert np.isnan(history["elbo"]).all()


def test_validation_does_not_hide_what_is_not_finite(few, make_model):
    model = make_model(few)
    model.compile(keras.optimizers.Adam(0.01), run_eagerly=True)
    logs = model.evaluate(tf.data.Dataset.from_tensors(poisoned(few, [np.nan])), verbose=0, return_dict=True)
    assert not np.isfinite(logs["loss"])
    assert not np.isfinite(logs["elbo"])


def test_many_skipped_steps_in_a_row_stop_with_advice(few, make_model):
    model = make_model(few)
    model.compile(keras.optimizers.Adam(0.01))
    good = tf.data.Dataset.from_tensors(dict(next(iter(few.dataset(shuffle=False)))))
    bad = tf.data.Dataset.from_tensors(poisoned(few, [np.nan]))
    # Nineteen are forgiven, and a good one begins the count anew.
    history = model.fit(bad.repeat(19).concatenate(good).concatenate(bad.repeat(19)), epochs=1, verbose=0)
    assert history.history["skipped"] == [38]
    with pytest.raises(NonFiniteGradientError, match=r"20 steps in a row .* lower learning rate, clip the gradient"):
        model.fit(bad.repeat(50), epochs=1, verbose=0)


# --- Keras's own callbacks -------------------------------------------------------------------------------------------


def test_keras_callbacks_work(few, make_model, tmp_path):
    model = make_model(few)
    model.compile(keras.optimizers.Adam(0.01))
    train, test = vimerge.crossvalidation.train_test_split(few, 0.2)
    rates = []
    callbacks = [
        keras.callbacks.EarlyStopping(monitor="val_elbo", mode="max", patience=1, min_delta=1e6),
        keras.callbacks.ModelCheckpoint(tmp_path / "last.keras"),
        keras.callbacks.CSVLogger(tmp_path / "history.csv"),
        keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2),
        keras.callbacks.LambdaCallback(on_epoch_end=lambda e, logs: rates.append(float(model.optimizer.learning_rate))),
    ]
    history = model.fit(train.dataset(500), epochs=6, validation_data=test.dataset(), callbacks=callbacks, verbose=0)
    # No gain reaches the minimum of a million nats, so that the second epoch is the last.
    assert history.epoch == [0, 1]
    assert rates == pytest.approx([0.005, 0.0025])
    with (tmp_path / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2
    assert set(rows[0]) >= LOGGED | {"epoch", "val_loss", "val_elbo"}
    last = keras.saving.load_model(tmp_path / "last.keras")
    assert isinstance(last, VariationalMergingModel)
    np.testing.assert_array_equal(last.surrogate.moments(), model.surrogate.moments())


def test_one_callback_need_not_be_in_a_list(few, make_model):
    model = make_model(few)
    model.compile(keras.optimizers.Adam(0.01), run_eagerly=True)
    seen = []
    model.fit(
        few.dataset(),
        epochs=2,
        callbacks=keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(epoch)),
        verbose=0,
    )
    assert seen == [0, 1]


def test_tensorboard_works(few, make_model, tmp_path):
    pytest.importorskip("tensorboard")
    model = make_model(few)
    model.compile(keras.optimizers.Adam(0.01))
    model.fit(few.dataset(), epochs=1, callbacks=[keras.callbacks.TensorBoard(tmp_path)], verbose=0)
    assert list(tmp_path.rglob("events*"))


def test_fit_warns_of_a_model_not_started_from_the_data(few, caplog):
    def fit(initialize):
        model = VariationalMergingModel(
            surrogates.Gamma(few.asu),
            priors.Wilson(few.asu),
            scaling.MLP(few.metadata_keys, width=8, depth=1),
            likelihoods.Normal(),
        )
        if initialize:
            model.initialize(few)
        model.compile(keras.optimizers.Adam(1e-3), run_eagerly=True)
        with caplog.at_level(logging.WARNING, logger="vimerge"):
            caplog.clear()
            model.fit(few.dataset(), epochs=1, verbose=0)
        return [r.getMessage() for r in caplog.records if r.name == "vimerge" and r.levelno == logging.WARNING]

    assert any("model.initialize(reflections)" in message for message in fit(False))
    assert fit(True) == []


def test_the_same_seed_gives_the_same_weights_bit_for_bit(few, make_model):
    from tensorflow.python.framework import config

    def train(seed):
        vimerge.set_seed(seed)
        model = make_model(few, likelihood=likelihoods.StudentT(error_model=likelihoods.Evans2011()), seed=None)
        model.compile(keras.optimizers.Adam(0.01))
        start = model.get_weights()
        model.fit(few.dataset(300, seed=seed), epochs=3, verbose=0)
        return start, model.get_weights()

    try:
        (start, first), (_, again) = train(5), train(5)
    finally:
        config.disable_op_determinism()
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert sum(not np.array_equal(a, b) for a, b in zip(first, start, strict=True)) > 5


def test_surrogate_and_prior_must_be_of_the_same_reflections(reflections, asu):
    with pytest.raises(ValueError, match="give both the same asu"):
        VariationalMergingModel(
            surrogates.Gamma(asu), priors.Wilson(reflections.asu), scaling.MLP(["x"]), likelihoods.Normal()
        )


def test_at_least_one_sample_is_needed(asu):
    with pytest.raises(ValueError, match="mc_samples must be 1 or more, not 0"):
        VariationalMergingModel(
            surrogates.Gamma(asu), priors.Wilson(asu), scaling.MLP(["x"]), likelihoods.Normal(), mc_samples=0
        )
