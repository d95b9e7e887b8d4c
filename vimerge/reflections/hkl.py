"""Vectorised arithmetic on Miller indices: packing them into integers and mapping them to the asymmetric unit."""

import gemmi
import numpy as np

__all__ = ["as_hkl", "pack", "to_asu", "unique"]

_BITS = 20  # indices within ±2^19, three of which fit an int64 with a sign to spare
_OFFSET = 1 << (_BITS - 1)

# gemmi spells the condition for CCP4's asymmetric unit out, one spelling for all space groups that share it. The index
# l is called m here, for it looks like a 1.
_IN_ASU = {
    "l>0 or (l=0 and (h>0 or (h=0 and k>=0)))": lambda h, k, m: (m > 0) | (m == 0) & ((h > 0) | (h == 0) & (k >= 0)),
    "k>=0 and (l>0 or (l=0 and h>=0))": lambda h, k, m: (k >= 0) & ((m > 0) | (m == 0) & (h >= 0)),
    "h>=0 and k>=0 and l>=0": lambda h, k, m: (h >= 0) & (k >= 0) & (m >= 0),
    "l>=0 and ((h>=0 and k>0) or (h=0 and k=0))": lambda h, k, m: (m >= 0) & ((h >= 0) & (k > 0) | (h == 0) & (k == 0)),
    "h>=k and k>=0 and l>=0": lambda h, k, m: (h >= k) & (k >= 0) & (m >= 0),
    "(h>=0 and k>0) or (h=0 and k=0 and l>=0)": lambda h, k, m: (h >= 0) & (k > 0) | (h == 0) & (k == 0) & (m >= 0),
    "h>=k and k>=0 and (k>0 or l>=0)": lambda h, k, m: (h >= k) & (k >= 0) & ((k > 0) | (m >= 0)),
    "h>=k and k>=0 and (h>k or l>=0)": lambda h, k, m: (h >= k) & (k >= 0) & ((h > k) | (m >= 0)),
    "h>=0 and ((l>=h and k>h) or (l=h and k=h))": lambda h, k, m: (h >= 0) & ((m >= h) & (k > h) | (m == h) & (k == h)),
    "k>=l and l>=h and h>=0": lambda h, k, m: (k >= m) & (m >= h) & (h >= 0),
}


def as_hkl(hkl):
    """
    Miller indices as a C-contiguous array of int32.

    Parameters
    ----------
    hkl : array_like
        Miller indices of shape ``[N, 3]``, of any integer or integer-valued type.

    Returns
    -------
    np.ndarray
        ``[N, 3]`` int32.

    Raises
    ------
    ValueError
        If the shape is another one, or an index is fractional or beyond ±524287.
    """
    array = np.asarray(hkl)
    if array.size == 0:
        array = array.reshape(-1, 3)
    if array.ndim != 2 or array.shape[1] != 3:
        raise ValueError(f"Miller indices must have the shape [N, 3], but these have {list(array.shape)}.")
    if array.dtype != np.int32:
        rounded = np.rint(array)
        if not np.array_equal(rounded, array):
            raise ValueError("Miller indices must be whole numbers.")
        array = rounded
    if array.size and np.abs(array).max() >= _OFFSET:
        raise ValueError(f"Miller indices must be smaller than {_OFFSET}.")
    return np.ascontiguousarray(array, dtype=np.int32)


def pack(hkl):
    """
    One int64 for each Miller index, in the lexicographic order of h, k, l.

    Parameters
    ----------
    hkl : np.ndarray
        ``[N, 3]`` int32, each within ±524287.

    Returns
    -------
    np.ndarray
        ``[N]`` int64.
    """
    h, k, m = hkl.T.astype(np.int64) + _OFFSET
    return (h << 2 * _BITS) | (k << _BITS) | m


def _unpack(keys):
    mask = (1 << _BITS) - 1
    return np.stack([keys >> 2 * _BITS, (keys >> _BITS) & mask, keys & mask], axis=1).astype(np.int32) - _OFFSET


def unique(hkl):
    """
    Find the distinct Miller indices, in lexicographic order.

    Parameters
    ----------
    hkl : np.ndarray
        ``[N, 3]`` int32.

    Returns
    -------
    distinct : np.ndarray
        ``[R, 3]`` int32.
    inverse : np.ndarray
        ``[N]``: ``distinct[inverse]`` is `hkl`.
    """
    keys, inverse = np.unique(pack(hkl), return_inverse=True)
    return np.ascontiguousarray(_unpack(keys), dtype=np.int32), inverse


def to_asu(hkl, spacegroup):
    """
    Map Miller indices to CCP4's reciprocal asymmetric unit.

    Parameters
    ----------
    hkl : np.ndarray
        Observed Miller indices, ``[N, 3]`` int32.
    spacegroup : gemmi.SpaceGroup
        The space group, in any setting.

    Returns
    -------
    mapped : np.ndarray
        ``[N, 3]`` int32: the equivalent index (Friedel's law included) in the asymmetric unit.
    plus : np.ndarray
        ``[N]`` bool: whether a rotation alone leads there (an odd ISYM); otherwise an inversion is needed too.
    """
    asu = gemmi.ReciprocalAsu(spacegroup)
    in_reference_asu = _IN_ASU[asu.condition_str()]
    # Not divided by DEN: only signs and equalities count, and some basis changes have fractions.
    basis = np.array(spacegroup.basisop.rot, dtype=np.int32)
    is_reference = spacegroup.is_reference_setting()
    den = gemmi.Op.DEN

    def inside(index):
        if not is_reference:
            index = [_combine(index, basis[:, i]) for i in range(3)]
        return in_reference_asu(*index)

    # Columns are contiguous here: the comparisons run over h, k and l one after the other.
    left = np.ascontiguousarray(hkl.T)
    where = None  # the rows that no operation has mapped yet; None for all
    mapped = np.zeros_like(left)
    plus = np.zeros(left.shape[1], dtype=bool)
    for op in spacegroup.operations().sym_ops:
        rotation = np.array(op.rot, dtype=np.int32) // den
        rotated = np.stack([_combine(left, rotation[:, i]) for i in range(3)])
        is_plus = inside(rotated)
        is_minus = inside(-rotated) & ~is_plus
        done = is_plus | is_minus
        rows = np.flatnonzero(done) if where is None else where[done]
        mapped[:, rows] = np.where(is_minus[done], -rotated[:, done], rotated[:, done])
        plus[rows] = is_plus[done]
        where = np.flatnonzero(~done) if where is None else where[~done]
        left = left[:, ~done]
        if not where.size:
            break
    return np.ascontiguousarray(mapped.T), plus


def _combine(hkl, coefficients):
    """Sum h, k and l with the coefficients, of which most are zero."""
    total = 0
    for index, coefficient in zip(hkl, coefficients, strict=True):
        if coefficient:
            total = total + coefficient * index
    return np.broadcast_to(total, hkl.shape[1:])
