"""What every scaling model shares."""

import keras

from vimerge.scaling.posteriors import POSTERIORS, ScalePosterior


class Scaling(keras.layers.Layer):
    """q(Σ | metadata): the scale of each prediction.

    A subclass fills `_parameters`; what is uncertain about the scale is the business of its `posterior`. With
    `layer.trainable = False`, set before `compile`, a model or a part of one is frozen: neither `fit` nor `adapt`
    changes it, and that it is frozen is saved with it.

    Parameters
    ----------
    posterior : ScalePosterior or {"delta", "log-normal", "gamma", "folded-normal"}
        The family of q(Σ): a point, or a distribution with a prior and a KL.
    metadata_keys : sequence of str, optional
        The columns of `metadata`, in their order; the model refuses data that has others. None takes any.

    Raises
    ------
    ValueError
        If there is no posterior of this name, or the model is to be made frozen.
    TypeError
        If the posterior is something else.
    """

    def __init__(self, posterior="delta", *, metadata_keys=None, **kwargs):
        if not kwargs.get("trainable", True):
            raise ValueError("A scaling model is frozen once it is made: set its trainable = False then.")
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
        self.metadata_keys = None if metadata_keys is None else tuple(metadata_keys)

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

        A frozen model stays as it is, its standardisation, its start and its prior included: it only checks that the
        data are of the kind it was made for. To train a trained model further on other data, freeze it while the
        merging model is initialized, and set trainable = True again.

        Parameters
        ----------
        reflections : Reflections
        mean_scale : float
            The mean observed intensity over the mean F² of the start.

        Raises
        ------
        ValueError
            If the reflections have other metadata, or do not fit what the model was made for in another way.
        """
        if self.metadata_keys is not None and tuple(reflections.metadata_keys) != self.metadata_keys:
            raise ValueError(
                f"The scaling model was made for the metadata {', '.join(self.metadata_keys)}, but the reflections "
                f"have {', '.join(reflections.metadata_keys)}: read them with metadata={list(self.metadata_keys)}."
            )
        self._check(reflections)
        if self.trainable:
            self.posterior.adapt(mean_scale)
            self._adapt(reflections, mean_scale)

    def parameters(self):
        """Learned numbers by their usual names, a dict of floats, (nested) lists and dicts; none of a network."""
        return {}

    def _check(self, reflections):
        """Raise a ValueError if the reflections are not such as the model was made for; their keys are right."""

    def _adapt(self, reflections, mean_scale):
        pass

    def _parameters(self, batch):
        """Make the unconstrained parameters of the posterior, float32 [N, posterior.n_parameters].

        The first is the logarithm of the scale; zeros for the others leave them at their start.
        """
        raise NotImplementedError

    def _column(self, name):
        """The position of a column of metadata."""
        if name not in self.metadata_keys:
            raise ValueError(
                f"{type(self).__name__} needs the metadata {name}, but there are {', '.join(self.metadata_keys)}: read "
                f"the reflections with {name} among metadata=, or name another column."
            )
        return self.metadata_keys.index(name)

    def _fixed(self, name, shape=(), initializer="zeros"):
        """Add a weight that is set by `adapt` and not trained."""
        return self.add_weight(name=name, shape=shape, initializer=initializer, trainable=False)

    def get_config(self):
        """Arguments that make this layer again."""
        keys = {} if self.metadata_keys is None else {"metadata_keys": list(self.metadata_keys)}
        return {**super().get_config(), "posterior": keras.saving.serialize_keras_object(self.posterior), **keys}

    @classmethod
    def from_config(cls, config):
        """Make the layer from its configuration."""
        config = dict(config)
        trainable = config.pop("trainable", True)
        if isinstance(config.get("posterior"), dict):
            config["posterior"] = keras.saving.deserialize_keras_object(config["posterior"])
        layer = cls(**config)
        if not trainable:
            # Only now do its weights and parts hear of it.
            layer.trainable = False
        return layer


def count_images(reflections, n_images, name):
    """Raise a ValueError if there are more images than a model was made for."""
    if reflections.n_images > n_images:
        raise ValueError(
            f"The data have {reflections.n_images} images: make {name} with n_images={reflections.n_images}."
        )
