"""Scale and B factors that vary smoothly as the crystal turns."""

import keras
import numpy as np
import tensorflow as tf

from vimerge.scaling.linear import Linear
from vimerge.scaling.restraint import check_sd, normal
from vimerge.scaling.scale_and_b import ScaleAndB
from vimerge.scaling.splines import at_nodes, count_intervals, cubic_weights, second_differences

LAST_IMAGE = np.iinfo(np.int32).max


@keras.saving.register_keras_serializable(package="vimerge.scaling")
class Smooth(Linear):
    """A scale factor and a B factor that vary smoothly along a column, such as the rotation angle φ.

        log Σ = k_sweep(φ) − B_sweep(φ)/(2d²)

    with cubic B-splines k and B of evenly spaced nodes, for each sweep its own: decay, illuminated volume and radiation
    damage. Their second differences from node to node have normal priors of mean zero [1]_, which join the ends of a
    stretch without data by a straight line, whereas constants and slopes are free.

    Parameters
    ----------
    metadata_keys : sequence of str
        The columns of `metadata`, in their order, with "dHKL" (1/d²) among them.
    spans : sequence of (float, float)
        The lowest and the highest value of the column in each sweep, which are the files in their order; or one for
        all files. `Smooth.from_reflections` finds them.
    along : str
        The column.
    spacing : float
        The distance between nodes at most, in its units.
    k_sd : float
        Standard deviation of the second differences of k under the prior.
    b_sd : float
        Standard deviation of those of B under the prior, in Å².
    posterior : ScalePosterior or str
        See `Scaling`.

    Raises
    ------
    ValueError
        If a column is not there, a span is empty or a number is not positive.

    References
    ----------
    .. [1] Eilers, P. H. C. & Marx, B. D. (1996). Statist. Sci. 11, 89–121.
    """

    def __init__(
        self, metadata_keys, spans, along="ROT", spacing=10.0, k_sd=0.1, b_sd=1.0, posterior="delta", **kwargs
    ):
        super().__init__(metadata_keys, posterior, **kwargs)
        self.along, self._at, self._s2 = along, self._column(along), self._column("dHKL")
        self.spans = tuple((float(low), float(high)) for low, high in spans)
        if not self.spans or not all(low < high for low, high in self.spans):
            raise ValueError(f"Each sweep needs a span of {along} that is not empty, not {list(self.spans)}.")
        if not spacing > 0:
            raise ValueError(f"The spacing of the nodes must be positive, not {spacing}.")
        self.spacing = float(spacing)
        self.k_sd, self.b_sd = check_sd("k_sd", k_sd), check_sd("b_sd", b_sd)
        self._intervals = [count_intervals(*span, self.spacing) for span in self.spans]
        # The coefficients of one sweep follow those of another.
        self._ends = np.cumsum([n + 3 for n in self._intervals]).tolist()
        self._table = ScaleAndB(self, self._ends[-1], self._penalty)
        # Of each sweep: where it begins, from node to node, intervals, the first coefficient.
        grids = zip(self.spans, self._intervals, self._ends, strict=True)
        self._grid = np.array([(low, (high - low) / n, n, end - n - 3) for (low, high), n, end in grids], np.float32)
        if len(self.spans) > 1:
            # Images are numbered file by file, so their first images tell the sweeps apart.
            self._first_image = self.add_weight(
                name="first_image", shape=(len(self.spans),), dtype="int32", initializer="zeros", trainable=False
            )
            self._first_image.assign(np.r_[0, np.full(len(self.spans) - 1, LAST_IMAGE)])

    @classmethod
    def from_reflections(cls, reflections, along="ROT", per_file=True, **kwargs):
        """Make it for data, with the spans that they have.

        Parameters
        ----------
        reflections : Reflections
            All that will be scaled.
        along : str
            The column.
        per_file : bool
            Whether each file is a sweep of its own.
        **kwargs
            Further arguments of the constructor.

        Returns
        -------
        Smooth
        """
        if along not in reflections.metadata_keys:
            raise ValueError(
                f"The reflections have no metadata {along}, but {', '.join(reflections.metadata_keys)}: read them with "
                f"{along} among metadata=, or name another column with along=."
            )
        values = reflections.metadata[:, reflections.metadata_keys.index(along)]
        sweep = reflections.file_id if per_file else np.zeros(len(values), int)
        spans = [_span(values[sweep == i]) for i in range(sweep.max() + 1)]
        return cls(reflections.metadata_keys, spans, along, **kwargs)

    def parameters(self):
        """A list a sweep of the nodes' positions, by the name of the column, and of `k` and `B` (Å²) there."""
        k, b = (x.numpy() for x in self._table.values())
        k = k + self._start.numpy()
        nodes = [np.linspace(*span, n + 1).tolist() for span, n in zip(self.spans, self._intervals, strict=True)]
        curves = {name: [at_nodes(part).tolist() for part in self._sweeps(x)] for name, x in (("k", k), ("B", b))}
        return {self.along: nodes, **curves}

    def _sweeps(self, x):
        """The coefficients of each sweep."""
        return [x[end - n - 3 : end] for end, n in zip(self._ends, self._intervals, strict=True)]

    def _penalty(self, k, b):
        return tf.add_n(
            [
                normal(second_differences(part), sd)
                for x, sd in ((k, self.k_sd), (b, self.b_sd))
                for part in self._sweeps(x)
            ]
        )

    def _check(self, reflections):
        sweep = np.zeros(len(reflections), int)
        if len(self.spans) > 1:
            first = self._first_images(reflections)
            if not self.trainable and np.any(first != self._first_image.numpy()):
                raise ValueError("A frozen Smooth of several sweeps can only scale the files it was trained on.")
            sweep = reflections.file_id
        values = reflections.metadata[:, self._at]
        for i, (low, high) in enumerate(self.spans):
            part = values[sweep == i]
            slack = 0.5 * self.spacing
            if len(part) and (part.min() < low - slack or part.max() > high + slack):
                raise ValueError(
                    f"{self.along} runs from {part.min():g} to {part.max():g}, beyond the span from {low:g} to "
                    f"{high:g} that Smooth was made for: make it with Smooth.from_reflections."
                )

    def _adapt(self, reflections, mean_scale):
        super()._adapt(reflections, mean_scale)
        self._table.adapt(reflections.metadata[:, self._s2])
        if len(self.spans) > 1:
            self._first_image.assign(self._first_images(reflections))

    def _first_images(self, reflections):
        """The first image of each sweep, [sweeps]."""
        file_id = reflections.images["file_id"].to_numpy()
        if file_id.max() >= len(self.spans):
            raise ValueError(
                f"The data are of {file_id.max() + 1} files, but Smooth has the spans of {len(self.spans)}: make it "
                "with Smooth.from_reflections."
            )
        if np.any(np.diff(file_id) < 0):
            raise ValueError("Images must be numbered file by file for a Smooth with a span for each file.")
        first = np.searchsorted(file_id, np.arange(len(self.spans)))
        return np.where(first < len(file_id), first, LAST_IMAGE)

    def _log_scale(self, batch):
        sweep = tf.constant(self._grid[0])
        if len(self.spans) > 1:
            number = tf.searchsorted(tf.convert_to_tensor(self._first_image), batch["image_id"], side="right") - 1
            sweep = tf.gather(tf.constant(self._grid), number)
        low, step, intervals, offset = tf.unstack(sweep, axis=-1)
        first, weights = cubic_weights((batch["metadata"][:, self._at] - low) / step, intervals)
        rows = (first + tf.cast(offset, tf.int32))[:, tf.newaxis] + tf.range(4)
        return self._table.log_scale(rows, batch["metadata"][:, self._s2], weights)

    def get_config(self):
        """Arguments that make this layer again."""
        config = {"spans": [list(span) for span in self.spans], "along": self.along, "spacing": self.spacing}
        return {**super().get_config(), **config, "k_sd": self.k_sd, "b_sd": self.b_sd}


def _span(values):
    """The lowest and highest value, or anything where there is none."""
    return (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
