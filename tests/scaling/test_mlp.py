import keras
import numpy as np
import pytest

from vimerge import scaling


def test_other_metadata_are_refused_with_the_fix(reflections):
    model = scaling.MLP(["ROT", "dHKL"], width=4, depth=1)
    with pytest.raises(ValueError, match=r"read them with metadata=\['ROT', 'dHKL'\]\.$") as caught:
        model.adapt(reflections)
    assert ", ".join(reflections.metadata_keys) in str(caught.value)


def test_the_order_of_the_metadata_matters(reflections):
    model = scaling.MLP(reflections.metadata_keys[::-1], width=4, depth=1)
    with pytest.raises(ValueError, match="read them with metadata="):
        model.adapt(reflections)


@pytest.mark.parametrize(("width", "depth"), [(0, 1), (4, -1)])
def test_impossible_sizes_are_refused(width, depth):
    with pytest.raises(ValueError, match="needs width >= 1 and depth >= 0"):
        scaling.MLP(["ROT"], width=width, depth=depth)


def test_no_metadata_is_refused():
    with pytest.raises(ValueError, match="at least one column of metadata"):
        scaling.MLP([])


def test_width_and_depth_are_those_of_the_weights():
    model = scaling.MLP(["a", "b", "c"], width=5, depth=3)
    assert (
        sum(int(np.prod(w.shape)) for w in model.trainable_variables) == (2 * 3 + 1) * 5 + 3 * 2 * (5 + 1) * 5 + 5 + 1
    )


def test_metadata_reach_the_network_with_zero_mean_and_unit_sd(reflections):
    model = scaling.MLP(reflections.metadata_keys, width=4, depth=1)
    model.adapt(reflections)
    features = model._features(reflections.metadata).numpy()
    assert features.shape[1] == 2 * len(reflections.metadata_keys)
    np.testing.assert_allclose(features.mean(axis=0, dtype=np.float64), 0.0, atol=1e-3)
    sd = features.std(axis=0, dtype=np.float64)
    # The logarithm of a column of both signs is none.
    signed = reflections.metadata.min(axis=0) < 0
    np.testing.assert_array_equal(sd[len(signed) :][signed], 0.0)
    np.testing.assert_allclose(sd[: len(signed)], 1.0, rtol=1e-3)
    np.testing.assert_allclose(sd[len(signed) :][~signed], 1.0, rtol=1e-3)


def test_encoded_columns_reach_the_network_as_waves_over_their_range(reflections):
    keys = reflections.metadata_keys
    model = scaling.MLP(keys, width=4, depth=1, encode={"ROT": 3, "XDET": 1})
    model.adapt(reflections)
    features = model._features(reflections.metadata).numpy()
    rot, x = (reflections.metadata[:, keys.index(name)].astype(float) for name in ("ROT", "XDET"))
    u, v = ((c - c.min()) / np.ptp(c) for c in (rot, x))
    waves = [f(np.pi * 2**j * u) for f in (np.sin, np.cos) for j in range(3)] + [np.sin(np.pi * v), np.cos(np.pi * v)]
    np.testing.assert_allclose(features[:, 2 * len(keys) :], np.stack(waves, axis=1), atol=1e-4)


def test_a_network_fits_detail_better_with_waves_than_without(measured, train):
    keras.utils.set_random_seed(3)
    data = measured(np.arange(1000), ROT=np.linspace(0, 360, 1000))
    target = np.sin(data.metadata[:, 0] * (2 * np.pi / 30))
    errors = []
    for encode in (None, {"ROT": 6}):
        model = scaling.MLP(data.metadata_keys, width=16, depth=1, encode=encode)
        model.adapt(data)
        errors.append(train(model, data, target))
    assert errors[0] > 0.5
    assert errors[1] < 0.2


def test_columns_to_encode_are_checked():
    with pytest.raises(
        ValueError, match=r"MLP needs the metadata PHI, but there are ROT, dHKL: read the reflections w"
    ):
        scaling.MLP(["ROT", "dHKL"], encode={"PHI": 2})
    with pytest.raises(ValueError, match=r"octaves of ROT to encode must be from 1 to 16, not 0\."):
        scaling.MLP(["ROT"], encode={"ROT": 0})
    with pytest.raises(ValueError, match=r"octaves of each column, such as \{\"ROT\": 4\}, not \['ROT'\]\."):
        scaling.MLP(["ROT"], encode=["ROT"])
