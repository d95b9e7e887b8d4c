"""How translational pseudosymmetry modulates the mean intensity."""

import gemmi
import numpy as np


def tncs_modulation(asu, vector, correlation=0.9):
    """What multiplies Σ when the asymmetric unit has two copies of a molecule in the same orientation.

    A copy displaced by t has the same transform G, so that its pair scatters as G (1 + exp 2πi h·t), and on average
    over what is not alike ⟨|F|²⟩ is multiplied by 1 + ρ cos 2πh·t. The pair that a rotation R of the space group makes
    of it is displaced by Rt. Pairs scatter independently of each other, and their intensities add up [1]_:

        1 + ρ ⟨cos 2πh·Rt⟩

    the mean being over the space group.

    Parameters
    ----------
    asu : ReciprocalASU
        R reflections.
    vector : array_like, [3]
        The displacement t in fractions of the cell, from the Patterson function.
    correlation : float or array_like, [R]
        ρ, the correlation of the two copies' structure factors, from 0 (none) to 1 (excluded): what differs between
        the copies, their orientations above all, lowers it towards high resolution.

    Returns
    -------
    array, float64 [R]
        Factors from 1 − ρ to 1 + ρ, for `Wilson(..., modulation=...)`.

    Raises
    ------
    ValueError
        If the vector is not three numbers, or the correlation is out of range or of the wrong length.

    References
    ----------
    .. [1] Read, R. J., Adams, P. D. & McCoy, A. J. (2013). Acta Cryst. D69, 176–183.
    """
    vector, correlation = np.asarray(vector, np.float64), np.asarray(correlation, np.float64)
    if vector.shape != (3,) or not np.all(np.isfinite(vector)):
        raise ValueError(f"The displacement of two copies is three fractions of the cell, not {vector.tolist()}.")
    if not np.all((correlation >= 0) & (correlation < 1)):
        raise ValueError("The correlation of two copies must be between 0 and 1, 1 excluded.")
    if correlation.shape not in ((), (len(asu),)):
        raise ValueError(f"The correlation must be one number, or one for each of the {len(asu)} reflections.")
    rotations = np.array([op.rot for op in asu.spacegroup.operations().sym_ops]) / gemmi.Op.DEN
    displacements = rotations @ vector
    cosine = np.cos(2 * np.pi * (asu.miller_index @ displacements.T)).mean(axis=1)
    return 1.0 + correlation * cosine
