"""Amplitudes from intensities by French & Wilson's method."""

import numpy as np
import reciprocalspaceship as rs
from reciprocalspaceship.algorithms import scale_merged_intensities

__all__ = ["french_wilson"]

# The library's kernel smoother takes memory in proportion to reflections × bins.
_CHUNK = 20_000
_PER_BIN = 100
_BINS = (4, 15)


def french_wilson(miller_index, intensity, sigma, cell, spacegroup):
    """
    Posterior moments of amplitudes and intensities under Wilson's prior [1]_.

    The mean intensity that the prior needs is smoothed over resolution, with a kernel as wide as a hundred reflections
    take, from a fourth to a fifteenth of the range of s². Many reflections are done in parts of twenty thousand,
    dealt out evenly over resolution, each with a mean intensity of its own.

    Parameters
    ----------
    miller_index : np.ndarray
        ``[R, 3]``.
    intensity, sigma : np.ndarray
        ``[R]``; rows with NaN are left out.
    cell : gemmi.UnitCell
        The unit cell.
    spacegroup : gemmi.SpaceGroup
        The space group.

    Returns
    -------
    dict of str to np.ndarray
        ``F``, ``SIGF``, ``I``, ``SIGI``, each ``[R]``: means and standard deviations; NaN where the intensity is.

    References
    ----------
    .. [1] French, S. & Wilson, K. (1978). Acta Cryst. A34, 517–525.
    """
    result = {name: np.full(len(intensity), np.nan) for name in ("I", "SIGI", "F", "SIGF")}
    rows = np.flatnonzero(np.isfinite(intensity) & np.isfinite(sigma))
    if not len(rows):
        return result
    rows = rows[np.argsort(cell.calculate_1_d2_array(np.ascontiguousarray(miller_index[rows])), kind="stable")]
    parts = -(-len(rows) // _CHUNK)
    for i in range(parts):
        part = rows[i::parts]
        moments = _moments(miller_index[part], intensity[part], sigma[part], cell, spacegroup)
        for name, values in zip(result, moments, strict=True):
            result[name][part] = values
    return result


def _moments(hkl, intensity, sigma, cell, spacegroup):
    # In units of the mean, so that the smallest that a mean intensity may be has a meaning.
    unit = max(np.mean(np.abs(intensity)), np.finfo(np.float32).tiny)
    columns = {name: rs.DataSeries(hkl[:, i].astype(np.int32), dtype="H") for i, name in enumerate("HKL")}
    columns["INTENSITY"] = rs.DataSeries(intensity / unit, dtype="J")
    columns["SIGMA"] = rs.DataSeries(sigma / unit, dtype="Q")
    table = rs.DataSet(columns, cell=cell, spacegroup=spacegroup, merged=True).set_index(["H", "K", "L"])
    names = ["FW_I", "FW_SIGI", "FW_F", "FW_SIGF"]
    bins = int(np.clip(len(hkl) // _PER_BIN, *_BINS))
    scaled = scale_merged_intensities(
        table, "INTENSITY", "SIGMA", output_columns=names, dropna=False, bins=bins, minimum_sigma=1e-3
    )
    i, sigi, f, sigf = (scaled[name].to_numpy(dtype=np.float64) for name in names)
    return i * unit, sigi * unit, f * np.sqrt(unit), sigf * np.sqrt(unit)
