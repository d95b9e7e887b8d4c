"""How strongly structure factors are correlated with their parents'."""

import keras
import numpy as np
import tensorflow as tf

from vimerge.priors.packing import pack, unpack
from vimerge.priors.wilson import per_reflection

# Beyond this 1 − r² is so small that the rounding of amplitudes in single precision shows.
HIGHEST = 0.99999


class Correlation(keras.layers.Layer):
    """The correlation r of each reflection's structure factor with its parent's, 0 ≤ r < 1.

    The prior that it is given to tells it the reflections with `bind`, once. A subclass makes its weights in `_bind`
    and returns log r in `_log`: from there 1 − r² keeps its digits however close to one r is.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.asu = None

    def bind(self, asu):
        """Make the weights for the reflections of an ASU.

        Parameters
        ----------
        asu : ReciprocalASU
            R reflections.

        Raises
        ------
        ValueError
            If it has other reflections already.
        """
        if self.asu is not None:
            if not self.asu.matches(asu):
                raise ValueError(f"This {type(self).__name__} is of other reflections: make one for each prior.")
            return
        self.asu = asu
        self._bind(asu)
        self.built = True  # Every weight exists by now.

    def call(self, refl_id):
        """The correlation r of some reflections, float32 [N]."""
        return tf.exp(self._log(refl_id))

    def complement(self, refl_id):
        """1 − r² of some reflections, float32 [N], without cancellation."""
        return -tf.math.expm1(2.0 * self._log(refl_id))

    def adapt(self, reflections):
        """Take from the data what is needed of them before training."""

    def parameters(self):
        """Learned numbers by their usual names, a dict of floats and lists of floats; empty if none is learned."""
        return {}

    def _bind(self, asu):
        raise NotImplementedError

    def _log(self, refl_id):
        """Log r, float32 [N], of the reflections `refl_id`, int32 [N]; −inf where r is zero."""
        raise NotImplementedError


def in_range(values):
    """The values, an array; a ValueError if one is no correlation."""
    if not np.all((values >= 0) & (values <= HIGHEST + 1e-7)):
        raise ValueError(f"A correlation must be between 0 and {HIGHEST} everywhere: at 1 nothing is left to learn.")
    return values


@keras.saving.register_keras_serializable(package="vimerge.priors")
class GivenCorrelation(Correlation):
    """r as it is given.

    Parameters
    ----------
    values : array_like, [R] or float
        Of each reflection with its parent, from 0 to 0.99999; a root's is not used. Near one, give them in double
        precision: a number of single precision knows 1 − r only to within 3e-8.

    Raises
    ------
    ValueError
        If a correlation is out of range.
    """

    def __init__(self, values, **kwargs):
        super().__init__(**kwargs)
        self.values = in_range(np.asarray(values, np.float64))

    def _bind(self, asu):
        values = self.values if self.values.ndim == 0 else per_reflection(asu, self.values, "correlation", np.float64)
        with np.errstate(divide="ignore"):
            log = np.log(np.broadcast_to(values, len(asu)))
        self._log_of_all = tf.constant(log, tf.float32)

    def _log(self, refl_id):
        return tf.gather(self._log_of_all, refl_id)

    def get_config(self):
        """Arguments that make this layer again."""
        values = pack(self.values, "<f8") if self.values.ndim else float(self.values)
        return {**super().get_config(), "values": values}

    @classmethod
    def from_config(cls, config):
        """Make the layer from its configuration."""
        return cls(**{**config, "values": unpack(config["values"], "<f8")})
