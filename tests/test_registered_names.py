"""A saved model names its parts: no two may go by the same name."""

import keras

from vimerge import likelihoods, merging, priors, scaling, surrogates


def test_every_public_layer_has_a_registered_name_of_its_own():
    members = [
        getattr(family, name)
        for family in (likelihoods, merging, priors, scaling, surrogates)
        for name in family.__all__
    ]
    concrete = [
        m
        for m in members
        if isinstance(m, type)
        and issubclass(m, keras.layers.Layer)
        and keras.saving.get_registered_name(m) != m.__name__
    ]
    assert len(concrete) > 15
    for member in concrete:
        assert keras.saving.get_registered_object(keras.saving.get_registered_name(member)) is member
