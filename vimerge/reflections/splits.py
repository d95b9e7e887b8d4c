"""Random parts of the observations, for tests that the merging has not seen and for half data sets."""

import numpy as np

from vimerge.reflections.errors import OptionError

__all__ = ["half_datasets", "holdout"]


def holdout(reflections, fraction, seed=0):
    """
    Choose observations at random to hold out from training.

    A simple random sample: a reflection may lose all its observations, and its prediction is then the prior's.

    Parameters
    ----------
    reflections : Reflections
        The table, of M observations.
    fraction : float
        The fraction to hold out, from 0 up to but not including 1.
    seed : int, optional
        Fixes the choice.

    Returns
    -------
    np.ndarray
        ``[M]`` bool, true for the held-out (test) observations.

    Raises
    ------
    OptionError
        If the fraction is not in [0, 1).
    """
    if not 0 <= fraction < 1:
        raise OptionError(f"The fraction to hold out must be in [0, 1), not {fraction:g}; correct --test-fraction.")
    count = len(reflections)
    test = np.zeros(count, dtype=bool)
    test[np.random.default_rng(seed).permutation(count)[: round(fraction * count)]] = True
    return test


def half_datasets(reflections, seed=0, repeats=1):
    """
    Divide the images at random into halves, again and again.

    Images, not observations, are divided, for errors on one image are not independent. Each file's images are divided
    into halves whose sizes differ by at most one, and so do those of the halves as a whole.

    Parameters
    ----------
    reflections : Reflections
        The table, of M observations.
    seed : int, optional
        Fixes the divisions; repeat k is the same however many repeats there are.
    repeats : int, optional
        Number of divisions.

    Yields
    ------
    repeat : int
        0, 1 …
    half0, half1 : np.ndarray
        ``[M]`` bool masks that complement each other.

    Raises
    ------
    OptionError
        If there are fewer than two images.
    """
    used = np.unique(reflections.image_id)
    if len(used) < 2:
        raise OptionError(f"Half data sets need two images or more, but there is {len(used)}; turn them off.")
    file_id = reflections.images["file_id"].to_numpy()[used]
    for repeat in range(repeats):
        rng = np.random.default_rng([seed, repeat])
        shuffled = rng.permutation(len(used))
        # Shuffled within each file and dealt out in turn: alternate images of a file go to alternate halves.
        shuffled = shuffled[np.argsort(file_id[shuffled], kind="stable")]
        half = np.zeros(reflections.n_images, dtype=bool)
        half[used[shuffled[rng.integers(2) :: 2]]] = True
        half1 = half[reflections.image_id]
        yield repeat, ~half1, half1
