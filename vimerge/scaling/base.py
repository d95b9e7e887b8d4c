"""What every scaling model shares."""

import keras

from vimerge.scaling.posteriors import POSTERIORS, ScalePosterior


class Scaling(keras.layers.Layer):
    """q(Σ | metadata): the scale of each prediction.

    A subclass fills `_parameters`; what is uncertain about the scale is the business of its `posterior`.

    Parameters
    ----------
    posterior : ScalePosterior or {"delta", "log-normal"}
        The family of q(Σ): a point, or a distribution with a prior and a KL.
    """

    def __init__(self, posterior="delta", **kwargs):
        super().__init__(**kwargs)
        if isinstance(posterior, str):
            if posterior not in POSTERIORS:
                raise ValueError(f"There is no scale posterior {posterior!r}; there are: {', '.join(POSTERIORS)}.")
            posterior = POSTERIORS[posterior]()
        if not isinstance(posterior, ScalePosterior):
            raise TypeError(f"posterior must be a ScalePosterior or its name, not {type(posterior).__name__}.")
        # Its weights were made by its constructor; Keras would warn that it was not built.
        posterior.built = True
        self.posterior = posterior

    def distribution(self, batch):
        """The posterior of the scales of a batch, a tfd.Distribution of batch shape [N]."""
        return self.posterior.distribution(self._parameters(batch))

    def call(self, batch):
        """The mean scale of each prediction, float32 [N]."""
        return self.distribution(batch).mean()

    def kl_divergence(self, distribution, sample):
        """KL[q(Σ) || p(Σ)] of each prediction in nats, float32 [N], given q(Σ) and samples of it, [S, N]."""
        return self.posterior.kl_divergence(distribution, sample)

    def adapt(self, reflections, mean_scale=1.0):
        """Take what is needed from the data before training, and start at a mean scale.

        Parameters
        ----------
        reflections : Reflections
        mean_scale : float
            The mean observed intensity over the mean F² of the start.
        """
        self.posterior.adapt(mean_scale)
        self._adapt(reflections, mean_scale)

    def _adapt(self, reflections, mean_scale):
        pass

    def _parameters(self, batch):
        """Make the unconstrained parameters of the posterior, float32 [N, posterior.n_parameters].

        The first is the logarithm of the scale; zeros for the others leave them at their start.
        """
        raise NotImplementedError

    def get_config(self):
        """Arguments that make this layer again."""
        return {**super().get_config(), "posterior": keras.saving.serialize_keras_object(self.posterior)}

    @classmethod
    def from_config(cls, config):
        """Make the layer from its configuration."""
        config = dict(config)
        if isinstance(config.get("posterior"), dict):
            config["posterior"] = keras.saving.deserialize_keras_object(config["posterior"])
        return cls(**config)
