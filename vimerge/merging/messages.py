"""What the observations of one amplitude say of another that it is correlated with: sum–product messages."""

import math

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.special import i0e

# The product of the conditional and a log-concave likelihood is narrower than the conditional: so many standard
# deviations of that, about the product's mode, hold all but 1e-8 of it.
REACH = 6.0
STEPS = 2  # of Newton's method, from the best amplitude of the grid to the mode
ROWS = 96  # reflections at once: the arrays then stay in the processor's cache


def gregory(number):
    """Weights of Gregory's rule on so many amplitudes in steps of one, ends included; errors of the sixth order."""
    weights = np.ones(number)
    # Laplace's coefficients of the differences at an end; the first is the trapezoid rule.
    for order, coefficient in enumerate((-1 / 2, -1 / 12, -1 / 24, -19 / 720, -3 / 160)):
        difference = [coefficient * (-1) ** k * math.comb(order, k) for k in range(order + 1)]
        weights[: order + 1] += difference
        weights[number - order - 1 :] += difference[::-1]
    return weights


class OnRange:
    """Logarithms of n functions of a normalised amplitude, each known at G equal steps of a range of its own.

    Parameters
    ----------
    low, high : array, [n]
        The ranges; outside, the functions are taken to vanish.
    values : array, [n, G]
        Logarithms at the steps, ends included.
    """

    def __init__(self, low, high, values):
        self.low, self.high, self.values = low, high, values
        self.cells = values.shape[1] - 1
        self._step = (high - low) / self.cells
        spline = CubicSpline(np.arange(self.cells + 1.0), values, axis=1)
        self._coefficients = np.ascontiguousarray(spline.c.transpose(2, 1, 0)).reshape(-1, 4)

    @staticmethod
    def steps(low, high, number):
        """So many equal steps of each range, ends included, [n, number]."""
        return np.linspace(low, high, number, axis=1)

    @property
    def x(self):
        """The amplitudes, [n, G]."""
        return self.steps(self.low, self.high, self.cells + 1)

    def __call__(self, x):
        """The logarithms at x [n, ...], each in the range of its row, by cubic splines."""
        t, (cubic, square, slope, value) = self._look_up(x)
        cubic *= t
        cubic += square
        cubic *= t
        cubic += slope
        cubic *= t
        cubic += value
        return cubic

    def derivatives(self, x):
        """Their first and second derivatives at x [n, ...]."""
        t, (cubic, square, slope, _) = self._look_up(x)
        step = _like(self._step, x)
        return ((3.0 * cubic * t + 2.0 * square) * t + slope) / step, (6.0 * cubic * t + 2.0 * square) / step**2

    def _look_up(self, x):
        t = (x - _like(self.low, x)) / _like(self._step, x)
        cell = np.minimum(t.astype(np.int32), self.cells - 1)
        np.maximum(cell, 0, out=cell)
        t -= cell
        cell += _like(np.arange(len(self.low), dtype=np.int32) * self.cells, x)
        return t, np.moveaxis(np.take(self._coefficients, cell, axis=0), -1, 0)


def _like(of_each, x):
    return of_each.reshape((-1,) + (1,) * (x.ndim - 1))


class Message:
    """What n functions f_a of the amplitudes E_a say of n others, E_b, that they are correlated with.

        m(E_b) = log ∫ p(E_a | E_b) exp f_a(E_a) dE_a

    Normalised, the amplitude E_a given E_b has the same density as E_b given E_a has: about r E_b with the complex
    variance 1 − r², or the real one where they are centric. Gauss–Legendre nodes are laid out for each E_b where the
    integrand has its mass, about its mode: the conditional may be far narrower than the steps of f_a, or far wider.

    Parameters
    ----------
    source : OnRange
        f_a, of n amplitudes of one kind.
    to : array, [n, B]
        E_b.
    r, complement : array, [n]
        The correlations and 1 − r².
    centric : bool
    nodes : int
        Of the Gauss–Legendre rules.

    Attributes
    ----------
    log : array, [n, B]
        The messages.
    mean, variance : array, [n, B]
        Of E_a given E_b and what f_a says.
    mean2, variance2 : array, [n, B]
        Of E_a².
    """

    def __init__(self, source, to, r, complement, centric, nodes):
        unit, powers = _rule(nodes)
        width = (complement if centric else 0.5 * complement)[:, np.newaxis]  # the variance of a real coordinate
        loc = r[:, np.newaxis] * to
        mode = _mode(source, loc, width)
        low, high, sliver = source.low[:, np.newaxis], source.high[:, np.newaxis], 1e-3 * source._step[:, np.newaxis]
        reach = REACH * np.sqrt(width)
        low, high = np.clip(mode - reach, low, high - sliver), np.clip(mode + reach, low + sliver, high)
        middle, half = 0.5 * (low + high), 0.5 * (high - low)

        x = middle[..., np.newaxis] + half[..., np.newaxis] * unit
        width, loc = width[..., np.newaxis], loc[..., np.newaxis]
        exponent = source(x)
        distance = x - loc
        distance *= distance
        distance /= 2.0 * width
        exponent -= distance
        peak = exponent.max(axis=-1)
        exponent -= peak[..., np.newaxis]
        density = np.exp(exponent, out=exponent)
        overlap = x * (loc / width)
        if centric:
            density *= 1.0 + np.exp(-2.0 * overlap)
            normalisation = 1.0 / np.sqrt(2.0 * np.pi * width)
        else:
            density *= x
            density *= i0e(overlap)
            normalisation = 1.0 / width
        sums = density @ powers
        self.log = peak + np.log(sums[..., 0] * half * normalisation[..., 0])
        first, second, third, fourth = np.moveaxis(sums[..., 1:] / sums[..., :1], -1, 0)
        self.mean = middle + half * first
        self.variance = half**2 * (second - first**2)
        skew = half**3 * (third - 3.0 * first * second + 2.0 * first**3)
        kurtosis = half**4 * (fourth - 4.0 * first * third + 6.0 * first**2 * second - 3.0 * first**4)
        self.mean2 = self.mean**2 + self.variance
        self.variance2 = 4.0 * self.mean * (self.mean * self.variance + skew) + kurtosis - self.variance**2

    def reshape(self, shape):
        """The same, with other shapes of the arrays."""
        for name, values in vars(self).items():
            setattr(self, name, values.reshape(shape))
        return self


def _rule(nodes):
    """Gauss–Legendre nodes ξ and, for each, its weight times ξ^k for k from 0 to 4."""
    unit, weight = np.polynomial.legendre.leggauss(nodes)
    return unit, weight[:, np.newaxis] * unit[:, np.newaxis] ** np.arange(5)


def _mode(source, loc, width):
    """Where f_a and a normal density about `loc` [n, B] of the variance `width` [n, 1] have their highest product."""
    score = source.x[:, np.newaxis, :] - loc[..., np.newaxis]
    score *= score
    score /= -2.0 * width[..., np.newaxis]
    score += source.values[:, np.newaxis, :]
    mode = np.take_along_axis(source.x, score.argmax(axis=-1), axis=1)
    for _ in range(STEPS):
        slope, curvature = source.derivatives(mode)
        step = (slope - (mode - loc) / width) / (1.0 / width + np.maximum(-curvature, 0.0))
        mode = np.clip(mode + step, source.low[:, np.newaxis], source.high[:, np.newaxis])
    return mode
