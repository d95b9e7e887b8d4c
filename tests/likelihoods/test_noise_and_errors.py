import numpy as np
import pytest
import tensorflow as tf

from vimerge.likelihoods import Evans2011, Normal, StudentT

IOBS = np.linspace(-20.0, 120.0, 50).astype(np.float32)
SIGIOBS = np.geomspace(1.0, 30.0, 50).astype(np.float32)
BATCH = {"iobs": tf.constant(IOBS), "sigiobs": tf.constant(SIGIOBS), "harmonic_id": tf.range(50)}
IPRED = np.random.default_rng(0).uniform(0.0, 100.0, (4, 50)).astype(np.float32)
NEAR = np.abs(IOBS - IPRED) < 5 * SIGIOBS


def test_student_t_of_many_degrees_of_freedom_is_normal():
    student, normal = StudentT(1e6)(IPRED, BATCH).numpy(), Normal()(IPRED, BATCH).numpy()
    np.testing.assert_allclose(student[NEAR], normal[NEAR], atol=1e-3)


def test_student_t_forgives_outliers():
    assert np.all(StudentT(4.0)(IPRED, BATCH).numpy()[~NEAR] > Normal()(IPRED, BATCH).numpy()[~NEAR])


@pytest.mark.parametrize("dof", [0.0, -1.0, np.nan])
def test_degrees_of_freedom_are_positive(dof):
    with pytest.raises(ValueError, match="must be positive, not"):
        StudentT(dof)


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


@pytest.mark.parametrize("noise", [Normal, StudentT])
def test_evans_error_that_adds_nothing_is_none(noise):
    nothing = Evans2011(sdfac=1.0, sdb=1e-12, sdadd=1e-9)
    np.testing.assert_allclose(noise(error_model=nothing)(IPRED, BATCH), noise()(IPRED, BATCH), rtol=1e-5)


def test_evans_parameters_have_their_usual_names():
    model = Evans2011(sdfac=1.3, sdb=0.8, sdadd=0.06)
    assert Normal(error_model=model).parameters() == pytest.approx({"SdFac": 1.3, "SdB": 0.8, "SdAdd": 0.06})
    assert Normal().parameters() == {}


def test_evans_starts_sdb_in_the_unit_of_the_data(reflections):
    from dataclasses import replace

    started = []
    for unit in (np.float32(1.0), np.float32(1e4)):
        model = Evans2011()
        likelihood = Normal(error_model=model)
        likelihood.adapt(replace(reflections, iobs=unit * reflections.iobs, sigiobs=unit * reflections.sigiobs))
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
