"""The members of the priors' contract: every public prior and fall-off, in each of their variants."""

import numpy as np
import pytest
import tensorflow as tf

from vimerge import priors

SIGMA = np.geomspace(1e-3, 1e6, 60)


def amplitudes(asu):
    """A reference on a scale of its own, without every seventh reflection."""
    f = 30.0 * np.sqrt(asu.epsilon * np.random.default_rng(1).exponential(size=len(asu)))
    f[::7] = np.nan
    return f


def reference(sigma_a, **options):
    return lambda asu: priors.Reference(asu, amplitudes(asu), sigma_a, **options)


def chains(asu):
    """Parents: chains of three reflections, centric or not, in the order of their refl_id."""
    parents = np.full(len(asu), -1, np.int32)
    for ids in (np.flatnonzero(asu.centric), np.flatnonzero(~asu.centric)):
        child = np.arange(1, len(ids))
        child = child[child % 3 > 0]
        parents[ids[child]] = ids[child - 1]
    return parents


def multivariate(correlation, **options):
    return lambda asu: priors.MultivariateWilson(asu, chains(asu), correlation, **options)


def chosen(asu):
    """Some are given, and the others have been chosen."""
    prior = priors.MultivariateWilson(asu, chains(asu), priors.ChosenCorrelation(np.tile([0.5, np.nan], 30)), SIGMA)
    table = [{"relation": "on~off", "d_min": 3.0, "correlation": 0.99}]
    prior.correlation.assign(np.tile([0.5, 0.99], 30), table)
    return prior


def by_resolution(asu):
    """Two edges of three nodes each."""
    return priors.CorrelationByResolution(3, [0.99, 0.9, 0.8], edges=np.arange(len(asu)) % 2)


MEMBERS = {
    "wilson-given": lambda asu: priors.Wilson(asu, SIGMA),
    "wilson-flat": lambda asu: priors.Wilson(asu, "flat"),
    "wilson-isotropic": lambda asu: priors.Wilson(asu, "isotropic"),
    "wilson-anisotropic": lambda asu: priors.Wilson(asu, "anisotropic"),
    "wilson-smooth": lambda asu: priors.Wilson(asu),
    "wilson-isotropic-learned": lambda asu: priors.Wilson(asu, priors.IsotropicFallOff(learn=True)),
    "wilson-anisotropic-learned": lambda asu: priors.Wilson(asu, priors.AnisotropicFallOff(learn=True)),
    "wilson-smooth-learned": lambda asu: priors.Wilson(asu, priors.SmoothFallOff(learn=True)),
    "wilson-modulated": lambda asu: priors.Wilson(
        asu, 3.0, modulation=priors.tncs_modulation(asu, (0.5, 0.5, 0.48), 0.8)
    ),
    "reference-given": reference(0.9, falloff=SIGMA),
    "reference-given-each": reference(np.linspace(0.0, 0.999, 60)),
    "reference-estimated": reference(priors.SigmaA(2, learn=False)),
    "reference-learned": reference("learned", falloff=SIGMA),
    "reference-all-learned": lambda asu: reference(
        priors.SigmaA(3), falloff=priors.AnisotropicFallOff(learn=True), modulation=np.linspace(0.5, 1.5, 60)
    )(asu),
    "multivariate-given": multivariate(0.9, falloff=SIGMA),
    "multivariate-given-each": multivariate(np.linspace(0.0, 0.9999, 60)),
    "multivariate-chosen": chosen,
    "multivariate-learned": multivariate(0.9, learn=True, falloff=SIGMA),
    "multivariate-all-learned": lambda asu: multivariate(
        by_resolution(asu), falloff=priors.AnisotropicFallOff(learn=True), modulation=np.linspace(0.5, 1.5, 60)
    )(asu),
}


def log_density(prior, refl_id, f, over="amplitude"):
    """Log density of each reflection, given the parent's where there is one: what its learned numbers are for."""
    if prior.parents is None:
        return prior.distribution(refl_id, over=over).log_prob(f)
    parent_amplitude = 0.8 * tf.stop_gradient(tf.sqrt(prior(np.maximum(prior.parents, 0)[refl_id])))
    return prior.conditional(refl_id, parent_amplitude, over).log_prob(f)


@pytest.fixture(params=MEMBERS)
def prior(request, asu):
    return MEMBERS[request.param](asu)
