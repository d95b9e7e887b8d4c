"""The checks that all families share: of Keras layers that train, compile and are saved."""

import json
import tempfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from vimerge.distributions import kl_divergence
from vimerge.testing import data
from vimerge.testing.errors import Fault, reason
from vimerge.testing.gradients import gradients, short_name

UNREGISTERED = "not registered with Keras: decorate with @keras.saving.register_keras_serializable"
STATE = "get_config must return every argument of the constructor, and what adapt or training learns must be a weight"


def construction(subject):
    """It can be made with all its weights, and started from the data."""
    layer = subject.layer
    for part in layer._flatten_layers():
        # Keras's own layers make their weights when they are first called, which is too late to load them.
        waits = type(part).__module__.startswith("keras.") and type(part).build is not keras.layers.Layer.build
        if waits and not part.built:
            raise Fault(f"its part {part.name} has no weights yet: call its build(input_shape) in __init__.")
    _mark_built(layer)


def _mark_built(layer):
    """Tell Keras that every weight exists, as a merging model does."""
    for part in layer._flatten_layers():
        part.built = True


def weights(subject):
    """Weights are float32 and made by the constructor."""
    layer = subject.layer
    for weight in layer.weights:
        if tf.as_dtype(weight.dtype).is_floating and tf.as_dtype(weight.dtype) != tf.float32:
            raise Fault(f"its weight {short_name(weight)} is {weight.dtype}: add_weight(..., dtype='float32').")
    subject.evaluate(layer)
    if len(layer.weights) > len(subject.started):
        late = layer.weights[len(subject.started) :]
        raise Fault(f"its weight {short_name(late[0])} is made when it is called: make every weight in __init__.")


def registration(subject):
    """It is registered with Keras, so that a saved model can be loaded."""
    for layer in subject.layer._flatten_layers():
        name = type(layer).__name__
        if type(layer).__module__.startswith("keras.") or isinstance(layer, keras.Model):
            continue
        if keras.saving.get_registered_name(type(layer)) == name:
            which = "it is" if layer is subject.layer else f"its part {name} is"
            raise Fault(f"{which} {UNREGISTERED}(package=...).")


def configuration(subject):
    """get_config gives JSON from which from_config makes the same layer."""
    layer = subject.layer
    try:
        config = json.loads(json.dumps(keras.saving.serialize_keras_object(layer)))
    except (TypeError, ValueError) as error:
        raise Fault(
            f"its configuration is not JSON ({reason(error)}): get_config must return numbers, strings and lists."
        ) from error
    try:
        again = keras.saving.deserialize_keras_object(config)
    except Exception as error:
        raise Fault(f"it cannot be made again from its configuration ({reason(error)}): {STATE}.") from error
    ours, theirs = ([w.shape for w in x.weights] for x in (layer, again))
    if ours != theirs:
        raise Fault(f"made again from its configuration it has weights of shapes {theirs}, not {ours}: {STATE}.")
    again.set_weights(layer.get_weights())
    _mark_built(again)
    _same(subject, again, "made again from its configuration, with its weights,")


def saving(subject):
    """It is saved within a model.keras and loaded, and computes the same."""
    layer, model = subject.layer, subject.model(subject.layer)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        loaded = keras.saving.load_model(path)
    name = next(iter(subject.parts(layer)))
    _same(subject, getattr(loaded, name), "saved and loaded in a model.keras")


def _same(subject, again, when):
    expected = subject.evaluate(subject.layer)
    try:
        got = subject.evaluate(again)
    except Exception as error:
        raise Fault(f"{when} it raises {type(error).__name__} ({reason(error)}): {STATE}.") from error
    for name, value in expected.items():
        a, b = got[name].numpy(), value.numpy()
        if a.shape != b.shape:
            raise Fault(f"{when} its {name} has the shape {list(a.shape)}, not {list(b.shape)}: {STATE}.")
        off = ~np.isclose(a, b, rtol=1e-5, atol=1e-6 * np.max(np.abs(b), initial=0.0), equal_nan=True)
        if off.any():
            at = tuple(np.argwhere(off)[0])
            raise Fault(f"{when} its {name} is {a[at]:.6g} where it was {b[at]:.6g}: {STATE}.")


def compilation(subject):
    """It computes the same eagerly, in a graph and compiled by XLA, which takes its gradients and samples too."""
    layer = subject.layer
    eager = {name: value.numpy() for name, value in (subject.beside(layer) | subject.gradients(layer)).items()}
    graph = tf.function(lambda: subject.beside(layer) | subject.gradients(layer)).get_concrete_function()
    _agree(graph(), eager, "tf.function")
    machine = tf.function(lambda: subject.objective(layer), jit_compile=True).get_concrete_function()
    _agree(machine(), eager, "jit_compile=True")

    def everything():
        with tf.GradientTape() as tape:
            drawn = subject.draw(layer)
        slopes = gradients(tape, drawn, layer.trainable_variables) if drawn else ()
        return graph(), drawn, slopes

    # Machine code for all of it takes XLA many seconds; whether it can be made is known before that.
    tf.function(everything, jit_compile=True).experimental_get_compiler_ir()(stage="hlo")


