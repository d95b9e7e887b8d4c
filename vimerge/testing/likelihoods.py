"""Checks of likelihoods p(I | ΣF², σ)."""

import json
from functools import cached_property

import numpy as np
import tensorflow as tf

from vimerge.likelihoods import Likelihood
from vimerge.testing import data, layers
from vimerge.testing.density import QUADRATURE
from vimerge.testing.errors import Fault, NotApplicable
from vimerge.testing.gradients import Direction, check_gradient, gradients, one_by_one
from vimerge.testing.running import run
from vimerge.testing.subject import Subject

POINTS = 3000
# A Laplace density has a kink where the prediction is the observation, which a step may cross.
KINKS = 0.1
BY_HARMONICS = (
    "what is of predictions, metadata and image_id too, comes to its observation by harmonic_id, as self.sum_harmonics "
    "does it for intensities"
)


class LikelihoodSubject(Subject):
    """A likelihood that has seen the data, a little away from its start, with predictions about the observations."""

    base: type = Likelihood

    @property
    def name(self):
        """The class, and that of its error model."""
        if not self.is_made or self.layer.error_model is None:
            return super().name
        return f"{super().name} ({type(self.layer.error_model).__name__})"

    def start(self, layer):
        """Let it see the data."""
        layer.adapt(self.reflections)

    @cached_property
    def ipred(self):
        """Predicted intensities, three samples of each, float32 [S, M]."""
        rng = np.random.default_rng(9)
        iobs, sigma = self.batch["iobs"].numpy(), self.batch["sigiobs"].numpy()
        off = iobs * rng.normal(0.0, 0.1, (3, len(iobs))) + sigma * rng.normal(0.0, 1.5, (3, len(iobs)))
        return tf.constant(np.maximum(iobs + off, 0.1 * sigma), tf.float32)

    def objective(self, layer):
        """The log-likelihood of every observation."""
        return {"the log-likelihood": layer(self.ipred, self.batch)}

    def parts(self, layer):
        """It is the model's likelihood."""
        return {"likelihood": layer}


def shapes_and_dtypes(subject):
    """Its distribution has the batch shape [S, M], and calling it gives the density of iobs there, float32 [S, M]."""
    layer, ipred, batch = subject.layer, subject.ipred, subject.batch
    log_prob = layer(ipred, batch)
    layers.expect("the log-likelihood, which calling it gives,", log_prob, ipred.shape)
    distribution = layer.distribution(ipred, batch)
    if distribution.batch_shape != ipred.shape or distribution.event_shape != ():
        raise Fault(
            f"its distribution has the batch shape {list(distribution.batch_shape)} and the event shape "
            f"{list(distribution.event_shape)} for predictions of shape {list(ipred.shape)}: make one scalar "
            "distribution of each observation and sample."
        )
    expected = distribution.log_prob(batch["iobs"]).numpy()
    if not np.allclose(log_prob, expected, rtol=1e-4, atol=1e-4):
        raise Fault(
            "calling it does not give the log density of iobs under its distribution: fill _distribution alone."
        )


def normalisation(subject):
    """The density integrates to one over the observed intensity, whatever the prediction and σ."""
    m = len(subject.batch["iobs"])
    chosen = np.unique(np.linspace(0, m - 1, 6).astype(int))
    rows = np.repeat(chosen, POINTS)
    batch = data.take(subject.batch, rows)
    ipred = tf.gather(subject.ipred[:1], rows, axis=1)
    # I = ΣF² + σ tan θ takes in the tails of any noise.
    theta = (np.arange(POINTS) + 0.5) / POINTS * np.pi - np.pi / 2
    _, sigma = subject.layer.prediction(ipred, batch)
    sigma = np.broadcast_to(sigma, ipred.shape)[0].astype(float)
    tangent = np.tile(np.tan(theta), len(chosen))
    iobs = (ipred.numpy()[0] + sigma * tangent).astype(np.float32)
    batch["iobs"] = tf.constant(iobs)
    density = np.exp(subject.layer(ipred, batch).numpy()[0].astype(float))
    integral = np.sum((density * sigma * (1.0 + tangent**2)).reshape(len(chosen), POINTS), axis=1) * np.pi / POINTS
    off = np.abs(integral - 1.0)
    n = int(np.argmax(np.nan_to_num(off, nan=np.inf)))
    if not off[n] < QUADRATURE:
        row = n * POINTS
        raise Fault(
            f"its density integrates to {integral[n]:.4g} over the observed intensity where the prediction is "
            f"{float(ipred[0, row]):.3g} and σ {sigma[row]:.3g}: log_prob lacks a normaliser, or σ depends on iobs."
        )


