"""Least-squares scaling: Gauss–Newton steps with the reflections' intensities eliminated."""

from typing import NamedTuple

import numpy as np
from scipy import linalg, sparse

from vimerge.conventional.model import ScaleModel
from vimerge.conventional.normal import GAUGE, Direct, Iterative

__all__ = ["Fit", "fit_scales", "group_means", "objective", "scale_leverage", "scale_variance"]

# Above so many parameters the equations are solved by conjugate gradients, without forming their matrix.
DIRECT = 6000
# So many observations tell the leverage of all.
_LEVERAGE_FROM = 20_000
_LOWEST_DAMPING, _HIGHEST_DAMPING = 1e-6, 1e6


class Fit(NamedTuple):
    """
    The outcome of a fit.

    Parameters
    ----------
    theta : np.ndarray
        ``[P]`` parameters.
    value : float
        The target: weighted squares of the residuals plus restraints.
    shift : float
        Root mean square change of the log scales in the last step.
    covariance : np.ndarray or None
        ``[P, P]``: inverse of the normal matrix; None where it is not formed.
    image_covariance : np.ndarray
        ``[n_images, image_width, image_width]``: its blocks of each image's parameters.
    smooth_covariance : np.ndarray
        ``[n_smooth, n_smooth]``: its block of the sweeps' parameters.
    """

    theta: np.ndarray
    value: float
    shift: float
    covariance: np.ndarray | None
    image_covariance: np.ndarray
    smooth_covariance: np.ndarray


def group_means(layout, iobs, weight, scale):
    """
    Best intensities of the reflections under given scales, ⟨I⟩ = Σ w g I / Σ w g² [1]_.

    Parameters
    ----------
    layout : Layout
    iobs, weight, scale : np.ndarray
        ``[M]``; a weight of zero leaves an observation out.

    Returns
    -------
    mean, precision : np.ndarray
        ``[n_groups]``: ⟨I⟩, zero where there is no observation, and Σ w g².

    References
    ----------
    .. [1] Hamilton, W. C., Rollett, J. S. & Sparks, R. A. (1965). Acta Cryst. 18, 129–130.
    """
    wg = weight * scale
    precision = layout.sums(wg * scale)
    total = layout.sums(wg * iobs)
    return np.divide(total, precision, out=np.zeros_like(total), where=precision > 0), precision


def objective(model, iobs, weight, theta):
    """
    The target Σ w (I − g ⟨I⟩)² plus restraints [1]_, where ⟨I⟩ is the best for these scales.

    Parameters
    ----------
    model : ScaleModel
    iobs, weight : np.ndarray
        ``[M]``.
    theta : np.ndarray
        ``[P]``.

    Returns
    -------
    value : float
    scale, mean, residual : np.ndarray
        ``[M]``: g, ⟨I⟩ of each observation's reflection, and I − g ⟨I⟩.

    References
    ----------
    .. [1] Fox, G. C. & Holmes, K. C. (1966). Acta Cryst. 20, 886–891.
    """
    scale = np.exp(np.clip(model.log_scale(theta), -50, 50))
    mean = group_means(model.layout, iobs, weight, scale)[0][model.layout.group]
    residual = iobs - scale * mean
    smooth, own = theta[: model.n_smooth], theta[model.n_smooth :]
    value = np.sum(weight * residual**2) + smooth @ model.smooth_penalty() @ smooth
    value += np.sum(model.image_penalty() * own**2) + np.sum(np.square(model.gauge @ theta)) / GAUGE**2
    return float(value), scale, mean, residual


def fit_scales(model, iobs, weight, theta, steps=5, tolerance=1e-4):
    """
    Minimise the target by damped Gauss–Newton steps (Levenberg–Marquardt).

    Parameters
    ----------
    model : ScaleModel
    iobs, weight : np.ndarray
        ``[M]``.
    theta : np.ndarray
        ``[P]``: where to start.
    steps : int
        At most so many.
    tolerance : float
        End when the log scales change by less, root mean square.

    Returns
    -------
    Fit
    """
    solver = Direct if model.size <= DIRECT or not model.image_width else Iterative
    value, scale, mean, residual = objective(model, iobs, weight, theta)
    damping, shift, used = 0.0, np.inf, weight > 0
    for _ in range(steps):
        wgi = weight * scale * mean
        equations = solver(model, wgi * scale * mean, wgi * residual, theta)
        before = model.log_scale(theta)
        while True:
            trial = theta + equations.step(damping)
            new = objective(model, iobs, weight, trial)
            if np.isfinite(new[0]) and new[0] <= value * (1 + 1e-12):
                break
            damping = max(10 * damping, _LOWEST_DAMPING)
            if damping > _HIGHEST_DAMPING:
                return Fit(theta, value, 0.0, *equations.covariance())
        shift = float(np.sqrt(np.mean(np.square(model.log_scale(trial) - before)[used])))
        theta, (value, scale, mean, residual) = trial, new
        damping = damping / 10 if damping > _LOWEST_DAMPING else 0.0
        if shift < tolerance:
            break
    return Fit(theta, value, shift, *equations.covariance())


