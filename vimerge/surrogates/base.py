"""What every surrogate posterior of the structure factors shares."""

import keras
import numpy as np
import tensorflow as tf

from vimerge.distributions import Moments, moments
from vimerge.distributions.positive import Positive
from vimerge.reflections.asu import ReciprocalASU

TINY = float(np.finfo(np.float32).tiny)


class Surrogate(keras.layers.Layer):
    """The variational posterior q(F), one independent distribution a reflection.

    A subclass names its positive parameters in `parameter_names` and fills two hooks: `_distribution`, which makes the
    TFP distribution from their values, and `_parameters_from_moments`, which inverts it so that a fit can start from
    an estimate.

    Parameters
    ----------
    asu : ReciprocalASU or dict
        The reflections to infer, R of them (or the configuration of an ASU, as read from a saved model).
    over : {"amplitude", "intensity"}
        Whether the distribution is of the amplitude F or of the intensity F². Some families allow only one.

    Attributes
    ----------
    asu : ReciprocalASU
    over : str
    """

    parameter_names: tuple[str, ...] = ()
    allowed_over: tuple[str, ...] = ("amplitude",)

    def __init__(self, asu, *, over=None, **kwargs):
        super().__init__(**kwargs)
        self.asu = asu if isinstance(asu, ReciprocalASU) else ReciprocalASU.from_config(asu)
        self.over = over or self.allowed_over[0]
        if self.over not in self.allowed_over:
            allowed = " or ".join(repr(o) for o in self.allowed_over)
            raise ValueError(f"{type(self).__name__} is a distribution over {allowed}, not over {over!r}.")
        shape = (len(self.asu),)
        self._parameters = {name: Positive(self, name, shape=shape) for name in self.parameter_names}
        self._centric = tf.constant(self.asu.centric)

    def distribution(self, refl_id=None):
        """The posterior of some reflections.

        Parameters
        ----------
        refl_id : tensor, int32 [N], optional
            Which reflections; all R of them if not given.

        Returns
        -------
        tfd.Distribution
            Batch shape [N], over `self.over`.
        """
        centric = self._centric if refl_id is None else tf.gather(self._centric, refl_id)
        parameters = {name: p.gather(refl_id) for name, p in self._parameters.items()}
        return self._distribution(centric, **parameters)

    def call(self, refl_id, *, mc_samples=1, seed=None):
        """Draw reparameterized samples of `self.over`, float32 [mc_samples, N]."""
        return self.sample(self.distribution(refl_id), mc_samples, seed)

    @staticmethod
    def sample(distribution, mc_samples=1, seed=None):
        """Draw samples [mc_samples, N], kept clear of a zero at which float32 has no logarithm."""
        return tf.maximum(distribution.sample(mc_samples, seed=seed), TINY)

    def intensity(self, sample):
        """F² from samples of `self.over`."""
        return sample if self.over == "intensity" else tf.square(sample)

    def moments(self, refl_id=None) -> Moments:
        """E[F], sd(F), E[F²] and sd(F²), each [N]."""
        return moments(self.distribution(refl_id), self.over)

    def assign_moments(self, mean, sd):
        """Set every reflection's parameters from the mean and standard deviation of `self.over`.

        Parameters
        ----------
        mean, sd : array_like, [R]
            Positive, in the units of `self.over`. Where the family cannot have this ratio of mean to sd, the nearest
            member it has.
        """
        mean, sd = (np.asarray(x, np.float64) for x in (mean, sd))
        if not (np.all(mean > 0) and np.all(sd > 0)):
            raise ValueError("The moments that a surrogate starts from must be positive.")
        for name, value in self._parameters_from_moments(mean, sd, np.asarray(self.asu.centric)).items():
            self._parameters[name].assign(value)

    def _distribution(self, centric, **parameters):
        """Make the distribution. `centric` and every parameter are tensors [N]."""
        raise NotImplementedError

    def _parameters_from_moments(self, mean, sd, centric):
        """Find the parameters {name: array [R]} that have this mean and sd, all arrays [R]."""
        raise NotImplementedError

    def get_config(self):
        """Arguments that make this layer again."""
        return {**super().get_config(), "asu": self.asu.to_config(), "over": self.over}
