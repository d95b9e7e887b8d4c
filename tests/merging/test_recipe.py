"""The usual way to make and train a model, by name."""

import inspect

import numpy as np
import pytest

from vimerge import VariationalMergingModel, priors, surrogates
from vimerge.cli import merge
from vimerge.likelihoods import PerGroup
from vimerge.merging import parts, recipe
from vimerge.merging.job import PARTIALS
from vimerge.merging.model import OBJECTIVES
from vimerge.priors.wilson import FALLOFFS
from vimerge.reflections import OptionError, Reflections
from vimerge.scaling import MLP, Detector, ImageLayers, ImageScale
from vimerge.scaling.posteriors import POSTERIORS


def test_the_command_line_offers_what_the_recipe_knows():
    assert tuple(parts.SURROGATES) == merge.SURROGATES
    assert tuple(parts.LIKELIHOODS) == merge.LIKELIHOODS
    assert tuple(parts.ERROR_MODELS) == merge.ERROR_MODELS
    assert parts.ERRORS_PER == merge.ERRORS_PER
    assert set(POSTERIORS) == set(merge.SCALE_POSTERIORS)
    assert set(FALLOFFS) == set(merge.FALLOFFS)
    assert merge.PARTIALS == PARTIALS
    assert set(OBJECTIVES) == set(merge.OBJECTIVES)


def test_every_surrogate_has_a_name():
    public = {getattr(surrogates, name) for name in surrogates.__all__}
    public = {c for c in public if inspect.isclass(c) and issubclass(c, surrogates.Surrogate)} - {surrogates.Surrogate}
    assert set(parts.SURROGATES.values()) == public


@pytest.mark.parametrize("surrogate", parts.SURROGATES)
def test_every_surrogate_is_made(reflections, surrogate):
    for over in parts.SURROGATES[surrogate].allowed_over:
        model = recipe.make_model(reflections, surrogate=surrogate, over=over, seed=1)
        assert (type(model.surrogate), model.surrogate.over) == (parts.SURROGATES[surrogate], over)


@pytest.fixture(scope="module")
def histories(reflections):
    """Of training by each objective, with observations held out."""
    train, test = reflections[:-500], reflections[-500:]
    return {
        objective: recipe.train(
            recipe.make_model(train, seed=1), train, test, objective=objective, epochs=4, batch_size=2000
        )
        for objective in OBJECTIVES
    }


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_either_objective_is_trained(histories, objective):
    history = histories[objective]
    assert history["skipped"].sum() == 0
    assert history["elbo"].iloc[-1] > history["elbo"].iloc[0]


def test_held_out_terms_are_logged_now_and_then(histories):
    collapsed, elbo = histories["collapsed"], histories["elbo"]
    assert collapsed.index.tolist() == elbo.index.tolist() == [1, 2, 3, 4]
    assert collapsed["val_log_likelihood"].notna().tolist() == [False, False, False, True]
    assert elbo["val_log_likelihood"].notna().all()


@pytest.mark.parametrize("likelihood", parts.LIKELIHOODS)
@pytest.mark.parametrize("error_model", parts.ERROR_MODELS)
def test_every_likelihood_is_made_with_every_error_model(reflections, likelihood, error_model):
    model = recipe.make_model(reflections, likelihood=likelihood, error_model=error_model, errors_per="dataset")
    assert isinstance(model.likelihood, parts.LIKELIHOODS[likelihood])
    made = parts.ERROR_MODELS[error_model]
    assert model.likelihood.error_model is None if made is None else isinstance(model.likelihood.error_model, made)


@pytest.mark.parametrize(("per", "number"), [("image", 90), ("file", 1)])
def test_errors_are_per_image_or_file(reflections, per, number):
    model = recipe.make_model(reflections, error_model="xds", errors_per=per)
    assert np.shape(model.likelihood.parameters()["b"]) == (number,)
    with pytest.raises(ValueError, match=f"'neural' cannot be per {per}"):
        recipe.make_model(reflections, error_model="neural", errors_per=per)


def test_errors_are_those_of_each_image_where_they_can_be(reflections):
    for name, of_images in (("evans", True), ("xds", True), ("neural", False), ("none", False)):
        made = recipe.make_model(reflections, error_model=name).likelihood.error_model
        assert isinstance(made, PerGroup) == of_images


