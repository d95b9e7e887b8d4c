"""Real spherical harmonics of directions, by recurrence."""

import numpy as np

__all__ = ["real_harmonics"]


def real_harmonics(directions, order):
    """
    Orthonormal real spherical harmonics Y_lm of degree l = 1 … order; the constant one is left out.

    Parameters
    ----------
    directions : np.ndarray
        ``[N, 3]`` unit vectors.
    order : int
        Highest degree l.

    Returns
    -------
    np.ndarray
        ``[N, (order + 1)² − 1]`` float32: l = 1: m = −1, 0, 1; l = 2: m = −2 … 2; …, without the Condon–Shortley phase.
    """
    x, y, z = np.asarray(directions, dtype=np.float64).T
    values = np.empty((len(z), (order + 1) ** 2 - 1), dtype=np.float32)
    # sin^m(θ) cos(mφ) and sin^m(θ) sin(mφ) are the parts of (x + iy)^m; what is left of the Legendre functions are
    # polynomials in z, normalised as they go.
    power = np.ones(len(z), dtype=np.complex128)
    diagonal = np.sqrt(1 / (4 * np.pi))
    for m in range(order + 1):
        if m:
            power = power * (x + 1j * y)
            diagonal *= np.sqrt((2 * m + 1) / (2 * m))
        below, current = np.zeros_like(z), np.full_like(z, diagonal)
        for degree in range(m, order + 1):
            if degree > m:
                a = np.sqrt((4 * degree**2 - 1) / (degree**2 - m**2))
                b = np.sqrt(((degree - 1) ** 2 - m**2) / (4 * (degree - 1) ** 2 - 1)) if degree > m + 1 else 0.0
                below, current = current, a * (z * current - b * below)
            if not degree:
                continue
            middle = degree * (degree + 1) - 1
            if m:
                values[:, middle + m] = np.sqrt(2) * current * power.real
                values[:, middle - m] = np.sqrt(2) * current * power.imag
            else:
                values[:, middle] = current
    return values
