"""An error model with its own numbers for each image or file."""

import keras
import numpy as np
import tensorflow as tf

from vimerge.likelihoods.error_model import ErrorModel

GROUPS = ("image", "file")


@keras.saving.register_keras_serializable(package="vimerge.likelihoods")
class PerGroup(ErrorModel):
    """Another error model, with its own numbers for each group of observations.

        σ'_i = σ'(σ_i, I_i; θ_g(i))

    The groups are members of one population: the logarithm of each number is normal about its mean over the groups, so
    that a group with few observations is held near the others. The negative log density of that is a loss that Keras
    adds to the model's, in nats per observation.

    Parameters
    ----------
    error_model : ErrorModel or callable
        Of which each group has its own, or what makes it, such as its class. All groups start with its numbers.
    group : {"image", "file"}
        What a group is.
    n_groups : int
        How many there are: `reflections.n_images`, or the number of files.
    spread : float or None
        Standard deviation of the logarithms over the groups. With None nothing ties the groups together.

    Raises
    ------
    TypeError
        If it is no error model, or one whose parameters are not single positive numbers.
    ValueError
        If the group is none of these, there is not one at least, or the spread is not positive.

    Examples
    --------
    >>> PerGroup(Evans2011, "image", n_groups=90)
    """

    def __init__(self, error_model, group="image", n_groups=1, spread=0.3, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(error_model, ErrorModel) and callable(error_model):
            error_model = error_model()
        if not isinstance(error_model, ErrorModel) or isinstance(error_model, PerGroup):
            raise TypeError(f"PerGroup needs an error model that is not per group, not {type(error_model).__name__}.")
        if group not in GROUPS:
            raise ValueError(f"There is no group {group!r}; there are: {', '.join(GROUPS)}.")
        if not (n_groups == int(n_groups) and n_groups > 0):
            raise ValueError(f"n_groups must be 1 or more, not {n_groups}.")
        if spread is not None and not spread > 0:
            raise ValueError(f"spread must be positive, or None for groups that nothing ties together, not {spread}.")
        self.group, self.n_groups, self.spread = group, int(n_groups), spread
        loaded = error_model.n_groups == self.n_groups
        self.error_model = error_model if loaded else error_model.with_groups(self.n_groups)
        self._observations = self.add_weight(name="observations", shape=(), initializer="zeros", trainable=False)
        if spread is not None:
            for weight in self.error_model.trainable_variables:
                weight.regularizer = self._distance
        if group == "file":
            # Images are numbered file by file, so their first images tell the files apart. It is a weight to be saved.
            self.first_image = self.add_weight(
                name="first_image", shape=(self.n_groups,), dtype="int32", initializer="zeros", trainable=False
            )
            self.first_image.assign(np.r_[0, np.full(self.n_groups - 1, np.iinfo(np.int32).max)])

    def group_of(self, batch):
        """The group of each observation of a batch, int32 [M]."""
        # An observation's harmonics are on one image.
        image = tf.math.unsorted_segment_max(batch["image_id"], batch["harmonic_id"], tf.shape(batch["iobs"])[0])
        if self.group == "image":
            return image
        return tf.searchsorted(tf.convert_to_tensor(self.first_image), image, side="right") - 1

    def parameters(self):
        """Learned numbers by their usual names, a dict of lists with a float for each group."""
        return self.error_model.parameters()

    def _distance(self, logarithm):
        """Negative log density of the numbers of all groups, in nats per observation."""
        deviation = (logarithm - tf.reduce_mean(logarithm)) / self.spread
        return 0.5 * tf.math.divide_no_nan(
            tf.reduce_sum(tf.square(deviation)), tf.convert_to_tensor(self._observations)
        )

    def _adapt(self, reflections):
        self._observations.assign(len(reflections.iobs))
        file_id = reflections.images["file_id"].to_numpy()
        found = len(file_id) if self.group == "image" else int(file_id.max()) + 1
        if found > self.n_groups:
            raise ValueError(f"The data have {found} {self.group}s: make PerGroup with n_groups={found}.")
        if self.group == "file":
            if np.any(np.diff(file_id) < 0):
                raise ValueError("Images must be numbered file by file for an error model per file.")
            self.first_image.assign(np.searchsorted(file_id, np.arange(self.n_groups)))
        self.error_model.adapt(reflections)

    def _sigma(self, sigiobs, ipred, batch):
        return self.error_model(ipred, batch, self.group_of(batch))

    def get_config(self):
        """Arguments that make this layer again."""
        inner = keras.saving.serialize_keras_object(self.error_model)
        groups = {"group": self.group, "n_groups": self.n_groups, "spread": self.spread}
        return {**super().get_config(), "error_model": inner, **groups}

    @classmethod
    def from_config(cls, config):
        """Make the layer from its configuration."""
        config = dict(config)
        if isinstance(config.get("error_model"), dict):
            config["error_model"] = keras.saving.deserialize_keras_object(config["error_model"])
        return cls(**config)
