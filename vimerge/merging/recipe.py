"""The usual way to make and train a model."""

import math
from typing import NamedTuple

import keras
import pandas as pd
import tensorflow as tf

from vimerge.merging import parts
from vimerge.merging.callbacks import ConditionSurrogate, Record, Settle, settle
from vimerge.merging.flat_adam import FlatAdam
from vimerge.merging.model import VariationalMergingModel
from vimerge.surrogates import Delta


class Plan(NamedTuple):
    """How long to train, and when to condition the surrogate, as fractions of all the epochs."""

    steps: int  # enough for the scale of some ten thousand observations
    least_epochs: int  # more data wants its passes, not more steps than these passes
    batch_size: int
    by: str
    condition_at: tuple
    learning_rate: float


PLANS = {
    "collapsed": Plan(800, 3, 2048, "reflection", (1.0,), 0.02),
    "elbo": Plan(2000, 20, 8192, "observation", (0.02, 0.05, 0.1, 0.2, 0.4, 0.7), 0.01),
}


def make_model(
    reflections,
    *,
    surrogate="french-wilson",
    over=None,
    falloff="smooth",
    learn_falloff=False,
    reference=None,
    reference_column=None,
    correlate=None,
    friedel_correlation=None,
    likelihood="student-t",
    dof=16.0,
    learn_dof=True,
    error_model="evans",
    errors_per=None,
    shared_errors="auto",
    scaling=None,
    scale_posterior="delta",
    width=32,
    depth=3,
    scaling_from=None,
    mc_samples=1,
    seed=None,
):
    """Make a model by the names of its parts, started from the data.

    Parameters
    ----------
    reflections : Reflections
        What it will be trained on.
    surrogate : str
        The family of q(F): "french-wilson", "gamma", "rice", "folded-normal", "truncated-normal", "log-normal",
        "weibull" or "delta".
    over : {"amplitude", "intensity"}, optional
        What the surrogate is a distribution of; by default what suits the family.
    falloff : {"flat", "isotropic", "anisotropic", "smooth"}
        How the prior's mean intensity falls off with resolution.
    learn_falloff : bool
        Whether it is learned with the rest, from its estimate on. A scaling model that sees the resolution takes part
        of it.
    reference : path, optional
        Amplitudes that the prior is centred on: a merged MTZ file, or a model (PDB or mmCIF).
    reference_column : str, optional
        The column of the MTZ file; found by its type if not given.
    correlate : dict of str to (str, float or "auto"), optional
        The parent of a data set and the correlation of their structure factors, such as {"on": ("off", 0.99)}, or
        "auto" for that of most evidence in each shell of resolution, which `train` chooses; see
        `vimerge.priors.MultivariateWilson` and `vimerge.merging.choose_correlations`.
    friedel_correlation : float or "auto", optional
        The correlation of Friedel mates, or "auto" as well.
    likelihood : {"normal", "student-t", "laplace", "contaminated"}
        The noise family.
    dof : float
        Degrees of freedom of "student-t".
    learn_dof : bool
        Whether they are learned, from `dof` on.
    error_model : {"none", "evans", "xds", "neural"}
        What σ is, given that of integration.
    errors_per : {"dataset", "file", "image"}, optional
        Whether each file or image has an error model of its own, drawn towards those of the others. By default each
        image has, if the error model is "evans" or "xds".
    shared_errors : float or "auto"
        The correlation of the systematic errors of spots that correlated data sets have in common, see
        `vimerge.merging.choose_shared_errors`; "auto" is that of most evidence, which `train` chooses, or 0 without an
        error model.
    scaling : str, optional
        The scaling model: "mlp", "layers", "image", "detector" or "physical", or several of them joined by "+", whose
        logarithms add up. By default "layers+image", a network whose last layer differs from image to image and a scale
        and B factor for each image; "mlp+image", without such layers, if images have fewer than 15 observations for
        each of the `width` + 1 weights of a layer; "mlp" if there is one image or no dHKL among the metadata.
        "detector" is the response of the detector, finer than a network follows it.
    scale_posterior : {"delta", "log-normal", "gamma", "folded-normal"}
        The family of q(Σ).
    width, depth : int
        Size of the scaling network.
    scaling_from : path, optional
        A trained model (`model.keras`), whose scaling model is used as it is and not trained.
    mc_samples : int
        Samples of each expectation.
    seed : int, optional
        Fixes the samples; see `vimerge.set_seed` for the rest.

    Returns
    -------
    VariationalMergingModel

    Raises
    ------
    ValueError
        If a name is none of these, or two do not go together.
    """
    model = VariationalMergingModel(
        surrogate=parts.known("surrogate", surrogate, parts.SURROGATES)(reflections.asu, over=over),
        prior=parts.make_prior(
            reflections.asu,
            falloff,
            learn_falloff,
            reference,
            reference_column,
            correlate=correlate,
            friedel_correlation=friedel_correlation,
        ),
        scaling=(
            parts.make_scaling(reflections, scaling, width=width, depth=depth, posterior=scale_posterior)
            if scaling_from is None
            else parts.trained_scaling(scaling_from)
        ),
        likelihood=parts.make_likelihood(
            reflections,
            likelihood,
            error_model,
            errors_per,
            parts.known_shared_errors(shared_errors, correlate, error_model),
            dof=dof,
            learn_dof=learn_dof,
        ),
        mc_samples=mc_samples,
        seed=seed,
    )
    model.initialize(reflections)
    return model


