"""Weights of the coefficients of difference maps."""

import numpy as np
from scipy import special

from vimerge.reflections.errors import OptionError
from vimerge.statistics.shells import Shells

WEIGHTS = ("none", "q", "shrinkage")
_PER_SHELL, _SHELLS = 200, 20


def q_weights(df, sigdf, alpha=0.05):
    """Hold back uncertain differences and improbably large ones.

        w = 1 / (1 + σ²/⟨σ²⟩ + α ΔF²/⟨ΔF²⟩).

    With α = 1 they are those of Ren et al. [2]_, after the idea of Ursby and Bourgeois [1]_ and Šrajer et al. [3]_;
    α = 0.05 is Hekstra et al.'s [4]_.

    Parameters
    ----------
    df, sigdf : array_like, [N]
        ΔF and its standard deviation.
    alpha : float, optional
        α, not negative.

    Returns
    -------
    array, [N]
        Between 0 and 1.

    References
    ----------
    .. [1] Ursby, T. & Bourgeois, D. (1997). Acta Cryst. A53, 564–575.
    .. [2] Ren, Z. et al. (2001). Biochemistry, 40, 13788–13801.
    .. [3] Šrajer, V. et al. (2001). Biochemistry, 40, 13802–13815.
    .. [4] Hekstra, D. R. et al. (2016). Nature, 540, 400–405.
    """
    if not alpha >= 0:
        raise OptionError(f"alpha must not be negative, but is {alpha!r}; 0.05 is usual.")
    df2, variance = np.asarray(df, np.float64) ** 2, np.asarray(sigdf, np.float64) ** 2
    return 1.0 / (1.0 + _relative(variance) + alpha * _relative(df2))


def shrinkage_weights(df, sigdf, s2, multiple):
    """Find what a measured difference is to be multiplied by to give, on average, the true one.

        w = V / (V + σ²),   E[d | ΔF] = w ΔF,

    if true differences d are normal with mean zero and variance V, and ΔF is normal about d with variance σ². V is
    estimated from the differences themselves (`difference_variance`). It is the empirical Bayes counterpart of Ursby
    and Bourgeois' [1]_ weights, and of all linear weights the one with the least expected squared error.

    Differences of means of a posterior whose prior correlates both data sets have been shrunk already, and by more that
    is known; they should not be shrunk twice. With independent priors, whose amplitudes' means are hardly shrunk
    towards each other, these weights apply.

    Parameters
    ----------
    df, sigdf : array_like, [N]
        ΔF and its standard deviation.
    s2 : array_like, [N]
        1/d² (Å⁻²).
    multiple : array_like, [N]
        As of `expected_multiple`.

    Returns
    -------
    array, [N]
        Between 0 and 1.

    References
    ----------
    .. [1] Ursby, T. & Bourgeois, D. (1997). Acta Cryst. A53, 564–575.
    """
    signal = np.asarray(multiple, np.float64) * difference_variance(df, sigdf, s2, multiple)
    noise = np.asarray(sigdf, np.float64) ** 2
    # Neither differences nor errors: there is nothing to shrink.
    return np.divide(signal, signal + noise, out=np.ones_like(signal), where=signal + noise > 0)


def expected_multiple(hkl, spacegroup, centric):
    """ε of centric reflections, ε/2 of acentric ones: what the variance of |F_b| − |F_a| is in proportion to.

    A small change of a complex structure factor changes its modulus by the component along its phase, which has half
    of the change's variance; a centric one is all along it.

    Parameters
    ----------
    hkl : array of int32, [N, 3]
        Miller indices.
    spacegroup : gemmi.SpaceGroup
        The space group.
    centric : array of bool, [N]
        Which are centric.

    Returns
    -------
    array, [N]
    """
    hkl = np.ascontiguousarray(hkl, np.int32)
    epsilon = np.asarray(spacegroup.operations().epsilon_factor_without_centering_array(hkl), np.float64)
    return epsilon * np.where(centric, 1.0, 0.5)


def difference_variance(df, sigdf, s2, multiple, at=None):
    """Variance of true differences by resolution, in units of `multiple`, by the method of moments.

    In each shell ΔF² has the mean m V + σ², which gives V by weighted least squares, with weights (m V + σ²)⁻² from V
    itself. Where there is little signal that may be negative. As V cannot, its posterior mean under a uniform prior on
    V ≥ 0 is taken, V + δ φ(V/δ)/Φ(V/δ), with δ the standard error of V; that is V itself where V ≫ δ.

    Parameters
    ----------
    df, sigdf : array_like, [N]
        ΔF and its standard deviation.
    s2 : array_like, [N]
        1/d² (Å⁻²).
    multiple : array_like, [N]
        m, as of `expected_multiple`.
    at : array_like, [M], optional
        Where (1/d², Å⁻²) V is wanted, the same reflections by default.

    Returns
    -------
    array, [M]
        V, linear in s² between the means of shells of some 200 reflections. Not negative.
    """
    df, sigdf, s2, multiple = (np.asarray(a, np.float64) for a in (df, sigdf, s2, multiple))
    d = s2**-0.5
    shells = Shells(d, int(np.clip(len(d) // _PER_SHELL, 1, _SHELLS)))
    shell = shells.assign(d)
    found = [(s2[use].mean(), _variance(df[use], sigdf[use], multiple[use])) for use in _masks(shell, len(shells))]
    middle, variance = np.array(found).T
    return np.interp(s2 if at is None else np.asarray(at, np.float64), middle, variance)


def _variance(df, sigdf, multiple):
    """V of one shell."""
    excess = df**2 - sigdf**2
    variance = max(0.0, float(np.mean(excess / multiple)))
    for _ in range(20):
        # Of a normal variable's square, up to a factor 2.
        spread = np.maximum((multiple * variance + sigdf**2) ** 2, np.finfo(float).tiny)
        information = np.sum(multiple**2 / spread)
        estimate = np.sum(multiple * excess / spread) / information
        variance, before = max(0.0, estimate), variance
        if abs(variance - before) <= 1e-6 * variance:
            break
    error = np.sqrt(2.0 / information)
    ratio = estimate / error
    # φ/Φ, without underflow.
    return estimate + error * np.sqrt(2 / np.pi) / special.erfcx(-ratio / np.sqrt(2))


def _masks(shell, number):
    """Masks of shells that are not empty, in order of increasing s²."""
    masks = (shell == i for i in range(number))
    return [mask for mask in masks if mask.any()]


def _relative(values):
    mean = values.mean() if len(values) else 0.0
    return values / mean if mean > 0 else np.zeros_like(values)
