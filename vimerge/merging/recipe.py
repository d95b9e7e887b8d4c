"""The usual way to make and train a model."""

import math

import keras
import pandas as pd

from vimerge import likelihoods, priors, scaling, surrogates
from vimerge.merging.callbacks import ConditionSurrogate, Record
from vimerge.merging.model import VariationalMergingModel

SURROGATES = {
    "gamma": surrogates.Gamma,
    "rice": surrogates.RiceWoolfson,
    "folded-normal": surrogates.FoldedNormal,
    "truncated-normal": surrogates.TruncatedNormal,
    "log-normal": surrogates.LogNormal,
    "weibull": surrogates.Weibull,
}
ERROR_MODELS = {"none": lambda: None, "evans": likelihoods.Evans2011}
LIKELIHOODS = ("normal", "student-t")

# Enough for the scale of some ten thousand observations; more data wants its passes, not more steps than these passes.
STEPS, LEAST_EPOCHS = 2000, 20
CONDITION_AT = (0.02, 0.05, 0.1, 0.2, 0.4, 0.7)


def make_model(
    reflections,
    *,
    surrogate="gamma",
    likelihood="student-t",
    dof=16.0,
    error_model="none",
    mc_samples=1,
    seed=None,
):
    """Make a model by the names of its parts, started from the data.

    Parameters
    ----------
    reflections : Reflections
        What it will be trained on.
    surrogate : {"gamma", "rice", "folded-normal", "truncated-normal", "log-normal", "weibull"}
    likelihood : {"normal", "student-t"}
    dof : float
        Degrees of freedom of "student-t".
    error_model : {"none", "evans"}
    mc_samples : int
    seed : int, optional
        Fixes the samples; see `vimerge.set_seed` for the rest.

    Returns
    -------
    VariationalMergingModel

    Raises
    ------
    ValueError
        If a name is none of these.
    """
    for name, value, known in (
        ("surrogate", surrogate, SURROGATES),
        ("likelihood", likelihood, LIKELIHOODS),
        ("error model", error_model, ERROR_MODELS),
    ):
        if value not in known:
            raise ValueError(f"There is no {name} {value!r}; there are: {', '.join(known)}.")
    errors = ERROR_MODELS[error_model]()
    model = VariationalMergingModel(
        surrogate=SURROGATES[surrogate](reflections.asu),
        prior=priors.Wilson(reflections.asu),
        scaling=scaling.MLP(reflections.metadata_keys),
        likelihood=likelihoods.StudentT(dof, errors) if likelihood == "student-t" else likelihoods.Normal(errors),
        mc_samples=mc_samples,
        seed=seed,
    )
    model.initialize(reflections)
    return model


def train(
    model, reflections, test=None, *, epochs=None, batch_size=8192, learning_rate=0.01, seed=0, callbacks=(), verbose=0
):
    """Train a model with Adam, a rate that falls to zero by a cosine, and with an error model conditioning on the way.

    Parameters
    ----------
    model : VariationalMergingModel
        Started by `initialize`.
    reflections : Reflections
        The observations to train on.
    test : Reflections, optional
        Held-out observations, whose terms of the ELBO are logged now and then.
    epochs : int, optional
        By default as many as make 2,000 steps, but 20 or more.
    batch_size : int
        Observations in a batch.
    learning_rate : float
        Adam's rate at the start.
    seed : int
        Fixes the batches.
    callbacks : sequence of keras.callbacks.Callback
        Further callbacks.
    verbose : int
        Keras's own progress report.

    Returns
    -------
    pandas.DataFrame
        What was logged, a row an epoch; NaN where the test was not made.
    """
    batches = reflections.dataset(batch_size, seed=seed)
    epochs = epochs or max(LEAST_EPOCHS, math.ceil(STEPS / len(batches)))
    schedule = keras.optimizers.schedules.CosineDecay(learning_rate, epochs * len(batches))
    model.compile(keras.optimizers.Adam(schedule, beta_2=0.99))
    if model.likelihood.error_model is not None:
        # Sigmas taken as they are make the exact posterior narrower than it should be, and the scales follow it.
        condition = ConditionSurrogate(reflections, [math.ceil(epochs * part) for part in CONDITION_AT])
        callbacks = [condition, *callbacks]
    validation = {}
    if test is not None and len(test):
        validation = {"validation_data": test.dataset(shuffle=False), "validation_freq": max(1, epochs // 50)}
    record = Record()
    model.fit(batches, epochs=epochs, verbose=verbose, callbacks=[*callbacks, record], **validation)
    return pd.DataFrame(record.rows).set_index("epoch")
