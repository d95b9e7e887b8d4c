"""The parts of a model by their names, as the command line knows them."""

from pathlib import Path

import keras
import numpy as np

from vimerge import likelihoods, priors, surrogates
from vimerge.priors.wilson import FALLOFFS
from vimerge.reflections import JoinedASU
from vimerge.reflections.errors import OptionError
from vimerge.reflections.metadata import detector_position
from vimerge.reflections.reference import reference_amplitudes
from vimerge.reflections.relations import dataset_parents
from vimerge.scaling import MLP, Detector, ImageLayers, ImageScale, Sum, physical

SURROGATES = {
    "french-wilson": surrogates.FrenchWilson,
    "gamma": surrogates.Gamma,
    "rice": surrogates.RiceWoolfson,
    "folded-normal": surrogates.FoldedNormal,
    "truncated-normal": surrogates.TruncatedNormal,
    "log-normal": surrogates.LogNormal,
    "weibull": surrogates.Weibull,
    "delta": surrogates.Delta,
}
LIKELIHOODS = {
    "normal": likelihoods.Normal,
    "student-t": likelihoods.StudentT,
    "laplace": likelihoods.Laplace,
    "contaminated": likelihoods.ContaminatedNormal,
}
ERROR_MODELS = {
    "none": None,
    "evans": likelihoods.Evans2011,
    "xds": likelihoods.XDS,
    "neural": likelihoods.Neural,
}
# So many observations of an image for each weight of a layer of its own: with fewer the layers follow the noise.
ENOUGH_FOR_LAYERS = 15
# Of the detector: finer than what a network of the position follows.
NODES = 40
ERRORS_PER = ("dataset", "file", "image")


def trained_scaling(path):
    """The scaling model of a saved model, frozen.

    Parameters
    ----------
    path : path
        A `model.keras`, or the folder of a merge that has one.

    Returns
    -------
    Scaling

    Raises
    ------
    OptionError
        If it is not there, or is no saved merging model.
    """
    path = model_file(path)
    try:
        made = keras.saving.load_model(path).scaling
    except (ValueError, TypeError, AttributeError, OSError) as error:
        raise OptionError(f"{path}: this is no model that vimerge can load ({str(error).splitlines()[0]}).") from error
    made.trainable = False
    return made


def model_file(path):
    """The saved model of a merge, given it or its folder; an OptionError if it is not there."""
    path = Path(path)
    path = path / "model.keras" if path.is_dir() else path
    if not path.is_file():
        raise OptionError(f"{path}: there is no such model; give the model.keras of a merge, or its folder.")
    return path


def make_scaling(reflections, names, *, width, depth, posterior):
    """Make a scaling model, or the sum of several."""
    keys = reflections.metadata_keys
    makers = {
        "mlp": lambda: MLP(keys, width=width, depth=depth, posterior=posterior),
        "layers": lambda: ImageLayers(keys, reflections.n_images, width=width, depth=depth, posterior=posterior),
        "image": lambda: ImageScale(keys, reflections.n_images, posterior=posterior),
        "detector": lambda: Detector(keys, _position(keys), NODES, posterior=posterior),
        "physical": lambda: physical(reflections, posterior=posterior),
    }
    parts = (names or _default_scaling(reflections, width)).split("+")
    for name in parts:
        if name not in makers:
            raise ValueError(f"There is no scaling model {name!r}; there are: {', '.join(makers)}, joined by '+'.")
    made = [makers[name]() for name in parts]
    return made[0] if len(made) == 1 else Sum(made)


def _default_scaling(reflections, width):
    """The names of the scaling model that suits the data."""
    number = reflections.n_images
    if number < 2 or "dHKL" not in reflections.metadata_keys:
        return "mlp"
    return "layers+image" if len(reflections) >= ENOUGH_FOR_LAYERS * (width + 1) * number else "mlp+image"


def _position(keys):
    position = detector_position(keys)
    if position is None:
        raise ValueError("The scaling model 'detector' needs the metadata XDET and YDET, or X and Y.")
    return position


def make_prior(
    asu,
    falloff="smooth",
    learn=False,
    reference=None,
    column=None,
    *,
    correlate=None,
    friedel_correlation=None,
):
    """Make Wilson's prior, or one about reference amplitudes, other data sets' or those of Friedel mates."""
    if learn and falloff == "flat":
        raise ValueError("A flat fall-off has nothing to learn: choose another fall-off, or do not learn it.")
    ties = {"a reference": reference is not None, "data sets to correlate": bool(correlate)}
    ties["a correlation of Friedel mates"] = friedel_correlation is not None
    if sum(ties.values()) > 1:
        raise ValueError(f"A prior cannot have {' and '.join(name for name, is_there in ties.items() if is_there)}.")
    make = known("fall-off", falloff, FALLOFFS)
    falloff = make(learn=True) if learn else make()
    if reference is not None:
        return priors.Reference(asu, reference_amplitudes(asu, reference, column), falloff=falloff)
    if friedel_correlation is not None:
        return priors.MultivariateWilson.friedel(asu, friedel_correlation, falloff=falloff)
    if correlate:
        return _correlated(asu, correlate, falloff)
    return priors.Wilson(asu, falloff)


def _correlated(asu, correlate, falloff):
    if not isinstance(asu, JoinedASU):
        raise ValueError("There is one data set, and nothing to correlate it with: read several as data sets apart.")
    tree = {child: parent for child, (parent, _) in correlate.items()}
    parents = dataset_parents(asu, tree)
    correlation = np.zeros(len(asu))
    for child, (_, r) in correlate.items():
        correlation[asu.slice_of(child)] = np.nan if r == "auto" else r
    if any(r == "auto" for _, r in correlate.values()):
        correlation = priors.ChosenCorrelation(correlation)
    return priors.MultivariateWilson(asu, parents, correlation, falloff=falloff)


def make_likelihood(reflections, name, errors, per=None, shared_errors=0.0, *, dof=16.0, learn_dof=True):
    """Make a likelihood with an error model."""
    noise = {"dof": dof, "learn_dof": learn_dof} if name == "student-t" else {}
    error_model = make_errors(reflections, errors, per)
    return known("likelihood", name, LIKELIHOODS)(error_model=error_model, shared_errors=shared_errors, **noise)


def known_shared_errors(shared_errors, correlate, errors):
    """The correlation of shared errors as likelihoods have it: None where the evidence has something to choose."""
    if shared_errors != "auto":
        return shared_errors
    return None if correlate and errors != "none" else 0.0


def make_errors(reflections, name, per=None):
    """Make an error model for all the data or for each file or image; None if sigmas are taken as they are."""
    make = known("error model", name, ERROR_MODELS)
    can_be_shared_out = name in ("evans", "xds")
    if per is None:
        per = "image" if can_be_shared_out else "dataset"
    if per not in ERRORS_PER:
        raise ValueError(f"There is no division of the errors {per!r}; there are: {', '.join(ERRORS_PER)}.")
    if per == "dataset":
        return None if make is None else make()
    if not can_be_shared_out:
        raise ValueError(f"The error model {name!r} cannot be per {per}; take 'evans' or 'xds', or one per dataset.")
    return likelihoods.PerGroup(make, per, reflections.n_images if per == "image" else len(reflections.files))


def known(kind, name, table):
    """What a table has under a name; a ValueError that lists the names if there is none."""
    if name not in table:
        raise ValueError(f"There is no {kind} {name!r}; there are: {', '.join(table)}.")
    return table[name]