@pytest.mark.parametrize(
    "option", ["surrogate", "falloff", "likelihood", "error_model", "errors_per", "scale_posterior"]
)
def test_an_unknown_name_is_told_with_those_there_are(reflections, option):
    with pytest.raises(ValueError, match=r"no .* 'nothing'; there are: "):
        recipe.make_model(reflections, **{option: "nothing"})


def test_the_prior_is_about_a_reference(reflections, simulation, tmp_path):
    simulation.truth.write_mtz(str(tmp_path / "truth.mtz"))
    options = {"reference": tmp_path / "truth.mtz", "reference_column": "F"}
    model = recipe.make_model(reflections, **options, falloff="isotropic", learn_falloff=True)
    assert isinstance(model.prior, priors.Reference)
    # The amplitudes are those that were simulated.
    assert np.all(np.asarray(model.prior.parameters()["sigma_a"]) > 0.9)
    learned = model.parameters()
    assert learned["prior"].keys() >= {"B", "sigma_a"}
    assert learned["likelihood"].keys() == {"dof", "SdFac", "SdB", "SdAdd"}
    with pytest.raises(ValueError, match="nothing to learn"):
        recipe.make_model(reflections, falloff="flat", learn_falloff=True)


def test_friedel_mates_are_merged_with_a_scaling_that_was_trained_without_telling_them_apart(simulation, tmp_path):
    together, apart = (Reflections.from_dataset(simulation.observations, anomalous=a) for a in (False, True))
    first = recipe.make_model(together, surrogate="gamma", seed=1)
    recipe.train(first, together, epochs=10)
    first.save(tmp_path / "model.keras")
    second = recipe.make_model(apart, surrogate="gamma", scaling_from=tmp_path, error_model="none", learn_dof=False)
    before = [np.array(w) for w in second.scaling.get_weights()]
    history = recipe.train(second, apart)
    assert history.empty
    for old, new in zip(before, second.scaling.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    batches = together.dataset(shuffle=False), apart.dataset(shuffle=False)
    ours, theirs = (m.scaling(next(iter(b))) for m, b in zip((first, second), batches, strict=True))
    np.testing.assert_array_equal(ours, theirs)
    # The mean of the mates is on the scale of the first merge.
    merged = first.merge(together).join(second.merge(apart), rsuffix="_apart", how="inner")
    strong = merged["F"] > 3 * merged["SIGF"]
    ratio = (merged["F_apart"] / merged["F"])[strong]
    assert abs(np.median(ratio) - 1) < 0.02
    with pytest.raises(OptionError, match=r"nothing\.keras: there is no such model"):
        recipe.make_model(apart, scaling_from=tmp_path / "nothing.keras")


def test_a_class_with_an_elbo_of_its_own_is_trained_by_it(reflections):
    called = []

    class Own(VariationalMergingModel):
        def elbo(self, batch, training=False):
            called.append(training)
            return super().elbo(batch, training)

    made = recipe.make_model(reflections, surrogate="gamma", seed=1)
    model = Own(made.surrogate, made.prior, made.scaling, made.likelihood)
    model.initialize(reflections)
    recipe.train(model, reflections, epochs=1)
    assert called
    assert model.objective == "elbo"


def test_each_image_has_a_scale_where_it_can_have_one(reflections, simulation):
    enough = len(reflections) // (reflections.n_images * parts.ENOUGH_FOR_LAYERS) - 1
    for width, network in ((enough, ImageLayers), (enough + 1, MLP)):
        made = recipe.make_model(reflections, width=width, depth=0).scaling
        assert [type(part) for part in made.parts] == [network, ImageScale]
    without = Reflections.from_dataset(simulation.observations, metadata=["XDET", "YDET", "ROT"])
    assert isinstance(recipe.make_model(without).scaling, MLP)


def test_the_detector_is_found_by_the_columns_of_its_position(reflections, simulation):
    made = recipe.make_model(reflections, scaling="layers+image+detector").scaling
    assert isinstance(made.parts[-1], Detector)
    assert made.parts[-1].position == ("XDET", "YDET")
    without = Reflections.from_dataset(simulation.observations, metadata=["ROT", "dHKL"])
    with pytest.raises(ValueError, match="'detector' needs the metadata XDET and YDET, or X and Y"):
        recipe.make_model(without, scaling="mlp+detector")
