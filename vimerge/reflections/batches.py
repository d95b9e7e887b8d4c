"""Named batches of observations for training. The one module here that uses TensorFlow, imported when it is needed."""

import numpy as np
import tensorflow as tf

from vimerge.reflections.division import divide
from vimerge.reflections.errors import NoObservationsError, OptionError

__all__ = ["dataset"]


GROUPS = ("observation", "reflection", "image")

# There are no conditions and loops of Python's on tensors here, which TensorFlow would take half a second to look for.
_as_it_is = tf.autograph.experimental.do_not_convert


def dataset(reflections, batch_size=None, shuffle=True, seed=0, by="observation", static=False):
    """
    Batches of observations as a `tf.data.Dataset` of dicts.

    N is the axis of predictions and M that of observations, of a batch; for monochromatic data N = M. The harmonics of
    an observation are always in its batch, one after the other.

    ============ ======= ========== ==================================================================================
    key          type    shape      content
    ============ ======= ========== ==================================================================================
    refl_id      int32   ``[N]``    reflection of each prediction
    image_id     int32   ``[N]``    image
    metadata     float32 ``[N, D]`` raw metadata
    harmonic_id  int32   ``[N]``    row of the batch's observation that the prediction belongs to
    principal    int32   ``[M]``    row of the batch's prediction that stands for the observation (see `Harmonics`);
                                    only in batches of polychromatic data, for otherwise it is the same row
    iobs         float32 ``[M]``    intensity
    sigiobs      float32 ``[M]``    its standard deviation
    kl_share     float32 ``[N]``    1 / (predictions of the same reflection in the whole table): over an epoch, kl_share
                                    times a KL of each reflection adds up to the sum over the reflections observed
    weight       float32 ``[M]``    what makes the sum of weight times x an unbiased estimate of the mean of x over the
                                    table: 1 / (observations in the batch), or, where batches are of whole reflections
                                    or images and so differ in size, batches in an epoch / observations in the table
    ============ ======= ========== ==================================================================================

    Parameters
    ----------
    reflections : Reflections
        The table.
    batch_size : int, optional
        Observations in a batch: at most, or on average where batches are of whole reflections or images. All in one
        batch by default.
    shuffle : bool, optional
        Whether each epoch is divided anew, at random.
    seed : int, optional
        Fixes the sequence of divisions. (TensorFlow mixes its global seed in, if that is set.)
    by : {"observation", "reflection", "image"}, optional
        What is divided among the batches: with "reflection", a batch has all the observations of each of its
        reflections, one after the other; of polychromatic data, all those with it as their principal harmonic.
    static : bool, optional
        Whether all batches of all epochs have the same shapes, which the dataset then states, for a compiler such as
        XLA. Batches are filled up at their ends with more of their last observation and prediction, whose weight and
        kl_share are 0.

    Returns
    -------
    tf.data.Dataset
        Of known cardinality, one pass being one epoch.

    Raises
    ------
    OptionError
        If the batch size is no positive number, or if there is no such division.
    NoObservationsError
        If the table is empty.
    """
    if len(reflections) == 0:
        raise NoObservationsError("There is no observation to make batches of; select some.")
    if batch_size is not None and not (batch_size == int(batch_size) and batch_size > 0):
        raise OptionError(f"The batch size must be a positive whole number, not {batch_size}; correct --batch-size.")
    if by not in GROUPS:
        raise OptionError(f"Batches are by {', '.join(GROUPS)}, not by {by!r}.")
    count, seed = len(reflections), int(seed)
    reflections, sizes, extras = _grouped(reflections, by)
    plan = divide(sizes, extras, count, batch_size, static, shuffle)
    with tf.device("CPU:0"):
        columns = (_Polychromatic if reflections.is_laue else _Monochromatic)(reflections, plan)
        if plan.n_batches == 1:
            # The order within a batch is of no consequence.
            return tf.data.Dataset.from_tensors(columns.whole())
        order = _Order(plan, count)

    if shuffle:
        # One permutation an epoch: ten times faster than a shuffle buffer of all observations.
        @_as_it_is
        def epoch(number):
            return order.slices(order.draw(number, seed))

        indices = tf.data.Dataset.random(seed=seed, rerandomize_each_iteration=True).take(1).flat_map(epoch)
        indices = indices.apply(tf.data.experimental.assert_cardinality(plan.n_batches))
    else:
        indices = order.slices(tf.range(order.n_groups))
    return indices.map(_as_it_is(columns.gather)).prefetch(2)


def _grouped(reflections, by):
    """The table sorted by group, and the observations and further predictions of each group; see `Division`."""
    extras = reflections.harmonics.counts - 1 if reflections.is_laue else None
    if by == "observation":
        return reflections, None, extras
    if by == "image":
        group = reflections.image_id
    else:
        group = reflections.refl_id[reflections.principal] if reflections.is_laue else reflections.refl_id
    sizes = np.bincount(group)
    if extras is not None:
        extras = np.bincount(group, extras).astype(np.int64)[sizes > 0]
    return reflections[np.argsort(group, kind="stable")], sizes[sizes > 0], extras


