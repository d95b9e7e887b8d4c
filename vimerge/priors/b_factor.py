"""Fall-offs by a Debye–Waller factor, the same in all directions or not."""

import gemmi
import keras
import numpy as np

from vimerge.priors.falloff import LogLinear


class _DebyeWaller(LogLinear):
    @property
    def k(self):
        """Σ at s = 0, a float."""
        return float(np.exp(self._level.numpy() - self._mean @ self.coefficients))


@keras.saving.register_keras_serializable(package="vimerge.priors")
class IsotropicFallOff(_DebyeWaller):
    """An overall B factor, as in Wilson's plot: Σ = k exp(−B s²/2), with s = 1/d [1]_.

    All the resolution range is fitted, since the prior is of all the reflections. With `learn`, B is trained and the
    geometric mean of Σ over the ASU's reflections stays as it was estimated (k follows from the two), because an
    overall factor cannot be told from the scaling model's; nor can B, if the scaling model depends on resolution.

    Parameters
    ----------
    learn : bool
        Whether B is trained with the model.

    References
    ----------
    .. [1] Wilson, A. J. C. (1942). Nature 150, 151–152.
    """

    @property
    def B(self):
        """B in Å², a float."""
        return float(self.coefficients[0] / self._unit)

    def parameters(self):
        """Learned numbers by their usual names: k and B (Å²)."""
        return {"k": self.k, "B": self.B} if self.learn else {}

    def _functions(self, asu):
        self._unit = spread(asu)
        return -0.5 * asu.s2 / self._unit


@keras.saving.register_keras_serializable(package="vimerge.priors")
class AnisotropicFallOff(_DebyeWaller):
    """An overall B factor that depends on the direction: Σ = k exp(−½ sᵀ B s), |s| = 1/d [1]_.

    s is the reciprocal-space vector in Cartesian axes (gemmi's: x along a, y in the plane of a and b) and B a symmetric
    tensor that obeys the crystal's point group, with six independent elements in a triclinic crystal, one in a cubic
    one. Everything else is as in `IsotropicFallOff`, to which it reduces for B times the unit tensor.

    Parameters
    ----------
    learn : bool
        Whether B is trained with the model.

    References
    ----------
    .. [1] Sheriff, S. & Hendrickson, W. A. (1987). Acta Cryst. A43, 118–121.
    """

    @property
    def B(self):
        """The tensor B in Å², array [3, 3]."""
        return np.tensordot(self.coefficients, self._tensors, axes=1) / self._unit

    def parameters(self):
        """Learned numbers by their usual names: k, and B11, B22, B33, B12, B13, B23 (Å²) as B."""
        b = self.B
        elements = [*np.diag(b), b[0, 1], b[0, 2], b[1, 2]]
        return {"k": self.k, "B": [float(x) for x in elements]} if self.learn else {}

    def _functions(self, asu):
        self._unit, self._tensors = spread(asu), symmetric_tensors(asu.cell, asu.spacegroup)
        s = asu.miller_index @ fractionalization(asu.cell)
        return -0.5 * np.einsum("ri,pij,rj->rp", s, self._tensors, s) / self._unit


def spread(asu):
    """The standard deviation of s²/2 over the reflections: changing B by one part of it changes log Σ by one."""
    return max(0.5 * float(np.std(asu.s2)), 1e-6)


def fractionalization(cell):
    """The matrix by which a row of Miller indices is multiplied to give s in Cartesian axes (Å⁻¹), [3, 3]."""
    return np.array(cell.frac.mat.tolist())


def symmetric_tensors(cell, spacegroup):
    """The symmetric tensors in Cartesian axes that the point group leaves as they are.

    Parameters
    ----------
    cell : gemmi.UnitCell
    spacegroup : gemmi.SpaceGroup

    Returns
    -------
    array, [P, 3, 3]
        A basis, orthonormal in the sense of Frobenius.
    """
    to_index = fractionalization(cell)
    rotations = np.array([op.rot for op in spacegroup.operations().sym_ops]) / gemmi.Op.DEN
    unit = np.zeros((6, 3, 3))
    for element, (i, j) in zip(unit, ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2)), strict=True):
        element[i, j] = element[j, i] = 1.0 if i == j else np.sqrt(0.5)
    # hᵀβh is averaged over the equivalent indices hR, whose rotations are exact whatever the cell's rounding.
    beta = np.einsum("ia,pab,jb->pij", to_index, unit, to_index)
    beta = np.einsum("nia,pab,njb->pij", rotations, beta, rotations) / len(rotations)
    from_index = np.linalg.inv(to_index)
    averaged = np.einsum("ia,pab,jb->pij", from_index, beta, from_index).reshape(6, 9)
    _, size, basis = np.linalg.svd(averaged)
    # Averaging is a projection: it leaves a tensor as it is, or nothing of it.
    return basis[: np.count_nonzero(size > 0.5)].reshape(-1, 3, 3)
