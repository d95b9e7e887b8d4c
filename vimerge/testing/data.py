"""The observations that members are checked on, and batches of them."""

from dataclasses import replace
from functools import cache

import gemmi
import numpy as np
import tensorflow as tf

from vimerge.reflections import ReciprocalASU, Reflections

IMAGES, FILES = 8, 2
# What a batch has for each observation; the rest it has for each prediction.
OF_OBSERVATIONS = ("iobs", "sigiobs", "weight")


@cache
def reflections():
    """Some 300 made-up observations of 40 reflections, on which members are checked.

    The space group is P 4: ten reflections are centric, four have ε = 4. There are 8 images in two files, and the
    metadata of a rotation experiment: BATCH, ROT, XDET, YDET, LP, QE, BG, SIGBG, FRACTIONCALC, the directions S0X … S1Z
    of the beams in the crystal, dHKL, Hobs, Kobs and Lobs.

    Returns
    -------
    Reflections
    """
    cell, spacegroup = gemmi.UnitCell(20, 20, 30, 90, 90, 90), gemmi.SpaceGroup("P 4")
    hkl = gemmi.make_miller_array(cell, spacegroup, 3.0)
    axial, plane = (hkl[:, :2] == 0).all(axis=1), hkl[:, 2] == 0
    hkl = np.concatenate([hkl[axial][:4], hkl[plane][:10], hkl[~axial & ~plane][:26]])
    return observations(ReciprocalASU.from_observed(hkl, cell, spacegroup))


def observations(asu, most=4000):
    """Observe every reflection of an ASU, each on several images, or as many as may be.

    Parameters
    ----------
    asu : ReciprocalASU
    most : int
        Number of observations that should not be exceeded.

    Returns
    -------
    Reflections
        With the metadata that `reflections` describes.
    """
    rng = np.random.default_rng(20)
    n = IMAGES if IMAGES * len(asu) <= most else max(most // len(asu), 1)
    refl_id = np.repeat(np.arange(len(asu)), n)
    image = (np.arange(len(refl_id)) * 5 + refl_id) % IMAGES
    # Exponential intensities, and a scale that varies with the image and falls with resolution.
    intensity = 100.0 * rng.exponential(size=len(asu)) * asu.epsilon
    scale = (1.0 + 0.3 * np.sin(image)) * np.exp(-10.0 * (asu.s2 - asu.s2.min()))[refl_id]
    true = scale * intensity[refl_id]
    sigma = np.sqrt(4.0 + 0.5 * true + (0.03 * true) ** 2)
    made = Reflections.from_arrays(
        asu.miller_index[refl_id],
        true + sigma * rng.normal(size=len(refl_id)),
        sigma * rng.uniform(0.9, 1.1, len(refl_id)),
        image + 1,
        cell=asu.cell,
        spacegroup=asu.spacegroup,
        anomalous=asu.anomalous,
        metadata=_geometry(rng, image),
        file_id=image * FILES // IMAGES,
    )
    # The ASU as it was given, whatever its order.
    return replace(made, asu=asu, refl_id=asu.refl_id(made.hkl))


def _geometry(rng, image):
    m = len(image)
    rotation = 2.0 * (image + rng.uniform(size=m))
    s0, s1 = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in rng.normal(size=(2, m, 3)))
    background = rng.uniform(20.0, 60.0, m)
    return {
        "ROT": rotation,
        "XDET": rng.uniform(0.0, 2000.0, m),
        "YDET": rng.uniform(0.0, 2000.0, m),
        "LP": rng.uniform(0.1, 0.9, m),
        "QE": rng.uniform(0.8, 0.99, m),
        "BG": background,
        "SIGBG": np.sqrt(background) / 3.0,
        "FRACTIONCALC": rng.uniform(0.3, 1.0, m),
        **{f"S{i}{axis}": s[:, k] for i, s in enumerate((s0, s1)) for k, axis in enumerate("XYZ")},
    }


def some_of(given, most):
    """At most so many observations, spread evenly over the table."""
    return given[np.unique(np.linspace(0, len(given) - 1, min(most, len(given))).astype(int))]


def whole(given):
    """All observations as one batch, in their order."""
    return dict(next(iter(given.dataset(shuffle=False))))


def take(batch, rows):
    """The given observations of a batch of single reflections, in the given order and as often as given."""
    rows = np.asarray(rows)
    taken = {name: tf.gather(values, rows) for name, values in batch.items()}
    taken["harmonic_id"] = tf.range(len(rows))
    if "weight" in taken:
        taken["weight"] = tf.fill([len(rows)], np.float32(1.0 / len(rows)))
    return taken


def as_harmonics(batch, harmonic_id):
    """The observations of a batch of single reflections, with the given predictions [N] for each of them.

    Every prediction has the metadata of its observation.
    """
    predictions = {
        name: tf.gather(values, harmonic_id) for name, values in batch.items() if name not in OF_OBSERVATIONS
    }
    made = {**batch, **predictions}
    made["harmonic_id"] = tf.constant(harmonic_id, tf.int32)
    if "kl_share" in made:
        made["kl_share"] = made["kl_share"] / tf.gather(
            tf.constant(np.bincount(harmonic_id), tf.float32), made["harmonic_id"]
        )
    return made


def with_metadata(given, keys):
    """The observations with these columns of metadata; what they do not have is made up."""
    rng = np.random.default_rng(4)
    columns = [
        given.metadata[:, given.metadata_keys.index(key)]
        if key in given.metadata_keys
        else rng.uniform(0.5, 1.5, len(given)).astype(np.float32)
        for key in keys
    ]
    return replace(given, metadata=np.stack(columns, axis=1), metadata_keys=tuple(keys))
