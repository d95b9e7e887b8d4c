"""Which reflections correspond to each other: the same one in other data sets, or its Friedel mate."""

import numpy as np

from vimerge.reflections.errors import OptionError
from vimerge.reflections.reindexing import matrix_of

__all__ = ["dataset_parents", "friedel_parents", "related"]


def related(asu, child, parent, operator=None):
    """
    Find the reflections of one data set in another.

    Parameters
    ----------
    asu : JoinedASU
        R reflections.
    child, parent : str
        Names of two data sets.
    operator : str, optional
        Such as "k,h,-l": what makes the parent's indices of the child's, if they were indexed differently.

    Returns
    -------
    np.ndarray
        ``[R_child]`` int32: for each reflection of the child, in the order of its own ASU, the refl_id of the same
        reflection of the parent; -1 where the parent has none. With Friedel mates apart it is the same mate.
    """
    hkl = asu.of(child).miller_index
    if operator is not None:
        hkl = hkl @ matrix_of(operator)
    return asu.refl_id(hkl, parent)


def dataset_parents(asu, tree, operators=None):
    """
    Find each reflection's parent, for a prior that correlates data sets.

    Parameters
    ----------
    asu : JoinedASU
        R reflections.
    tree : dict of str to str
        The parent of each data set that has one, by name.
    operators : dict of str to str, optional
        For children that are indexed differently from their parents; see `related`.

    Returns
    -------
    np.ndarray
        ``[R]`` int32: refl_id of the parent, -1 for none.

    Raises
    ------
    OptionError
        If there is no such data set, or if one descends from itself.
    """
    operators = dict(operators or {})
    for name in operators:
        if name not in tree:
            raise OptionError(f"The data set {name!r} has an operator but no parent; name its parent, or leave it out.")
    for name in tree:
        seen = [name]
        while (above := tree.get(seen[-1])) is not None:
            if above in seen:
                raise OptionError(f"The data sets {', '.join(seen)} descend from each other; leave one relation out.")
            seen.append(above)
    parents = np.full(len(asu), -1, dtype=np.int32)
    for child, parent in tree.items():
        parents[asu.slice_of(child)] = related(asu, child, parent, operators.get(child))
    return parents


def friedel_parents(asu):
    """
    Make each Friedel-plus reflection the parent of its mate.

    Parameters
    ----------
    asu : ReciprocalASU
        R reflections, Friedel mates apart.

    Returns
    -------
    np.ndarray
        ``[R]`` int32: refl_id of the plus member for each minus member whose mate was observed, -1 for all others.

    Raises
    ------
    OptionError
        If mates are not apart.
    """
    if not asu.anomalous:
        raise OptionError("Friedel mates are one reflection here; keep them apart with --anomalous (anomalous=True).")
    return np.where(asu.friedel_minus, asu.friedel_mate, np.int32(-1)).astype(np.int32)
