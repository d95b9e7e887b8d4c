"""When a reciprocal-lattice point meets the Ewald sphere, where its beam goes, and how much of it there is.

Laboratory frame (imgCIF's, which DIALS uses): x along the rotation axis, z from the sample towards the source, so that
the beam travels along −z. Reciprocal-space vectors are in 1/Å with |s0| = 1/λ.
"""

import numpy as np

AXIS = np.array([1.0, 0.0, 0.0])
BEAM = np.array([0.0, 0.0, -1.0])
# Normal of the plane of polarisation: a synchrotron's beam is polarised horizontally, along the rotation axis.
POLARIZATION_NORMAL = np.array([0.0, 1.0, 0.0])


def random_orientation(rng):
    """Draw a uniformly distributed rotation matrix, shape [3, 3], from a normalised random quaternion."""
    quaternion = rng.normal(size=4)
    w, x, y, z = quaternion / np.linalg.norm(quaternion)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def reciprocal_points(hkl, cell, orientation):
    """Reciprocal-lattice points U B h (1/Å) at φ = 0 in the laboratory frame.

    Parameters
    ----------
    hkl : ndarray of int, shape [N, 3]
        Miller indices.
    cell : gemmi.UnitCell
        The unit cell.
    orientation : ndarray, shape [3, 3]
        U, from the crystal's Cartesian frame to the laboratory's.

    Returns
    -------
    ndarray, shape [N, 3]
    """
    return np.asarray(hkl) @ np.array(cell.frac.mat) @ np.asarray(orientation).T


def rotate(vectors, phi):
    """Turn vectors about the rotation axis (Rodrigues' formula).

    Parameters
    ----------
    vectors : ndarray, shape [N, 3]
        Vectors at rotation angle zero.
    phi : ndarray, shape [N]
        Angles (rad).

    Returns
    -------
    ndarray, shape [N, 3]
    """
    along = np.outer(vectors @ AXIS, AXIS)
    cosine, sine = np.cos(phi)[:, None], np.sin(phi)[:, None]
    return along + cosine * (vectors - along) + sine * np.cross(AXIS, vectors)


def ewald_crossings(r0, wavelength):
    """Rotation angles at which reciprocal-lattice points cross the Ewald sphere.

    The point is on the sphere when |s0 + R(φ) r0| = |s0|, that is 2 s0·R(φ) r0 + r0² = 0. With Rodrigues' formula for
    R(φ) about the axis e, this is a cos φ + b sin φ = c, where a = s0·(r0 − e(e·r0)), b = s0·(e × r0) and
    c = −r0²/2 − (s0·e)(e·r0); so φ = atan2(b, a) ± arccos(c / √(a² + b²)), and points with |c| > √(a² + b²) never cross
    (Arndt & Wonacott, The Rotation Method in Crystallography, 1977).

    Parameters
    ----------
    r0 : ndarray, shape [N, 3]
        Reciprocal-lattice points (1/Å) at rotation angle zero.
    wavelength : float
        Wavelength (Å).

    Returns
    -------
    ndarray, shape [N, 2]
        The two angles (rad), NaN where the point never crosses.
    """
    s0 = BEAM / wavelength
    along = r0 @ AXIS
    a = r0 @ s0 - along * (s0 @ AXIS)
    b = np.cross(AXIS, r0) @ s0
    c = -np.einsum("ni,ni->n", r0, r0) / 2 - (s0 @ AXIS) * along
    length = np.hypot(a, b)
    crosses = np.abs(c) < length
    half = np.full(len(r0), np.nan)
    half[crosses] = np.arccos(c[crosses] / length[crosses])
    middle = np.arctan2(b, a)
    return np.stack([middle - half, middle + half], axis=1)


def diffracted_beam(r0, phi, wavelength):
    """Return unit vectors ŝ1 ∥ s0 + R(φ) r0 of the diffracted beams, [N, 3], at the crossing angles `phi` (rad)."""
    return BEAM + wavelength * rotate(r0, phi)


def zeta(s1):
    """ζ = e·(ŝ1 × ŝ0)/|ŝ1 × ŝ0|, shape [N]: a reflection of mosaic spread σ rocks through σ/|ζ| of rotation.

    Near zero the point grazes the sphere next to the rotation axis (Kabsch, Acta Cryst. D66, 133, 2010).

    Parameters
    ----------
    s1 : ndarray, shape [N, 3]
        Unit vectors of the diffracted beams.
    """
    normal = np.cross(s1, BEAM)
    return normal @ AXIS / np.linalg.norm(normal, axis=1)


def polarization_factor(s1, polarization):
    """P = (1 − 2p)(1 − (n·ŝ1)²) + p(1 + (ŝ1·ŝ0)²), 1 straight ahead (Kahn et al., J. Appl. Cryst. 15, 330, 1982).

    Parameters
    ----------
    s1 : ndarray, shape [N, 3]
        Unit vectors of the diffracted beams.
    polarization : float
        Fraction p polarised in the plane of normal n: 1 for a fully polarised beam, 0.5 for an unpolarised one.

    Returns
    -------
    ndarray, shape [N]
    """
    across = 1 - (s1 @ POLARIZATION_NORMAL) ** 2
    return (1 - 2 * polarization) * across + polarization * (1 + (s1 @ BEAM) ** 2)


def lorentz_polarization(s1, polarization):
    """LP as DIALS has it: the factor that takes recorded to corrected intensities, (1/L)/P with 1/L = |ŝ1·(e × ŝ0)|.

    Parameters
    ----------
    s1 : ndarray, shape [N, 3]
        Unit vectors of the diffracted beams.
    polarization : float
        Fraction of the beam polarised along the rotation axis; see `polarization_factor`.

    Returns
    -------
    ndarray, shape [N]
    """
    return np.abs(s1 @ np.cross(AXIS, BEAM)) / polarization_factor(s1, polarization)


def laue_lorentz(s1, wavelength):
    """λ⁴/(2 sin²θ): what a still crystal in a polychromatic beam makes of the photons of a unit of wavelength.

    N cells diffract by N/V Σ_h δ³(q − h) with q = (ŝ1 − ŝ0)/λ, to be integrated over the direction of ŝ1 and over λ.
    The Ewald sphere has the area dΩ/λ², and with λ moves along its normal ŝ1 by (1 − ŝ1·ŝ0)/λ² dλ = 2 sin²θ/λ² dλ; so
    d³q = (2 sin²θ/λ⁴) dΩ dλ (Buras & Gerward, Acta Cryst. A31, 372, 1975; Ren & Moffat, J. Appl. Cryst. 28, 461, 1995).

    Parameters
    ----------
    s1 : ndarray, shape [N, 3]
        Unit vectors of the diffracted beams.
    wavelength : ndarray, shape [N]
        Their wavelengths (Å).

    Returns
    -------
    ndarray, shape [N]
        In Å⁴.
    """
    return wavelength**4 / (1 - s1 @ BEAM)