def single_harmonics(subject):
    """Predictions of one observation each, in any order, are monochromatic data: harmonic_id says whose they are."""
    layer, batch, ipred = subject.layer, subject.batch, subject.ipred
    order = np.random.default_rng(0).permutation(ipred.shape[1])
    got = _harmonics(layer, tf.gather(ipred, order, axis=1), data.as_harmonics(batch, order))
    _same(got, layer(ipred, batch).numpy(), "predictions come in another order than their observations")


def harmonics_add_up(subject):
    """Several predictions of one observation add up, some observations having one, some two and some three."""
    layer, batch, ipred = subject.layer, subject.batch, subject.ipred
    rng, m = np.random.default_rng(1), ipred.shape[1]
    harmonic_id = rng.permutation(np.concatenate([np.arange(m), np.arange(0, m, 2), np.arange(0, m, 4)]))
    share = rng.uniform(0.2, 1.0, len(harmonic_id))
    share /= np.bincount(harmonic_id, share)[harmonic_id]
    got = _harmonics(
        layer,
        tf.gather(ipred, harmonic_id, axis=1) * share.astype(np.float32),
        data.as_harmonics(batch, harmonic_id),
    )
    _same(got, layer(ipred, batch).numpy(), "an observation is predicted by several harmonics")


def _harmonics(layer, ipred, batch):
    try:
        return layer(ipred, batch).numpy()
    except Exception as error:
        raise Fault(
            f"it cannot be called with {ipred.shape[1]} predictions of {len(batch['iobs'])} observations "
            f"({type(error).__name__}): {BY_HARMONICS}."
        ) from error


def _same(got, expected, when):
    if got.shape != expected.shape:
        raise Fault(f"where {when}, the log-likelihood has the shape {list(got.shape)}, not {list(expected.shape)}.")
    off = ~np.isclose(got, expected, rtol=1e-3, atol=1e-3)
    if off.any():
        s, n = np.argwhere(off)[0]
        raise Fault(
            f"where {when}, the log-likelihood of observation {n} is {got[s, n]:.6g}, not {expected[s, n]:.6g}: "
            f"{BY_HARMONICS}."
        )


def observations_alone(subject):
    """The likelihood of an observation does not depend on the rest of its batch."""
    layers.rows_alone(
        subject,
        lambda batch, rows: subject.layer(tf.gather(subject.ipred, rows, axis=1), batch),
        "the log-likelihood",
    )


def gradient_in_the_prediction(subject):
    """The gradient in the predicted intensity, by which everything else learns, is that of finite differences."""
    layer, batch, ipred = subject.layer, subject.batch, subject.ipred
    _, sigma = layer.prediction(ipred, batch)
    shift = tf.Variable(tf.zeros_like(ipred))

    def log_prob():
        return layer(ipred + shift, batch)

    check_gradient(
        log_prob,
        [Direction("the predicted intensity", [shift], [0.1 * np.broadcast_to(sigma, ipred.shape).astype(np.float32)])],
        "the log-likelihood",
        lambda at: f"observation {at[1]}, predicted as {float(ipred[at]):.4g}",
        step=0.2,
        kinks=KINKS,
    )
    with tf.GradientTape() as tape:
        value = log_prob()
    if not np.any(gradients(tape, value, [shift])[0]):
        raise Fault("the log-likelihood does not depend on the predicted intensity: use ipred in _distribution.")


