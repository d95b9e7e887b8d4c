"""Absorption as a function of direction in the crystal."""

import keras
import tensorflow as tf

from vimerge.scaling.harmonics import real_harmonics
from vimerge.scaling.linear import Linear
from vimerge.scaling.restraint import check_sd, normal

HIGHEST_DEGREE = 8


@keras.saving.register_keras_serializable(package="vimerge.scaling")
class Absorption(Linear):
    """A smooth function of a direction, such as that of the diffracted beam in the crystal's frame [1]_.

        log Σ = Σ_l Σ_m c_lm Y_lm(direction),   l = 1 … degree

    with real spherical harmonics, even and odd; l = 0 would be an overall scale. The coefficients have normal priors of
    mean zero.

    Parameters
    ----------
    metadata_keys : sequence of str
        The columns of `metadata`, in their order.
    directions : sequence of str
        The three columns with the components of the direction, a vector fixed to the crystal. Its length makes no
        difference.
    degree : int
        The highest l, 1 to 8.
    sd : float
        Standard deviation of each coefficient under the prior.
    posterior : ScalePosterior or str
        See `Scaling`.

    Raises
    ------
    ValueError
        If a column is not there, or a number is out of range.

    References
    ----------
    .. [1] Blessing, R. H. (1995). Acta Cryst. A51, 33–38.
    """

    def __init__(self, metadata_keys, directions, degree=4, sd=0.2, posterior="delta", **kwargs):
        super().__init__(metadata_keys, posterior, **kwargs)
        self.directions = tuple(directions)
        if len(self.directions) != 3:
            raise ValueError(f"A direction has three columns of metadata, not {len(self.directions)}: name x, y and z.")
        self._at = [self._column(name) for name in self.directions]
        if not (degree == int(degree) and 1 <= degree <= HIGHEST_DEGREE):
            raise ValueError(f"The degree of the harmonics must be from 1 to {HIGHEST_DEGREE}, not {degree}.")
        self.degree, self.sd = int(degree), check_sd("sd", sd)
        self._coefficients = self._restrained(
            "coefficients", ((self.degree + 1) ** 2 - 1,), lambda c: normal(c, self.sd)
        )

    def parameters(self):
        """The coefficients of Y1, Y2 … as lists in the order of m = −l … l."""
        c = self._coefficients.numpy().tolist()
        return {f"Y{n}": c[n**2 - 1 : (n + 1) ** 2 - 1] for n in range(1, self.degree + 1)}

    def _log_scale(self, batch):
        direction = tf.stack([batch["metadata"][:, i] for i in self._at], axis=1)
        features = real_harmonics(tf.math.l2_normalize(direction, axis=1), self.degree)
        return tf.linalg.matvec(features, tf.convert_to_tensor(self._coefficients))

    def get_config(self):
        """Arguments that make this layer again."""
        return {**super().get_config(), "directions": list(self.directions), "degree": self.degree, "sd": self.sd}
