"""Moments of powers of a variate: what a merged F, SIGF, I and SIGI are."""

import functools
import math
from typing import NamedTuple

import tensorflow as tf
import tensorflow_probability as tfp

from . import gamma_functions
from .amplitude import GaussianLength
from .gamma import log_rate
from .truncated_normal import TruncatedNormal
from .weibull import Weibull, relative_spread

tfd = tfp.distributions


class Moments(NamedTuple):
    """Posterior means and standard deviations of amplitude and intensity, each of the batch's shape."""

    F: tf.Tensor
    SIGF: tf.Tensor
    I: tf.Tensor  # noqa: E741 - the field's own name
    SIGI: tf.Tensor


def moments(distribution, over):
    """Mean and standard deviation of the amplitude F and of the intensity ``J = F²``.

    Parameters
    ----------
    distribution : tfd.Distribution
        A distribution registered with `power_moments`.
    over : {"amplitude", "intensity"}
        What the distribution's variate is.

    Returns
    -------
    Moments
        ``E F, sd F, E J, sd J``.

    Raises
    ------
    ValueError
        If `over` is neither.
    NotImplementedError
        If nothing is registered for the distribution's type.
    """
    if over == "amplitude":
        powers = 1.0, 2.0
    elif over == "intensity":
        powers = 0.5, 1.0
    else:
        raise ValueError(f"over must be 'amplitude' or 'intensity', not {over!r}.")
    return Moments(*power_moments(distribution, powers[0]), *power_moments(distribution, powers[1]))


@functools.singledispatch
def power_moments(distribution, power):
    """Mean and standard deviation of ``x^power``.

    Register an implementation for another type with ``@power_moments.register(Type)``. It has to be accurate in
    relative terms for the standard deviation too, so it must not be a difference of raw moments where these are
    nearly equal.

    Parameters
    ----------
    distribution : tfd.Distribution
        Distribution of x ≥ 0.
    power : float
        ½, 1 or 2.

    Returns
    -------
    mean, stddev : tf.Tensor
        Shape `batch_shape`.
    """
    raise NotImplementedError(
        f"No moments are known for {type(distribution).__name__}; "
        "register them with vimerge.distributions.power_moments.register."
    )


@functools.singledispatch
def raw_moment(distribution, order):
    """``E x^order`` in closed form.

    Parameters
    ----------
    distribution : tfd.Distribution
        Distribution of x ≥ 0.
    order : float
        For Rice and folded normal 1, 2, 3 or 4; for the others any number for which the moment exists.

    Returns
    -------
    tf.Tensor
        Shape `batch_shape`.
    """
    if hasattr(distribution, "raw_moment"):
        return distribution.raw_moment(order)
    raise NotImplementedError(
        f"No raw moments are known for {type(distribution).__name__}; "
        "register them with vimerge.distributions.raw_moment.register."
    )


def _unsupported(distribution, power):
    return ValueError(
        f"{type(distribution).__name__} has no closed form for the moments of x^{power}; it is a distribution over "
        "amplitude, of which powers 1 and 2 are known."
    )


@power_moments.register
def _(distribution: GaussianLength, power):
    if power == 1.0:
        return distribution.mean(), distribution.stddev()
    if power != 2.0:
        raise _unsupported(distribution, power)
    # z²/scale² is noncentral χ² with n degrees of freedom and noncentrality a²: mean n + a², variance 2n + 4a².
    loc, scale = distribution.broadcast_parameters()
    stddev = 2.0 * scale * tf.sqrt(loc**2 + 0.5 * distribution.dimension * scale**2)
    return distribution.raw_moment(2), stddev


@raw_moment.register
def _(distribution: tfd.Gamma, order):
    alpha, rate = _gamma_parameters(distribution)
    if order == int(order) and order >= 0:
        result = tf.ones_like(alpha)
        for j in range(int(order)):
            result = result * ((alpha + j) / rate)
        return result
    if order == 0.5:
        return gamma_functions.sqrt_moments(alpha)[0] / tf.sqrt(rate)
    return tf.exp(gamma_functions.log_power_moment(alpha, tf.cast(order, alpha.dtype))) * rate**-order


@power_moments.register
def _(distribution: tfd.Gamma, power):
    alpha, rate = _gamma_parameters(distribution)
    if power == 0.5:
        mean, stddev = gamma_functions.sqrt_moments(alpha)
        return mean / tf.sqrt(rate), stddev / tf.sqrt(rate)
    if power == 1.0:
        return alpha / rate, tf.sqrt(alpha) / rate
    if power == 2.0:
        # E x⁴ - (E x²)² = α(α+1)[(α+2)(α+3) - α(α+1)] = α(α+1)(4α+6), in units of the scale.
        return alpha * (alpha + 1.0) / rate**2, tf.sqrt(alpha * (alpha + 1.0)) * tf.sqrt(4.0 * alpha + 6.0) / rate**2
    raise _unsupported(distribution, power)


def _gamma_parameters(distribution):
    alpha, rate = tf.convert_to_tensor(distribution.concentration), tf.exp(log_rate(distribution))
    if distribution.rate is not None:
        rate = tf.convert_to_tensor(distribution.rate)
    shape = distribution.batch_shape_tensor()
    return tf.broadcast_to(alpha, shape), tf.broadcast_to(rate, shape)


@raw_moment.register
def _(distribution: tfd.LogNormal, order):
    return power_moments(distribution, order)[0]


@power_moments.register
def _(distribution: tfd.LogNormal, power):
    # x^k is log-normal too, with k loc and k scale.
    variance = (power * distribution.scale) ** 2
    mean = tf.exp(power * distribution.loc + 0.5 * variance)
    return mean, mean * tf.sqrt(tf.math.expm1(variance))


@raw_moment.register
def _(distribution: tfd.HalfNormal, order):
    return distribution.scale**order * _half_normal_moment(order)


@power_moments.register
def _(distribution: tfd.HalfNormal, power):
    mean, square = _half_normal_moment(power), _half_normal_moment(2.0 * power)
    unit = distribution.scale**power
    return unit * mean, unit * math.sqrt(square - mean**2)


def _half_normal_moment(order):
    """``E |n|^order`` of a standard normal n."""
    return 2.0 ** (0.5 * order) * math.gamma(0.5 * (order + 1.0)) / math.sqrt(math.pi)


@raw_moment.register
def _(distribution: tfd.Weibull, order):
    shape = distribution.concentration
    return distribution.scale**order * tf.exp(tf.math.lgamma(1.0 + order / shape))


@power_moments.register(tfd.Weibull)
@power_moments.register(Weibull)
def _(distribution, power):
    mean = raw_moment(distribution, power)
    return mean, mean * relative_spread(power / tf.convert_to_tensor(distribution.concentration))


@power_moments.register
def _(distribution: TruncatedNormal, power):
    loc, scale = distribution.broadcast_parameters()
    if power == 0.5:
        mean, variance = distribution.reduced_root_moments(loc / scale)
        return tf.sqrt(scale) * mean, tf.sqrt(scale) * tf.sqrt(variance)
    if power == 1.0:
        return distribution.mean(), distribution.stddev()
    if power == 2.0:
        return distribution.raw_moment(2), scale**2 * tf.sqrt(distribution.reduced_square_variance(loc / scale))
    raise ValueError(f"The moments of x^{power} of a truncated normal are not known, but of powers ½, 1 and 2.")


@power_moments.register
def _(distribution: tfd.Deterministic, power):
    return distribution.loc**power, tf.zeros_like(distribution.loc)


@raw_moment.register
def _(distribution: tfd.Deterministic, order):
    return distribution.loc**order
