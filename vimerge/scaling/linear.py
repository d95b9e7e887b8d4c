"""What the scaling models that are linear in their weights share."""

import numpy as np
import tensorflow as tf

from vimerge.scaling.base import Scaling
from vimerge.scaling.restraint import Restraint


class Linear(Scaling):
    """A scaling model whose log Σ is linear in its weights, zero at the start, which are restrained.

    A subclass adds its weights with `_restrained` and fills `_log_scale`. What else the posterior has, such as its
    width, is one learned number for all observations.

    Parameters
    ----------
    metadata_keys : sequence of str
        The columns of `metadata`, in their order; the model refuses data that has others.
    posterior : ScalePosterior or str
        See `Scaling`.
    """

    def __init__(self, metadata_keys, posterior="delta", **kwargs):
        super().__init__(posterior, metadata_keys=metadata_keys, **kwargs)
        self._start = self._fixed("log_mean_scale")
        self._restraint = None
        self.spread = None
        if self.posterior.n_parameters > 1:
            self.spread = self.add_weight(name="spread", shape=(self.posterior.n_parameters - 1,), initializer="zeros")

    def _restrained(self, name, shape, penalty):
        """Add the trained weight, zero at the start, with −log of its prior's density."""
        self._restraint = Restraint(self, penalty)
        return self.add_weight(name=name, shape=shape, initializer="zeros", regularizer=self._restraint)

    def _adapt(self, reflections, mean_scale):
        self._start.assign(float(np.log(mean_scale)))
        self._restraint.adapt(reflections)

    def _parameters(self, batch):
        log_scale = (self._log_scale(batch) + self._start)[:, tf.newaxis]
        if self.spread is None:
            return log_scale
        others = tf.broadcast_to(self.spread, [tf.shape(log_scale)[0], self.posterior.n_parameters - 1])
        return tf.concat([log_scale, others], axis=1)

    def _log_scale(self, batch):
        """Log Σ without the mean scale, float32 [N]."""
        raise NotImplementedError
