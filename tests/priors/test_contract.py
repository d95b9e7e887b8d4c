"""What every public prior must do."""

import inspect
import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from vimerge import priors

SIGMA = np.geomspace(1e-3, 1e6, 60)

MEMBERS = [pytest.param(lambda asu: priors.Wilson(asu, SIGMA), id="Wilson")]
TABLE = {priors.Wilson}

OVER = pytest.mark.parametrize("over", ["amplitude", "intensity"])


@pytest.fixture(params=MEMBERS)
def prior(request, asu):
    return request.param(asu)


def integrate(prior, function, over):
    """E[function(F²)] of each reflection by the trapezium rule over √F, where every density is finite."""
    root = np.sqrt(np.asarray(prior(tf.range(len(prior.asu))), np.float64))
    f = np.linspace(0, np.sqrt(9.0 * root), 8001)[1:] ** 2
    x, jacobian = (f, 1.0) if over == "amplitude" else (f**2, 2 * f)
    density = prior.distribution(over=over).prob(x.astype(np.float32)).numpy().astype(np.float64) * jacobian
    return np.trapezoid(density * 2 * np.sqrt(f) * function(f**2), np.sqrt(f), axis=0)


def test_every_public_prior_is_in_the_table():
    public = {getattr(priors, name) for name in priors.__all__}
    assert {c for c in public if inspect.isclass(c) and issubclass(c, priors.Prior)} - {priors.Prior} == TABLE


@OVER
def test_density_integrates_to_one(prior, over):
    np.testing.assert_allclose(integrate(prior, np.ones_like, over), 1.0, rtol=1e-3)


@OVER
def test_call_is_the_mean_intensity_of_either_density(prior, over):
    mean = prior(tf.range(len(prior.asu))).numpy()
    np.testing.assert_allclose(integrate(prior, lambda j: j, over), mean, rtol=1e-3)


def test_amplitude_and_intensity_are_one_distribution(prior):
    f = np.sqrt(np.asarray(prior(tf.range(len(prior.asu))))) * np.array([[0.01], [0.3], [1.0], [2.5]], np.float32)
    of_f = prior.distribution(over="amplitude").log_prob(f).numpy()
    of_j = prior.distribution(over="intensity").log_prob(f**2).numpy()
    np.testing.assert_allclose(of_f, of_j + np.log(2 * f), rtol=1e-4, atol=1e-4)


@OVER
def test_gathering_is_the_same_as_selecting_from_all(prior, over):
    refl_id = np.array([7, 0, 7, 59], np.int32)
    x = np.sqrt(prior(refl_id).numpy())
    some = prior.distribution(refl_id, over=over)
    assert some.batch_shape == (4,)
    every = prior.distribution(over=over).log_prob(x[:, np.newaxis]).numpy()
    np.testing.assert_array_equal(some.log_prob(x), every[np.arange(4), refl_id])


def test_other_variates_are_refused(prior):
    with pytest.raises(ValueError, match="'amplitude' or 'intensity', not over 'phase'"):
        prior.distribution(over="phase")


def test_nothing_of_it_is_trained(prior):
    assert prior.trainable_variables == []


def test_configuration_makes_it_again(prior):
    again = keras.saving.deserialize_keras_object(json.loads(json.dumps(keras.saving.serialize_keras_object(prior))))
    assert type(again) is type(prior)
    assert again.asu.matches(prior.asu)
    np.testing.assert_allclose(again(tf.range(60)), prior(tf.range(60)), rtol=1e-6)
