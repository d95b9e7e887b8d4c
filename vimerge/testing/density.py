"""Samples, densities and moments of a batch of distributions against each other."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp
from scipy.special import kolmogi, ndtri

from vimerge.testing.errors import Fault, NotApplicable
from vimerge.testing.gradients import check_gradient, derivative

tfd = tfp.distributions

# Probability that a check fails by chance, of a member that is right. (The seeds are fixed: it fails always or never.)
FALSE_ALARM = 1e-7
SAMPLES = 2000
POINTS = 1200
SEED = (23, 5)
# What quadrature in single precision may be off by.
QUADRATURE = 5e-3
LOWEST, HIGHEST = 1.2e-38, 1e37


def is_point(distribution):
    """Whether it is a point mass, as of a maximum a posteriori estimate, which has samples but no density."""
    return isinstance(distribution, tfd.Deterministic)


def z_limit(comparisons):
    """The normal deviate that is not exceeded in so many comparisons but for a false alarm."""
    return -ndtri(0.5 * FALSE_ALARM / comparisons)


@dataclass
class Density:
    """A batch of N distributions on the positive half line, as samples and as a density on a grid.

    Parameters
    ----------
    make : callable
        Makes the distribution, batch shape [N], from the present weights.
    draw : callable
        Makes reparameterized samples [S, N] of a distribution: draw(distribution, S, seed).
    labels : sequence of str
        What messages call each of them.
    """

    make: object
    draw: object
    labels: list

    @cached_property
    def sample(self):
        """Samples, float64 [S, N]."""
        return self.draw(self.make(), SAMPLES, tf.constant(SEED)).numpy().astype(np.float64)

    @cached_property
    def x(self):
        """A grid, float32 [G, N]: dense where samples are, and logarithmic over what else is positive."""
        sample = np.clip(np.nan_to_num(self.sample, nan=1.0), LOWEST, HIGHEST)
        low, middle, high = np.quantile(sample, [0.01, 0.5, 0.99], axis=0)
        width = np.maximum(high - low, 1e-5 * high)
        dense = np.linspace(low - 2.0 * width, high + 4.0 * width, POINTS)
        sparse = np.geomspace(1e-9, 1e5, POINTS)[:, np.newaxis] * middle
        grid = np.clip(np.concatenate([dense, sparse]), np.maximum(1e-10 * middle, LOWEST), HIGHEST)
        return np.sort(grid.astype(np.float32), axis=0)

    @cached_property
    def wide(self):
        """The grid in double precision."""
        return self.x.astype(np.float64)

    @cached_property
    def points(self):
        """Nine points [9, N] where there is mass, from the third percentile to the 97th."""
        return np.quantile(self.sample, np.linspace(0.03, 0.97, 9), axis=0).astype(np.float32)

    @cached_property
    def density(self):
        """The density on the grid, float64 [G, N]."""
        log_prob = self.make().log_prob(self.x).numpy().astype(np.float64)
        if log_prob.shape != self.x.shape:
            raise Fault(f"log_prob has the shape {list(log_prob.shape)} for values of shape {list(self.x.shape)}.")
        if np.isnan(log_prob).any() or np.isposinf(log_prob).any():
            at = tuple(np.argwhere(np.isnan(log_prob) | np.isposinf(log_prob))[0])
            raise Fault(
                f"log_prob is {log_prob[at]} at {self.x[at]:.3g} of {self.labels[at[1]]}: it must be finite, or −inf "
                "where the density vanishes."
            )
        return np.exp(log_prob)

    def integrate(self, values):
        """Integral over x of values on the grid, [G, N] to [N]."""
        return np.trapezoid(values, self.wide, axis=0)

    @cached_property
    def integral(self):
        """Integral of the density, [N]."""
        return self.integrate(self.density)

    def expectation(self, values):
        """Mean of values on the grid under the density, normalised."""
        return self.integrate(values * self.density) / self.integral

    @cached_property
    def scale(self):
        """Mean and standard deviation of the samples, each [N]."""
        return self.sample.mean(axis=0), np.maximum(self.sample.std(axis=0), 1e-37)

    def pit(self, sample):
        """Where samples [S, N] are in the distribution: its cdf there, which is uniform if they follow it."""
        steps = 0.5 * (self.density[1:] + self.density[:-1]) * np.diff(self.wide, axis=0)
        cdf = np.concatenate([np.zeros((1, steps.shape[1])), np.cumsum(steps, axis=0)])
        cdf /= np.maximum(cdf[-1], 1e-300)
        return np.stack([np.interp(s, g, c) for s, g, c in zip(sample.T, self.wide.T, cdf.T, strict=True)], axis=1)

    def label(self, n):
        """What messages call the n-th, with where it is."""
        mean, sd = (s[n] for s in self.scale)
        return f"{self.labels[n]} (mean {mean:.3g}, sd {sd:.3g})"

    def refuse_point(self):
        """Raise NotApplicable for a point mass."""
        if is_point(self.make()):
            raise NotApplicable("A point has no density.")


def check_support(sample, labels, lowest=LOWEST):
    """Samples [S, N] are finite and not below what is lowest."""
    wrong = ~(np.isfinite(sample) & (sample >= lowest))
    if wrong.any():
        s, n = np.argwhere(wrong)[0]
        raise Fault(
            f"a sample is {sample[s, n]:.3g} at {labels[n]} ({wrong.mean():.1%} of all samples are not positive and "
            "finite): its distribution must be one of positive values."
        )


def check_normalisation(density, advice="log_prob lacks a normaliser or is of another variate"):
    """The density integrates to one, but for a point."""
    if is_point(density.make()):
        return
    off = np.abs(density.integral - 1.0)
    n = int(np.argmax(np.where(np.isfinite(off), off, np.inf)))
    if not off[n] < QUADRATURE:
        raise Fault(f"its density integrates to {density.integral[n]:.4g} at {density.label(n)}: {advice}.")


def check_samples(density, what="its samples"):
    """Samples follow the density, but for a point: Kolmogorov's and Smirnov's test of each, and of all together."""
    if is_point(density.make()):
        return
    u = np.sort(density.pit(density.sample), axis=0)
    columns = u.shape[1]
    worst = _ks_statistics(u)
    n = int(np.argmax(worst))
    limit = kolmogi(FALSE_ALARM / columns) / np.sqrt(len(u)) + QUADRATURE
    pooled = _ks_statistics(np.sort(u.ravel())[:, np.newaxis])[0]
    if worst[n] < limit and pooled < kolmogi(FALSE_ALARM) / np.sqrt(u.size) + QUADRATURE:
        return
    median = density.wide[np.argmax(density.pit(density.wide)[:, n] > 0.5), n]
    raise Fault(
        f"{what} do not follow its density: the sample's median is {np.median(density.sample[:, n]):.4g} and the "
        f"density's {median:.4g}, and their cdfs differ by up to {worst[n]:.3f} at {density.label(n)}; correct "
        "_sample_n or log_prob."
    )


def _ks_statistics(u):
    """Largest distance of the empirical cdf of each column, sorted, from the uniform one."""
    n = len(u)
    rank = np.arange(n)[:, np.newaxis]
    return np.maximum((rank + 1) / n - u, u - rank / n).max(axis=0)


def check_density_gradient(density, directions):
    """The gradient of log_prob in the parameters is that of finite differences."""
    x = density.points

    def log_prob():
        return density.make().log_prob(x)

    check_gradient(log_prob, directions, "log_prob", lambda at: f"{x[at]:.3g} of {density.label(at[1])}")


def check_sample_gradient(density, directions):
    """The gradient of samples is on average that of the density: reparameterization is not biased.

    The expectation of a function g has the derivative ∫ g ∂p along a direction, which quadrature gives, and E[g' ∂x] by
    the samples' own derivatives ∂x. Two bounded functions of the standardised variate z see its place and its width.
    """
    if is_point(density.make()):
        check_gradient(
            lambda: density.draw(density.make(), 1, tf.constant(SEED)),
            directions,
            "its point",
            lambda at: density.labels[at[1]],
        )
        return
    mean, sd = density.scale
    grid = (density.wide - mean) / sd
    functions = (
        ("tanh z", np.tanh, lambda z: 1.0 / np.cosh(np.clip(z, -300, 300)) ** 2),
        ("exp(−z²/2)", lambda z: np.exp(-0.5 * z**2), lambda z: -z * np.exp(-0.5 * z**2)),
    )
    comparisons = 2 * len(mean) * max(len(directions), 1)
    for direction in directions:
        sample, slope = derivative(lambda: density.draw(density.make(), SAMPLES, tf.constant(SEED)), direction)
        slope = np.zeros_like(sample) if slope is None else slope
        _, of_log_prob = derivative(lambda: density.make().log_prob(density.x), direction)
        of_log_prob = np.zeros_like(grid) if of_log_prob is None else np.where(density.density > 0, of_log_prob, 0.0)
        for name, function, inner in functions:
            values = function(grid)
            exact = density.expectation((values - density.expectation(values)) * of_log_prob)
            terms = inner((sample - mean) / sd) * slope / sd
            _compare_gradients(density, direction, name, terms, exact, comparisons)


def _compare_gradients(density, direction, name, terms, exact, comparisons):
    drawn = terms.mean(axis=0)
    error = terms.std(axis=0) / np.sqrt(len(terms))
    limit, rounding = z_limit(comparisons), 2e-3 * (np.abs(exact) + np.sqrt(np.mean(exact**2))) + 1e-5
    ratio = np.abs(drawn - exact) / (limit * error + rounding)
    # All together, so that a small bias that they share is seen.
    sign = np.sign(exact)
    shared = np.abs(np.sum(sign * (drawn - exact)))
    allowed = limit * np.sqrt(np.sum(error**2)) + QUADRATURE * np.sum(np.abs(exact)) + 1e-5
    if np.all(ratio < 1.0) and shared < allowed:
        return
    n = int(np.argmax(np.nan_to_num(ratio, nan=np.inf)))
    if not np.any(terms):
        raise Fault(
            f"its samples have no gradient along {direction.name}, on which its density depends: draw them by "
            "reparameterization, as TFP's FULLY_REPARAMETERIZED distributions do."
        )
    raise Fault(
        f"the gradient of its samples is biased: along {direction.name}, that of E[{name}] is {drawn[n]:.3g} ± "
        f"{error[n]:.2g} by the samples, but {exact[n]:.3g} by the density, at {density.label(n)}; something stops or "
        "leaves out a gradient on the way from the parameters to a sample."
    )
