"""The normal equations of scaling, with the reflections' intensities eliminated, and their solution."""

import numpy as np
from scipy import linalg, sparse
from scipy.sparse.linalg import LinearOperator, cg

__all__ = ["GAUGE", "Direct", "Iterative", "normal_equations"]

# Standard deviation to which the gauge, mean log scale and mean B, is fixed.
GAUGE = 1e-4


def normal_equations(model, curvature, slope):
    """
    Normal matrix and right-hand side of the data, with the reflections' intensities eliminated.

    With J_i = −√w g ⟨I⟩ (x_i − x̄_h), where x_i is the gradient of ln g_i and x̄_h its mean over the reflection weighted
    by v = w g² ⟨I⟩², the matrix is Σ v x xᵀ − Σ_h V_h x̄_h x̄_hᵀ: Kaufman's (BIT 15, 49, 1975) form of variable
    projection. The gradient is exact, for ⟨I⟩ is where the target's derivative by it vanishes.

    Parameters
    ----------
    model : ScaleModel
    curvature, slope : np.ndarray
        ``[M]``: v, and w g ⟨I⟩ (I − g ⟨I⟩).

    Returns
    -------
    matrix : np.ndarray
        ``[P, P]``.
    right : np.ndarray
        ``[P]``: minus half the gradient of the target.
    """
    n_smooth, images = model.n_smooth, slice(model.n_smooth, model.size)
    matrix, right = np.zeros((model.size, model.size)), np.zeros(model.size)
    root, means = np.sqrt(_inverse(model.layout.sums(curvature))), []
    for chunk in model.layout.chunks:
        # √V_h x̄_h of the sweeps' parameters, then of the images'.
        mean = _add_sweeps(matrix, right, model, chunk, curvature, slope)
        mean *= root[chunk.low : chunk.high, None]
        matrix[:n_smooth, :n_smooth] -= mean.T @ mean
        if model.image_width:
            means.append(_mean_of_images(model, chunk, curvature, root[chunk.low : chunk.high]))
            matrix[:n_smooth, images] -= (means[-1].T @ mean).T
    if model.image_width:
        _add_images(matrix, right, model, curvature, slope, sparse.vstack(means, format="csr"))
    return matrix, right


def _add_sweeps(matrix, right, model, chunk, curvature, slope):
    """Add the observations of a chunk to the sweeps' part; returns Σ v x of its reflections, ``[R, n_smooth]``."""
    sums = np.zeros((chunk.high - chunk.low, model.n_smooth))
    for sweep, rows, own in chunk.parts:
        span = model.spans[sweep]
        if span.stop == span.start:
            continue
        x = model.columns(sweep, own)
        right[span] += slope[rows] @ x
        vx = curvature[rows, None] * x
        matrix[span, span] += x.T @ vx
        sums[:, span] += _members(model, chunk, rows) @ vx
        if model.image_width:
            matrix[span, model.n_smooth :] += (_image_rows(model, rows).T @ vx).T
    return sums


def _mean_of_images(model, chunk, curvature, root):
    """√V_h x̄_h of the images' parameters for each reflection of a chunk, sparse ``[R, n_images × image_width]``."""
    rows = chunk.rows
    weight = curvature[rows] * root[model.layout.group[rows] - chunk.low]
    return (_members(model, chunk, rows, weight) @ _image_rows(model, rows)).tocsr()


def _add_images(matrix, right, model, curvature, slope, mean):
    """Add all observations to the images' part, and mirror what it has in common with the sweeps'."""
    n_smooth, images = model.n_smooth, slice(model.n_smooth, model.size)
    own = _image_rows(model, slice(0, len(curvature)))
    right[images] = own.T @ slope
    product = (own.T @ own.multiply(curvature[:, None]) - mean.T @ mean).tocoo()
    product.sum_duplicates()
    matrix[n_smooth + product.row, n_smooth + product.col] += product.data
    matrix[images, :n_smooth] = matrix[:n_smooth, images].T


def _members(model, chunk, rows, weight=None):
    """Which reflection of a chunk each of n observations is of, with a weight or 1, sparse ``[R, n]``."""
    group = model.layout.group[rows] - chunk.low
    weight = np.ones(len(group)) if weight is None else weight
    return sparse.csc_matrix((weight, group, np.arange(len(group) + 1)), (chunk.high - chunk.low, len(group)))


def _inverse(values):
    return np.divide(1.0, values, out=np.zeros_like(values), where=values > 0)


def _image_rows(model, rows):
    """The images' columns of some observations, sparse ``[n, n_images × image_width]``."""
    width, values = model.image_width, model.image_values[rows]
    column = model.image_id[rows].astype(np.int64)[:, None] * width + np.arange(width)
    pointer = np.arange(0, len(values) * width + 1, width)
    return sparse.csr_matrix((values.ravel(), column.ravel(), pointer), (len(values), model.n_images * width))


