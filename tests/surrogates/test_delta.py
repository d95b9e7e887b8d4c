"""The point surrogate: the maximum a posteriori estimate."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from vimerge import likelihoods, surrogates


@pytest.fixture
def strong(asu, table):
    """Each reflection three times, with errors from small to as large as the intensity; the scale is one."""
    rng = np.random.default_rng(7)
    refl_id = np.repeat(np.arange(len(asu)), 3)
    true = 100.0 * rng.exponential(size=len(asu))[refl_id]
    sigma = true * np.geomspace(0.02, 1.0, len(refl_id)) + 1.0
    return table(asu, refl_id, (true + sigma * rng.standard_normal(len(refl_id))).astype(np.float32), sigma)


def test_a_point_has_no_width(asu):
    surrogate = surrogates.Delta(asu)
    mean = np.linspace(1.0, 5.0, len(asu))
    surrogate.assign_moments(mean, mean)
    moments = surrogate.moments()
    np.testing.assert_allclose(moments.F, mean, rtol=1e-6)
    np.testing.assert_allclose(moments.I, mean**2, rtol=1e-6)
    np.testing.assert_array_equal(moments.SIGF, 0.0)
    np.testing.assert_array_equal(moments.SIGI, 0.0)
    np.testing.assert_allclose(surrogate(tf.range(len(asu)), mc_samples=3), np.tile(mean, (3, 1)), rtol=1e-6)


def test_training_finds_the_highest_posterior_density(strong, make_model):
    model = make_model(strong, surrogates.Delta, likelihood=likelihoods.Normal())
    model.scaling.trainable = False
    model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.1, 400), beta_2=0.9))
    batch = next(iter(strong.dataset()))
    model.fit(strong.dataset().repeat(400), epochs=1, verbose=0)
    # The posterior on a fine grid, in double precision.
    scale = float(model.scaling(batch)[0])
    top = 3.0 * np.sqrt(max(strong.iobs.max(), 1.0) / scale)
    f = np.linspace(0.0, top, 20_001)[1:, np.newaxis]
    log_prior = model.prior.distribution().log_prob(f.astype(np.float32)).numpy().astype(np.float64)
    log_joint = log_prior
    for i in range(3):
        rows = np.arange(i, len(strong), 3)
        order = strong.refl_id[rows]
        log_joint[:, order] -= 0.5 * ((strong.iobs[rows] - scale * f**2) / strong.sigiobs[rows]) ** 2
    # As dense as anywhere: the mode of a weak centric reflection is at zero, which a logarithm does not reach.
    found = np.searchsorted(f[:, 0], model.surrogate.moments().F)
    gap = log_joint.max(axis=0) - log_joint[found, np.arange(len(found))]
    assert gap.max() < 0.02


def test_merged_points_have_no_standard_deviation(reflections, make_model):
    merged = make_model(reflections, surrogates.Delta).merge(reflections)
    assert merged[[c for c in merged if c.startswith("SIG")]].isna().all(axis=None)
    assert (merged[["F", "I"]] > 0).all(axis=None)
    both = (merged["N(+)"] > 0) & (merged["N(-)"] > 0)
    mean = 0.5 * (merged["F(+)"] + merged["F(-)"])
    np.testing.assert_allclose(merged["F"][both], mean[both], rtol=1e-5)
