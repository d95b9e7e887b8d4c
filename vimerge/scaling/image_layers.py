"""A network shared by all images, with a layer for each image on top."""

import keras
import tensorflow as tf

from vimerge.scaling.base import count_images
from vimerge.scaling.mlp import MLP
from vimerge.scaling.restraint import Restraint, check_sd, normal
from vimerge.scaling.scale_and_b import check_rows

TINY = 1e-4  # beside |x|², so that no gradient is large where x vanishes


@keras.saving.register_keras_serializable(package="vimerge.scaling")
class ImageLayers(MLP):
    """An MLP whose last layer differs from image to image.

        log Σ = w·x + v_img·x/|x| + b_img + log(mean scale)

    with x the last hidden layer of the network, shared by all images. The deviations v and b of each image start at
    zero and have normal priors of mean zero, so that an image of few observations is scaled as the others are. They are
    `width` + 1 numbers for each image, which take some hundreds of observations to tell.

    Parameters
    ----------
    metadata_keys : sequence of str
        The columns of `metadata`, in their order; the model refuses data that has others.
    n_images : int
        `reflections.n_images`, or more.
    image_sd : float
        Standard deviation under the prior of b_img and of v_img·x/|x|: by how much, in units of log Σ, an image departs
        from what the metadata tell of all.
    **kwargs
        Arguments of `MLP`.

    Raises
    ------
    ValueError
        If a size is impossible or image_sd is not positive.
    """

    def __init__(self, metadata_keys, n_images, image_sd=0.1, **kwargs):
        super().__init__(metadata_keys, **kwargs)
        self.n_images = check_rows("n_images", n_images)
        self.image_sd = check_sd("image_sd", image_sd)
        self._restraint = Restraint(self, self._penalty)
        self._layers_of_images = self.add_weight(
            name="image_layers",
            shape=(self.n_images, self.width + 1),
            initializer="zeros",
            regularizer=self._restraint,
        )

    def _penalty(self, weight):
        return normal(weight, self.image_sd)

    def _check(self, reflections):
        count_images(reflections, self.n_images, "ImageLayers")

    def _adapt(self, reflections, mean_scale):
        super()._adapt(reflections, mean_scale)
        self._restraint.adapt(reflections)

    def _output(self, x, batch):
        image = tf.gather(tf.convert_to_tensor(self._layers_of_images), batch["image_id"])
        # Of unit length, or the shared network would grow to let images depart further than their prior says.
        length2 = tf.reduce_sum(tf.square(x), axis=1, keepdims=True)
        unit = x * tf.math.rsqrt(length2 + TINY)
        deviation = tf.reduce_sum(image * tf.concat([unit, tf.ones_like(length2)], 1), axis=1, keepdims=True)
        # It is of the log scale only, the first of the posterior's parameters.
        return super()._output(x, batch) + tf.pad(deviation, [[0, 0], [0, self.posterior.n_parameters - 1]])

    def get_config(self):
        """Arguments that make this layer again."""
        return {**super().get_config(), "n_images": self.n_images, "image_sd": self.image_sd}
