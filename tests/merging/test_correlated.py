"""What is made of the joint posterior of correlated reflections: surrogates, half data sets, saved models, Laue."""

import keras
import numpy as np
import pytest

from vimerge import VariationalMergingModel, likelihoods, priors, scaling, surrogates
from vimerge.evidence import corrected_moments, exact, naive
from vimerge.merging import crossvalidation
from vimerge.merging.start import conditional_moments
from vimerge.merging.trees import posterior_of_trees


@pytest.mark.parametrize(
    ("surrogate", "over"), [(surrogates.Gamma, "intensity"), (surrogates.RiceWoolfson, "amplitude")]
)
def test_conditioning_gives_the_surrogate_the_marginals_of_the_joint_posterior(case, surrogate, over):
    model, reflections = case("star", 0.95, surrogate, over)
    model.condition(reflections)
    posterior, moments = posterior_of_trees(model, reflections), model.surrogate.moments()
    if over == "intensity":
        np.testing.assert_allclose(moments.I, posterior.I, rtol=1e-3)
        np.testing.assert_allclose(moments.SIGI, posterior.SIGI, rtol=1e-3)
    np.testing.assert_allclose((moments.F - posterior.F) / posterior.SIGF, 0.0, atol=0.2)


def test_another_correlation_can_be_tried_without_touching_the_model(case):
    model, reflections = case("pair", 0.95)
    other = case("pair", 0.5)[0]
    before = posterior_of_trees(model, reflections)
    tried = posterior_of_trees(model, reflections, 0.5)
    for values, expected in zip(tried, posterior_of_trees(other, reflections), strict=True):
        np.testing.assert_allclose(values, expected, rtol=1e-6)
    assert posterior_of_trees(model, reflections).total == before.total != tried.total


def test_half_datasets_borrow_from_the_tree(case):
    model, reflections = case("pair", 0.99)
    weights = model.surrogate.get_weights()
    correlated = crossvalidation.half_datasets(model, reflections, seed=4)
    independent = crossvalidation.half_datasets(case("pair", 0.0)[0], reflections, seed=4)
    for one, other in zip(weights, model.surrogate.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert len(correlated) == len(independent)
    assert correlated["SIGF"].mean() < 0.95 * independent["SIGF"].mean()


def test_reflections_that_overlap_as_harmonics_are_integrated_in_their_trees():
    from vimerge.reflections import Reflections, dataset_parents

    rng = np.random.default_rng(3)
    hkl = rng.integers(-4, 5, (40, 3))
    hkl = np.concatenate([hkl[hkl.any(axis=1)], 2 * hkl[hkl.any(axis=1)]])
    hkl = np.repeat(hkl, 4, axis=0)

    def one():
        iobs, wavelength = rng.gamma(1.0, 100.0, len(hkl)), rng.uniform(0.6, 1.4, len(hkl))
        return Reflections.from_arrays(
            hkl,
            iobs,
            np.full(len(hkl), 20.0),
            rng.integers(0, 9, len(hkl)),
            cell=(50, 60, 80, 90, 90, 90),
            spacegroup="P 21 21 21",
            metadata={"LAMBDA": wavelength, "ROT": rng.uniform(0, 9, len(hkl))},
            wavelength_key="LAMBDA",
        )

    laue = Reflections.concatenate([one(), one()], ["off", "on"])
    assert laue.overlapped.mean() > 0.2
    parents = dataset_parents(laue.asu, {"on": "off"})
    found = {}
    for r in (0.0, 0.99):
        model = VariationalMergingModel(
            surrogates.FoldedNormal(laue.asu),
            priors.MultivariateWilson(laue.asu, parents, r),
            scaling.MLP(laue.metadata_keys, width=2, depth=0),
            likelihoods.Normal(),
        )
        model.initialize(laue)
        found[r] = posterior_of_trees(model, laue)
        alone = conditional_moments(model, laue)
    np.testing.assert_allclose((found[0.0].F - alone[0]) / alone[1], 0.0, atol=0.02)
    np.testing.assert_allclose(found[0.0].SIGF, alone[1], rtol=0.02)
    child = np.flatnonzero(parents >= 0)
    apart = [np.abs(found[r].dF[child]).mean() for r in (0.0, 0.99)]
    assert apart[1] < 0.5 * apart[0]


def test_a_saved_model_knows_what_was_observed(case, tmp_path):
    model, reflections = case("pair", 0.99)
    model.initialize(reflections[reflections.refl_id != model.prior.parents.max()])
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again._has_data.numpy(), model._has_data.numpy())
    assert posterior_of_trees(again, reflections).total == pytest.approx(posterior_of_trees(model, reflections).total)


def test_what_needs_independent_reflections_says_so(case):
    model, reflections = case()
    for estimate in (exact, naive, corrected_moments):
        with pytest.raises(ValueError, match="posterior_of_trees"):
            estimate(model, reflections)
