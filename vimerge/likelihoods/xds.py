"""The error model of XDS."""

import keras
import tensorflow as tf

from vimerge.likelihoods.error_model import ErrorModel


@keras.saving.register_keras_serializable(package="vimerge.likelihoods")
class XDS(ErrorModel):
    """The error model of XDS, as CORRECT refines and prints it [1]_.

        σ'² = a (σ² + b I²)

    with the predicted intensity for I. Both are pure numbers.

    Parameters
    ----------
    a, b : float
        Values at the start, positive.

    References
    ----------
    .. [1] Kabsch, W. (2010). XDS. Acta Cryst. D66, 125–132; integration, scaling, space-group assignment and
       post-refinement. Acta Cryst. D66, 133–144.
    .. [2] Diederichs, K. (2010). Acta Cryst. D66, 733–740.
    """

    def __init__(self, a=1.0, b=1e-3, **kwargs):
        super().__init__(**kwargs)
        self.initial = {"a": a, "b": b}
        self.a = self.add_positive("a", a)
        self.b = self.add_positive("b", b)

    @property
    def isa(self):
        """1/√(ab), the I/σ that strong reflections approach [2]_, a tensor."""
        return tf.math.rsqrt(self.a.value * self.b.value)

    def _sigma(self, sigiobs, ipred, batch):
        return tf.sqrt(self.a.value * (tf.square(sigiobs) + self.b.value * tf.square(ipred)))

    def get_config(self):
        """Arguments that make this layer again."""
        return {**super().get_config(), **self.initial}