def train(
    model,
    reflections,
    test=None,
    *,
    objective=None,
    epochs=None,
    batch_size=None,
    learning_rate=None,
    seed=0,
    jit_compile=None,
    callbacks=(),
    verbose=0,
):
    """Train a model with Adam and a rate that falls to zero by a cosine, and give the surrogate its posterior.

    With the "collapsed" objective the scaling model and the likelihood are trained with F integrated out, in batches of
    whole reflections, and in the end q(F) is set to the posterior given the scales. With "elbo" all are trained
    together by the Monte Carlo ELBO, which an error model makes slow unless q(F) is conditioned on the way.
    Correlations that are left to the evidence are chosen before q(F) is set to the posterior for the last time.

    Parameters
    ----------
    model : VariationalMergingModel
        Started by `initialize`.
    reflections : Reflections
        The observations to train on.
    test : Reflections, optional
        Held-out observations, whose terms of the ELBO are logged now and then.
    objective : {"collapsed", "elbo"}, optional
        By default "collapsed", unless the model's class has an ELBO of its own or its surrogate has no width.
    epochs : int, optional
        By default as many as make 800 steps, or 2,000 of "elbo", but some of each whatever the number of steps.
    batch_size : int, optional
        Observations in a batch; by default 2,048, or 8,192 for "elbo".
    learning_rate : float, optional
        Adam's rate at the start; by default 0.02, or 0.01 of "elbo".
    seed : int
        Fixes the batches.
    jit_compile : bool, optional
        Whether XLA compiles the step into one program, for which all batches are made of the same size. By default
        where there is a GPU: on a CPU it is slower. Keras leaves it out after `vimerge.set_seed` on a CPU.
    callbacks : sequence of keras.callbacks.Callback
        Further callbacks.
    verbose : int
        Keras's own progress report.

    Returns
    -------
    pandas.DataFrame
        What was logged, a row an epoch; NaN where the test was not made. There is none if all that is trained with F
        integrated out is frozen: q(F) is its posterior at once.
    """
    if objective is None:
        point = isinstance(model.surrogate, Delta)
        objective = "collapsed" if model.collapsible and not point else "elbo"
    model.objective = objective
    if not model.trainable_variables:
        settle(model, reflections)
        model.condition(reflections)
        return pd.DataFrame(columns=["skipped"], index=pd.Index([], name="epoch"))
    plan = PLANS[objective]
    if jit_compile is None:
        jit_compile = bool(tf.config.list_physical_devices("GPU"))
    batches = reflections.dataset(batch_size or plan.batch_size, seed=seed, by=plan.by, static=jit_compile)
    epochs = epochs or max(plan.least_epochs, math.ceil(plan.steps / len(batches)))
    schedule = keras.optimizers.schedules.CosineDecay(learning_rate or plan.learning_rate, epochs * len(batches))
    # An epoch in one call, from one iterator for all of them: Keras's own work for each call and each epoch takes as
    # long as several steps.
    model.compile(FlatAdam(schedule, beta_2=0.99), steps_per_execution=len(batches), jit_compile=jit_compile)
    at = [math.ceil(epochs * part) for part in plan.condition_at]
    validation = {}
    if objective == "collapsed":
        callbacks = [ConditionSurrogate(reflections, at, test), *callbacks]
    else:
        if model.likelihood.error_model is not None:
            # Sigmas taken as they are make the exact posterior narrower than it should be, and the scales follow it.
            callbacks = [ConditionSurrogate(reflections, at), *callbacks]
        if test is not None and len(test):
            validation = {"validation_data": test.dataset(shuffle=False), "validation_freq": max(1, epochs // 50)}
    callbacks = [Settle(reflections, at[-1]), *callbacks]
    record = Record()
    model.fit(
        batches.repeat(),
        steps_per_epoch=len(batches),
        epochs=epochs,
        verbose=verbose,
        callbacks=[*callbacks, record],
        **validation,
    )
    model.train_function = None  # tens of MB, which no more training is to come for
    return pd.DataFrame(record.rows).set_index("epoch")
