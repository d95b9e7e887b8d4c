"""A scale factor and a B factor for each image."""

import keras
import tensorflow as tf

from vimerge.scaling.base import count_images
from vimerge.scaling.linear import Linear
from vimerge.scaling.restraint import check_sd, normal
from vimerge.scaling.scale_and_b import ScaleAndB, check_rows


@keras.saving.register_keras_serializable(package="vimerge.scaling")
class ImageScale(Linear):
    """A scale factor k and a B factor for each image, as for still images or batches.

        log Σ = k_img − B_img/(2d²)

    so that intensities fall with resolution as exp(−2B sin²θ/λ²) = exp(−B/(2d²)). Deviations from the mean over images
    have a normal prior, without which an image of few observations would follow their noise; one of none has the means.
    The means are free.

    Parameters
    ----------
    metadata_keys : sequence of str
        The columns of `metadata`, in their order, with "dHKL" (1/d²) among them.
    n_images : int
        `reflections.n_images`, or more.
    k_sd : float
        Standard deviation of k under the prior, in units of log Σ.
    b_sd : float
        Standard deviation of B under the prior, in Å².
    posterior : ScalePosterior or str
        See `Scaling`.

    Raises
    ------
    ValueError
        If there is no dHKL, or a number is not positive.
    """

    def __init__(self, metadata_keys, n_images, k_sd=0.5, b_sd=5.0, posterior="delta", **kwargs):
        super().__init__(metadata_keys, posterior, **kwargs)
        self._s2 = self._column("dHKL")
        self.n_images = check_rows("n_images", n_images)
        self.k_sd, self.b_sd = check_sd("k_sd", k_sd), check_sd("b_sd", b_sd)
        self._table = ScaleAndB(self, self.n_images, self._penalty)

    def parameters(self):
        """`k` and `B` (Å²) of each image, the mean scale included."""
        k, b = self._table.values()
        return {"k": (k + self._start).numpy().tolist(), "B": b.numpy().tolist()}

    def _penalty(self, k, b):
        return normal(k - tf.reduce_mean(k), self.k_sd) + normal(b - tf.reduce_mean(b), self.b_sd)

    def _check(self, reflections):
        count_images(reflections, self.n_images, "ImageScale")

    def _adapt(self, reflections, mean_scale):
        super()._adapt(reflections, mean_scale)
        self._table.adapt(reflections.metadata[:, self._s2])

    def _log_scale(self, batch):
        return self._table.log_scale(batch["image_id"], batch["metadata"][:, self._s2])

    def get_config(self):
        """Arguments that make this layer again."""
        return {**super().get_config(), "n_images": self.n_images, "k_sd": self.k_sd, "b_sd": self.b_sd}
