"""Every public member of every family goes through the checks that anyone's subclass goes through."""

import inspect
from functools import partial

import keras
import numpy as np
import pytest

from vimerge import likelihoods, priors, scaling, surrogates, testing

KIT = testing.reflections()
IMAGES = KIT.n_images


def reference_amplitudes(asu):
    """Amplitudes of a reference; one is missing."""
    amplitudes = np.sqrt(asu.epsilon) * np.random.default_rng(3).rayleigh(10.0, len(asu))
    amplitudes[7] = np.nan
    return amplitudes


def correlated(asu):
    """Children of the reflections before them, centric or not, in chains of three."""
    parents = np.full(len(asu), -1)
    for ids in (np.flatnonzero(asu.centric), np.flatnonzero(~asu.centric)):
        child = np.flatnonzero(np.arange(len(ids)) % 3)
        parents[ids[child]] = ids[child - 1]
    return priors.MultivariateWilson(asu, parents, 0.95)


# A member is a line: its name, and what makes it, as the check wants it.
SURROGATES = {
    "french wilson": surrogates.FrenchWilson,
    "gamma over intensity": partial(surrogates.Gamma, over="intensity"),
    "gamma over amplitude": partial(surrogates.Gamma, over="amplitude"),
    "rice": surrogates.RiceWoolfson,
    "folded normal": surrogates.FoldedNormal,
    "truncated normal over amplitude": partial(surrogates.TruncatedNormal, over="amplitude"),
    "truncated normal over intensity": partial(surrogates.TruncatedNormal, over="intensity"),
    "log-normal over amplitude": partial(surrogates.LogNormal, over="amplitude"),
    "log-normal over intensity": partial(surrogates.LogNormal, over="intensity"),
    "weibull over amplitude": partial(surrogates.Weibull, over="amplitude"),
    "weibull over intensity": partial(surrogates.Weibull, over="intensity"),
    "delta": surrogates.Delta,
}
PRIORS = {
    "wilson": priors.Wilson,
    "wilson flat": lambda asu: priors.Wilson(asu, "flat"),
    "wilson given": lambda asu: priors.Wilson(asu, np.geomspace(1.0, 1e3, len(asu)).astype(np.float32)),
    "wilson isotropic": lambda asu: priors.Wilson(asu, priors.IsotropicFallOff(learn=True)),
    "wilson anisotropic": lambda asu: priors.Wilson(asu, priors.AnisotropicFallOff(learn=True)),
    "wilson smooth": lambda asu: priors.Wilson(asu, priors.SmoothFallOff(learn=True)),
    "reference": lambda asu: priors.Reference(asu, reference_amplitudes(asu)),
    "reference given": lambda asu: priors.Reference(asu, reference_amplitudes(asu), sigma_a=0.8),
    "multivariate wilson": correlated,
}
SCALING = {
    "mlp": partial(scaling.MLP, width=6, depth=1),
    "mlp log-normal": partial(scaling.MLP, width=3, depth=0, posterior="log-normal"),
    "image layers": partial(scaling.ImageLayers, n_images=IMAGES, width=3, depth=0),
    "smooth": partial(scaling.Smooth, spans=[(0.0, 8.0), (8.0, 16.0)], spacing=2.0),
    "absorption": partial(scaling.Absorption, directions=("S1X", "S1Y", "S1Z"), degree=2),
    "detector": partial(scaling.Detector, nodes=2),
    "sum": lambda keys: scaling.Sum([scaling.ImageScale(keys, IMAGES), scaling.Detector(keys, nodes=2)]),
    "image scale": partial(scaling.ImageScale, n_images=IMAGES),
    "image scale log-normal": partial(scaling.ImageScale, n_images=IMAGES, posterior="log-normal"),
    "image scale gamma": partial(scaling.ImageScale, n_images=IMAGES, posterior="gamma"),
    "image scale folded normal": partial(scaling.ImageScale, n_images=IMAGES, posterior="folded-normal"),
}
LIKELIHOODS = {
    "normal": likelihoods.Normal,
    "laplace": likelihoods.Laplace,
    "student-t": partial(likelihoods.StudentT, 4.0, learn_dof=True),
    "contaminated": partial(likelihoods.ContaminatedNormal, 0.03, 8.0),
    "student-t with xds": lambda: likelihoods.StudentT(4.0, error_model=likelihoods.XDS(a=1.3, b=2e-3)),
}
ERROR_MODELS = {
    "evans": likelihoods.Evans2011,
    "xds": likelihoods.XDS,
    "neural": partial(likelihoods.Neural, units=3, n_metadata=len(KIT.metadata_keys)),
    "evans by image": partial(likelihoods.PerGroup, likelihoods.Evans2011, "image", IMAGES),
    "xds by file": partial(likelihoods.PerGroup, likelihoods.XDS, "file", len(KIT.files)),
}
FAMILIES = {
    surrogates.Surrogate: (testing.check_surrogate, SURROGATES, surrogates, lambda make: make(KIT.asu)),
    priors.Prior: (testing.check_prior, PRIORS, priors, lambda make: make(KIT.asu)),
    scaling.Scaling: (testing.check_scaling, SCALING, scaling, lambda make: make(KIT.metadata_keys)),
    likelihoods.Likelihood: (testing.check_likelihood, LIKELIHOODS, likelihoods, lambda make: make()),
    likelihoods.ErrorModel: (testing.check_error_model, ERROR_MODELS, likelihoods, lambda make: make()),
}


# Classes that are there with another option already; a truncated normal is the acentric half of French and Wilson's.
TWINS = {
    "Surrogate: gamma over amplitude",
    "Surrogate: truncated normal over amplitude",
    "Surrogate: truncated normal over intensity",
    "Surrogate: log-normal over intensity",
    "Surrogate: weibull over intensity",
    "Prior: wilson flat",
    "Prior: wilson given",
    "Prior: wilson isotropic",
    "Prior: wilson anisotropic",
    "Prior: reference given",
    "Scaling: mlp log-normal",
    "ErrorModel: xds by file",
}
CASES = {
    f"{base.__name__}: {name}": (check, make)
    for base, (check, table, _, _) in FAMILIES.items()
    for name, make in table.items()
}


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if n in TWINS else n for n in CASES])
def test_it_conforms(name):
    check, make = CASES[name]
    check(make)


def public(module, base):
    """The public members of a family; those that are for others to subclass are not registered."""
    members = {getattr(module, name) for name in module.__all__}
    members = {m for m in members if inspect.isclass(m) and issubclass(m, base)}
    return {m for m in members if keras.saving.get_registered_name(m) != m.__name__}


@pytest.mark.parametrize("base", FAMILIES, ids=lambda base: base.__name__)
def test_every_public_member_is_in_the_table(base):
    _, table, module, call = FAMILIES[base]
    assert {type(call(make)) for make in table.values()} == public(module, base)


def test_every_variate_that_a_surrogate_allows_is_in_the_table():
    made = [make(KIT.asu) for make in SURROGATES.values()]
    assert {(type(m), m.over) for m in made} == {(type(m), over) for m in made for over in m.allowed_over}


def test_every_scale_posterior_is_in_the_table():
    made = {type(make(KIT.metadata_keys).posterior) for make in SCALING.values()}
    assert made == public(scaling, scaling.ScalePosterior)
