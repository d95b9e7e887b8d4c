"""σ_A, the correlation of the amplitudes with those of a reference, by resolution."""

import keras
import numpy as np
import tensorflow as tf

# 1 − σ_A² is what is left of the prior's variance: it must not vanish, or the prior could collapse on the reference.
HIGHEST = 0.999
LOWEST_ESTIMATE, HIGHEST_ESTIMATE = 0.02, 0.98
# So many reflections' worth of belief that σ_A is the same at all resolutions.
COMMON = 20.0


@keras.saving.register_keras_serializable(package="vimerge.priors")
class SigmaA(keras.layers.Layer):
    """σ_A at a few resolutions, linear in 1/d² between them on the scale of its logit.

    The prior that it is given to tells it the reflections with `bind`. `adapt` estimates it from the data.

    Parameters
    ----------
    nodes : int
        At how many resolutions, equally spaced in 1/d² from the lowest of the reflections to the highest.
    learn : bool
        Whether it is trained with the model from the estimate on.
    initial : float
        Its value everywhere before it is estimated, between 0 and 0.999.

    Raises
    ------
    ValueError
        If there is no node, or the initial value is out of range.
    """

    def __init__(self, nodes=5, learn=True, initial=0.5, **kwargs):
        super().__init__(**kwargs)
        if not (nodes == int(nodes) and nodes > 0):
            raise ValueError(f"σ_A needs one node or more, not {nodes}.")
        if not 0 < initial < HIGHEST:
            raise ValueError(f"σ_A must start between 0 and {HIGHEST}, both excluded, not at {initial}.")
        self.nodes, self.learn, self.initial = int(nodes), bool(learn), float(initial)
        self.asu = None

    def bind(self, asu):
        """Make the weights for the reflections of an ASU.

        Parameters
        ----------
        asu : ReciprocalASU

        Raises
        ------
        ValueError
            If it has other reflections already.
        """
        if self.asu is not None:
            if not self.asu.matches(asu):
                raise ValueError("This SigmaA is of other reflections: make one for each prior.")
            return
        self.asu = asu
        self._s2 = np.linspace(asu.s2.min(), asu.s2.max(), self.nodes)
        self._hats = interpolation_weights(asu.s2, self._s2)
        self._hats_of_all = tf.constant(self._hats, tf.float32)
        self._logit = self.add_weight(
            name="logit_sigma_a", shape=(self.nodes,), initializer="zeros", trainable=self.learn
        )
        self._assign(np.full(self.nodes, self.initial))
        self.built = True

    @property
    def values(self):
        """σ_A at the nodes, array [nodes]."""
        return (HIGHEST * tf.sigmoid(tf.convert_to_tensor(self._logit))).numpy().astype(np.float64)

    @property
    def d(self):
        """Resolution of the nodes in Å, array [nodes]."""
        return 1.0 / np.sqrt(np.maximum(self._s2, 1e-12))

    def parameters(self):
        """Learned numbers by their usual names: sigma_a at the resolutions sigma_a_d (Å)."""
        return {"sigma_a": self.values.tolist(), "sigma_a_d": self.d.tolist()} if self.learn else {}

    def call(self, refl_id):
        """σ_A of some reflections, float32 [N]."""
        logit = tf.linalg.matvec(tf.gather(self._hats_of_all, refl_id), tf.convert_to_tensor(self._logit))
        return HIGHEST * tf.sigmoid(logit)

    def estimate(self, observed, reference, weight):
        """Estimate σ_A from normalised intensities.

        The mean of E² given the reference's is 1 + σ_A² (E_ref² − 1), centric or not: σ_A² is the slope of a straight
        line, and no noise that is independent of the reference biases it.

        Parameters
        ----------
        observed, reference : array, [R]
            E² by the data and by the reference.
        weight : array, [R]
            Of the observed E²; zero where one of the two is missing.
        """
        x, y = np.where(weight > 0, reference - 1.0, 0.0), np.where(weight > 0, observed - 1.0, 0.0)
        common = np.sum(weight * x * y) / max(np.sum(weight * x * x), 1e-30)
        design = self._hats * x[:, np.newaxis]
        normal = (design.T * weight) @ design + COMMON * np.eye(self.nodes)
        square = common + np.linalg.solve(normal, design.T @ (weight * (y - common * x)))
        self._assign(np.sqrt(np.clip(square, LOWEST_ESTIMATE**2, HIGHEST_ESTIMATE**2)))

    def _assign(self, values):
        part = np.asarray(values) / HIGHEST
        self._logit.assign(np.log(part) - np.log1p(-part))

    def get_config(self):
        """Arguments that make this layer again."""
        return {**super().get_config(), "nodes": self.nodes, "learn": self.learn, "initial": self.initial}


def interpolation_weights(s2, nodes):
    """Weights of the nodes in linear interpolation, array [R, nodes]."""
    return np.stack([np.interp(s2, nodes, unit) for unit in np.eye(len(nodes))], axis=1)
