"""A table of scale factors k and B factors, well conditioned for training."""

import math

import numpy as np
import tensorflow as tf


class ScaleAndB:
    """k and B of a number of rows, images or nodes: log Σ = k − B/(2d²).

    Intensities fall with resolution as exp(−2B sin²θ/λ²) = exp(−B/(2d²)). Trained are a and b in

        log Σ = a − b (1/d² − m)/w,   k = a + b m/w,   B = 2b/w,

    with m and w the mean and standard deviation of 1/d² in the data: so they are all but independent of each other and
    of a size, whereas k and B are correlated and have units.

    Parameters
    ----------
    layer : Linear
        The owner.
    rows : int
        How many.
    penalty : callable
        −log p(k, B) of both, [rows] tensors, but for a constant.
    """

    def __init__(self, layer, rows, penalty):
        self._middle = layer._fixed("s2_mean")
        self._width = layer._fixed("s2_sd", initializer="ones")
        self._weight = layer._restrained("scale_and_b", (rows, 2), lambda w: penalty(*self._values(w)))

    def adapt(self, s2):
        """Take the mean and standard deviation of 1/d² (Å⁻²) from the data."""
        s2 = np.asarray(s2, np.float64)
        spread = s2.std()
        self._middle.assign(s2.mean())
        self._width.assign(spread if spread > 1e-6 * np.abs(s2).max() else 1.0)

    def values(self):
        """K and B (Å²) of each row, two tensors [rows]."""
        return self._values(tf.convert_to_tensor(self._weight))

    def log_scale(self, rows, s2, weights=None):
        """Log Σ of each prediction, [N].

        Parameters
        ----------
        rows : tensor, int32 [N] or [N, W]
            The row of each prediction, or several.
        s2 : tensor, float32 [N]
            1/d² (Å⁻²).
        weights : tensor, float32 [N, W], optional
            What to weight the several rows with.
        """
        ab = tf.gather(tf.convert_to_tensor(self._weight), rows)
        if weights is not None:
            ab = tf.reduce_sum(weights[..., tf.newaxis] * ab, axis=1)
        return ab[:, 0] - ab[:, 1] * (s2 - self._middle) / self._width

    def _values(self, weight):
        a, slope = weight[:, 0], weight[:, 1] / self._width
        return a + slope * self._middle, 2.0 * slope


def check_rows(name, value, least=1):
    """A number of rows as an int; raise a ValueError if it is not one or is too low."""
    if not (math.isfinite(value) and value == int(value) and value >= least):
        raise ValueError(f"{name} must be a whole number, {least} or more, not {value}.")
    return int(value)
