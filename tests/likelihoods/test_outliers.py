"""Contaminated normal errors."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from vimerge.likelihoods import ContaminatedNormal, Evans2011, Normal

from .conftest import batch_of


def test_outlier_probability_tells_thirty_sigmas_from_one():
    likelihood = ContaminatedNormal()
    batch = batch_of([130.0, 101.0, 100.0, -200.0, 5e8], [1.0, 1.0, 1.0, 10.0, 1e-6])
    probability = likelihood.outlier_probability(tf.fill([2, 5], 100.0), batch).numpy()
    assert probability.shape == (2, 5)
    assert np.all(probability[:, [0, 3, 4]] > 0.999)
    assert np.all(probability[:, [1, 2]] < 0.01)


def test_outlier_probability_is_bayes_theorem(batch, ipred):
    likelihood = ContaminatedNormal(0.2, 4.0, error_model=Evans2011(sdb=1.0))
    total, sigma = (np.asarray(x, np.float64) for x in likelihood.prediction(tf.constant(ipred), batch))
    z = (batch["iobs"].numpy() - total) / sigma
    inlier, outlier = 0.8 * np.exp(-(z**2) / 2), 0.2 * np.exp(-(z**2) / 32) / 4
    expected = outlier / (inlier + outlier)
    np.testing.assert_allclose(likelihood.outlier_probability(ipred, batch), expected, rtol=1e-3, atol=1e-6)


def test_outlier_probability_sums_harmonics():
    batch = batch_of([10.0], [1.0], harmonic_id=[0, 0])
    batch["iobs"], batch["sigiobs"] = batch["iobs"][:1], batch["sigiobs"][:1]
    probability = ContaminatedNormal().outlier_probability(tf.constant([[4.0, 6.0]]), batch)
    assert probability.shape == (1, 1)
    assert probability[0, 0] < 0.01


def test_without_outliers_it_is_normal(batch, ipred):
    near = np.abs(batch["iobs"] - ipred) < 4 * batch["sigiobs"]
    contaminated = ContaminatedNormal(1e-8)(ipred, batch).numpy()
    np.testing.assert_allclose(contaminated[near], Normal()(ipred, batch).numpy()[near], rtol=1e-3)


def test_the_fraction_is_found_by_maximum_likelihood():
    rng, n, fraction = np.random.default_rng(7), 20_000, 0.05
    z = rng.normal(size=n) * np.where(rng.uniform(size=n) < fraction, 10.0, 1.0)
    batch = batch_of(100.0 + 3.0 * z, 3.0)
    likelihood, ipred = ContaminatedNormal(0.01), tf.fill([1, n], 100.0)
    optimizer = keras.optimizers.Adam(0.1)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = -tf.reduce_mean(likelihood(ipred, batch))
        optimizer.apply(tape.gradient(loss, likelihood.trainable_variables), likelihood.trainable_variables)

    optimizer.build(likelihood.trainable_variables)
    for _ in range(150):
        step()
    # The sampling error by Fisher's information: the variance of the score.
    inlier, outlier = np.exp(-(z**2) / 2), np.exp(-(z**2) / 200) / 10
    score = (outlier - inlier) / (fraction * outlier + (1 - fraction) * inlier)
    error = 1 / np.sqrt(np.sum(score**2))
    assert likelihood.parameters()["outlier_fraction"] == pytest.approx(fraction, abs=3 * error)
    # The probabilities add up to the number of outliers.
    expected = likelihood.outlier_probability(ipred, batch).numpy().mean()
    assert expected == pytest.approx(likelihood.parameters()["outlier_fraction"], rel=0.01)


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, np.nan])
def test_the_fraction_is_between_zero_and_one(fraction):
    with pytest.raises(ValueError, match="outlier_fraction must be between 0 and 1"):
        ContaminatedNormal(fraction)


@pytest.mark.parametrize("width", [1.0, 0.5, np.inf, np.nan])
def test_outliers_are_wider(width):
    with pytest.raises(ValueError, match="outlier_width must be above 1"):
        ContaminatedNormal(outlier_width=width)
