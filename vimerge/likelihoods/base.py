"""What every likelihood shares."""

import keras
import tensorflow as tf

from vimerge.likelihoods.error_model import ErrorModel
from vimerge.likelihoods.parameters import Parametric


class Likelihood(Parametric):
    """p(I | ΣF², σ): a noise family, with an error model or without, on single reflections or harmonics.

    A subclass fills one hook, `_distribution`, which makes the TFP distribution of the observed intensity from the
    predicted one and its error. The base class sums the harmonics of an observation and applies the error model. What a
    noise family learns itself is made in `__init__` with `add_positive` or `add_fraction`.

    Parameters
    ----------
    error_model : ErrorModel, optional
        What the errors are, given what was estimated at integration. None takes `sigiobs` as they are.
    """

    def __init__(self, error_model=None, **kwargs):
        super().__init__(**kwargs)
        if error_model is not None and not isinstance(error_model, ErrorModel):
            raise TypeError(f"error_model must be an ErrorModel or None, not {type(error_model).__name__}.")
        self.error_model = error_model

    def distribution(self, ipred, batch):
        """The distribution of the observations.

        Parameters
        ----------
        ipred : tensor, float32 [S, N]
            Predicted intensities ΣF², S samples of each prediction.
        batch : dict of tensors
            A batch; `sigiobs` [M] and `harmonic_id` [N] are used.

        Returns
        -------
        tfd.Distribution
            Batch shape [S, M].
        """
        return self._distribution(*self.prediction(ipred, batch))

    def prediction(self, ipred, batch):
        """Predicted intensities of the observations, [S, M], and their errors, which broadcast to [S, M].

        Parameters
        ----------
        ipred : tensor, float32 [S, N]
            Predicted intensities ΣF², S samples of each prediction.
        batch : dict of tensors
            A batch.
        """
        total = self.sum_harmonics(ipred, batch)
        sigma = batch["sigiobs"] if self.error_model is None else self.error_model(total, batch)
        return total, sigma

    def call(self, ipred, batch):
        """Log density of the observations `iobs`, float32 [S, M]."""
        return self.distribution(ipred, batch).log_prob(batch["iobs"])

    @staticmethod
    def sum_harmonics(per_prediction, batch):
        """Sum over the harmonics of each observation, [S, N] to [S, M]."""
        summed = tf.math.unsorted_segment_sum(
            tf.transpose(per_prediction), batch["harmonic_id"], tf.shape(batch["iobs"])[0]
        )
        return tf.transpose(summed)

    def adapt(self, reflections):
        """Take what is needed from the data before training: units, above all."""
        if self.error_model is not None:
            self.error_model.adapt(reflections)

    def parameters(self):
        """Learned numbers by their usual names, a dict of floats and (nested) lists of floats.

        Those of the noise family come first, then those of the error model.
        """
        return {**super().parameters(), **({} if self.error_model is None else self.error_model.parameters())}

    def _distribution(self, ipred, sigma):
        """Make the distribution of the observed intensity; both arguments broadcast to [S, M]."""
        raise NotImplementedError

    def get_config(self):
        """Arguments that make this layer again."""
        config = super().get_config()
        config["error_model"] = keras.saving.serialize_keras_object(self.error_model)
        return config

    @classmethod
    def from_config(cls, config):
        """Make the layer from its configuration."""
        config = dict(config)
        if isinstance(config.get("error_model"), dict):
            config["error_model"] = keras.saving.deserialize_keras_object(config["error_model"])
        return cls(**config)
