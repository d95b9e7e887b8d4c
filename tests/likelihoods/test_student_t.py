"""Student's t, with degrees of freedom fixed or learned."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import digamma, polygamma

from vimerge.likelihoods import Normal, StudentT

from .conftest import batch_of

IOBS = np.linspace(-20.0, 120.0, 50).astype(np.float32)
SIGIOBS = np.geomspace(1.0, 30.0, 50).astype(np.float32)
BATCH = batch_of(IOBS, SIGIOBS)
IPRED = np.random.default_rng(0).uniform(0.0, 100.0, (4, 50)).astype(np.float32)
NEAR = np.abs(IOBS - IPRED) < 5 * SIGIOBS


def test_many_degrees_of_freedom_are_normal():
    student, normal = StudentT(1e6)(IPRED, BATCH).numpy(), Normal()(IPRED, BATCH).numpy()
    np.testing.assert_allclose(student[NEAR], normal[NEAR], atol=1e-3)


def test_outliers_are_forgiven():
    assert np.all(StudentT(4.0)(IPRED, BATCH).numpy()[~NEAR] > Normal()(IPRED, BATCH).numpy()[~NEAR])


@pytest.mark.parametrize("learn", [False, True])
@pytest.mark.parametrize("dof", [0.0, -1.0, np.nan])
def test_degrees_of_freedom_are_positive(dof, learn):
    with pytest.raises(ValueError, match="must be positive, not"):
        StudentT(dof, learn_dof=learn)


def test_learned_and_fixed_are_the_same_density():
    fixed, learned = StudentT(5.0), StudentT(5.0, learn_dof=True)
    np.testing.assert_allclose(learned(IPRED, BATCH), fixed(IPRED, BATCH), rtol=1e-6)
    assert fixed.parameters() == {}
    assert learned.parameters() == {"dof": pytest.approx(5.0)}


@pytest.mark.parametrize("dof", [1e-3, 0.1, 1.0, 16.0, 1e3, 1e5, 1e8])
def test_gradient_in_dof_is_right_from_cauchy_to_normal(dof):
    # d log p / d log ν, whose rounding error in TFP's own density exceeds it beyond some 1,000 degrees of freedom.
    z = np.random.default_rng(1).normal(size=200)
    normaliser = digamma((dof + 1) / 2) - digamma(dof / 2) - 1 / dof
    expected = 0.5 * dof * (normaliser - np.log1p(z**2 / dof) + (dof + 1) / dof * z**2 / (dof + z**2))
    likelihood, batch = StudentT(dof, learn_dof=True), batch_of(z, 1.0)
    with tf.GradientTape() as tape:
        log_prob = tf.reduce_mean(likelihood(tf.zeros([1, 200]), batch))
    (gradient,) = tape.gradient(log_prob, likelihood.trainable_variables)
    assert float(gradient) == pytest.approx(np.mean(expected), rel=1e-3, abs=2e-6)


def test_dof_are_found_by_maximum_likelihood():
    rng, n, dof = np.random.default_rng(8), 20_000, 4.0
    batch = batch_of(50.0 + 2.0 * rng.standard_t(dof, n), 2.0)
    likelihood, ipred = StudentT(16.0, learn_dof=True), tf.fill([1, n], 50.0)
    optimizer = keras.optimizers.Adam(0.1)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = -tf.reduce_mean(likelihood(ipred, batch))
        optimizer.apply(tape.gradient(loss, likelihood.trainable_variables), likelihood.trainable_variables)

    optimizer.build(likelihood.trainable_variables)
    for _ in range(150):
        step()
    information = 0.25 * (polygamma(1, dof / 2) - polygamma(1, (dof + 1) / 2)) - (dof + 5) / (
        2 * dof * (dof + 1) * (dof + 3)
    )
    assert likelihood.parameters()["dof"] == pytest.approx(dof, abs=3 / np.sqrt(n * information))
