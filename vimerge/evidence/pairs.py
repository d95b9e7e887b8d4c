"""The exact posterior of two correlated amplitudes by quadrature in two dimensions."""

from typing import NamedTuple

import numpy as np
from scipy.interpolate import CubicSpline

# Amplitudes at which a range is searched for its mass, and at which the mass is then integrated.
SEARCHED, INTEGRATED = 33, 48
# What is lower than the peak by so many nats is left out.
DEPTH = 40.0
MOST_PASSES = 8
# As long as a search narrows its range by more than this, the steps were too wide to say where it ends.
SETTLED = 0.6
PAIRS_AT_ONCE = 200  # bounds the memory to some hundred MB


class Pairs(NamedTuple):
    """The evidence and the posterior moments of n pairs; the first axis of [2, n] is parent, child."""

    log_evidence: np.ndarray  # log ∫∫ p(I_p | F_p) p(I_c | F_c) p(F_p, F_c), [n]
    F: np.ndarray  # [2, n]
    SIGF: np.ndarray  # [2, n]
    I: np.ndarray  # noqa: E741 - the field's own name, [2, n]
    SIGI: np.ndarray  # [2, n]
    covariance: np.ndarray  # of F_p and F_c, [n]
    dF: np.ndarray  # E[F_c − F_p], [n]
    SIGdF: np.ndarray  # its standard deviation, [n]


def pairs(prior, refl_id, f_parent, log_likelihood_parent, f_child, log_likelihood_child):
    """Integrate the joint density of a child's and its parent's amplitude.

        p(F_p, F_c | I) ∝ p(I_p | F_p) p(I_c | F_c) p(F_p) p(F_c | F_p)

    For each of the parent's amplitudes the child's are searched for where the density has its mass, and then the
    parent's for where the maximum over the child's has it; Gauss–Legendre rules integrate there. The likelihoods are
    interpolated by cubic splines of their logarithms, so that the conditional may be far narrower than their steps, as
    it is for correlations near one, or far wider. A density of several peaks is searched from its highest: another one
    that lies between the steps may be missed.

    Parameters
    ----------
    prior : MultivariateWilson
        Gives `log_marginal` and `log_conditional`. Of longer chains, each pair is taken by itself: what a third
        reflection says is left out.
    refl_id : array, int [n]
        The children. Those without a parent get one that is independent, with the likelihood that is given.
    f_parent, f_child : array, [K, n]
        Amplitudes, ascending, on which the likelihoods are known; outside they are taken to vanish. The grids of
        all reflections must divide their ranges alike: f = low + (high − low) unit, with one `unit` [K] for all.
    log_likelihood_parent, log_likelihood_child : array, [K, n]
        Log-likelihood of the observations of each at these amplitudes, without a prior; zero if there are none.

    Returns
    -------
    Pairs
        float64.

    Raises
    ------
    ValueError
        If the grids do not divide their ranges alike, or are of other shapes than the likelihoods.
    """
    refl_id = np.asarray(refl_id, np.int32)
    splines = [_Splines(*a) for a in ((f_parent, log_likelihood_parent), (f_child, log_likelihood_child))]
    if any(s.number != len(refl_id) for s in splines):
        raise ValueError(f"The grids need a column for each of the {len(refl_id)} children.")
    if not len(refl_id):
        return Pairs(*(np.empty((*shape, 0)) for shape in ((), (2,), (2,), (2,), (2,), (), (), ())))
    parts = []
    for start in range(0, len(refl_id), PAIRS_AT_ONCE):
        chosen = slice(start, start + PAIRS_AT_ONCE)
        parts.append(_moments(_Joint(prior, refl_id[chosen], *(s.some(chosen) for s in splines))))
    return Pairs(*(np.concatenate(values, axis=-1) for values in zip(*parts, strict=True)))


class _Splines:
    """Cubic splines of n functions, each on its own range but with the same division of it."""

    def __init__(self, x, y):
        x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
        if x.shape != y.shape or x.ndim != 2 or len(x) < 4:
            raise ValueError(
                f"Amplitudes and log-likelihoods must be arrays [K, n] of one shape, K at least 4, not {x.shape} and "
                f"{y.shape}."
            )
        self.low, self.high, self.number = x[0], x[-1], x.shape[1]
        unit = (x - self.low) / (self.high - self.low)
        if self.number:
            self.unit = unit[:, 0]
            if not (np.all(np.diff(self.unit) > 0) and np.allclose(unit, self.unit[:, np.newaxis], rtol=0, atol=1e-5)):
                raise ValueError("The grids must ascend and divide their ranges alike: f = low + (high − low) unit.")
            self.coefficients = CubicSpline(self.unit, y).c

    def some(self, chosen):
        """The splines of some of the reflections."""
        part = object.__new__(_Splines)
        part.low, part.high, part.unit = self.low[chosen], self.high[chosen], self.unit
        part.coefficients = self.coefficients[..., chosen]
        part.number = len(part.low)
        return part

    def __call__(self, x):
        """The functions at x [..., n]."""
        t = (x - self.low) / (self.high - self.low)
        cell = np.clip(np.searchsorted(self.unit, t) - 1, 0, len(self.unit) - 2)
        column = np.broadcast_to(np.arange(self.number), t.shape)
        t = t - self.unit[cell]
        cubic, square, slope, value = (c[cell, column] for c in self.coefficients)
        return ((cubic * t + square) * t + slope) * t + value


