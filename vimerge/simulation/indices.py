"""From the asymmetric unit of reciprocal space to every index that diffracts."""

import numpy as np


def equivalents(hkl_asu, space_group):
    """All symmetry equivalents and Friedel mates of the reflections in the asymmetric unit, each once.

    An observed index h belongs to the asymmetric-unit index h·R of the symmetry operation i = 0, 1, … with
    ISYM = 2i + 1, or to −h·R with ISYM = 2i + 2 (the MTZ format's M/ISYM). Where several operations lead there, the
    lowest ISYM is taken, as CCP4, gemmi and reciprocalspaceship do.

    Parameters
    ----------
    hkl_asu : ndarray of int, shape [U, 3]
        Miller indices in the asymmetric unit.
    space_group : gemmi.SpaceGroup
        The space group.

    Returns
    -------
    hkl : ndarray of int32, shape [N, 3]
        Miller indices over the whole sphere.
    asu_id : ndarray of int64, shape [N]
        Row of `hkl_asu` that each index is equivalent to.
    isym : ndarray of int16, shape [N]
        ISYM: odd for the F(+) side, even for the F(−) side.
    """
    hkl_asu = np.asarray(hkl_asu, dtype=np.int64)
    rotations = [np.array(op.inverse().rot) // op.DEN for op in space_group.operations().sym_ops]
    images, isym = [], []
    for i, rotation in enumerate(rotations):
        image = hkl_asu @ rotation
        images += [image, -image]
        isym += [2 * i + 1, 2 * i + 2]
    hkl = np.concatenate(images)
    asu_id = np.tile(np.arange(len(hkl_asu)), len(isym))
    isym = np.repeat(np.array(isym, dtype=np.int16), len(hkl_asu))
    # np.unique returns the first occurrence, which is the one of lowest ISYM because that is how the rows are ordered.
    _, first = np.unique(_pack(hkl), return_index=True)
    return hkl[first].astype(np.int32), asu_id[first], isym[first]


def _pack(hkl):
    """One integer an index, so that sorting compares single numbers."""
    reach = int(np.abs(hkl).max(initial=0))
    base = 2 * reach + 1
    return ((hkl[:, 0] + reach) * base + hkl[:, 1] + reach) * base + hkl[:, 2] + reach


def to_asu(hkl, isym, space_group):
    """Undo `equivalents`: indices in the asymmetric unit from observed ones and their ISYM.

    Parameters
    ----------
    hkl : ndarray of int, shape [N, 3]
        Observed Miller indices.
    isym : ndarray of int, shape [N]
        Their ISYM.
    space_group : gemmi.SpaceGroup
        The space group.

    Returns
    -------
    ndarray of int32, shape [N, 3]
    """
    hkl, isym = np.asarray(hkl, dtype=np.int32), np.asarray(isym)
    asu = np.empty_like(hkl)
    for i, op in enumerate(space_group.operations().sym_ops):
        rotation = np.array(op.rot, dtype=np.int32) // op.DEN
        for value, sign in ((2 * i + 1, 1), (2 * i + 2, -1)):
            selected = isym == value
            asu[selected] = sign * hkl[selected] @ rotation
    return asu
