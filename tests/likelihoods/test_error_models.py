"""The formulae of the error models, their units and names."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from vimerge.likelihoods import XDS, Evans2011, Laplace, Neural, Normal, StudentT

from .conftest import batch_of

SIGIOBS = np.geomspace(1.0, 30.0, 50).astype(np.float32)
BATCH = batch_of(np.linspace(-20.0, 120.0, 50), SIGIOBS)
IPRED = np.random.default_rng(0).uniform(0.0, 100.0, (4, 50)).astype(np.float32)


def in_unit(reflections, unit):
    return replace(reflections, iobs=unit * reflections.iobs, sigiobs=unit * reflections.sigiobs)


def test_evans_error_is_its_formula():
    sdfac, sdb, sdadd = 1.3, 0.8, 0.06
    sigma = Evans2011(sdfac=sdfac, sdb=sdb, sdadd=sdadd)(tf.constant(IPRED), BATCH)
    ipred = IPRED.astype(np.float64)
    expected = sdfac * np.sqrt(SIGIOBS.astype(np.float64) ** 2 + sdb * ipred + (sdadd * ipred) ** 2)
    assert sigma.shape == (4, 50)
    np.testing.assert_allclose(sigma, expected, rtol=1e-5)


def test_evans_error_uses_the_sum_of_harmonics():
    batch = {"iobs": tf.constant([9.0]), "sigiobs": tf.constant([2.0]), "harmonic_id": tf.constant([0, 0])}
    likelihood = Normal(error_model=Evans2011(sdfac=1.0, sdb=1.0, sdadd=0.1))
    distribution = likelihood.distribution(tf.constant([[4.0, 6.0]]), batch)
    np.testing.assert_allclose(distribution.mean(), [[10.0]])
    np.testing.assert_allclose(distribution.stddev(), [[np.sqrt(4.0 + 10.0 + 1.0)]], rtol=1e-6)


@pytest.mark.parametrize("nothing", [Evans2011(1.0, 1e-12, 1e-9), XDS(1.0, 1e-18), Neural()], ids=type)
@pytest.mark.parametrize("noise", [Normal, StudentT, Laplace])
def test_an_error_model_that_adds_nothing_is_none(noise, nothing):
    np.testing.assert_allclose(noise(error_model=nothing)(IPRED, BATCH), noise()(IPRED, BATCH), rtol=1e-5)


def test_evans_parameters_have_their_usual_names():
    model = Evans2011(sdfac=1.3, sdb=0.8, sdadd=0.06)
    assert Normal(error_model=model).parameters() == pytest.approx({"SdFac": 1.3, "SdB": 0.8, "SdAdd": 0.06})
    assert Normal().parameters() == {}


def test_evans_starts_sdb_in_the_unit_of_the_data(reflections):
    started = []
    for unit in (np.float32(1.0), np.float32(1e4)):
        likelihood = Normal(error_model=Evans2011())
        likelihood.adapt(in_unit(reflections, unit))
        started.append(likelihood.parameters()["SdB"] / unit)
    assert started[0] == pytest.approx(started[1], rel=1e-4)
    extra = started[0] * np.mean(np.abs(reflections.iobs))
    assert extra == pytest.approx(0.01 * np.median(reflections.sigiobs**2), rel=1e-4)


def test_evans_keeps_a_given_sdb(reflections):
    model = Evans2011(sdb=5.0)
    model.adapt(reflections)
    assert model.parameters()["SdB"] == pytest.approx(5.0)


@pytest.mark.parametrize("bad", [{"sdfac": 0.0}, {"sdb": -1.0}, {"sdadd": 0.0}])
def test_evans_parameters_are_positive(bad):
    with pytest.raises(ValueError, match="must be positive"):
        Evans2011(**bad)


def test_xds_error_is_its_formula():
    sigma = XDS(a=1.7, b=2e-3)(tf.constant(IPRED), BATCH)
    expected = np.sqrt(1.7 * (SIGIOBS.astype(np.float64) ** 2 + 2e-3 * IPRED.astype(np.float64) ** 2))
    np.testing.assert_allclose(sigma, expected, rtol=1e-5)


def test_xds_is_evans_without_its_middle_term():
    xds, evans = XDS(a=1.44, b=0.05**2), Evans2011(sdfac=1.2, sdb=1e-12, sdadd=0.05)
    np.testing.assert_allclose(xds(tf.constant(IPRED), BATCH), evans(tf.constant(IPRED), BATCH), rtol=1e-5)


def test_xds_parameters_have_their_usual_names():
    model = XDS(a=1.7, b=2e-3)
    assert StudentT(error_model=model).parameters() == pytest.approx({"a": 1.7, "b": 2e-3})
    assert float(model.isa) == pytest.approx(1 / np.sqrt(1.7 * 2e-3), rel=1e-5)
    strong = batch_of([1e8], [1.0])
    np.testing.assert_allclose(1e8 / model(tf.constant([[1e8]]), strong), [[model.isa]], rtol=1e-4)


@pytest.mark.parametrize("bad", [{"a": 0.0}, {"b": -1.0}])
def test_xds_parameters_are_positive(bad):
    with pytest.raises(ValueError, match="must be positive"):
        XDS(**bad)


@pytest.mark.parametrize("unit", [1.0, 1e-4, 1e5])
def test_neural_starts_as_the_identity(reflections, unit):
    model, data = Neural(n_metadata=reflections.metadata.shape[1]), in_unit(reflections, np.float32(unit))
    model.adapt(data)
    batch = next(iter(data.dataset(shuffle=False)))
    error = model(tf.abs(batch["iobs"])[tf.newaxis], batch)
    np.testing.assert_array_equal(error, batch["sigiobs"][tf.newaxis])


def test_neural_does_not_depend_on_the_unit(reflections):
    factors = []
    for unit in (1.0, 2.0**17):
        data, model = in_unit(reflections, np.float32(unit)), Neural(n_metadata=reflections.metadata.shape[1])
        rng = np.random.default_rng(1)
        for weight in model.trainable_variables:
            weight.assign(rng.normal(0.0, 0.5, weight.shape))
        model.adapt(data)
        batch = next(iter(data.dataset(shuffle=False)))
        factors.append(model(tf.abs(batch["iobs"])[tf.newaxis], batch) / batch["sigiobs"])
    assert np.std(factors[0]) > 0.01
    np.testing.assert_allclose(factors[1], factors[0], rtol=1e-4)


@pytest.mark.parametrize("seed", range(5))
def test_neural_grows_with_sigma_whatever_its_weights(seed):
    model, rng = Neural(units=6), np.random.default_rng(seed)
    for weight in model.trainable_variables:
        weight.assign(rng.normal(0.0, 2.0, weight.shape))
    model.slope.assign(rng.uniform(0.1, 2.0))
    batch = batch_of(np.zeros(300), np.geomspace(1e-3, 1e3, 300))
    error = model(tf.fill([1, 300], 5.0), batch).numpy()
    assert np.all(np.isfinite(error))
    assert np.all(np.diff(np.log(error)) >= -1e-5)


def test_neural_needs_all_columns_of_metadata(reflections):
    with pytest.raises(ValueError, match="make Neural with n_metadata="):
        Neural(n_metadata=99).adapt(reflections)
