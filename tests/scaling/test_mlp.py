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


@pytest.mark.parametrize("sds", [{"sd": 0.0}, {"sd": -1.0}, {"prior_sd": -1.0}, {"sd": 2.0, "prior_sd": 1.0}])
def test_log_normal_needs_a_positive_sd_below_the_priors(sds):
    with pytest.raises(ValueError, match="must be positive and below the prior's"):
        scaling.LogNormal(**sds)


@pytest.mark.parametrize("raw", [-30.0, 0.0, 8.0, 100.0])
def test_log_normal_stays_narrower_than_its_prior_whatever_the_network_says(raw):
    posterior = scaling.LogNormal(sd=0.1, prior_sd=0.5)
    distribution = posterior.distribution(np.array([[0.0, raw]], np.float32))
    assert 0 < distribution.scale.numpy() <= 0.5
    sample = distribution.sample(1000, seed=1).numpy()
    assert np.all(np.isfinite(sample))
    assert np.all(sample > 0)


def test_log_normal_starts_with_its_sd():
    posterior = scaling.LogNormal(sd=0.2)
    model = scaling.MLP(["a"], 4, 1, posterior=posterior)
    np.testing.assert_allclose(model.distribution({"metadata": np.ones((3, 1), np.float32)}).scale, 0.2, rtol=1e-6)
