"""The scale between two merged data sets."""

import numpy as np
import reciprocalspaceship as rs
from scipy.spatial import cKDTree

from vimerge.reflections.errors import OptionError
from vimerge.statistics.difference_weights import difference_variance, expected_multiple
from vimerge.statistics.labels import centric

_STEPS = 100
# A knot of the smooth scale for so many reflections, and no more knots than this.
_PER_KNOT, _KNOTS = 250, 12
# Residuals beyond so many standard deviations count as if they were there (Huber's weights).
_HUBER = 3.0


def scale_together(table, *, anisotropic=True, local=True, neighbours=None):
    """Put one data set of a table of differences, b, on the scale of the one it is compared with, a.

    F_b is multiplied by k(h) = exp(g(s²) − Σ b_ij q_i q_j), where q is the scattering vector (s = |q| = 1/d), the
    quadratic form has the symmetry of the crystal's Laue class and g is smooth: linear, which makes it
    k exp(−B s²/4), or linear between knots. Even crystals of one batch differ in B and its anisotropy, and merging
    programs each have their own smooth error with resolution; ΔF is a few per cent of F, so that a scale off by one per
    cent adds a map of the whole structure to the map of the difference. Data sets that were scaled together have k near
    1, and it stays there.

    k makes the weighted sums of both data sets equal in all the terms of its logarithm,

        Σ w x (√k F_b − F_a/√k) = 0,   w⁻¹ = k σ_b² + σ_a²/k + V,

    with V the variance of true differences by resolution, and w less where a residual is beyond 3 σ. These are the
    stationary points of a convex function. No noise of F_a or F_b biases them, as it does a least-squares line of one
    through the other, and exchanging the data sets gives 1/k exactly.

    Parameters
    ----------
    table : rs.DataSet
        Indexed by H, K, L in the asymmetric unit, with `F_<a> SIGF_<a> F_<b> SIGF_<b>` and, if there are, `DF`, their
        difference, and `SIGDF`, whose covariance of both is kept.
    anisotropic : bool, optional
        Whether k depends on direction.
    local : bool, optional
        Whether g has up to 12 knots, one for 250 reflections, rather than two.
    neighbours : int, optional
        Scale further by the ratio of the sums over so many neighbours in reciprocal space, as Matthews and Czerwinski
        [1]_ do, for what depends on direction in ways of its own, such as absorption; 150, say. A reflection is not
        its own neighbour, so that the ratio, whose relative error is that of one difference over the square root of
        their number, does not know the difference it is applied to.

    Returns
    -------
    rs.DataSet
        The table with F_<b>, SIGF_<b> scaled, DF = F_<b> − F_<a> and SIGDF to match, and `SCALE_<b>`, k.

    Raises
    ------
    OptionError
        If the columns are not there, no reflection is in both, or there are too few neighbours.

    References
    ----------
    .. [1] Matthews, B. W. & Czerwinski, E. W. (1975). Acta Cryst. A31, 480–487.
    """
    first, second = data_set_names(table)
    f_a, s_a, f_b, s_b = (
        table[f"{kind}_{name}"].to_numpy(np.float64) for name in (first, second) for kind in ("F", "SIGF")
    )
    scale = _relative_scale(table, f_a, s_a, f_b, s_b, anisotropic, local)
    if neighbours is not None:
        root = np.sqrt(scale)
        scale = scale * _neighbours_scale(table, f_a / root, s_a / root, f_b * root, s_b * root, neighbours)
    df = table["DF"].to_numpy(np.float64) if "DF" in table else f_b - f_a
    sigdf = table["SIGDF"].to_numpy(np.float64) if "SIGDF" in table else np.hypot(s_a, s_b)
    # What k adds, so that strongly correlated amplitudes, whose difference has few digits of theirs, keep its own.
    covariance = (s_a**2 + s_b**2 - sigdf**2) / 2
    variance = sigdf**2 + (scale**2 - 1) * s_b**2 - 2 * (scale - 1) * covariance
    # |covariance| ≤ σ_a σ_b keeps it above (σ_a − k σ_b)²; only rounding can go below.
    variance = np.maximum(variance, (s_a - scale * s_b) ** 2)
    columns = {
        f"F_{second}": (scale * f_b, "F"),
        f"SIGF_{second}": (scale * s_b, "Q"),
        "DF": (df + (scale - 1) * f_b, "R"),
        "SIGDF": (np.sqrt(variance), "Q"),
        f"SCALE_{second}": (scale, "R"),
    }
    result = table.copy()
    for name, (values, kind) in columns.items():
        kind = table[name].dtype if name in table else kind
        result[name] = rs.DataSeries(values.astype(np.float32), index=table.index, dtype=kind)
    return result


def data_set_names(table):
    """The names a and b of the two data sets of a table with DF = F_<b> − F_<a>, in whatever order the columns are.

    Without DF they are as the columns are ordered. OptionError if there are not two.
    """
    names = [name[2:] for name in table.columns if name.startswith("F_") and f"SIG{name}" in table]
    if len(names) != 2:
        raise OptionError(
            f"A table of differences has columns F_<a> SIGF_<a> F_<b> SIGF_<b> of two data sets, not "
            f"{', '.join(table.columns)}; make it of two merged data sets."
        )
    if "DF" in table:
        first, second, df = (table[name].to_numpy(np.float64) for name in (*(f"F_{name}" for name in names), "DF"))
        if np.nansum(df * (second - first)) < 0:
            return names[::-1]
    return names


