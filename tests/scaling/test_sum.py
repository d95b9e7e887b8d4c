import numpy as np
import pytest
import tensorflow as tf

from vimerge import scaling


@pytest.fixture(scope="module")
def data(measured):
    rng = np.random.default_rng(0)
    return measured(np.arange(600) % 6, ROT=rng.uniform(0, 90, 600), XDET=rng.uniform(0, 9, 600), YDET=np.arange(600))


def parts(data, posterior="log-normal"):
    keys = data.metadata_keys
    return [
        scaling.MLP(keys, width=4, depth=1, posterior=posterior),
        scaling.ImageScale(keys, 6, posterior=posterior),
        scaling.Detector(keys, nodes=3, posterior=posterior),
        scaling.Detector(keys, nodes=2, posterior=posterior),
    ]


def randomize(model, seed=0):
    rng = np.random.default_rng(seed)
    for weight in model.trainable_variables:
        weight.assign(rng.normal(0, 0.2, weight.shape))


def raw(model, data):
    batch = {"metadata": tf.constant(data.metadata), "image_id": tf.constant(data.image_id)}
    return model._parameters(batch).numpy()


def test_parameters_add_and_the_mean_scale_counts_once(data):
    model = scaling.Sum(parts(data))
    model.adapt(data, 7.0)
    randomize(model)
    total = sum(raw(part, data) for part in model.parts)
    total[:, 0] += np.log(7.0)
    np.testing.assert_allclose(raw(model, data), total, atol=1e-5)
    assert np.std(total[:, 1]) > 0.05
    np.testing.assert_allclose(model.posterior.prior.distribution.loc, np.log(7.0), rtol=1e-6)


def test_sums_can_be_nested(data):
    first, *others = parts(data)
    flat, nested = scaling.Sum([first, *others]), scaling.Sum([scaling.Sum(others[:2]), others[2], first])
    for model in (flat, nested):
        model.adapt(data, 7.0)
        randomize(first)
        np.testing.assert_allclose(raw(model, data)[:, 0], np.log(7.0) + raw(first, data)[:, 0], rtol=1e-5)


def test_restraints_of_all_parts_count(data):
    model = scaling.Sum(parts(data))
    model.adapt(data)
    randomize(model)
    assert len(model.losses) == 3
    np.testing.assert_allclose(tf.add_n(model.losses), sum(float(tf.add_n(p.losses)) for p in model.parts[1:]))


def test_learned_numbers_go_by_the_names_of_the_parts(data):
    learned = scaling.Sum(parts(data)).parameters()
    assert list(learned) == ["ImageScale", "Detector", "Detector 2"]
    assert list(learned["ImageScale"]) == ["k", "B"]


def test_it_has_the_posterior_of_its_parts(data):
    keys = data.metadata_keys
    model = scaling.Sum([scaling.MLP(keys, posterior=scaling.Gamma(sd=0.2, prior_sd=0.5))])
    assert (type(model.posterior), model.posterior.sd, model.posterior.prior_sd) == (scaling.Gamma, 0.2, 0.5)
    assert model.posterior is not model.parts[0].posterior
    assert scaling.Sum(parts(data), posterior=scaling.LogNormal(sd=0.3)).posterior.sd == 0.3


def test_what_does_not_go_together_is_refused(data):
    keys = data.metadata_keys
    one = scaling.MLP(keys)
    posterior = scaling.Gamma()
    with pytest.raises(ValueError, match="needs one scaling model at least"):
        scaling.Sum([])
    with pytest.raises(TypeError, match="must be scaling models, not str"):
        scaling.Sum(["MLP"])
    with pytest.raises(ValueError, match="The same part is in the sum twice"):
        scaling.Sum([one, one])
    with pytest.raises(ValueError, match="The same posterior is in the sum twice"):
        scaling.Sum([scaling.MLP(keys, posterior=posterior), scaling.Detector(keys, posterior=posterior)])
    with pytest.raises(ValueError, match="several families, Delta, LogNormal: choose one"):
        scaling.Sum([one, scaling.Detector(keys, posterior="log-normal")])
    with pytest.raises(ValueError, match="parts have a Delta posterior and the sum a Gamma one"):
        scaling.Sum([one], posterior="gamma")
    with pytest.raises(ValueError, match="made for different metadata"):
        scaling.Sum([one, scaling.MLP(keys[1:])])


def test_a_physical_model_is_of_the_parts_that_the_metadata_allow(reflections):
    keys = reflections.metadata_keys
    model = scaling.physical(reflections, spacing=30.0, posterior="log-normal")
    assert [type(part) for part in model.parts] == [scaling.Smooth, scaling.Detector]
    assert model.parts[0].spans[0] == pytest.approx((0.0, 180.0), abs=3.0)
    model.adapt(reflections, 3.0)
    assert list(model.parameters()) == ["Smooth", "Detector"]
    model = scaling.physical(reflections, directions=("Hobs", "Kobs", "Lobs"), degree=2, nodes=(3, 4))
    assert [type(part) for part in model.parts] == [scaling.Smooth, scaling.Absorption, scaling.Detector]
    assert (model.parts[1].degree, model.parts[2].nodes) == (2, (3, 4))
    model = scaling.physical(reflections, rotation="BATCH", position=("Hobs", "Kobs"))
    assert (model.parts[0].along, model.parts[1].position) == ("BATCH", ("Hobs", "Kobs"))
    assert model.metadata_keys == keys


def test_a_physical_model_without_any_of_its_columns_is_refused_with_the_fix(measured):
    data = measured(np.arange(9), FRACTIONCALC=np.arange(9.0))
    with pytest.raises(
        ValueError, match=r"metadata ROT, or XDET and YDET, or X and Y, or columns named with rotation="
    ):
        scaling.physical(data)
    with pytest.raises(ValueError, match="needs the metadata XPOS"):
        scaling.physical(data, position=("XPOS", "YPOS"))
