"""Wilson statistics: the mean intensity as a smooth function of resolution."""

import numpy as np

__all__ = ["mean_intensity"]


def mean_intensity(intensity, epsilon, s2, weight=None, per_bin=200, bins=40):
    """
    The mean of I/ε as a function of resolution, times ε.

    Means in bins of equal count, interpolated as logarithms linearly in s².

    Parameters
    ----------
    intensity, epsilon, s2 : np.ndarray
        ``[R]``: merged intensities, multiplicities ε and 1/d² (Å⁻²).
    weight : np.ndarray, optional
        ``[R]``: reflections with a weight of zero are left out of the means.
    per_bin, bins : int
        As many bins as hold so many reflections, but no more than `bins`.

    Returns
    -------
    np.ndarray
        ``[R]``, positive: ε Σ.
    """
    use = np.ones(len(s2), dtype=bool) if weight is None else np.asarray(weight) > 0
    value, x = (intensity / epsilon)[use], s2[use]
    if not len(x):
        return np.asarray(epsilon, dtype=np.float64)
    order = np.argsort(x)
    parts = np.array_split(order, int(np.clip(len(x) // per_bin, 1, bins)))
    mean = np.array([value[part].mean() for part in parts])
    centre = np.array([x[part].mean() for part in parts])
    # Noise may leave no signal in the last shells; a mean that is not positive is no scale.
    floor = 1e-3 * max(mean.max(), np.abs(value).mean(), np.finfo(np.float64).tiny)
    return epsilon * np.exp(np.interp(s2, centre, np.log(np.maximum(mean, floor))))
