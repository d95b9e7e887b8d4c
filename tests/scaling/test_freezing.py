"""A frozen scaling model, or part of one, stays as it is; and all of them are saved."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from vimerge import VariationalMergingModel, likelihoods, priors, scaling, surrogates


@pytest.fixture(scope="module")
def few(reflections):
    return reflections[:600]


def merging_model(reflections, scale):
    model = VariationalMergingModel(
        surrogates.Gamma(reflections.asu), priors.Wilson(reflections.asu), scale, likelihoods.Normal(), seed=1
    )
    model.initialize(reflections)
    return model


def fit(model, reflections):
    # Two steps take less time than to trace the graph.
    model.compile(keras.optimizers.Adam(0.01), run_eagerly=True)
    model.fit(reflections.dataset(300), verbose=0)


def weights(layer):
    return [w.copy() for w in layer.get_weights()]


def all_equal(ours, theirs):
    return all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))


def everything(reflections, posterior):
    keys, n = reflections.metadata_keys, reflections.n_images
    return scaling.Sum(
        [
            scaling.MLP(keys, width=4, depth=1, encode={"ROT": 2}, posterior=posterior),
            scaling.ImageLayers(keys, n, width=4, depth=0, posterior=posterior),
            scaling.ImageScale(keys, n, posterior=posterior),
            scaling.physical(reflections, directions=("Hobs", "Kobs", "Lobs"), degree=2, posterior=posterior),
        ]
    )


@pytest.mark.parametrize("posterior", ["delta", "log-normal", "gamma", "folded-normal"])
def test_a_saved_model_is_loaded_with_all_its_parts_and_what_was_frozen(few, posterior, tmp_path):
    scale = everything(few, posterior)
    scale.parts[2].trainable = False
    scale.parts[3].parts[1].trainable = False
    model = merging_model(few, scale)
    rng = np.random.default_rng(0)
    for variable in model.scaling.trainable_variables:
        variable.assign(rng.normal(0, 0.2, variable.shape))
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    batch = next(iter(few.dataset()))
    np.testing.assert_array_equal(again.scaling(batch), model.scaling(batch))
    assert [v.path for v in again.trainable_variables] == [v.path for v in model.trainable_variables]
    assert not again.scaling.parts[2].trainable
    assert not again.scaling.parts[3].parts[1].trainable
    assert again.scaling.parameters() == model.scaling.parameters()
    assert len(model.losses) == 3
    np.testing.assert_array_equal(again.losses, model.losses)


def test_a_frozen_model_is_left_as_it_is_by_fit_and_by_initialize(few):
    scale = everything(few, "log-normal")
    fit(merging_model(few, scale), few)
    scale.trainable = False
    before = weights(scale)
    batch = next(iter(few.dataset()))
    mean = scale(batch).numpy()
    # Other means and standard deviations of the metadata, and another mean scale.
    other = few[::2]
    other = replace(other, iobs=5 * other.iobs)
    model = merging_model(other, scale)
    trained = {v.path for v in model.trainable_variables}
    assert not trained & {v.path for v in scale.variables}
    fit(model, other)
    assert all_equal(weights(scale), before)
    np.testing.assert_array_equal(scale(batch), mean)
    scale.trainable = True
    scale.adapt(other)
    assert not all_equal(weights(scale), before)


def test_a_frozen_part_is_left_as_it_is_and_the_sum_still_starts_at_the_mean_scale(few):
    keys = few.metadata_keys
    trained = scaling.MLP(keys, width=4, depth=1)
    fit(merging_model(few, trained), few)
    trained.trainable = False
    before = weights(trained)
    image = scaling.ImageScale(keys, few.n_images)
    scale = scaling.Sum([trained, image])
    model = merging_model(replace(few, iobs=20 * few.iobs), scale)
    scale.adapt(few, 123.0)
    np.testing.assert_allclose(np.mean(scale(next(iter(few.dataset())))), 123.0, rtol=1e-4)
    start = weights(image)
    fit(model, few)
    assert all_equal(weights(trained), before)
    assert not all_equal(weights(image), start)
    assert {v.path for v in scale.trainable_variables} == {v.path for v in image.trainable_variables}


def test_a_model_frozen_by_its_configuration_is_frozen_in_another(few):
    scale = scaling.MLP(few.metadata_keys, width=4, depth=1)
    scale.trainable = False
    again = scaling.MLP.from_config(scale.get_config())
    assert not again.trainable
    assert not any(v.trainable for v in again.variables)
    trained = {v.path for v in merging_model(few, again).trainable_variables}
    assert not trained & {v.path for v in again.variables}
    with pytest.raises(ValueError, match="set its trainable = False then"):
        scaling.MLP(few.metadata_keys, trainable=False)
