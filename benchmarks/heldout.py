"""The observations that every contestant holds out."""

import hashlib
from pathlib import Path

import numpy as np

from benchmarks.careless_driver import keys


def write(data, fraction, seed, folder):
    """Write the observations that `vimerge merge --test-fraction … --seed …` holds out.

    Parameters
    ----------
    data : datasets.DataSet
    fraction : float
    seed : int
    folder : path

    Returns
    -------
    pathlib.Path
        An npz file with iobs and sigiobs.
    """
    from vimerge import Reflections
    from vimerge.reflections.splits import holdout

    reflections = Reflections.read(list(data.files), **data.reading)
    held = holdout(reflections, fraction, seed)
    path = Path(folder) / data.name / f"held-out-{fraction:g}-{seed}.npz"
    values = {"iobs": reflections.iobs[held], "sigiobs": reflections.sigiobs[held]}
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **values)
    return path


def digest(path):
    """A digest of which observations they are."""
    with np.load(path) as values:
        return hashlib.sha256(np.sort(keys(values["iobs"], values["sigiobs"])).tobytes()).hexdigest()


def in_common(predictions, path):
    """The share of the held-out observations of a list and of a table of predictions that are in both (Jaccard's).

    Parameters
    ----------
    predictions : DataFrame
        Iobs, SIGIobs, test.
    path : path
        From `write`.

    Returns
    -------
    float
        1 if they are the same.
    """
    test = predictions["test"].to_numpy(bool)
    ours = keys(*(predictions[name].to_numpy(np.float32)[test] for name in ("Iobs", "SIGIobs")))
    with np.load(path) as listed:
        theirs = keys(listed["iobs"], listed["sigiobs"])
    return len(np.intersect1d(ours, theirs)) / len(np.union1d(ours, theirs))