class _Joint:
    """The log joint density of the pairs, and where it has its mass."""

    def __init__(self, prior, refl_id, parent, child):
        self.prior, self.refl_id, self.parent, self.child = prior, refl_id, parent, child
        # Of a root the parent that is made up has the root's own distribution.
        self.parent_id = np.where(prior.parents[refl_id] < 0, refl_id, prior.parents[refl_id])

    def of_parent(self, f):
        """Log-likelihood and log prior of the parent's amplitudes [..., n]."""
        return self.parent(f) + self.prior.log_marginal(self.parent_id, f)

    def of_child(self, f, f_parent):
        """Log-likelihood and log prior of the child's amplitudes [..., n] given the parent's."""
        return self.child(f) + self.prior.log_conditional(self.refl_id, f, f_parent)

    def range_of_child(self, f_parent):
        """Limits of the child's amplitude, and the maximum of its log density, for each of the parent's [P, n]."""
        low, high = (np.broadcast_to(limit, f_parent.shape) for limit in (self.child.low, self.child.high))
        return _search(lambda f: self.of_child(f, f_parent), low, high)

    def range_of_parent(self):
        """Limits of the parent's amplitude [n]."""

        def profile(f):
            return self.of_parent(f) + self.range_of_child(f)[2]

        return _search(profile, self.parent.low, self.parent.high)[:2]


def _search(log_density, low, high):
    """Close in on the range in which a log density is within reach of its maximum, and say what that is."""
    unit = np.linspace(0.0, 1.0, SEARCHED).reshape((-1,) + (1,) * low.ndim)
    for _ in range(MOST_PASSES):
        x = low + (high - low) * unit
        values = log_density(x)
        peak = values.max(axis=0)
        inside = values >= peak - DEPTH
        first = np.maximum(inside.argmax(axis=0) - 1, 0)
        last = np.minimum(SEARCHED - inside[::-1].argmax(axis=0), SEARCHED - 1)
        low, high = (np.take_along_axis(x, i[np.newaxis], axis=0)[0] for i in (first, last))
        if np.all(last - first > SETTLED * (SEARCHED - 1)):
            break
    return low, high, peak


def _rule(low, high):
    """Nodes and log weights of the Gauss–Legendre rule between limits of any shape, along a new first axis."""
    nodes, weights = (a.reshape((-1,) + (1,) * low.ndim) for a in np.polynomial.legendre.leggauss(INTEGRATED))
    half = 0.5 * (high - low)
    return low + half * (1.0 + nodes), np.log(weights * half)


def _moments(joint):
    f_parent, log_weight_parent = _rule(*joint.range_of_parent())
    f_child, log_weight_child = _rule(*joint.range_of_child(f_parent)[:2])
    log_weight = joint.of_child(f_child, f_parent) + log_weight_child + joint.of_parent(f_parent) + log_weight_parent
    peak = log_weight.max(axis=(0, 1))
    weight = np.exp(log_weight - peak)
    total = weight.sum(axis=(0, 1))
    weight /= total
    f_parent = np.broadcast_to(f_parent, f_child.shape)

    def mean_and_deviation(x):
        mean = np.einsum("cpn,cpn->n", weight, x)
        deviation = x - mean
        return mean, np.sqrt(np.einsum("cpn,cpn->n", weight, deviation**2)), deviation

    (parent, sig_parent, off_parent), (child, sig_child, off_child) = map(mean_and_deviation, (f_parent, f_child))
    intensities = [mean_and_deviation(f**2)[:2] for f in (f_parent, f_child)]
    difference, sig_difference, _ = mean_and_deviation(f_child - f_parent)
    return (
        peak + np.log(total),
        np.stack([parent, child]),
        np.stack([sig_parent, sig_child]),
        *(np.stack(values) for values in zip(*intensities, strict=True)),
        np.einsum("cpn,cpn,cpn->n", weight, off_parent, off_child),
        difference,
        sig_difference,
    )