def _relative_scale(table, f_a, s_a, f_b, s_b, anisotropic, local):
    """k(h), [N]."""
    hkl = np.ascontiguousarray(table.reset_index()[["H", "K", "L"]].to_numpy(np.int32))
    s2 = table.cell.calculate_1_d2_array(hkl)
    use = np.isfinite(f_a) & np.isfinite(f_b) & (s_a > 0) & (s_b > 0)
    if not f_a[use].sum() > 0 or not f_b[use].sum() > 0:
        raise OptionError("No reflection has an amplitude in both data sets; they need the same cell and indexing.")
    terms = _hats(s2, s2[use], int(np.clip(use.sum() // _PER_KNOT, 2, _KNOTS)) if local else 2)
    if anisotropic:
        terms = np.concatenate([terms, _quadratic_forms(hkl, table.cell, table.spacegroup) / s2[use].max()], axis=1)
    x, f_a, s_a, f_b, s_b = terms[use], f_a[use], s_a[use], f_b[use], s_b[use]
    multiple = expected_multiple(hkl[use], table.spacegroup, centric(table)[use])
    # Hats add up to one.
    theta = np.zeros(x.shape[1])
    theta[: theta.size - 6 if anisotropic else None] = np.log(f_a.sum() / f_b.sum())
    for _ in range(_STEPS):
        root = np.exp(x @ theta / 2)
        residual = root * f_b - f_a / root
        noise = (root * s_b) ** 2 + (s_a / root) ** 2
        limit = 5 * np.sqrt(np.mean(residual**2))
        inside = np.abs(residual) < limit
        variance = noise + multiple * difference_variance(
            residual[inside], np.sqrt(noise[inside]), s2[use][inside], multiple[inside], at=s2[use]
        )
        z = np.abs(residual) / np.sqrt(variance)
        weight = np.minimum(1.0, _HUBER / np.maximum(z, 1e-300)) / variance
        hessian = (x * (weight * (root * f_b + f_a / root))[:, None]).T @ x / 2
        # Linear hats and the trace of the quadratic form overlap: the shortest step.
        step = -np.linalg.lstsq(hessian, x.T @ (weight * residual), rcond=1e-10)[0]
        theta = theta + step / max(1.0, np.abs(x @ step).max())
        if np.abs(x @ step).max() < 1e-7:
            break
    return np.exp(terms @ theta)


def _neighbours_scale(table, f_a, s_a, f_b, s_b, number):
    """Σ w F_a / Σ w F_b over each reflection's neighbours, Friedel mates and equivalents in symmetry included, [N]."""
    if number < 10:
        raise OptionError(f"neighbours must be 10 or more, but is {number!r}; 150 is usual.")
    use = np.flatnonzero(np.isfinite(f_a) & np.isfinite(f_b) & (s_a > 0) & (s_b > 0))
    hkl = table.reset_index()[["H", "K", "L"]].to_numpy(np.int32)
    to_cartesian = np.array(table.cell.frac.mat.tolist())
    # Opposite and equivalent reflections lie elsewhere on the sphere, around a reflection at its edge for one.
    rotations = [np.array(op.rot) / op.DEN for op in table.spacegroup.operations().sym_ops]
    images = [sign * (hkl[use] @ rotation) @ to_cartesian for rotation in rotations for sign in (1, -1)]
    tree = cKDTree(np.concatenate(images))
    # Lattice points of highest symmetry are their own images many times.
    asked = min(number + len(images), tree.n)
    near = use[tree.query(hkl @ to_cartesian, k=asked)[1] % len(use)]
    other = near != np.arange(len(hkl))[:, None]
    other &= np.cumsum(other, axis=1) <= number
    variance = s_a**2 + s_b**2
    weight = np.zeros(len(hkl))
    weight[use] = 1.0 / (variance[use] + np.median(variance[use]))
    weight = weight[near] * other
    return (weight * f_a[near]).sum(axis=1) / (weight * f_b[near]).sum(axis=1)


def _hats(s2, of, number):
    """Functions of s², [N, number], linear between knots at quantiles of given ones, whose sum is one."""
    knots = np.quantile(of, np.linspace(0, 1, number))
    inside = np.clip(s2, knots[0], knots[-1])
    return np.stack([np.interp(inside, knots, row) for row in np.eye(number)], axis=1)


def _quadratic_forms(hkl, cell, spacegroup):
    """q_i q_j, averaged over the crystal's symmetry, [N, 6] (Å⁻²); linearly dependent except in triclinic crystals."""
    to_cartesian = np.array(cell.frac.mat.tolist())
    total = np.zeros((len(hkl), 6))
    operations = spacegroup.operations().sym_ops
    for op in operations:
        q = (hkl @ (np.array(op.rot) / op.DEN)) @ to_cartesian
        total += np.stack([q[:, i] * q[:, j] for i in range(3) for j in range(i, 3)], axis=1)
    return total / len(operations)
