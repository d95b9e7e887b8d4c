"""Error models with their own numbers for each group."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from scipy import stats

from vimerge.likelihoods import XDS, ErrorModel, Evans2011, Neural, Normal, PerGroup

from .conftest import IMAGES


def test_each_group_has_its_own_formula(batch, ipred):
    model, ipred = PerGroup(Evans2011(1.0, 1.0, 0.03), "image", IMAGES), tf.constant(ipred)
    values = [(1.1, 0.3, 0.01), (1.5, 0.8, 0.03), (0.9, 2.0, 0.05), (2.0, 1.0, 0.1)]
    for name, column in zip(("sdfac", "sdb", "sdadd"), zip(*values, strict=True), strict=True):
        getattr(model.error_model, name).assign(column)
    together = model(ipred, batch).numpy()
    for image, value in enumerate(values):
        mine = batch["image_id"].numpy() == image
        np.testing.assert_allclose(together[:, mine], Evans2011(*value)(ipred, batch).numpy()[:, mine], rtol=1e-5)
    parameters = Normal(error_model=model).parameters()
    assert list(parameters) == ["SdFac", "SdB", "SdAdd"]
    np.testing.assert_allclose(np.transpose(list(parameters.values())), values, rtol=1e-6)


@pytest.mark.parametrize("made_from", [XDS, XDS(), lambda: XDS(1.0, 1e-3)], ids=["class", "instance", "factory"])
def test_groups_that_agree_are_one(made_from, batch, ipred):
    model, ipred = PerGroup(made_from, "image", IMAGES), tf.constant(ipred)
    np.testing.assert_allclose(model(ipred, batch), XDS()(ipred, batch), rtol=1e-6)


def test_groups_start_with_the_present_numbers():
    single = XDS()
    single.a.assign(3.0)
    assert PerGroup(single, "image", 2).parameters()["a"] == pytest.approx([3.0, 3.0])


def test_a_gradient_stays_in_its_group(batch, ipred):
    model, ipred = PerGroup(XDS, "image", IMAGES), tf.constant(ipred)
    with tf.GradientTape() as tape:
        error = tf.reduce_sum(tf.boolean_mask(model(ipred, batch), batch["image_id"] == 2, axis=1))
    for gradient in tape.gradient(error, model.trainable_variables):
        assert list(np.flatnonzero(tf.convert_to_tensor(gradient))) == [2]


def test_harmonics_find_the_group_of_their_observation():
    batch = {
        "iobs": tf.constant([9.0, 5.0]),
        "sigiobs": tf.constant([2.0, 2.0]),
        "harmonic_id": tf.constant([1, 0, 1]),
        "image_id": tf.constant([0, 1, 0]),
    }
    model = PerGroup(XDS, "image", 2)
    model.error_model.a.assign([1.0, 4.0])
    sigma = Normal(error_model=model).distribution(tf.zeros([1, 3]), batch).stddev()
    np.testing.assert_allclose(sigma, [[4.0, 2.0]])


def test_files_are_found_from_images(reflections):
    bounds = [0, 20, 21, reflections.n_images]
    file_id = np.repeat([0, 1, 2], np.diff(bounds))
    model = PerGroup(Evans2011, "file", 3)
    model.adapt(replace(reflections, images=reflections.images.assign(file_id=file_id)))
    batch = next(iter(reflections.dataset(shuffle=False)))
    np.testing.assert_array_equal(model.group_of(batch), file_id[reflections.image_id])
    single = Evans2011()
    single.adapt(reflections)
    assert model.parameters()["SdB"] == pytest.approx([single.parameters()["SdB"]] * 3)


@pytest.mark.parametrize(("group", "found"), [("image", 90), ("file", 2)])
def test_more_groups_than_expected_are_refused(group, found, reflections):
    file_id = np.arange(reflections.n_images) // 50
    data = replace(reflections, images=reflections.images.assign(file_id=file_id))
    with pytest.raises(ValueError, match=f"data have {found} {group}s: make PerGroup with n_groups={found}"):
        PerGroup(XDS, group, 1).adapt(data)


class Custom(ErrorModel):
    """One from outside, which knows nothing of groups."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.floor = self.add_positive("Floor", 2.0)

    def _sigma(self, sigiobs, ipred, batch):
        return tf.sqrt(sigiobs**2 + self.floor.value**2) + 0.0 * ipred


def test_anyones_error_model_can_have_groups(batch, ipred):
    model = PerGroup(Custom, "image", IMAGES)
    model.error_model.floor.assign([1.0, 2.0, 3.0, 4.0])
    expected = np.hypot(batch["sigiobs"], 1.0 + batch["image_id"].numpy())
    np.testing.assert_allclose(model(tf.constant(ipred), batch)[0], expected, rtol=1e-6)


@pytest.mark.parametrize("bad", [Neural, Neural()], ids=["class", "instance"])
def test_a_network_cannot_have_groups(bad):
    with pytest.raises(TypeError, match="Neural cannot have groups"):
        PerGroup(bad, "image", 2)


@pytest.mark.parametrize("bad", ["evans", PerGroup(XDS, "image", 2), dict])
def test_only_an_error_model_can_have_groups(bad):
    with pytest.raises(TypeError, match="needs an error model that is not per group"):
        PerGroup(bad, "image", 2)


@pytest.mark.parametrize(
    ("bad", "message"), [({"group": "crystal"}, "no group"), ({"n_groups": 0}, "must be 1 or more")]
)
def test_groups_must_be_known(bad, message):
    with pytest.raises(ValueError, match=message):
        PerGroup(XDS, **bad)


def test_the_groups_are_of_one_normal_population():
    model = PerGroup(XDS, "image", 3, spread=0.2)
    images = SimpleNamespace(iobs=np.ones(50), images=pd.DataFrame({"file_id": [0, 0, 0]}))
    model.adapt(images)
    assert sum(model.losses) == 0.0
    logs = np.array([0.1, -0.3, 0.5])
    model.error_model.a.assign(np.exp(logs))
    density = stats.norm(logs.mean(), 0.2).logpdf
    expected = (3 * density(logs.mean()) - density(logs).sum()) / 50
    np.testing.assert_allclose(sum(model.losses), expected, rtol=1e-5)
    alone = PerGroup(XDS, "image", 3, spread=None)
    alone.adapt(images)
    alone.error_model.a.assign(np.exp(logs))
    assert not alone.losses


def test_a_population_needs_a_spread():
    with pytest.raises(ValueError, match="spread"):
        PerGroup(XDS, "image", 3, spread=0.0)