def gradient_in_the_parameters(subject):
    """The gradient in every trained weight is that of finite differences."""
    weights = subject.layer.trainable_variables
    if not weights:
        raise NotApplicable("Nothing of it is trained.")
    check_gradient(
        lambda: subject.layer(subject.ipred, subject.batch),
        one_by_one(weights),
        "the log-likelihood",
        lambda at: f"observation {at[1]}",
        kinks=KINKS,
    )


def extremes(subject):
    """Densities and gradients are finite with σ and predictions from 1e-6, or zero, to 1e6."""
    layer = subject.layer
    grid = np.meshgrid([1e-6, 1e-3, 1.0, 1e3, 1e6], [0.0, 1e-30, 1e-6, 1.0, 1e6], [-5.0, 0.0, 1.0, 1e6], indexing="ij")
    sigma, predicted, observed = (x.ravel().astype(np.float32) for x in grid)
    batch = data.take(subject.batch, np.resize(np.arange(len(subject.batch["iobs"])), len(sigma)))
    batch |= {"iobs": tf.constant(observed), "sigiobs": tf.constant(sigma)}
    ipred = tf.constant(predicted[np.newaxis])
    with tf.GradientTape() as tape:
        tape.watch(ipred)
        log_prob = layer(ipred, batch)
    weights = layer.trainable_variables
    slopes = gradients(tape, log_prob, [ipred, *weights])
    for name, value in (("the log-likelihood", log_prob), ("its gradient in the prediction", slopes[0])):
        bad = ~np.isfinite(value.numpy()[0])
        if bad.any():
            n = int(np.argmax(bad))
            raise Fault(
                f"{name} is {float(value[0, n])} at an observation of {observed[n]:g} with σ {sigma[n]:g}, predicted "
                f"as {predicted[n]:g}: something overflows or divides by zero in float32."
            )
    for weight, slope in zip(weights, slopes[1:], strict=True):
        if not np.all(np.isfinite(slope.numpy())):
            raise Fault(f"the gradient in {weight.name} is not finite over σ and predictions from 1e-6 to 1e6.")


def learned_numbers(subject):
    """parameters() gives learned numbers by name, as JSON."""
    numbers = subject.part.parameters()
    try:
        again = json.loads(json.dumps(numbers))
    except TypeError as error:
        raise Fault(f"parameters() is not JSON ({error}): give floats and lists of floats.") from error
    if again != numbers:
        raise Fault("parameters() changes when written as JSON: give a dict of floats and lists of floats.")


CHECKS = (
    layers.construction,
    layers.registration,
    shapes_and_dtypes,
    layers.weights,
    normalisation,
    single_harmonics,
    harmonics_add_up,
    observations_alone,
    gradient_in_the_prediction,
    gradient_in_the_parameters,
    extremes,
    learned_numbers,
    layers.minibatches,
    layers.configuration,
    layers.saving,
    layers.training,
    layers.compilation,
)


def check_likelihood(likelihood, *, reflections=None, skip=(), report=False):
    """Check a likelihood, with the error model that it has, against what its family has agreed on.

    Parameters
    ----------
    likelihood : Likelihood or callable
        A factory, called without arguments, such as the class. Or an instance, which is left as it was.
    reflections, skip, report
        See `check_surrogate`.

    Returns
    -------
    pandas.DataFrame or None
        With `report`, a row a check: member, check, passed (<NA> where it does not apply), message.

    Raises
    ------
    ConformanceError
        If a check fails: what is wrong, where, and what to do, in a sentence.
    """
    return run([LikelihoodSubject(likelihood, reflections)], CHECKS, skip=skip, report=report)
