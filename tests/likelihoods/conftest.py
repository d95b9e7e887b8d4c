"""The members of the family, and batches for them."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from scipy import stats

from vimerge import likelihoods
from vimerge.likelihoods import XDS, ContaminatedNormal, Evans2011, Laplace, Neural, Normal, PerGroup, StudentT

IMAGES, FILES = 4, 2


def contaminated_logpdf(z):
    return np.logaddexp(np.log(0.97) + stats.norm.logpdf(z), np.log(0.03) + stats.norm.logpdf(z, scale=8.0))


def by_file():
    model = PerGroup(XDS(a=1.3, b=2e-3), "file", FILES)
    model.adapt(SimpleNamespace(iobs=np.ones(8), images=pd.DataFrame({"file_id": [0, 0, 0, 1]})))
    return model


def neural():
    """One that has left its start, where most gradients are zero."""
    model, rng = Neural(units=3, n_metadata=2), np.random.default_rng(5)
    for weight in model.trainable_variables:
        weight.assign(weight + rng.normal(0.0, 0.1, weight.shape))
    return model


# The factory takes the error model; the density is that of z.
NOISE = {
    "normal": (Normal, Normal, stats.norm.logpdf),
    "laplace": (Laplace, Laplace, stats.laplace(scale=np.sqrt(0.5)).logpdf),
    "student-t": (StudentT, lambda **kw: StudentT(4.0, **kw), stats.t(4.0).logpdf),
    "student-t-learned": (StudentT, lambda **kw: StudentT(7.0, learn_dof=True, **kw), stats.t(7.0).logpdf),
    "contaminated": (ContaminatedNormal, lambda **kw: ContaminatedNormal(0.03, 8.0, **kw), contaminated_logpdf),
}
ERROR_MODELS = {
    "evans": (Evans2011, lambda: Evans2011(sdfac=1.4, sdb=0.7, sdadd=0.05)),
    "xds": (XDS, lambda: XDS(a=1.3, b=2e-3)),
    "evans-by-image": (PerGroup, lambda: PerGroup(Evans2011(1.4, 0.7, 0.05), "image", IMAGES)),
    "xds-by-file": (PerGroup, by_file),
    "neural": (Neural, neural),
}
ALL_PAIRS = [(noise, errors) for noise in NOISE for errors in ("none", *ERROR_MODELS)]
# Each noise without an error model and with one, each error model with one noise: what the slower tests go through.
PAIRS = [pair for pair in ALL_PAIRS if pair[1] in ("none", "evans") or pair[0] == "contaminated"]


def make(noise, errors="none"):
    """A likelihood by the names in the tables."""
    return NOISE[noise][1](error_model=None if errors == "none" else ERROR_MODELS[errors][1]())


def public(base):
    """The public subclasses of a base class."""
    members = {getattr(likelihoods, name) for name in likelihoods.__all__}
    return {c for c in members if isinstance(c, type) and issubclass(c, base)} - {base}


def batch_of(iobs, sigiobs, harmonic_id=None):
    """A batch of observations, on each of the images in turn."""
    iobs = np.asarray(iobs, np.float32)
    harmonic_id = np.arange(len(iobs)) if harmonic_id is None else np.asarray(harmonic_id)
    metadata = np.stack([np.sin(np.arange(len(iobs))), np.cos(np.arange(len(iobs)))], axis=1)
    return {
        "iobs": tf.constant(iobs),
        "sigiobs": tf.constant(np.broadcast_to(np.asarray(sigiobs, np.float32), iobs.shape)),
        "harmonic_id": tf.constant(harmonic_id, tf.int32),
        "image_id": tf.constant(harmonic_id % IMAGES, tf.int32),
        "metadata": tf.constant(metadata[harmonic_id], tf.float32),
    }


@pytest.fixture
def batch():
    rng = np.random.default_rng(3)
    return batch_of(rng.normal(50.0, 30.0, 20), rng.uniform(1.0, 10.0, 20))


@pytest.fixture
def ipred():
    return np.random.default_rng(4).gamma(1.0, 50.0, (3, 20)).astype(np.float32)
