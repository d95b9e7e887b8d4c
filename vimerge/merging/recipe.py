"""The usual way to make and train a model."""

import math
from pathlib import Path
from typing import NamedTuple

import keras
import pandas as pd

from vimerge import likelihoods, priors, surrogates
from vimerge.merging.callbacks import ConditionSurrogate, Record
from vimerge.merging.model import VariationalMergingModel
from vimerge.priors.wilson import FALLOFFS
from vimerge.reflections.errors import OptionError
from vimerge.reflections.reference import reference_amplitudes
from vimerge.scaling import MLP, ImageScale, Sum, physical

SURROGATES = {
    "french-wilson": surrogates.FrenchWilson,
    "gamma": surrogates.Gamma,
    "rice": surrogates.RiceWoolfson,
    "folded-normal": surrogates.FoldedNormal,
    "truncated-normal": surrogates.TruncatedNormal,
    "log-normal": surrogates.LogNormal,
    "weibull": surrogates.Weibull,
    "delta": surrogates.Delta,
}
LIKELIHOODS = {
    "normal": likelihoods.Normal,
    "student-t": likelihoods.StudentT,
    "laplace": likelihoods.Laplace,
    "contaminated": likelihoods.ContaminatedNormal,
}
ERROR_MODELS = {
    "none": None,
    "evans": likelihoods.Evans2011,
    "xds": likelihoods.XDS,
    "neural": likelihoods.Neural,
}
ERRORS_PER = ("dataset", "file", "image")


class Plan(NamedTuple):
    """How long to train, and when to condition the surrogate, as fractions of all the epochs."""

    steps: int  # enough for the scale of some ten thousand observations
    least_epochs: int  # more data wants its passes, not more steps than these passes
    batch_size: int
    by: str
    condition_at: tuple


