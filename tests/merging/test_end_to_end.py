"""The main job on simulated data whose truth is known."""

import keras
import numpy as np
import pytest

from vimerge import crossvalidation, likelihoods, surrogates


@pytest.fixture(scope="module")
def result(simulation, reflections, make_model):
    keras.utils.set_random_seed(1)
    likelihood = likelihoods.StudentT(16.0, error_model=likelihoods.Evans2011())
    model = make_model(reflections, surrogates.Gamma, likelihood=likelihood)
    model.compile(keras.optimizers.Adam(0.01))
    train, test = crossvalidation.train_test_split(reflections, 0.05)
    history = model.fit(train.dataset().repeat(50), epochs=4, verbose=0).history
    return model, test, history


@pytest.fixture(scope="module")
def compared(result, simulation, reflections):
    merged = result[0].merge(reflections)
    return merged.join(simulation.truth, rsuffix="_true", how="inner")


def test_training_is_steady(result):
    _, _, history = result
    assert history["skipped"] == [0, 0, 0, 0]
    assert np.all(np.diff(history["elbo"]) > 0)


def test_merged_amplitudes_are_the_true_ones(compared):
    table = compared[compared["N"] >= 3]
    assert len(table) > 500
    assert np.corrcoef(table["F"].to_numpy(float), table["F_true"].to_numpy(float))[0, 1] > 0.98


def test_anomalous_differences_correlate_with_the_truth(compared):
    table = compared[(compared["N(+)"] > 0) & (compared["N(-)"] > 0) & ~compared.label_centrics()["CENTRIC"]]
    difference = (table["F(+)"] - table["F(-)"]).to_numpy(float)
    true = (table["F(+)_true"] - table["F(-)_true"]).to_numpy(float)
    assert np.corrcoef(difference, true)[0, 1] > 0.8


def test_held_out_observations_are_predicted(result):
    model, test, _ = result
    predicted = model.predict(test.dataset(shuffle=False), verbose=0)
    assert np.corrcoef(predicted["Ipred"], test.iobs)[0, 1] > 0.9


def test_learned_scales_follow_the_true_ones(result, simulation, reflections):
    model, _, _ = result
    assert len(simulation.observations) == len(reflections)
    scale = model.predict(reflections.dataset(shuffle=False), verbose=0)["scale"]
    assert np.corrcoef(np.log(scale), np.log(simulation.true_scale))[0, 1] > 0.5
