import numpy as np
import pytest
import tensorflow as tf

from vimerge import scaling

IMAGES = 12


@pytest.fixture(scope="module")
def data(measured):
    # The last but one image has three observations, the last none.
    image = np.r_[np.arange(1200) % (IMAGES - 2), [IMAGES - 2] * 3]
    return measured(image, ROT=np.linspace(0, 10, len(image)))


@pytest.fixture(scope="module")
def truth():
    rng = np.random.default_rng(4)
    return rng.normal(1.0, 0.3, IMAGES), rng.normal(20.0, 3.0, IMAGES)


def log_scale(data, k, b):
    """By the definition of the B factor: exp(−2B sin²θ/λ²) with sin θ/λ = 1/(2d)."""
    sine = 0.5 / data.d
    return k[data.image_id] - 2 * b[data.image_id] * sine**2


def test_it_recovers_the_scale_and_b_of_each_image(data, truth, fit):
    model = scaling.ImageScale(data.metadata_keys, IMAGES)
    model.adapt(data, 7.0)
    fit(model, data, log_scale(data, *truth), sd=1e-3)
    learned = model.parameters()
    for name, expected in zip(("k", "B"), truth, strict=True):
        found = np.array(learned[name])
        np.testing.assert_allclose(found[:-2], expected[:-2], rtol=2e-3)
        # The image without observations is as the mean of the images is.
        np.testing.assert_allclose(found[-1], found.mean(), rtol=1e-3)


def test_few_observations_count_beside_the_restraint_for_what_they_are_worth(data, truth, fit):
    sd, k_sd, b_sd = 0.5, 0.2, 2.0
    target = log_scale(data, *truth) + sd * np.random.default_rng(2).normal(size=len(data))
    model = scaling.ImageScale(data.metadata_keys, IMAGES, k_sd=k_sd, b_sd=b_sd)
    model.adapt(data)
    fit(model, data, target, sd)
    # The mode of the posterior, from the normal equations of k and B of all images.
    design = np.zeros((len(data), 2, IMAGES))
    rows = np.arange(len(data))
    design[rows, 0, data.image_id], design[rows, 1, data.image_id] = 1.0, -0.5 / data.d**2
    design = design.reshape(len(data), -1)
    centring = np.eye(IMAGES) - 1 / IMAGES
    precision = np.kron(np.diag([k_sd**-2.0, b_sd**-2.0]), centring)
    exact = np.linalg.solve(design.T @ design / sd**2 + precision, design.T @ target / sd**2).reshape(2, IMAGES)
    learned = model.parameters()
    np.testing.assert_allclose(learned["k"], exact[0], atol=0.02 * k_sd)
    np.testing.assert_allclose(learned["B"], exact[1], atol=0.02 * b_sd)
    alone = [np.linalg.lstsq(design[data.image_id == 10][:, [10, 22]], target[data.image_id == 10])[0]]
    assert abs(exact[0, 10] - exact[0].mean()) < abs(alone[0][0] - exact[0].mean())


@pytest.mark.parametrize("make", [scaling.ImageScale, scaling.ImageLayers], ids=lambda c: c.__name__)
def test_minibatches_are_unbiased(make, data):
    model = make(data.metadata_keys, IMAGES)
    model.adapt(data)
    for weight in model.trainable_variables:
        weight.assign(np.random.default_rng(0).normal(0, 0.3, weight.shape))

    def gradient(batch):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(batch["weight"] * tf.square(model._parameters(batch)[:, 0] - 1.0))
            loss = tf.add_n([loss, *model.losses])
        return [np.asarray(tf.convert_to_tensor(g), np.float64) for g in tape.gradient(loss, model.trainable_variables)]

    full = gradient(next(iter(data.dataset())))
    batches = [gradient(batch) for batch in data.dataset(batch_size=401)]
    assert len(batches) == 3
    for i, whole in enumerate(full):
        mean = np.mean([b[i] for b in batches], axis=0)
        np.testing.assert_allclose(mean, whole, rtol=1e-4, atol=1e-5 * np.abs(whole).max())