PLANS = {
    "collapsed": Plan(1000, 3, 2048, "reflection", (0.5, 1.0)),
    "elbo": Plan(2000, 20, 8192, "observation", (0.02, 0.05, 0.1, 0.2, 0.4, 0.7)),
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
    likelihood="student-t",
    dof=16.0,
    learn_dof=True,
    error_model="evans",
    errors_per="dataset",
    scaling="mlp",
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
    likelihood : {"normal", "student-t", "laplace", "contaminated"}
        The noise family.
    dof : float
        Degrees of freedom of "student-t".
    learn_dof : bool
        Whether they are learned, from `dof` on.
    error_model : {"none", "evans", "xds", "neural"}
        What σ is, given that of integration.
    errors_per : {"dataset", "file", "image"}
        Whether each file or image has an error model of its own.
    scaling : str
        The scaling model: "mlp", "image" or "physical", or several of them joined by "+", whose logarithms add up.
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
    for name, value, known in (
        ("surrogate", surrogate, SURROGATES),
        ("fall-off", falloff, FALLOFFS),
        ("likelihood", likelihood, LIKELIHOODS),
        ("error model", error_model, ERROR_MODELS),
        ("division of the errors", errors_per, ERRORS_PER),
    ):
        if value not in known:
            raise ValueError(f"There is no {name} {value!r}; there are: {', '.join(known)}.")
    noise = {"dof": dof, "learn_dof": learn_dof} if likelihood == "student-t" else {}
    model = VariationalMergingModel(
        surrogate=SURROGATES[surrogate](reflections.asu, over=over),
        prior=_prior(reflections.asu, falloff, learn_falloff, reference, reference_column),
        scaling=(
            _scaling(reflections, scaling, width=width, depth=depth, posterior=scale_posterior)
            if scaling_from is None
            else trained_scaling(scaling_from)
        ),
        likelihood=LIKELIHOODS[likelihood](error_model=_errors(error_model, errors_per, reflections), **noise),
        mc_samples=mc_samples,
        seed=seed,
    )
    model.initialize(reflections)
    return model


def trained_scaling(path):
    """The scaling model of a saved model, frozen.

    Parameters
    ----------
    path : path
        A `model.keras`, or the folder of a merge that has one.

    Returns
    -------
    Scaling

    Raises
    ------
    OptionError
        If it is not there, or is no saved merging model.
    """
    path = model_file(path)
    try:
        made = keras.saving.load_model(path).scaling
    except (ValueError, TypeError, AttributeError, OSError) as error:
        raise OptionError(f"{path}: this is no model that vimerge can load ({str(error).splitlines()[0]}).") from error
    made.trainable = False
    return made


def model_file(path):
    """The saved model of a merge, given it or its folder; an OptionError if it is not there."""
    path = Path(path)
    path = path / "model.keras" if path.is_dir() else path
    if not path.is_file():
        raise OptionError(f"{path}: there is no such model; give the model.keras of a merge, or its folder.")
    return path


def _scaling(reflections, names, *, width, depth, posterior):
    """Make a scaling model, or the sum of several."""
    keys = reflections.metadata_keys
    makers = {
        "mlp": lambda: MLP(keys, width=width, depth=depth, posterior=posterior),
        "image": lambda: ImageScale(keys, reflections.n_images, posterior=posterior),
        "physical": lambda: physical(reflections, posterior=posterior),
    }
    parts = names.split("+")
    for name in parts:
        if name not in makers:
            raise ValueError(f"There is no scaling model {name!r}; there are: {', '.join(makers)}, joined by '+'.")
    made = [makers[name]() for name in parts]
    return made[0] if len(made) == 1 else Sum(made)


def _prior(asu, falloff, learn, reference, column):
    """Make Wilson's prior, or one centred on reference amplitudes."""
    if learn and falloff == "flat":
        raise ValueError("A flat fall-off has nothing to learn: choose another fall-off, or do not learn it.")
    falloff = FALLOFFS[falloff](learn=True) if learn else FALLOFFS[falloff]()
    if reference is None:
        return priors.Wilson(asu, falloff)
    return priors.Reference(asu, reference_amplitudes(asu, reference, column), falloff=falloff)


def _errors(name, per, reflections):
    """Make an error model, for all the data or for each file or image."""
    make = ERROR_MODELS[name]
    if per == "dataset":
        return None if make is None else make()
    if name not in ("evans", "xds"):
        raise ValueError(f"The error model {name!r} cannot be per {per}; take 'evans' or 'xds', or one per dataset.")
    return likelihoods.PerGroup(make, per, reflections.n_images if per == "image" else len(reflections.files))


def train(
    model,
    reflections,
    test=None,
    *,
    objective=None,
    epochs=None,
    batch_size=None,
    learning_rate=0.01,
    seed=0,
    callbacks=(),
    verbose=0,
):
    """Train a model with Adam and a rate that falls to zero by a cosine, and give the surrogate its posterior.

    With the "collapsed" objective the scaling model and the likelihood are trained with F integrated out, in batches of
    whole reflections, and in the end q(F) is set to the posterior given the scales. With "elbo" all are trained
    together by the Monte Carlo ELBO, which an error model makes slow unless q(F) is conditioned on the way.

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
        By default as many as make 1,000 steps, or 2,000 of "elbo", but some of each whatever the number of steps.
    batch_size : int, optional
        Observations in a batch; by default 2,048, or 8,192 for "elbo".
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
        What was logged, a row an epoch; NaN where the test was not made. There is none if all that is trained with F
        integrated out is frozen: q(F) is its posterior at once.
    """
    if objective is None:
        point = isinstance(model.surrogate, surrogates.Delta)
        objective = "collapsed" if model.collapsible and not point else "elbo"
    model.objective = objective
    if not model.trainable_variables:
        model.condition(reflections)
        return pd.DataFrame(columns=["skipped"], index=pd.Index([], name="epoch"))
    plan = PLANS[objective]
    batches = reflections.dataset(batch_size or plan.batch_size, seed=seed, by=plan.by)
    epochs = epochs or max(plan.least_epochs, math.ceil(plan.steps / len(batches)))
    schedule = keras.optimizers.schedules.CosineDecay(learning_rate, epochs * len(batches))
    model.compile(keras.optimizers.Adam(schedule, beta_2=0.99))
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
    record = Record()
    model.fit(batches, epochs=epochs, verbose=verbose, callbacks=[*callbacks, record], **validation)
    return pd.DataFrame(record.rows).set_index("epoch")
