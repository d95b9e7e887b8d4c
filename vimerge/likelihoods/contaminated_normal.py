"""Normal errors with outliers among them."""

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from vimerge.likelihoods.base import Likelihood

tfd = tfp.distributions


@keras.saving.register_keras_serializable(package="vimerge.likelihoods")
class ContaminatedNormal(Likelihood):
    """Normally distributed errors, and a fraction ε of outliers whose errors are w times larger [1]_.

        p(I) = (1 − ε) N(I; ΣF², σ) + ε N(I; ΣF², wσ)

    The fraction is learned. Which observations are outliers is asked of `outlier_probability`.

    Parameters
    ----------
    outlier_fraction : float
        ε at the start, between 0 and 1.
    outlier_width : float
        w, above 1; fixed, for the data say little about it.
    error_model : ErrorModel, optional
        See `Likelihood`.

    Raises
    ------
    ValueError
        If a number is not what it should be.

    References
    ----------
    .. [1] Tukey, J. W. (1960). A survey of sampling from contaminated distributions. In Contributions to Probability
       and Statistics, edited by I. Olkin, pp. 448–485. Stanford University Press.
    """

    def __init__(self, outlier_fraction=0.01, outlier_width=10.0, error_model=None, **kwargs):
        super().__init__(error_model=error_model, **kwargs)
        if not 1 < outlier_width < np.inf:
            raise ValueError(f"outlier_width must be above 1, not {outlier_width}.")
        self.initial = {"outlier_fraction": float(outlier_fraction), "outlier_width": float(outlier_width)}
        self.outlier_width = float(outlier_width)
        self.outlier_fraction = self.add_fraction("outlier_fraction", outlier_fraction)

    def outlier_probability(self, ipred, batch):
        """Posterior probability that an observation is an outlier, given its predicted intensity.

            P = 1 / (1 + exp(−λ)),   λ = log ε/(1 − ε) − log w + ½ z² (1 − w⁻²),   z = (I − ΣF²)/σ

        Parameters
        ----------
        ipred : tensor, float32 [S, N]
            Predicted intensities ΣF², S samples of each prediction.
        batch : dict of tensors
            A batch.

        Returns
        -------
        tensor, float32 [S, M]
        """
        total, sigma = self.prediction(ipred, batch)
        z = (batch["iobs"] - total) / sigma
        width = self.outlier_width
        odds = self.outlier_fraction.logit - np.log(width) + 0.5 * (1.0 - width**-2) * tf.square(z)
        return tf.sigmoid(odds)

    def _distribution(self, ipred, sigma):
        logit = self.outlier_fraction.logit
        width = tf.constant([1.0, self.outlier_width], ipred.dtype)
        return tfd.MixtureSameFamily(
            tfd.Categorical(logits=tf.stack([tf.zeros_like(logit), logit])),
            tfd.Normal(ipred[..., tf.newaxis], sigma[..., tf.newaxis] * width),
        )

    def get_config(self):
        """Arguments that make this layer again."""
        return {**super().get_config(), **self.initial}
