"""Checks of error models, each within a normal likelihood."""

import numpy as np
import tensorflow as tf

from vimerge.likelihoods import ErrorModel, Normal
from vimerge.testing import data, layers, likelihoods
from vimerge.testing.errors import Fault
from vimerge.testing.running import run

SIGMAS = np.geomspace(1e-6, 1e6, 200).astype(np.float32)
PREDICTED = (0.0, 1.0, 1e3, 1e6)


class ErrorModelSubject(likelihoods.LikelihoodSubject):
    """An error model in a normal likelihood."""

    base = ErrorModel

    @property
    def name(self):
        """The class."""
        return type(self.part).__name__ if self.is_made else super().name

    def wrap(self, part):
        """Put it into a normal likelihood."""
        return Normal(error_model=part)


def errors(subject):
    """σ is float32, broadcasts to [S, M], is positive and finite, and does not depend on what was observed."""
    sigma = subject.part(subject.ipred, subject.batch)
    shape = subject.ipred.shape
    if tf.as_dtype(sigma.dtype) != tf.float32:
        raise Fault(f"its σ is {tf.as_dtype(sigma.dtype).name}, not float32.")
    if np.broadcast_shapes(shape, sigma.shape) != tuple(shape):
        raise Fault(f"its σ has the shape {list(sigma.shape)}, which does not broadcast to [S, M] = {list(shape)}.")
    _positive(sigma.numpy(), lambda at: f"observation {at[-1]}")
    other = subject.part(subject.ipred, subject.batch | {"iobs": tf.reverse(subject.batch["iobs"], [0])}).numpy()
    if not np.array_equal(other, sigma):
        raise Fault(
            "its σ changes with iobs, and what is a density of iobs must not: use the predicted intensity, ipred."
        )


def growth_with_sigma(subject):
    """σ is positive, and does not fall where that of integration rises."""
    batch = data.take(subject.batch, np.zeros(len(SIGMAS), int)) | {"sigiobs": tf.constant(SIGMAS)}
    for predicted in PREDICTED:
        sigma = subject.part(tf.fill([1, len(SIGMAS)], predicted), batch)
        sigma = np.broadcast_to(sigma, (1, len(SIGMAS)))[0]
        _positive(sigma, lambda at, predicted=predicted: f"sigiobs {SIGMAS[at]:.3g} and a prediction of {predicted:g}")
        # Float32 cannot tell neighbours apart where the prediction makes up the error.
        fall = sigma[:-1] - sigma[1:] > 2e-6 * sigma[1:]
        if fall.any():
            n = int(np.argmax(fall))
            raise Fault(
                f"its σ falls from {sigma[n]:.6g} to {sigma[n + 1]:.6g} where sigiobs rises from {SIGMAS[n]:.4g} to "
                f"{SIGMAS[n + 1]:.4g} with a prediction of {predicted:g}: a worse intensity must not be trusted more."
            )


def _positive(sigma, where):
    bad = ~(np.isfinite(sigma) & (sigma > 0))
    if bad.any():
        at = tuple(np.argwhere(bad)[0])
        raise Fault(f"its σ is {sigma[at]:.4g} at {where(at)}: it must be positive and finite.")


CHECKS = (
    layers.construction,
    layers.registration,
    errors,
    layers.weights,
    growth_with_sigma,
    likelihoods.normalisation,
    likelihoods.single_harmonics,
    likelihoods.harmonics_add_up,
    likelihoods.observations_alone,
    likelihoods.gradient_in_the_prediction,
    likelihoods.gradient_in_the_parameters,
    likelihoods.extremes,
    likelihoods.learned_numbers,
    layers.minibatches,
    layers.configuration,
    layers.saving,
    layers.training,
    layers.compilation,
)


def check_error_model(error_model, *, reflections=None, skip=(), report=False):
    """Check an error model, in a normal likelihood, against what its family has agreed on.

    Parameters
    ----------
    error_model : ErrorModel or callable
        A factory, called without arguments, such as the class. Or an instance, which is left as it was. If it has
        numbers for each image or file: the kit's data have 8 images in 2 files.
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

    Examples
    --------
    >>> check_error_model(MyErrorModel)
    >>> table = check_error_model(lambda: MyErrorModel(a=2.0), report=True)
    """
    return run([ErrorModelSubject(error_model, reflections)], CHECKS, skip=skip, report=report)
