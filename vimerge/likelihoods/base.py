"""What every likelihood shares."""

import keras
import numpy as np
import tensorflow as tf
from scipy.special import ndtri

from vimerge.likelihoods.error_model import ErrorModel
from vimerge.likelihoods.parameters import Parametric

MOST_SHARED = 0.99


class Likelihood(Parametric):
    """p(I | ΣF², σ): a noise family, with an error model or without, on single reflections or harmonics.

    A subclass fills one hook, `_distribution`, which makes the TFP distribution of the observed intensity from the
    predicted one and its error. The base class sums the harmonics of an observation and applies the error model. What a
    noise family learns itself is made in `__init__` with `add_positive` or `add_fraction`.

    Parameters
    ----------
    error_model : ErrorModel, optional
        What the errors are, given what was estimated at integration. None takes `sigiobs` as they are.
    shared_errors : float, optional
        The correlation, from 0 to 0.99, of the systematic errors of observations of related data sets that are one spot
        on images of the same number. What is systematic is what the error model adds to the errors at zero intensity.
        It matters where the prior correlates the data sets, to the posterior given the scales: see
        `vimerge.merging.posterior_of_trees`. None leaves it to the evidence, by which `merging.recipe.train` chooses.

    Raises
    ------
    TypeError
        If the error model is none.
    ValueError
        If the correlation is out of range, or there is no error model to tell systematic errors.
    """

    def __init__(self, error_model=None, shared_errors=0.0, **kwargs):
        super().__init__(**kwargs)
        if error_model is not None and not isinstance(error_model, ErrorModel):
            raise TypeError(f"error_model must be an ErrorModel or None, not {type(error_model).__name__}.")
        if shared_errors is not None and not 0 <= shared_errors <= MOST_SHARED:
            raise ValueError(f"The correlation of shared errors must be from 0 to {MOST_SHARED}, not {shared_errors}.")
        if shared_errors != 0 and error_model is None:
            raise ValueError("Without an error model no errors are systematic: give one, or no shared_errors.")
        self.error_model, self.shared_errors = error_model, shared_errors

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

    def normal_scores(self, ipred, batch):
        """Errors of the observations on the scale of normal ones: z with Φ(z) = P(I ≤ iobs).

        Parameters
        ----------
        ipred : tensor, float32 [S, N]
            Predicted intensities ΣF², S samples of each prediction.
        batch : dict of tensors
            A batch.

        Returns
        -------
        array, [S, M]
            Not for training: no gradient goes through it.

        Raises
        ------
        NotImplementedError
            If the distribution has no cdf.
        """
        distribution = self.distribution(ipred, batch)
        # Of the logarithms, which keep the digits of small tails.
        below, above = (f(batch["iobs"]).numpy() for f in (distribution.log_cdf, distribution.log_survival_function))
        tail = np.exp(np.minimum(below, above, dtype=np.float64))
        return np.where(below < above, 1.0, -1.0) * ndtri(np.maximum(tail, np.finfo(np.float64).tiny))

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
        shared = {"correlation of shared errors": self.shared_errors} if self.shared_errors else {}
        return {**super().parameters(), **({} if self.error_model is None else self.error_model.parameters()), **shared}

    def _distribution(self, ipred, sigma):
        """Make the distribution of the observed intensity; both arguments broadcast to [S, M]."""
        raise NotImplementedError

    def get_config(self):
        """Arguments that make this layer again."""
        config = super().get_config()
        config["error_model"] = keras.saving.serialize_keras_object(self.error_model)
        return {**config, "shared_errors": self.shared_errors}

    @classmethod
    def from_config(cls, config):
        """Make the layer from its configuration."""
        config = dict(config)
        if isinstance(config.get("error_model"), dict):
            config["error_model"] = keras.saving.deserialize_keras_object(config["error_model"])
        return cls(**config)
