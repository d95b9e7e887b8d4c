import gemmi
import keras
import numpy as np
import pytest
import tensorflow as tf

from vimerge.reflections import Reflections


@pytest.fixture(scope="session")
def measured():
    """Make `Reflections` with random indices to 2 Å: measured(image, file_id=None, **metadata)."""
    cell, spacegroup = gemmi.UnitCell(20, 25, 30, 90, 90, 90), gemmi.SpaceGroup("P 1")
    hkl = gemmi.make_miller_array(cell, spacegroup, 2.0)

    def make(image, file_id=None, **metadata):
        count = len(image)
        chosen = hkl[np.random.default_rng(1).integers(len(hkl), size=count)]
        return Reflections.from_arrays(
            chosen,
            np.ones(count),
            np.ones(count),
            image,
            cell=cell,
            spacegroup=spacegroup,
            metadata=metadata,
            metadata_keys=[*metadata, "dHKL"],
            file_id=file_id,
            files=None if file_id is None else [f"sweep {i}" for i in range(max(file_id) + 1)],
        )

    return make


def batch_of(reflections):
    return {"metadata": tf.constant(reflections.metadata), "image_id": tf.constant(reflections.image_id)}


@pytest.fixture(scope="session")
def fit():
    """Fit a linear model's log scale to targets with errors sd, exactly: fit(model, reflections, target, sd).

    The loss is that of a Gaussian likelihood per observation, as in a merging model, with the model's restraints. Both
    are quadratic: the weights at the minimum are the solution of the normal equations.
    """

    def run(model, reflections, target, sd):
        batch = batch_of(reflections)
        (weight,) = model.trainable_variables
        count = int(np.prod(weight.shape))

        @tf.function
        def log_scale(x):
            weight.assign(tf.reshape(x, weight.shape))
            return model._parameters(batch)[:, 0]

        start = log_scale(tf.zeros(count)).numpy().astype(np.float64)
        design = np.stack([log_scale(unit) - start for unit in tf.eye(count)], axis=1)
        with tf.GradientTape() as outer:
            with tf.GradientTape() as inner:
                (loss,) = model.losses
            gradient = inner.gradient(loss, weight)
        restraint = outer.jacobian(gradient, weight).numpy().reshape(count, count).astype(np.float64)
        n = len(reflections) * sd**2
        solution = np.linalg.solve(design.T @ design / n + restraint, design.T @ (target - start) / n)
        weight.assign(solution.reshape(weight.shape))

    return run


@pytest.fixture(scope="session")
def train():
    """Fit by steps of Adam, and return the root mean square residual: train(model, reflections, target, sd, steps)."""

    def run(model, reflections, target, sd=1.0, steps=200, rate=0.02):
        batch, target = batch_of(reflections), tf.constant(target, tf.float32)
        optimizer = keras.optimizers.Adam(rate)
        optimizer.build(model.trainable_variables)

        @tf.function
        def step():
            with tf.GradientTape() as tape:
                mean_square = tf.reduce_mean(tf.square(model._parameters(batch)[:, 0] - target))
                loss = tf.add_n([0.5 * mean_square / sd**2, *model.losses])
            optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
            return mean_square

        for _ in range(steps):
            mean_square = step()
        return float(mean_square) ** 0.5

    return run
