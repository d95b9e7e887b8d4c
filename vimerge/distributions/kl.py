"""The Kullback–Leibler divergence: in closed form where there is one, else by Monte Carlo."""

import functools
import math

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from . import gamma_functions
from .by_centricity import ByCentricity
from .gamma import Gamma, log_rate
from .moments import raw_moment
from .truncated_normal import TruncatedNormal
from .weibull import Weibull

tfd = tfp.distributions


def kl_divergence(q, p, samples=None):
    """``KL(q ‖ p)`` in closed form if one is registered with TFP, else the Monte Carlo mean of ``log q - log p``.

    Parameters
    ----------
    q, p : tfd.Distribution
        Scalar distributions of the same variate, with batch shapes that broadcast.
    samples : tf.Tensor, optional
        Shape `[S, ...]`: reparameterized draws from q, used where there is no closed form.

    Returns
    -------
    tf.Tensor
        Shape `batch_shape`.

    Raises
    ------
    ValueError
        If there is no closed form and no samples are given.
    """
    try:
        return tfd.kl_divergence(q, p)
    except NotImplementedError:
        if samples is None:
            raise ValueError(
                f"KL({type(q).__name__} ‖ {type(p).__name__}) has no closed form; pass samples drawn from q."
            ) from None
    return tf.reduce_mean(q.log_prob(samples) - p.log_prob(samples), axis=0)


def has_analytic_kl(q, p):
    """Whether `kl_divergence` will use a closed form for these two.

    Parameters
    ----------
    q, p : tfd.Distribution
        As for `kl_divergence`.

    Returns
    -------
    bool
    """
    try:
        tfd.kl_divergence(q, p)
    except NotImplementedError:
        return False
    return True


# KL(q ‖ p) = -entropy(q) - E_q log p, where E_q log p needs only E log x and one power moment of q.


@functools.singledispatch
def _entropy(q):
    return q.entropy()


@_entropy.register
def _(q: tfd.Gamma):
    return gamma_functions.entropy(q.concentration) - log_rate(q)


@functools.singledispatch
def _log_gap(q):
    """``E log x - log E x``, which is small where q is narrow and must then keep its digits."""
    raise NotImplementedError


@_log_gap.register
def _(q: tfd.Gamma):
    return gamma_functions.mean_log(tf.convert_to_tensor(q.concentration))


@_log_gap.register
def _(q: tfd.LogNormal):
    return -0.5 * tf.convert_to_tensor(q.scale) ** 2


@_log_gap.register(tfd.Weibull)
@_log_gap.register(Weibull)
def _(q):
    h = 1.0 / tf.convert_to_tensor(q.concentration)
    return -np.euler_gamma * h - tf.math.lgamma(1.0 + h)


@functools.singledispatch
def _expected_power(q, order, scale):
    """``E (x/scale)^order``, the order being a tensor."""
    raise NotImplementedError


@_expected_power.register
def _(q: tfd.Gamma, order, scale):
    log_unit = log_rate(q) + tf.math.log(scale)
    return tf.exp(gamma_functions.log_power_moment(tf.convert_to_tensor(q.concentration), order) - order * log_unit)


@_expected_power.register
def _(q: tfd.LogNormal, order, scale):
    return tf.exp(order * (q.loc - tf.math.log(scale)) + 0.5 * (order * q.scale) ** 2)


@_expected_power.register(tfd.Weibull)
@_expected_power.register(Weibull)
def _(q, order, scale):
    return (q.scale / scale) ** order * tf.exp(tf.math.lgamma(1.0 + order / q.concentration))


@functools.singledispatch
def _expected_log_prob(p, q):
    raise NotImplementedError


@_expected_log_prob.register
def _(p: tfd.Gamma, q):
    # The log density is linear in x and log x: its value at E x, and a correction for E log x.
    alpha, rate = tf.convert_to_tensor(p.concentration), tf.exp(log_rate(p))
    at_mean = gamma_functions.log_density(*_broadcast(alpha, rate * raw_moment(q, 1))) + log_rate(p)
    return at_mean + (alpha - 1.0) * _log_gap(q)


@_expected_log_prob.register
def _(p: tfd.Exponential, q):
    return tf.math.log(p.rate) - p.rate * raw_moment(q, 1)


@_expected_log_prob.register
def _(p: tfd.Weibull, q):
    k, scale = tf.convert_to_tensor(p.concentration), tf.convert_to_tensor(p.scale)
    expected_log = tf.math.log(raw_moment(q, 1) / scale) + _log_gap(q)
    return tf.math.log(k / scale) + (k - 1.0) * expected_log - _expected_power(q, k, scale)


@_expected_log_prob.register
def _(p: tfd.HalfNormal, q):
    return 0.5 * math.log(2.0 / math.pi) - tf.math.log(p.scale) - 0.5 * raw_moment(q, 2) / p.scale**2


def _broadcast(x, y):
    shape = tf.broadcast_dynamic_shape(tf.shape(x), tf.shape(y))
    return tf.broadcast_to(x, shape), tf.broadcast_to(y, shape)


def _closed_form(q, p, name=None):
    with tf.name_scope(name or "kl_closed_form"):
        return -_entropy(q) - _expected_log_prob(p, q)


for _q, _p in (
    (Gamma, tfd.Gamma),  # TFP's own loses its digits at high concentration
    (tfd.Gamma, tfd.Exponential),  # nearer than Gamma ‖ Gamma
    (Gamma, tfd.Exponential),  # else as near as the one above
    (tfd.Gamma, tfd.Weibull),
    (tfd.Gamma, tfd.HalfNormal),
    (tfd.LogNormal, tfd.Gamma),
    (tfd.LogNormal, tfd.Weibull),
    (tfd.LogNormal, tfd.HalfNormal),
    (tfd.Weibull, tfd.HalfNormal),
    (Weibull, tfd.Gamma),
    (Weibull, tfd.Weibull),
    (Weibull, tfd.HalfNormal),
    (TruncatedNormal, tfd.Exponential),
    (TruncatedNormal, tfd.HalfNormal),
):
    tfd.RegisterKL(_q, _p)(_closed_form)


@tfd.RegisterKL(tfd.Distribution, ByCentricity)
def _kl_any_by_centricity(q, p, name=None):
    with tf.name_scope(name or "kl_any_by_centricity"):
        return p.select(lambda branch: tfd.kl_divergence(q, branch))


@tfd.RegisterKL(ByCentricity, tfd.Distribution)
def _kl_by_centricity_any(q, p, name=None):
    with tf.name_scope(name or "kl_by_centricity_any"):
        return q.select(lambda branch: tfd.kl_divergence(branch, p))


@tfd.RegisterKL(ByCentricity, ByCentricity)
def _kl_by_centricity(q, p, name=None):
    with tf.name_scope(name or "kl_by_centricity"):
        if q.centric is not p.centric:
            return q.select(lambda branch: tfd.kl_divergence(branch, p))
        return tf.where(
            q.centric,
            tfd.kl_divergence(q.if_centric, p.if_centric),
            tfd.kl_divergence(q.if_acentric, p.if_acentric),
        )
