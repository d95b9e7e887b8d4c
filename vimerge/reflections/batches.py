"""Named batches of observations for training. The one place in this package that uses TensorFlow, when called."""

import math

import numpy as np

from vimerge.reflections.errors import NoObservationsError, OptionError

__all__ = ["dataset"]


def dataset(reflections, batch_size=None, shuffle=True, seed=0):
    """
    Batches of observations as a `tf.data.Dataset` of dicts.

    The sizes of batches differ by one at most. N is the axis of predictions and M that of observations, of a batch; for
    monochromatic data N = M.

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
    weight       float32 ``[M]``    1 / (observations in the batch): weight times x adds up to the mean of x
    ============ ======= ========== ==================================================================================

    Parameters
    ----------
    reflections : Reflections
        The table.
    batch_size : int, optional
        Observations in a batch, at most; all in one batch by default.
    shuffle : bool, optional
        Whether each epoch is divided anew, at random.
    seed : int, optional
        Fixes the sequence of divisions. (TensorFlow mixes its global seed in, if that is set.)

    Returns
    -------
    tf.data.Dataset
        Of known cardinality, one pass being one epoch.

    Raises
    ------
    OptionError
        If the batch size is no positive number.
    NoObservationsError
        If the table is empty.
    """
    import tensorflow as tf

    count = len(reflections)
    if count == 0:
        raise NoObservationsError("There is no observation to make batches of; select some.")
    if batch_size is not None and not (batch_size == int(batch_size) and batch_size > 0):
        raise OptionError(f"The batch size must be a positive whole number, not {batch_size}; correct --batch-size.")
    n_batches = 1 if batch_size is None else math.ceil(count / batch_size)
    seed = int(seed)
    table = {
        "refl_id": reflections.refl_id,
        "image_id": reflections.image_id,
        "metadata": reflections.metadata,
        "iobs": reflections.iobs,
        "sigiobs": reflections.sigiobs,
        "kl_share": (1.0 / reflections.multiplicity[reflections.refl_id]).astype(np.float32),
    }
    with tf.device("CPU:0"):
        table = {name: tf.constant(values) for name, values in table.items()}

    def complete(batch):
        m = tf.shape(batch["iobs"])[0]
        batch["harmonic_id"] = tf.range(m)
        batch["weight"] = tf.fill([m], 1.0 / tf.cast(m, tf.float32))
        return batch

    if n_batches == 1:
        # The order within a batch is of no consequence.
        return tf.data.Dataset.from_tensors(complete(dict(table)))

    def gather(index):
        return complete({name: tf.gather(values, index) for name, values in table.items()})

    with tf.device("CPU:0"):
        bounds = tf.constant(np.arange(n_batches + 1) * count // n_batches, dtype=tf.int32)
    batch_numbers = tf.data.Dataset.range(n_batches, output_type=tf.int32)
    if shuffle:
        # One permutation an epoch: ten times faster than a shuffle buffer of all observations.
        def epoch(number):
            order = tf.random.experimental.stateless_shuffle(tf.range(count), tf.stack([number, seed]))
            return batch_numbers.map(lambda i: order[bounds[i] : bounds[i + 1]])

        indices = tf.data.Dataset.random(seed=seed, rerandomize_each_iteration=True).take(1).flat_map(epoch)
        indices = indices.apply(tf.data.experimental.assert_cardinality(n_batches))
    else:
        indices = batch_numbers.map(lambda i: tf.range(bounds[i], bounds[i + 1]))
    return indices.map(gather).prefetch(2)