class Direct:
    """The normal equations as a matrix."""

    def __init__(self, model, curvature, slope, theta):
        self.model = model
        self.matrix, self.right = normal_equations(model, curvature, slope)
        n = model.n_smooth
        penalty = model.smooth_penalty()
        gauge = model.gauge / GAUGE
        self.matrix[:n, :n] += penalty
        own = np.arange(n, model.size)
        self.matrix[own, own] += model.image_penalty()
        self.matrix += gauge.T @ gauge
        self.right[:n] -= penalty @ theta[:n]
        self.right[n:] -= model.image_penalty() * theta[n:]
        self.right -= gauge.T @ (gauge @ theta)
        self.diagonal = np.diag(self.matrix).copy()

    def step(self, damping):
        """Solve for a step, with the diagonal raised by a fraction."""
        matrix = self.matrix
        if damping:
            matrix = matrix + np.diag(damping * self.diagonal)
        return linalg.solve(matrix, self.right, assume_a="pos")

    def covariance(self):
        """Inverse of the matrix, its blocks of each image and its block of the sweeps; the matrix is used up."""
        n = self.model.n_smooth
        covariance = linalg.inv(self.matrix, overwrite_a=True, check_finite=False)
        width = self.model.image_width
        own = n + np.arange(self.model.n_images)[:, None] * width + np.arange(width)
        return covariance, covariance[own[:, :, None], own[:, None, :]], covariance[:n, :n]


class Iterative:
    """The normal equations as an operator, for thousands of images."""

    def __init__(self, model, curvature, slope, theta):
        self.model, self.curvature = model, curvature
        self.inverse = _inverse(model.layout.sums(curvature))
        self.gauge = model.gauge / GAUGE
        self.penalty, self.own = model.smooth_penalty(), model.image_penalty()
        self.right = self._transposed(slope) - self._restraints(theta)
        self._precondition()

    def _transposed(self, values):
        """Xᵀ times a vector [M]."""
        model, result = self.model, np.zeros(self.model.size)
        for chunk in model.layout.chunks:
            for sweep, rows, own in chunk.parts:
                if model.blocks[sweep]:
                    result[model.spans[sweep]] += values[rows] @ model.columns(sweep, own)
        sums = [np.bincount(model.image_id, values * v, minlength=model.n_images) for v in model.image_values.T]
        if sums:
            result[model.n_smooth :] = np.stack(sums, axis=1).ravel()
        return result

    def _restraints(self, theta):
        n = self.model.n_smooth
        return np.concatenate([self.penalty @ theta[:n], self.own * theta[n:]]) + self.gauge.T @ (self.gauge @ theta)

    def _product(self, theta):
        layout = self.model.layout
        x = self.curvature * self.model.log_scale(theta)
        x -= self.curvature * (layout.sums(x) * self.inverse)[layout.group]
        return self._transposed(x) + self._restraints(theta)

    def _precondition(self):
        """Blocks of the matrix on its diagonal: all sweeps' parameters, and each image's."""
        model, width = self.model, self.model.image_width
        n = model.n_smooth
        smooth = self.penalty.copy()
        for chunk in model.layout.chunks:
            for sweep, rows, own in chunk.parts:
                if model.blocks[sweep]:
                    x = model.columns(sweep, own)
                    smooth[model.spans[sweep], model.spans[sweep]] += x.T @ (self.curvature[rows, None] * x)
        self.smooth_inverse = linalg.inv(smooth) if n else smooth
        per_image = np.zeros((model.n_images, width, width))
        for i in range(width):
            for j in range(width):
                both = self.curvature * model.image_values[:, i] * model.image_values[:, j]
                per_image[:, i, j] = np.bincount(model.image_id, both, minlength=model.n_images)
        per_image += np.eye(width) * self.own.reshape(-1, width)[:, None, :]
        self.image_inverse = np.linalg.inv(per_image)

    def _preconditioned(self, vector, damping=0.0):
        n = self.model.n_smooth
        own = np.einsum("iab,ib->ia", self.image_inverse, vector[n:].reshape(-1, self.model.image_width))
        return np.concatenate([self.smooth_inverse @ vector[:n], own.ravel()]) / (1 + damping)

    def step(self, damping):
        """Solve for a step, with the diagonal raised."""
        size = self.model.size

        def product(theta):
            return self._product(theta) + damping * theta

        operator = LinearOperator((size, size), matvec=product)
        preconditioner = LinearOperator((size, size), matvec=self._preconditioned)
        return cg(operator, self.right, rtol=1e-5, maxiter=200, M=preconditioner)[0]

    def covariance(self):
        """None, and inverses of the blocks on the matrix' diagonal."""
        # Without the matrix, that of each block given all others: the reflections' own uncertainty is left out.
        return None, self.image_inverse, self.smooth_inverse
