"""Data drawn from a prior that correlates reflections, and the model that they were drawn from."""

import numpy as np
import pytest

SCALE, MEAN = 2.5, 10.0


def parents_of(asu, kind):
    """Reflections in pairs, or in threes as chains or stars, centric or acentric."""
    parents = np.full(60, -1)
    for ids in (np.flatnonzero(asu.centric), np.flatnonzero(~asu.centric)):
        size = 2 if kind == "pair" else 3
        ids = ids[: len(ids) // size * size].reshape(-1, size)
        parents[ids[:, 1]] = ids[:, 0]
        if size == 3:
            parents[ids[:, 2]] = ids[:, 1] if kind == "chain" else ids[:, 0]
    return parents


@pytest.fixture(scope="session")
def case(asu, table):
    """Make a model of known scales, and data drawn from it: case(kind, r, ...), weak to strong."""
    from vimerge import VariationalMergingModel, likelihoods, priors, scaling, surrogates

    def make(kind="pair", r=0.95, surrogate=surrogates.LogNormal, over="intensity", learn=False, **options):
        rng, parents = np.random.default_rng(6), parents_of(asu, kind)
        refl_id = np.concatenate([np.arange(60), rng.integers(0, 60, 140)])
        real, imaginary = rng.normal(size=(2, 60))
        e = np.where(asu.centric, real, (real + 1j * imaginary) / np.sqrt(2))
        for i in np.flatnonzero(parents >= 0):  # in ascending order: parents first
            e[i] = r * e[parents[i]] + np.sqrt(1 - r**2) * e[i]
        sigma = SCALE * MEAN * np.geomspace(0.05, 2.0, 60)[rng.permutation(60)][refl_id]
        iobs = SCALE * MEAN * (asu.epsilon * np.abs(e) ** 2)[refl_id] + sigma * rng.normal(size=200)
        reflections = table(asu, refl_id, iobs, sigma)
        model = VariationalMergingModel(
            surrogate(asu, over=over),
            priors.MultivariateWilson(asu, parents, 0.5 if learn else r, falloff=MEAN, learn=learn),
            scaling.MLP(reflections.metadata_keys, width=2, depth=0),
            likelihoods.Normal(),
            **{"seed": 3, **options},
        )
        model.initialize(reflections)
        model.scaling.adapt(reflections, SCALE)
        return model, reflections

    return make