class _Order:
    """The order of the groups in an epoch, and the slices of it that are batches."""

    def __init__(self, plan, count):
        self.plan, self.count = plan, count
        self.n_groups = count if plan.sizes is None else len(plan.sizes)
        self.cuts = tf.constant(plan.cuts, tf.int32)
        self.sizes = None if plan.sizes is None else tf.constant(plan.sizes, tf.int32)
        self.extras = None if plan.further is None else tf.constant(plan.extras, tf.int32)

    def draw(self, number, seed):
        """A permutation of the groups; one whose batches are all small enough."""

        def shuffled(number):
            return tf.random.experimental.stateless_shuffle(tf.range(self.n_groups), tf.stack([number, seed]))

        order = shuffled(number)
        if self.extras is None:
            return order
        _, order = tf.while_loop(
            lambda _, order: tf.reduce_any(self._further(order) > self.plan.further),
            lambda number, _: (number + 1, shuffled(number + 1)),
            (number, order),
        )
        return order

    def _further(self, order):
        """How many more predictions than observations each batch has."""
        total = tf.concat([[0], tf.cumsum(tf.gather(self.extras, order))], 0)
        at_cuts = tf.gather(total, self._cuts_between_groups(order))
        return at_cuts[1:] - at_cuts[:-1]

    def _cuts_between_groups(self, order):
        if not self.plan.by_size:
            return self.cuts
        return tf.searchsorted(tf.cumsum(tf.gather(self.sizes, order)), self.cuts, side="right")

    def slices(self, order):
        """The rows of each batch, a dataset, given the order of the groups."""
        bounds = self._cuts_between_groups(order)
        if self.sizes is not None:
            sizes = tf.gather(self.sizes, order)
            ends = tf.cumsum(sizes)
            shift = tf.gather(tf.cumsum(self.sizes, exclusive=True), order) - ends + sizes
            bounds = tf.gather(tf.concat([[0], ends], 0), bounds)
            order = tf.repeat(shift, sizes) + tf.range(self.count)
        batches = tf.data.Dataset.range(self.plan.n_batches, output_type=tf.int32)
        return batches.map(_as_it_is(lambda i: order[bounds[i] : bounds[i + 1]]))


class _Monochromatic:
    """The columns of a table with a prediction for each observation, and how to gather a batch's rows of them."""

    def __init__(self, reflections, plan):
        self.count, self.plan = len(reflections), plan
        self.of_observations = {name: tf.constant(getattr(reflections, name)) for name in ("iobs", "sigiobs")}
        columns = {
            "refl_id": reflections.refl_id,
            "image_id": reflections.image_id[reflections.harmonic_id] if reflections.is_laue else reflections.image_id,
            "metadata": reflections.metadata,
            "kl_share": (1.0 / reflections.multiplicity[reflections.refl_id]).astype(np.float32),
        }
        self.of_predictions = {name: tf.constant(values) for name, values in columns.items()}

    def whole(self):
        """All rows."""
        joined = {"weight": self._weight(self.count), **self._joined(tf.range(self.count), self.count)}
        joined.pop("rows")
        return {**self.of_observations, **self.of_predictions, **joined}

    def gather(self, index):
        """The observations `index`, int32 [M], with their predictions."""
        m, size = tf.shape(index)[0], self.plan.observations
        weight = self._weight(m)
        if size is not None:
            index, weight = _filled(index, size, index[-1]), _filled(weight, size, 0.0)
        joined = self._joined(index, m)
        rows = joined.pop("rows")
        batch = {name: tf.gather(values, index) for name, values in self.of_observations.items()}
        batch |= {name: tf.gather(values, rows) for name, values in self.of_predictions.items()}
        if size is not None:
            real = tf.gather(weight, joined["harmonic_id"]) > 0.0
            batch["kl_share"] = tf.where(real, batch["kl_share"], 0.0)
        return {**batch, **joined, "weight": weight}

    def _weight(self, m):
        by_observation = self.plan.sizes is None
        each = 1.0 / tf.cast(m, tf.float32) if by_observation else np.float32(self.plan.n_batches / self.count)
        return tf.fill([m], each)

    def _joined(self, index, m):
        """What joins predictions to the observations `index`, of which the first m count, and the predictions' rows."""
        return {"rows": index, "harmonic_id": tf.range(tf.shape(index)[0])}


class _Polychromatic(_Monochromatic):
    """The columns of a table with several predictions for an observation."""

    def __init__(self, reflections, plan):
        super().__init__(reflections, plan)
        counts = reflections.harmonics.counts
        first = np.cumsum(counts) - counts
        self.counts, self.first = tf.constant(counts, tf.int32), tf.constant(first, tf.int32)
        self.principal = tf.constant(reflections.principal - first, tf.int32)

    def _joined(self, index, m):
        counts = tf.gather(self.counts, index)
        size = self.plan.observations
        if size is not None:
            # The predictions that are wanting belong to the observations that were filled up, each to have some.
            total = size + self.plan.further
            wanting, among = total - tf.reduce_sum(counts[:m]), size - m
            more = wanting // among + tf.cast(tf.range(among) < wanting % among, tf.int32)
            counts = tf.ensure_shape(tf.concat([counts[:m], more], 0), [size])
        start = tf.cumsum(counts, exclusive=True)
        rows = tf.repeat(tf.gather(self.first, index) - start, counts) + tf.range(tf.reduce_sum(counts))
        harmonic_id = tf.repeat(tf.range(tf.shape(index)[0]), counts)
        principal = start + tf.gather(self.principal, index)
        if size is not None:
            rows = _filled(rows[: start[m]], total, rows[principal[m - 1]])
            harmonic_id = tf.ensure_shape(harmonic_id, [total])
            principal = tf.where(tf.range(size) < m, principal, start)
        return {"rows": rows, "harmonic_id": harmonic_id, "principal": principal}


def _filled(values, size, value):
    """Values and, at the end, as many more of `value` as make `size`."""
    return tf.ensure_shape(tf.concat([values, tf.fill([size - tf.shape(values)[0]], value)], 0), [size])
