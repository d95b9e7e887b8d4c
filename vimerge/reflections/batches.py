"""Named batches of observations for training. The one place in this package that uses TensorFlow, when called."""

import math

import numpy as np

from vimerge.reflections.errors import NoObservationsError, OptionError

__all__ = ["dataset"]


GROUPS = {"observation": None, "reflection": "refl_id", "image": "image_id"}


def dataset(reflections, batch_size=None, shuffle=True, seed=0, by="observation"):
    """
    Batches of observations as a `tf.data.Dataset` of dicts.

    N is the axis of predictions and M that of observations, of a batch; for monochromatic data N = M.

    ============ ======= ========== ==================================================================================
    key          type    shape      content
    ============ ======= ========== ==================================================================================
    refl_id      int32   ``[N]``    reflection of each prediction
    image_id     int32   ``[N]``    image
    metadata     float32 ``[N, D]`` raw metadata
    harmonic_id  int32   ``[N]``    row of the batch's observation that the prediction belongs to
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
        reflections, one after the other.

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
    import tensorflow as tf

    if len(reflections) == 0:
        raise NoObservationsError("There is no observation to make batches of; select some.")
    if batch_size is not None and not (batch_size == int(batch_size) and batch_size > 0):
        raise OptionError(f"The batch size must be a positive whole number, not {batch_size}; correct --batch-size.")
    if by not in GROUPS:
        raise OptionError(f"Batches are by {', '.join(GROUPS)}, not by {by!r}.")
    count, seed = len(reflections), int(seed)
    rows, sizes = _groups(reflections, GROUPS[by])
    n_groups = count if sizes is None else len(sizes)
    n_batches = 1 if batch_size is None else min(math.ceil(count / batch_size), n_groups)
    table = {
        "refl_id": reflections.refl_id,
        "image_id": reflections.image_id,
        "metadata": reflections.metadata,
        "iobs": reflections.iobs,
        "sigiobs": reflections.sigiobs,
        "kl_share": (1.0 / reflections.multiplicity[reflections.refl_id]).astype(np.float32),
    }
    if sizes is not None:
        table = {name: values[rows] for name, values in table.items()}
    with tf.device("CPU:0"):
        table = {name: tf.constant(values) for name, values in table.items()}
        cuts = tf.constant(np.arange(n_batches + 1) * n_groups // n_batches, dtype=tf.int32)
        sizes = None if sizes is None else tf.constant(sizes, tf.int32)

    def complete(batch):
        m = tf.shape(batch["iobs"])[0]
        batch["harmonic_id"] = tf.range(m)
        each = 1.0 / tf.cast(m, tf.float32) if sizes is None else tf.constant(n_batches / count, tf.float32)
        batch["weight"] = tf.fill([m], each)
        return batch

    if n_batches == 1:
        # The order within a batch is of no consequence.
        return tf.data.Dataset.from_tensors(complete(dict(table)))

    def gather(index):
        return complete({name: tf.gather(values, index) for name, values in table.items()})

    def divided(order):
        """Slices of rows, given the order of the groups."""
        bounds = cuts
        if sizes is not None:
            starts = tf.cumsum(sizes, exclusive=True)
            ends = tf.cumsum(tf.gather(sizes, order))
            shift = tf.gather(starts, order) - ends + tf.gather(sizes, order)
            bounds = tf.gather(tf.concat([[0], ends], 0), cuts)
            order = tf.repeat(shift, tf.gather(sizes, order)) + tf.range(count)
        return tf.data.Dataset.range(n_batches, output_type=tf.int32).map(lambda i: order[bounds[i] : bounds[i + 1]])

    if shuffle:
        # One permutation an epoch: ten times faster than a shuffle buffer of all observations.
        def epoch(number):
            return divided(tf.random.experimental.stateless_shuffle(tf.range(n_groups), tf.stack([number, seed])))

        indices = tf.data.Dataset.random(seed=seed, rerandomize_each_iteration=True).take(1).flat_map(epoch)
        indices = indices.apply(tf.data.experimental.assert_cardinality(n_batches))
    else:
        indices = divided(tf.range(n_groups))
    return indices.map(gather).prefetch(2)


def _groups(reflections, key):
    """Rows sorted by group, and the size of each group that has any; (None, None) if each row is one."""
    if key is None:
        return None, None
    group = getattr(reflections, key)
    sizes = np.bincount(group)
    return np.argsort(group, kind="stable"), sizes[sizes > 0]