def _agree(compiled, eager, how):
    for name, value in compiled.items():
        a, b = value.numpy(), eager[name]
        off = ~(np.abs(a - b) <= 2e-3 * np.abs(b) + 2e-4 * np.max(np.abs(b), initial=1e-3))
        if off.any():
            at = tuple(np.argwhere(off)[0])
            raise Fault(
                f"{name} is {a[at]:.6g} with {how}, but {b[at]:.6g} eagerly: use TensorFlow's operations alone, and "
                "nothing that is decided in Python while tracing."
            )


def training(subject):
    """It trains for a few steps: the loss is finite, no step is skipped, and every weight moves."""
    with subject.fresh() as layer:
        model = subject.model(layer)
        model.initialize(subject.reflections)
        before = [w.numpy() for w in layer.trainable_variables]
        model.compile(keras.optimizers.Adam(0.01), run_eagerly=True)
        history = model.fit(subject.reflections.dataset(), epochs=3, verbose=0).history
        if np.sum(history["skipped"]):
            raise Fault("a step of training was skipped because its gradient was not finite.")
        if not np.all(np.isfinite(history["loss"])):
            raise Fault(f"the loss was {history['loss'][0]:.3g} in training.")
        for weight, value in zip(layer.trainable_variables, before, strict=True):
            if not np.all(np.isfinite(weight.numpy())):
                raise Fault(f"its weight {short_name(weight)} was not finite after training.")
            if np.array_equal(weight.numpy(), value):
                raise Fault(
                    f"its weight {short_name(weight)} did not move in training: nothing depends on it, or its gradient "
                    "is stopped; add_weight(..., trainable=False) if that is meant."
                )


def minibatches(subject):
    """The ELBO of an epoch's minibatches adds up to that of all observations at once."""
    with subject.fresh() as layer:
        model = subject.model(layer)
        model.initialize(subject.reflections)
        subject.disturb(layer)
        sample = model.surrogate.sample(model.surrogate.distribution(), 2, tf.constant((3, 7)))
        full = _terms(model, subject.batch, sample)
        epoch = list(subject.reflections.dataset(-(-len(subject.reflections) // 3), seed=5))
        sizes = np.array([len(batch["iobs"]) for batch in epoch])
        terms = np.array([list(_terms(model, batch, sample).values()) for batch in epoch])
        mean = sizes @ terms / sizes.sum()
        for name, value, expected in zip(full, mean, full.values(), strict=True):
            if not abs(value - expected) <= 2e-4 * abs(expected) + 1e-5:
                raise Fault(
                    f"{name} is {value:.6g} nats per observation over the {len(sizes)} minibatches of an epoch, but "
                    f"{expected:.6g} of all at once: what belongs to an observation must not depend on the others in "
                    "its batch."
                )


def _terms(model, batch, sample):
    """The terms of the ELBO with common samples [S, R] of all the surrogate's reflections, and with mean scales."""
    refl_id, weight = batch["refl_id"], batch["weight"]
    sample = tf.gather(sample, refl_id, axis=1)
    scales = model.scaling.distribution(batch)
    scale = tf.tile(scales.mean()[tf.newaxis], [len(sample), 1])
    log_likelihood = model.likelihood(scale * model.surrogate.intensity(sample), batch)
    prior = model.prior.distribution(refl_id, over=model.surrogate.over)
    kl_f = kl_divergence(model.surrogate.distribution(refl_id), prior, sample)
    weight_n = tf.gather(weight, batch["harmonic_id"])
    return {
        "the log-likelihood": float(tf.reduce_sum(weight * tf.reduce_mean(log_likelihood, axis=0))),
        "KL[q(F) || p(F)]": float(tf.reduce_sum(weight_n * batch["kl_share"] * kl_f)),
        "KL[q(Σ) || p(Σ)]": float(tf.reduce_sum(weight_n * model.scaling.kl_divergence(scales, scale))),
    }


def expect(what, tensor, shape):
    """Raise a Fault unless a tensor is finite float32 of this shape."""
    dtype = tf.as_dtype(tensor.dtype)
    if dtype != tf.float32:
        raise Fault(f"{what} is {dtype.name}, not float32: cast it, and make constants with dtype=tf.float32.")
    if tuple(tensor.shape) != tuple(shape):
        raise Fault(f"{what} has the shape {list(tensor.shape)}, not {list(shape)}.")
    values = np.asarray(tensor)
    if not np.all(np.isfinite(values)):
        at = np.argwhere(~np.isfinite(values))[0]
        raise Fault(f"{what} is {values[tuple(at)]} at {at.tolist()}.")


def rows_alone(subject, function, what):
    """Raise a Fault if an observation's values depend on the others in its batch or on their order.

    Parameters
    ----------
    subject : Subject
    function : callable
        Makes values, last axis N, from a batch and the rows of the observations that are in it.
    what : str
        What the values are.
    """
    batch = subject.batch
    rows = np.random.default_rng(6).permutation(len(batch["iobs"]))
    expected = function(batch, np.arange(len(rows))).numpy()
    for some, how in ((rows, "in another order"), (rows[:7], "with six others")):
        got, wanted = function(data.take(batch, some), some).numpy(), expected[..., some]
        off = ~np.isclose(got, wanted, rtol=1e-4, atol=1e-5 * np.max(np.abs(expected)))
        if off.any():
            at = tuple(np.argwhere(off)[0])
            raise Fault(
                f"{what} of an observation is {got[at]:.6g} in a batch {how}, but {wanted[at]:.6g} among all: it must "
                "not depend on the rest of the batch."
            )
