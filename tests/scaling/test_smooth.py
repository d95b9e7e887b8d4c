from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from vimerge import scaling

RANGES = ((0.0, 90.0), (100.0, 145.0))


@pytest.fixture(scope="module")
def data(measured):
    """Two sweeps of 90 and 45°."""
    rng = np.random.default_rng(0)
    phi = np.concatenate([np.sort(np.r_[span, rng.uniform(*span, 1498)]) for span in RANGES])
    file_id = np.repeat([0, 1], 1500)
    return measured(np.floor(phi).astype(int), file_id, ROT=phi)


def k_true(phi, sweep):
    return np.where(sweep == 0, 0.4 * np.sin(np.deg2rad(4 * phi)), 1.0 - 0.01 * (phi - 100))


def b_true(phi, sweep):
    return np.where(sweep == 0, 0.1 * phi, 20 * np.cos(np.deg2rad(phi)))


def test_it_recovers_smooth_curves_of_each_sweep(data, fit):
    model = scaling.Smooth.from_reflections(data, spacing=6.0, k_sd=0.5, b_sd=5.0)
    model.adapt(data, 7.0)
    phi = data.metadata[:, 0].astype(float)
    fit(model, data, k_true(phi, data.file_id) - b_true(phi, data.file_id) / (2 * data.d**2), sd=1e-3)
    learned = model.parameters()
    for sweep, (span, n) in enumerate(zip(RANGES, (15, 8), strict=True)):
        nodes = np.array(learned["ROT"][sweep])
        np.testing.assert_allclose(nodes, np.linspace(*span, n + 1), rtol=1e-6)
        np.testing.assert_allclose(learned["k"][sweep], k_true(nodes, sweep), atol=0.01)
        np.testing.assert_allclose(learned["B"][sweep], b_true(nodes, sweep), atol=0.1)


def test_a_gap_in_the_data_is_bridged_by_a_straight_line(measured, fit):
    phi = np.r_[np.linspace(0, 30, 500), np.linspace(120, 150, 500)]
    data = measured(phi.astype(int), ROT=phi)
    model = scaling.Smooth.from_reflections(data, spacing=10.0)
    model.adapt(data)
    fit(model, data, 0.02 * data.metadata[:, 0] - 1.0, sd=0.01)
    learned = model.parameters()
    np.testing.assert_allclose(learned["k"][0], 0.02 * np.array(learned["ROT"][0]) - 1.0, atol=0.02)
    np.testing.assert_allclose(learned["B"][0], 0.0, atol=0.2)


def test_constants_and_slopes_are_free_and_curvature_is_not(data):
    model = scaling.Smooth.from_reflections(data, k_sd=0.1, b_sd=1.0)
    weight = model.trainable_variables[0]
    # Rows of the first sweep, of 9 intervals, and of the second, of 5.
    j = np.r_[np.arange(12), np.arange(8)]
    second = np.repeat([0, 1], [12, 8])
    for coefficients, expected in (
        (5.0 - 0.3 * j + 100.0 * second, 0.0),
        (0.5 * j**2, (10 + 6) * 1.0**2 / (2 * 0.1**2) + (10 + 6) * 2.0**2 / (2 * 1.0**2)),
    ):
        # Before `adapt`, k is the first column and B twice the second.
        weight.assign(np.stack([coefficients, coefficients], axis=1))
        np.testing.assert_allclose(model.losses[0], expected, rtol=1e-4, atol=1e-5)


def test_all_files_can_be_one_sweep(data):
    model = scaling.Smooth.from_reflections(data, per_file=False)
    assert model.spans == ((0.0, 145.0),)
    model.adapt(data)
    assert model.get_config()["spans"] == [[0.0, 145.0]]


def test_the_scale_has_no_steps(data):
    model = scaling.Smooth(data.metadata_keys, [(0, 90)], spacing=10.0)
    weight = model.trainable_variables[0]
    weight.assign(np.random.default_rng(0).normal(size=weight.shape))
    metadata = np.zeros((9001, 2), np.float32)
    metadata[:, 0] = np.linspace(0, 90, 9001)
    log_scale = model._parameters({"metadata": tf.constant(metadata)})[:, 0].numpy().astype(float)
    slope = np.diff(log_scale) / 0.01
    assert np.abs(np.diff(log_scale)).max() < 0.01
    assert np.abs(np.diff(slope)).max() < 0.02


def test_what_does_not_fit_is_refused_with_the_fix(data):
    keys = data.metadata_keys
    with pytest.raises(
        ValueError, match=r"ROT runs from 0 to 90, beyond the span from 0 to 30 that Smooth was made for"
    ):
        scaling.Smooth(keys, [(0, 30), (100, 145)]).adapt(data)
    with pytest.raises(ValueError, match=r"ROT runs from 0 to 145, beyond the span from 0 to 90"):
        scaling.Smooth(keys, [(0, 90)]).adapt(data)
    model = scaling.Smooth.from_reflections(data)
    for files, message in (
        ([2] * data.n_images, "of 3 files, but Smooth has the spans of 2"),
        ([1, 0], "file by file"),
    ):
        with pytest.raises(ValueError, match=message):
            model.adapt(replace(data, images=data.images.assign(file_id=np.resize(files, data.n_images))))
    with pytest.raises(ValueError, match=r"no metadata PHI, but ROT, dHKL: read them with PHI among metadata="):
        scaling.Smooth.from_reflections(data, along="PHI")
    with pytest.raises(ValueError, match="needs a span of ROT that is not empty"):
        scaling.Smooth(keys, [(10, 10)])
    with pytest.raises(ValueError, match="spacing of the nodes must be positive, not 0"):
        scaling.Smooth(keys, [(0, 10)], spacing=0)
    with pytest.raises(ValueError, match="k_sd must be positive, not 0"):
        scaling.Smooth(keys, [(0, 10)], k_sd=0)


def test_frozen_sweeps_scale_no_other_files(data):
    model = scaling.Smooth.from_reflections(data)
    model.adapt(data)
    model.trainable = False
    model.adapt(data[data.file_id == 1])
    images = data.images.assign(file_id=np.r_[0, np.ones(data.n_images - 1, int)])
    with pytest.raises(ValueError, match="can only scale the files it was trained on"):
        model.adapt(replace(data, images=images))
