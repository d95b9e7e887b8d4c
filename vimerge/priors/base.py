"""What every prior of the structure factors shares."""

import keras
import tensorflow as tf

from vimerge.reflections.asu import ReciprocalASU


class Prior(keras.layers.Layer):
    """The prior p(F), of amplitudes or of intensities, whichever the surrogate is over.

    A subclass fills `_distribution`, and `_adapt` if it learns something from the data before training.

    Parameters
    ----------
    asu : ReciprocalASU or dict
        The reflections, R of them (or the configuration of an ASU, as read from a saved model).

    Attributes
    ----------
    parents : array, int32 [R], or None
        If reflections are not independent, the refl_id of the one on whose amplitude each depends, −1 for none. The
        prior then has a method `conditional` as `MultivariateWilson`'s.
    """

    parents = None

    def __init__(self, asu, **kwargs):
        super().__init__(**kwargs)
        self.asu = asu if isinstance(asu, ReciprocalASU) else ReciprocalASU.from_config(asu)
        self._centric = tf.constant(self.asu.centric)

    def distribution(self, refl_id=None, *, over="amplitude"):
        """The prior of some reflections.

        Parameters
        ----------
        refl_id : tensor, int32 [N], optional
            Which reflections; all R of them if not given.
        over : {"amplitude", "intensity"}
            Whether the distribution is of F or of F².

        Returns
        -------
        tfd.Distribution
            Batch shape [N].
        """
        if over not in ("amplitude", "intensity"):
            raise ValueError(f"A prior is over 'amplitude' or 'intensity', not over {over!r}.")
        if refl_id is None:
            refl_id = tf.range(len(self.asu))
        return self._distribution(refl_id, tf.gather(self._centric, refl_id), over)

    def call(self, refl_id, *, over="amplitude"):
        """E[F²] of some reflections under the prior, float32 [N]."""
        intensity = self.distribution(refl_id, over="intensity")
        return intensity.mean()

    def adapt(self, reflections):
        """Take from the data what the prior needs to know of it before training, such as its fall-off."""
        self._adapt(reflections)

    def parameters(self):
        """Learned numbers by their usual names, a dict of floats and lists of floats; empty if none is learned."""
        return {}

    def _adapt(self, reflections):
        pass

    def _distribution(self, refl_id, centric, over):
        """Make the distribution of `over`. `refl_id` int32 [N], `centric` bool [N]."""
        raise NotImplementedError

    def get_config(self):
        """Arguments that make this layer again."""
        return {**super().get_config(), "asu": self.asu.to_config()}