@pytest.mark.parametrize("make", [scaling.ImageScale, scaling.ImageLayers], ids=lambda c: c.__name__)
def test_the_restraint_is_a_prior_density_per_observation(make, data):
    model = make(data.metadata_keys, IMAGES)
    assert [float(loss) for loss in model.losses] == [0.0]
    weight = next(w for w in model.trainable_variables if w.regularizer is not None)
    weight.assign(np.random.default_rng(0).normal(0, 0.3, weight.shape))
    before = float(model.losses[0])
    model.adapt(data)
    if make is scaling.ImageLayers:
        np.testing.assert_allclose(model.losses[0], before / len(data), rtol=1e-5)
        w = weight.numpy()
        expected = (w**2).sum() / (2 * 0.1**2)
    else:
        k, b = (np.array(model.parameters()[name]) for name in ("k", "B"))
        expected = ((k - k.mean()) ** 2).sum() / (2 * 0.5**2) + ((b - b.mean()) ** 2).sum() / (2 * 5.0**2)
    np.testing.assert_allclose(model.losses[0], expected / len(data), rtol=1e-4)
    model.trainable = False
    assert model.losses == []


def test_steps_of_an_optimiser_take_an_image_without_observations_to_the_mean(data, truth, train):
    model = scaling.ImageScale(data.metadata_keys, IMAGES)
    model.adapt(data)
    assert train(model, data, log_scale(data, *truth), sd=0.1, steps=300, rate=0.05) < 0.02
    for name, expected, error in zip(("k", "B"), truth, (0.03, 0.3), strict=True):
        found = np.array(model.parameters()[name])
        np.testing.assert_allclose(found[:-2], expected[:-2], atol=error)
        np.testing.assert_allclose(found[-1], found.mean(), atol=error)


def test_layers_of_images_follow_what_differs_between_images(measured, train):
    image = np.arange(900) % 3
    x = np.random.default_rng(0).uniform(1, 2, 900)
    data = measured(image, x=x)
    slope = np.array([-1.0, 0.0, 1.0])[data.image_id]
    target = 0.4 * data.image_id + slope * data.metadata[:, 0]
    shared = scaling.MLP(data.metadata_keys, width=4, depth=0)
    apart = scaling.ImageLayers(data.metadata_keys, 3, width=4, depth=0, image_sd=3.0)
    for model in (shared, apart):
        model.adapt(data)
    assert train(shared, data, target) > 0.5
    assert train(apart, data, target, steps=400, sd=0.1) < 0.05


def test_how_far_images_depart_has_the_spread_of_the_prior_whatever_the_network(data):
    model = scaling.ImageLayers(data.metadata_keys, IMAGES, width=16, depth=1, image_sd=0.1)
    model.adapt(data)
    batch = next(iter(data.dataset(shuffle=False)))
    rng, shared = np.random.default_rng(0), model(batch).numpy()
    network = [w for w in model.trainable_variables if w.regularizer is None and "last" not in w.path]
    layers = next(w for w in model.trainable_variables if w.regularizer is not None)
    departures = []
    for size in (1.0, 30.0):
        for weight in network:
            weight.assign(size * weight)
        for _ in range(40):
            layers.assign(rng.normal(0.0, 0.1, layers.shape))
            departures.append(np.log(model(batch) / shared))
    # Of v·x/|x| and of b together.
    spread = np.std(departures, axis=1).reshape(2, 40).mean(axis=1)
    np.testing.assert_allclose(spread, 0.1 * np.sqrt(2), rtol=0.1)


@pytest.mark.parametrize("make", [scaling.ImageScale, scaling.ImageLayers], ids=lambda c: c.__name__)
def test_more_images_than_it_was_made_for_are_refused_with_the_fix(make, data):
    model = make(data.metadata_keys, 3)
    with pytest.raises(ValueError, match=rf"have 11 images: make {make.__name__} with n_images=11\."):
        model.adapt(data)


def test_impossible_numbers_are_refused():
    with pytest.raises(ValueError, match="ImageScale needs the metadata dHKL, but there are ROT: read the reflections"):
        scaling.ImageScale(["ROT"], 3)
    with pytest.raises(ValueError, match="n_images must be a whole number, 1 or more, not 0"):
        scaling.ImageScale(["dHKL"], 0)
    with pytest.raises(ValueError, match="b_sd must be positive, not 0"):
        scaling.ImageScale(["dHKL"], 3, b_sd=0)
    with pytest.raises(ValueError, match="image_sd must be positive, not -1"):
        scaling.ImageLayers(["dHKL"], 3, image_sd=-1)
