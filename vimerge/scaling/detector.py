"""The response of the detector as a function of position."""

import keras
import numpy as np
import tensorflow as tf

from vimerge.scaling.linear import Linear
from vimerge.scaling.restraint import check_sd, normal
from vimerge.scaling.scale_and_b import check_rows
from vimerge.scaling.splines import at_nodes, cubic_weights, second_differences


@keras.saving.register_keras_serializable(package="vimerge.scaling")
class Detector(Linear):
    """A smooth surface over two columns, such as the position on the detector.

        log Σ = Σ_jk c_jk β_j(x) β_k(y)

    with cubic B-splines β of evenly spaced nodes from the lowest to the highest value in the data. The coefficients
    have normal priors of mean zero, and so have their second differences along x and along y.

    Parameters
    ----------
    metadata_keys : sequence of str
        The columns of `metadata`, in their order.
    position : sequence of str
        The columns x and y.
    nodes : int or (int, int)
        How many nodes along x and y, 2 or more.
    sd : float
        Standard deviation of the coefficients under the prior.
    curvature_sd : float
        Standard deviation of their second differences under the prior.
    posterior : ScalePosterior or str
        See `Scaling`.

    Raises
    ------
    ValueError
        If a column is not there, or a number is out of range.
    """

    def __init__(
        self,
        metadata_keys,
        position=("XDET", "YDET"),
        nodes=5,
        sd=0.2,
        curvature_sd=0.1,
        posterior="delta",
        **kwargs,
    ):
        super().__init__(metadata_keys, posterior, **kwargs)
        self.position = tuple(position)
        if len(self.position) != 2:
            raise ValueError(f"A position has two columns of metadata, not {len(self.position)}: name x and y.")
        self._at = [self._column(name) for name in self.position]
        nodes = (nodes, nodes) if np.ndim(nodes) == 0 else tuple(nodes)
        if len(nodes) != 2:
            raise ValueError(f"The nodes are a number for x and one for y, not {list(nodes)}.")
        self.nodes = tuple(check_rows("nodes", n, 2) for n in nodes)
        self.sd, self.curvature_sd = check_sd("sd", sd), check_sd("curvature_sd", curvature_sd)
        self._low = self._fixed("low", (2,))
        self._high = self._fixed("high", (2,), "ones")
        self._coefficients = self._restrained("coefficients", tuple(n + 2 for n in self.nodes), self._penalty)

    def parameters(self):
        """The nodes' positions along x and y by the columns' names, and `log_response` there, a list an x."""
        ends = zip(self._low.numpy(), self._high.numpy(), self.nodes, strict=True)
        positions = {name: np.linspace(*end).tolist() for name, end in zip(self.position, ends, strict=True)}
        values = at_nodes(at_nodes(self._coefficients.numpy()).T).T
        return {**positions, "log_response": values.tolist()}

    def _penalty(self, c):
        curvature = (normal(second_differences(x), self.curvature_sd) for x in (c, tf.transpose(c)))
        return tf.add_n([normal(c, self.sd), *curvature])

    def _adapt(self, reflections, mean_scale):
        super()._adapt(reflections, mean_scale)
        position = reflections.metadata[:, self._at]
        low, high = position.min(axis=0), position.max(axis=0)
        self._low.assign(low)
        self._high.assign(np.where(high - low > 1e-6 * np.abs(position).max(axis=0), high, low + 1.0))

    def _log_scale(self, batch):
        rows, weights = [], []
        for i, (column, nodes) in enumerate(zip(self._at, self.nodes, strict=True)):
            t = (batch["metadata"][:, column] - self._low[i]) / (self._high[i] - self._low[i]) * (nodes - 1.0)
            first, weight = cubic_weights(t, nodes - 1.0)
            rows.append(first[:, tf.newaxis] + tf.range(4))
            weights.append(weight)
        # The 4 × 4 products of the B-splines that are not zero there.
        rows = rows[0][:, :, tf.newaxis] * (self.nodes[1] + 2) + rows[1][:, tf.newaxis, :]
        coefficients = tf.gather(tf.reshape(self._coefficients, [-1]), rows)
        return tf.reduce_sum(weights[0] * tf.linalg.matvec(coefficients, weights[1]), axis=1)

    def get_config(self):
        """Arguments that make this layer again."""
        config = {"position": list(self.position), "nodes": list(self.nodes)}
        return {**super().get_config(), **config, "sd": self.sd, "curvature_sd": self.curvature_sd}
