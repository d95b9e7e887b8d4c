"""The joint density of a reflection's F and its observations, given the scales."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from vimerge.reflections.errors import ReflectionDataError

CELLS = 1_000_000  # values of F × observations at once: bounds the memory to some tens of MB


class Others(NamedTuple):
    """Mean and variance of what the other harmonics add to the observation that each prediction is part of."""

    mean: np.ndarray  # float64 [N]
    variance: np.ndarray  # float64 [N]


# Predictions whose scales are worked out at once: a network's hidden units are many times its metadata.
ROWS = 1 << 13


def mean_scales(model, batch):
    """Mean scale of each prediction of a large batch, float32 [N], worked out piece by piece."""
    of_predictions = {name: batch[name] for name in ("refl_id", "image_id", "metadata", "kl_share")}
    pieces = [
        model.scaling({name: values[first : first + ROWS] for name, values in of_predictions.items()})
        for first in range(0, len(batch["refl_id"]), ROWS)
    ]
    return tf.concat(pieces, 0)


def other_harmonics(model, reflections, mean, sd):
    """What the other harmonics of each prediction's observation add to its own.

    Parameters
    ----------
    model : VariationalMergingModel
        Its mean scales are used.
    reflections : Reflections
        N predictions.
    mean, sd : array, [R]
        Of F² of each reflection.

    Returns
    -------
    Others
    """
    scale = mean_scales(model, next(iter(reflections.dataset(shuffle=False)))).numpy().astype(np.float64)
    of, refl_id = reflections.harmonic_id, reflections.refl_id

    def add_others(own):
        return np.bincount(of, own, minlength=len(reflections))[of] - own

    variance = add_others(np.square(scale * sd[refl_id]))
    return Others(add_others(scale * mean[refl_id]), np.maximum(variance, 0.0))


def of_each_harmonic(batch, variance):
    """A batch with an observation for each prediction, whose σ² is larger by the variance of the other harmonics."""
    of = batch["harmonic_id"]
    own = {name: tf.gather(batch[name], of) for name in ("iobs", "sigiobs", "weight")}
    own["sigiobs"] = tf.sqrt(tf.square(own["sigiobs"]) + tf.constant(variance, tf.float32))
    return {**batch, **own}


class LogJoint:
    """log p(I | F, Σ) and log p(F) of each reflection, at as many values of its F as are wanted.

    With the scales known, reflections are independent:

        log p(I_h, F_h | Σ) = Σ_{i: h(i) = h} log p(I_i | Σ_i F_h², σ_i) + log p(F_h)

    The densities are computed in single precision, as in training, and summed over observations in double.

    Parameters
    ----------
    model : VariationalMergingModel
        Its mean scales, likelihood and prior are used.
    reflections : Reflections
        Observations of the model's ASU.
    others : Others, optional
        What the other harmonics of observations that have several are taken for.

    Raises
    ------
    ReflectionDataError
        If the reflections are not those of the model, or if an observation is of several harmonics, whose posteriors
        depend on each other, and nothing is said of the others.
    """

    def __init__(self, model, reflections, others=None):
        model.check(reflections)
        self.model, self.number = model, len(model.asu)
        order = np.argsort(reflections.refl_id, kind="stable")
        self._row = np.argsort(order)  # of each prediction, once they are sorted
        self._starts = np.searchsorted(reflections.refl_id[order], np.arange(self.number + 1))
        self._batch = self._scale = self._others = None
        highest = 10.0 * np.sqrt(model.prior(tf.range(self.number)).numpy().astype(np.float64))
        if len(reflections):
            batch = next(iter(reflections.dataset(shuffle=False)))
            scale, iobs = mean_scales(model, batch), reflections.iobs.astype(np.float64)
            if len(batch["refl_id"]) != len(iobs):
                if others is None:
                    raise ReflectionDataError(
                        "Observations of several harmonics tie reflections together: give the monochromatic ones alone."
                    )
                batch = of_each_harmonic(batch, others.variance)
                self._others = tf.constant(others.mean[order], tf.float32)
                iobs = iobs[reflections.harmonic_id] - others.mean
            # Sorted, the observations of a reflection are a slice.
            self._batch = {name: tf.gather(values, order) for name, values in batch.items() if name != "principal"}
            self._scale = tf.gather(scale, order)
            observed = np.maximum(iobs / scale.numpy().astype(np.float64), 0.0)
            np.maximum.at(highest, reflections.refl_id, 1.2 * np.sqrt(observed))
        self.highest = highest
        """An amplitude beyond which there is no mass, [R].

        Wilson's prior exceeds 10 √⟨I⟩ with a probability below 1e-22; the data may still insist on more.
        """

    def __call__(self, f, refl_id, *, cells=CELLS):
        """Log joint density, log p(I, F | Σ).

        Parameters
        ----------
        f : array, [S, N]
            S amplitudes for each of N reflections.
        refl_id : array, int32 [N]
            Which reflections, in any order; the same one may come again.
        cells : int, optional
            Amplitudes × observations to hold in memory at once.

        Returns
        -------
        array, float64 [S, N]
        """
        return self.log_likelihood(f, refl_id, cells=cells) + self.log_prior(f, refl_id)

    def log_prior(self, x, refl_id, over="amplitude"):
        """Log density of the prior of `over` at x [S, N], float64 [S, N]."""
        prior = self.model.prior.distribution(tf.constant(refl_id, tf.int32), over=over)
        return prior.log_prob(tf.constant(x, tf.float32)).numpy().astype(np.float64)

    def log_likelihood(self, x, refl_id, over="amplitude", *, cells=CELLS):
        """Sum of the log densities of each reflection's observations at x [S, N] of `over`, float64 [S, N]."""
        total = np.zeros(np.shape(x))
        count = self._starts[refl_id + 1] - self._starts[refl_id]
        observed = np.flatnonzero(count)
        # Whole reflections, so many at once that their observations fit in memory.
        part_of = np.cumsum(count[observed]) * len(x) // cells
        for columns in np.split(observed, np.flatnonzero(np.diff(part_of)) + 1):
            if len(columns):
                intensity = np.square(x[:, columns]) if over == "amplitude" else x[:, columns]
                total[:, columns] = self._sums(intensity, self._starts[refl_id[columns]], count[columns])
        return total

    def _sums(self, intensity, start, count):
        first = np.cumsum(count) - count
        column = np.repeat(np.arange(len(count)), count)
        rows = tf.constant(np.arange(len(column)) + (start - first)[column])
        log_prob = self.model.likelihood(*self._predicted(np.take(intensity, column, axis=1), rows))
        return np.add.reduceat(log_prob.numpy().astype(np.float64), first, axis=1)

    def _predicted(self, intensity, rows):
        """Predicted intensities from F² [S, K] of some of the sorted predictions, and a batch of these alone."""
        batch = {name: tf.gather(values, rows) for name, values in self._batch.items()}
        batch["harmonic_id"] = tf.range(len(rows))
        ipred = tf.gather(self._scale, rows) * tf.constant(intensity, tf.float32)
        return (ipred if self._others is None else ipred + tf.gather(self._others, rows)), batch

    def normal_scores(self, x, predictions):
        """Errors of K observations on the scale of normal ones, at amplitudes x [S, K], float64 [S, K]."""
        pieces = [
            self.model.likelihood.normal_scores(*self._predicted(np.square(x[:, part]), self._row[predictions[part]]))
            for part in self._pieces(x)
        ]
        return np.concatenate([x[:, :0], *pieces], axis=1).astype(np.float64)

    def systematic_share(self, x, predictions):
        """What share of an observation's variance is not there at zero intensity, at amplitudes x [K], float64 [K]."""
        likelihood, shares = self.model.likelihood, [np.empty(0)]
        for part in self._pieces(x[np.newaxis]):
            ipred, batch = self._predicted(np.square(x[np.newaxis, part]), self._row[predictions[part]])
            sigma, least = (likelihood.prediction(of, batch)[1] for of in (ipred, tf.zeros_like(ipred)))
            shares.append(np.ravel(1.0 - np.square(least / sigma)))
        return np.clip(np.concatenate(shares), 0.0, 1.0).astype(np.float64)

    @staticmethod
    def _pieces(x):
        """Slices of columns, so many at once that they fit in memory."""
        size = max(CELLS // len(x), 1)
        return [slice(first, first + size) for first in range(0, x.shape[1], size)]
