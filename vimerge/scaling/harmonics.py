"""Real spherical harmonics of unit vectors."""

import math

import numpy as np
import tensorflow as tf


def real_harmonics(vectors, degree):
    """Orthonormal real spherical harmonics Y_lm of l = 1 … degree; l = 0 is a constant and left out.

        Y_lm = N_lm P_lm(z)/(1 − z²)^{m/2} · Re or Im (x + iy)^|m|,

    the real part for m ≥ 0 and the imaginary one for m < 0, without the Condon–Shortley phase. The associated Legendre
    functions, normalised and divided by what the powers of x + iy have of the sine, are polynomials of z, made by the
    recurrence in l [1]_, of all m at once.

    Parameters
    ----------
    vectors : tensor, float32 [N, 3]
        Unit vectors.
    degree : int
        The highest l.

    Returns
    -------
    tensor, float32 [N, (degree + 1)² − 1]
        In the order (1, −1), (1, 0), (1, 1), (2, −2) …

    References
    ----------
    .. [1] Press, W. H. et al. (2007). Numerical Recipes, 3rd ed., equations 6.7.7–6.7.9. Cambridge University Press.
    """
    x, y, z = (vectors[:, i, tf.newaxis] for i in range(3))
    cosine, sine = [tf.ones_like(x)], [tf.zeros_like(x)]
    for _ in range(degree):
        cosine, sine = [*cosine, x * cosine[-1] - y * sine[-1]], [*sine, x * sine[-1] + y * cosine[-1]]
    cosine, sine = tf.concat(cosine, axis=1), tf.concat(sine, axis=1)

    m = np.arange(degree + 1)
    before = tf.zeros_like(cosine)
    legendre = before + tf.constant(_sectoral(0, m))
    parts = []
    for l in range(1, degree + 1):  # noqa: E741 - the field's own name
        first, second = _recurrence(l, m)
        legendre, before = (
            tf.constant(first) * z * legendre - tf.constant(second) * before + tf.constant(_sectoral(l, m)),
            legendre,
        )
        parts += [
            tf.reverse(legendre[:, 1 : l + 1] * sine[:, 1 : l + 1], [1]),
            legendre[:, : l + 1] * cosine[:, : l + 1],
        ]
    return tf.concat(parts, axis=1)


def _sectoral(l, m):  # noqa: E741
    """The constant that the polynomial of m = l is, at its place among all m."""
    product = np.prod([(2 * k + 1) / (2 * k) for k in range(1, l + 1)])
    value = math.sqrt(product / (4 * math.pi) * (2 if l else 1))
    return np.where(m == l, value, 0.0).astype(np.float32)


def _recurrence(l, m):  # noqa: E741
    """Factors of z P_{l−1} and of P_{l−2} in P_l, for each m; zero where m ≥ l."""
    below = np.where(m < l, m, 0)
    first = np.sqrt((4 * l**2 - 1) / (l**2 - below**2))
    second = np.sqrt((2 * l + 1) * ((l - 1) ** 2 - below**2) / (np.abs(2 * l - 3) * (l**2 - below**2)).clip(1)).clip(0)
    return np.where(m < l, first, 0.0).astype(np.float32), np.where(m < l - 1, second, 0.0).astype(np.float32)
