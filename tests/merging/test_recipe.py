"""The usual way to make and train a model, by name."""

import pytest

from vimerge.cli import merge
from vimerge.merging import recipe


def test_the_command_line_offers_what_the_recipe_knows():
    assert tuple(recipe.SURROGATES) == merge.SURROGATES
    assert recipe.LIKELIHOODS == merge.LIKELIHOODS
    assert tuple(recipe.ERROR_MODELS) == merge.ERROR_MODELS


@pytest.mark.parametrize("surrogate", recipe.SURROGATES)
def test_every_surrogate_is_made_and_trained(reflections, surrogate):
    model = recipe.make_model(reflections, surrogate=surrogate, error_model="evans", seed=1)
    history = recipe.train(model, reflections, epochs=3, batch_size=2000)
    assert history["skipped"].sum() == 0
    assert history["elbo"].iloc[-1] > history["elbo"].iloc[0]


@pytest.mark.parametrize("option", ["surrogate", "likelihood", "error_model"])
def test_an_unknown_name_is_told_with_those_there_are(reflections, option):
    with pytest.raises(ValueError, match=r"no .* 'nothing'; there are: "):
        recipe.make_model(reflections, **{option: "nothing"})


def test_held_out_terms_are_logged_now_and_then(reflections):
    model = recipe.make_model(reflections[:-500], seed=1)
    history = recipe.train(model, reflections[:-500], reflections[-500:], epochs=2, batch_size=4000)
    assert history.index.tolist() == [1, 2]
    assert history["val_log_likelihood"].notna().all()