def scale_variance(model: ScaleModel, fit):
    """
    Variance of each observation's log scale.

    Parameters
    ----------
    model : ScaleModel
    fit : Fit

    Returns
    -------
    np.ndarray
        ``[M]``.
    """
    n, width = model.n_smooth, model.image_width
    total = np.zeros(len(model.layout.group))
    for chunk in model.layout.chunks:
        for sweep, rows, own in chunk.parts:
            span = model.spans[sweep]
            x = model.columns(sweep, own)
            total[rows] += np.einsum("np,np->n", x @ fit.smooth_covariance[span, span], x)
            if width:
                image, values = model.image_id[rows], model.image_values[rows]
                total[rows] += np.einsum("ni,nij,nj->n", values, fit.image_covariance[image], values)
                if fit.covariance is not None:
                    columns = n + image[:, None] * width + np.arange(width)
                    total[rows] += 2 * np.einsum("ni,nip,np->n", values, fit.covariance[columns, span], x)
    return np.maximum(total, 0.0)


def scale_leverage(model, fit, group, curvature):
    """
    How much of the variance of each observation's residual the fit of the scales takes up.

    l = v (x − x̄)ᵀ C (x − x̄), where v = w g² ⟨I⟩², x is the gradient of ln g and x̄ its mean over the reflection weighted
    by v, and C the covariance of the parameters: the diagonal of the projection onto what scales can do to the
    residuals from the reflections' means. Strong observations, which determine the scales, have most of it. The sum is
    the number of parameters that the data determine.

    Parameters
    ----------
    model : ScaleModel
    fit : Fit
    group : np.ndarray
        ``[M]``: the reflections that residuals are taken from, each within a group of the layout.
    curvature : np.ndarray
        ``[M]``: v.

    Returns
    -------
    np.ndarray
        ``[M]``. Of more than twenty thousand observations evenly spaced parts are worked out, and the others take
        v (1 − v/Σv) times what (x − x̄)ᵀ C (x − x̄) is on average. Without the whole covariance the parameters of
        different observations are taken to be independent.
    """
    total = np.bincount(group, curvature)
    share = np.divide(curvature, total[group], out=np.zeros_like(curvature), where=curvature > 0)
    if fit.covariance is None:
        variance = scale_variance(model, fit)
        return curvature * (variance * (1 - 2 * share) + np.bincount(group, share**2 * variance)[group])
    # The gauge makes it almost singular.
    jitter = 1e-10 * np.mean(np.diag(fit.covariance)) * np.eye(model.size)
    root = linalg.cholesky(fit.covariance + jitter, lower=True)
    chunks = model.layout.chunks[:: -(-len(group) // _LEVERAGE_FROM)]
    leverage, seen = np.zeros(len(group)), np.zeros(len(group), dtype=bool)
    for chunk in chunks:
        x = _rooted(model, chunk, root)
        distinct, local = np.unique(group[chunk.rows], return_inverse=True)
        member = sparse.csr_matrix((share[chunk.rows], (local, np.arange(len(local)))), (len(distinct), len(local)))
        x -= (member @ x)[local]
        leverage[chunk.rows] = curvature[chunk.rows] * np.einsum("np,np->n", x, x)
        seen[chunk.rows] = True
    simple = curvature * (1 - share)
    mean = leverage.sum() / max(simple[seen].sum(), np.finfo(np.float64).tiny)
    return np.where(seen, leverage, mean * simple)


def _rooted(model, chunk, root):
    """The gradients of the log scales of a chunk, ``[n, P]``, times a root of the covariance."""
    n, width = model.n_smooth, model.image_width
    product = np.zeros((chunk.rows.stop - chunk.rows.start, model.size))
    for sweep, rows, own in chunk.parts:
        here = slice(rows.start - chunk.rows.start, rows.stop - chunk.rows.start)
        product[here] = model.columns(sweep, own) @ root[model.spans[sweep]]
    for i in range(width):
        product += model.image_values[chunk.rows, i, None] * root[n + model.image_id[chunk.rows] * width + i]
    return product
