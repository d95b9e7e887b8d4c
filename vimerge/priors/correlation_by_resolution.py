"""Correlations of structure factors that are learned, by resolution."""

import keras
import numpy as np
import tensorflow as tf

from vimerge.priors.correlation import HIGHEST, Correlation
from vimerge.priors.packing import pack, unpack
from vimerge.priors.sigma_a import interpolation_weights

LEAST_DECAY = -np.log(HIGHEST)


@keras.saving.register_keras_serializable(package="vimerge.priors")
class CorrelationByResolution(Correlation):
    """−log r at a few resolutions, linear in 1/d² between them, and positive.

    One node is a correlation that all resolutions share. Two are r = r₀ exp(−B/(4d²)), as of structures whose atoms
    differ by small random displacements [1]_. More follow any smooth dependence.

    It is learned from the data with the model, under a restraint: as if `strength` more acentric pairs of structure
    factors had been observed, phases and all, whose correlation is the initial one. That is to say, the loss has
    `strength` times the KL divergence between the normal distributions of such pairs with r₀ and with r,

        log (1 − r²)/(1 − r₀²) + [(r − r₀)² + 1 − r₀²]/(1 − r²) − 1,

    which is zero at r = r₀ and infinite at r = 1: data sets that are exactly alike do not make their prior collapse.
    With N pairs of amplitudes that are, r stays below one by about 2 strength (1 − r₀)/N; it never exceeds 0.99999.

    Parameters
    ----------
    nodes : int
        At how many resolutions, equally spaced in 1/d² from the lowest of the reflections to the highest.
    initial : float or array_like, [nodes] or [E, nodes]
        Where r starts, between 0 and 0.99999, both excluded.
    edges : array_like, int [R], optional
        Which of E correlations, each learned by itself, a reflection has with its parent: 0 … E − 1, such as the number
        of its data set. One for all by default; a root's is not used.
    learn : bool
        Whether it is trained with the model.
    strength : float
        How many pairs of structure factors the restraint of each of the E correlations is worth; not negative.

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    .. [1] Luzzati, V. (1952). Acta Cryst. 5, 802–810.
    """

    def __init__(self, nodes=1, initial=0.9, edges=None, learn=True, strength=1.0, **kwargs):
        super().__init__(**kwargs)
        if not (nodes == int(nodes) and nodes > 0):
            raise ValueError(f"A correlation needs one node or more, not {nodes}.")
        if not strength >= 0:
            raise ValueError(f"The strength of a restraint must not be negative, as {strength} is.")
        self.nodes, self.learn, self.strength = int(nodes), bool(learn), float(strength)
        self.edges = None if edges is None else _check_edges(edges)
        self.initial = np.asarray(initial, np.float64)
        if not np.all((self.initial > 0) & (self.initial < HIGHEST)):
            raise ValueError(f"A learned correlation must start between 0 and {HIGHEST}, both excluded.")
        shape = (1 if self.edges is None else int(self.edges.max()) + 1, self.nodes)
        if self.initial.shape not in ((), shape[1:], shape):
            raise ValueError(
                f"The initial correlation must be one number, {self.nodes} numbers, or an array of shape {shape}, not "
                f"of shape {self.initial.shape}."
            )
        self._start = np.broadcast_to(self.initial, shape)

    def _bind(self, asu):
        if self.edges is not None and self.edges.shape != (len(asu),):
            raise ValueError(
                f"edges needs a number for each of the {len(asu)} reflections, not an array of shape "
                f"{self.edges.shape}."
            )
        self._s2 = np.linspace(asu.s2.min(), asu.s2.max(), self.nodes)
        self._weights_of_all = tf.constant(interpolation_weights(asu.s2, self._s2), tf.float32)
        self._edge_of_all = tf.constant(np.zeros(len(asu)) if self.edges is None else self.edges, tf.int32)
        self._observations = self.add_weight(name="observations", shape=(), initializer="ones", trainable=False)
        self._log_decay = self.add_weight(
            name="log_decay",
            shape=self._start.shape,
            initializer="zeros",
            trainable=self.learn,
            regularizer=self._restraint if self.learn and self.strength else None,
        )
        self._log_decay.assign(np.log(-np.log(self._start) - LEAST_DECAY))

    def adapt(self, reflections):
        """Take the number of observations: the loss is per observation, whatever the batch, and so is the restraint."""
        self._observations.assign(float(max(len(reflections), 1)))

    @property
    def values(self):
        """The correlation r at the nodes, array [E, nodes]."""
        return np.exp(-LEAST_DECAY - np.exp(self._log_decay.numpy().astype(np.float64)))

    @property
    def d(self):
        """Resolution of the nodes in Å, array [nodes]."""
        return 1.0 / np.sqrt(np.maximum(self._s2, 1e-12))

    def parameters(self):
        """Learned numbers by their usual names: correlation at the resolutions correlation_d (Å).

        A correlation of one node is a number. The names of several edges' end in their number, as correlation_0.
        """
        if not self.learn:
            return {}
        values = self.values.tolist() if self.nodes > 1 else self.values[:, 0].tolist()
        names = ["correlation"] if len(values) == 1 else [f"correlation_{e}" for e in range(len(values))]
        resolutions = {"correlation_d": self.d.tolist()} if self.nodes > 1 else {}
        return dict(zip(names, values, strict=True)) | resolutions

    def _log(self, refl_id):
        decay = tf.gather(tf.exp(tf.convert_to_tensor(self._log_decay)), tf.gather(self._edge_of_all, refl_id))
        return -LEAST_DECAY - tf.reduce_sum(tf.gather(self._weights_of_all, refl_id) * decay, axis=-1)

    def _restraint(self, log_decay):
        """Nats per observation, averaged over the nodes of an edge and added up over the edges."""
        log_r = -LEAST_DECAY - tf.exp(tf.convert_to_tensor(log_decay))
        start = tf.constant(self._start, tf.float32)
        start_complement = tf.constant(-np.expm1(2.0 * np.log(self._start)), tf.float32)
        complement = -tf.math.expm1(2.0 * log_r)
        distance = tf.square(tf.exp(log_r) - start) + start_complement
        divergence = tf.math.log(complement / start_complement) + distance / complement - 1.0
        total = tf.reduce_sum(tf.reduce_mean(divergence, axis=1))
        return self.strength * total / tf.convert_to_tensor(self._observations)

    def get_config(self):
        """Arguments that make this layer again."""
        return {
            **super().get_config(),
            "nodes": self.nodes,
            "initial": self.initial.tolist(),
            "edges": None if self.edges is None else pack(self.edges, "<i4"),
            "learn": self.learn,
            "strength": self.strength,
        }

    @classmethod
    def from_config(cls, config):
        """Make the layer from its configuration."""
        return cls(**{**config, "edges": unpack(config.get("edges"), "<i4")})


def _check_edges(edges):
    edges = np.asarray(edges)
    if edges.ndim != 1 or not len(edges) or edges.dtype.kind not in "iu" or edges.min() < 0:
        raise ValueError("edges must be the number of a correlation, 0 or more, for each reflection.")
    return edges.astype(np.int32)
