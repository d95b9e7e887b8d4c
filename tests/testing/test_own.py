"""What a user writes correctly passes, as a class, an instance or a function, and is left as it was."""

import numpy as np
import pytest

from vimerge import testing

from .members import OwnErrorModel, OwnLikelihood, OwnPrior, OwnScaling, OwnSurrogate


def test_a_surrogate_of_ones_own_passes_as_an_instance_and_is_left_as_it_was(asu):
    surrogate = OwnSurrogate(asu)
    surrogate.assign_moments(np.full(len(asu), 5.0), np.full(len(asu), 1.0))
    before = surrogate.get_weights()
    testing.check_surrogate(surrogate)
    for old, new in zip(before, surrogate.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_prior_of_ones_own_passes():
    testing.check_prior(OwnPrior)


@pytest.mark.parametrize("posterior", ["delta", "log-normal"])
def test_a_scaling_model_of_ones_own_passes(posterior):
    testing.check_scaling(lambda keys: OwnScaling(testing.reflections().n_images, posterior))


def test_a_likelihood_of_ones_own_passes():
    testing.check_likelihood(OwnLikelihood())


def test_an_error_model_of_ones_own_passes_on_data_of_ones_own(reflections):
    testing.check_error_model(OwnErrorModel, reflections=reflections)


def test_the_report_has_a_row_for_each_check():
    table = testing.check_error_model(OwnErrorModel(0.1), report=True, skip=("training", "saving"))
    assert list(table) == ["member", "check", "passed", "message"]
    assert set(table["member"]) == {"OwnErrorModel"}
    assert table["passed"].all()
    assert not set(table["check"]) & {"training", "saving"}
    assert len(table) > 10


def test_a_check_that_is_not_there_cannot_be_left_out():
    with pytest.raises(ValueError, match=r"There is no check 'speed'; there are: construction, "):
        testing.check_error_model(OwnErrorModel, skip="speed")


def test_what_is_no_member_is_refused():
    with pytest.raises(TypeError, match=r"Give a Prior or what makes one from an asu, such as its class, not int\."):
        testing.check_prior(3)
    with pytest.raises(testing.ConformanceError, match="what was given makes a OwnLikelihood, which is no ErrorModel"):
        testing.check_error_model(OwnLikelihood)
    with pytest.raises(testing.ConformanceError, match="fails 'construction': it raises TypeError: OwnScaling"):
        testing.check_scaling(lambda keys: OwnScaling())


def test_the_data_of_the_kit_have_reflections_of_every_kind():
    reflections = testing.reflections()
    asu = reflections.asu
    assert (np.sum(asu.centric), np.sum(asu.epsilon == 4), len(asu)) == (10, 4, 40)
    assert np.all(reflections.multiplicity > 0)
    assert (reflections.n_images, len(reflections.files)) == (8, 2)
    assert "dHKL" in reflections.metadata_keys
