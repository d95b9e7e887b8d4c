"""Which reflection is whose parent: a forest over the reflections of all data sets."""

import numpy as np


def roots(parents):
    """The root of each reflection's tree, int [R], given its parent, −1 for roots."""
    root = np.arange(len(parents))
    while np.any(above := parents[root] >= 0):
        root = np.where(above, parents[root], root)
    return root


def check_parents(asu, parents):
    """The parents as int32 [R].

    Parameters
    ----------
    asu : ReciprocalASU
        R reflections.
    parents : array_like, [R]
        The refl_id of each reflection's parent, −1 for roots.

    Returns
    -------
    array, int32 [R]

    Raises
    ------
    ValueError
        If they are not as many as the reflections, are no refl_ids, go round in a circle, or join a centric reflection
        to an acentric one.
    """
    given, number = np.asarray(parents), len(asu)
    if given.shape != (number,) or given.dtype.kind not in "iu":
        raise ValueError(
            f"parents needs a refl_id, or -1 for a root, for each of the {number} reflections, not an array of "
            f"{given.dtype} of shape {given.shape}."
        )
    if number and not (given.min() >= -1 and given.max() < number):
        raise ValueError(f"parents must be -1 for a root or a refl_id from 0 to {number - 1}.")
    parents = given.astype(np.int32)
    # Each jump goes twice as far as the one before: a path that has no circle ends at a root.
    jump = parents
    for _ in range(number.bit_length()):
        jump = np.where(jump >= 0, jump[jump], -1)
    if np.any(jump >= 0):
        raise ValueError(
            f"parents go round in a circle at refl_id {int(np.argmax(jump >= 0))}: every reflection must descend from "
            "a root, whose parent is -1."
        )
    mixed = (parents >= 0) & (asu.centric[parents] != asu.centric)
    if mixed.any():
        child = int(np.argmax(mixed))
        raise ValueError(
            f"refl_id {child} and its parent {parents[child]} are not both centric or both acentric, and their "
            "correlation leaves Wilson's distribution to none: give it -1, as a root."
        )
    return parents
