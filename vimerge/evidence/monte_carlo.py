"""The evidence by Monte Carlo: over the prior, by importance sampling, and the lower bound."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from vimerge.evidence.independent import check_independent
from vimerge.merging.joint import CELLS, LogJoint
from vimerge.merging.trees import correlated
from vimerge.priors.forest import roots


class Estimate(NamedTuple):
    """An estimate of the log evidence of each reflection and its standard error, float64 [R], in nats."""

    log_evidence: np.ndarray
    standard_error: np.ndarray

    @property
    def total(self):
        """Log evidence of all the observations: reflections are independent given the scales."""
        return float(self.log_evidence.sum())


class Draws(NamedTuple):
    """K samples x from q of each of N reflections, [K, N], with the logarithms of the densities there."""

    x: np.ndarray
    log_likelihood: np.ndarray
    log_prior: np.ndarray
    log_q: np.ndarray

    @property
    def log_joint(self):
        """The logarithm of p(I, x | Σ), −∞ where the posterior has no density."""
        return no_nan(self.log_likelihood + self.log_prior)

    @property
    def log_weight(self):
        """The logarithm of p(I, x | Σ)/q(x), −∞ where the posterior has no density."""
        return no_nan(self.log_likelihood + self.log_prior - self.log_q)


def draw(joint, refl_id, samples, seed):
    """Draw from the surrogate.

    Parameters
    ----------
    joint : LogJoint
    refl_id : array, int [N]
        Which reflections; all of them, in order, if the prior correlates any.
    samples : int
        K, for each reflection.
    seed : tuple of two int

    Returns
    -------
    Draws

    Raises
    ------
    ValueError
        If the surrogate has no density for each reflection alone.
    """
    surrogate, ids = joint.model.surrogate, tf.constant(refl_id, tf.int32)
    q = surrogate.distribution(ids)
    if isinstance(q, tfp.distributions.Deterministic):
        raise ValueError(
            f"{type(surrogate).__name__} is a point, with neither samples to weight nor a bound to compute: use "
            "exact or naive, or give the model a surrogate with a width."
        )
    x = surrogate.sample(q, samples, tf.constant(seed, tf.int32))
    log_q, x = (t.numpy().astype(np.float64) for t in (q.log_prob(x), x))
    if log_q.shape != x.shape:
        raise ValueError(
            f"Importance sampling needs a surrogate whose reflections are independent; {type(surrogate).__name__} is "
            "of all of them together."
        )
    over = surrogate.over
    prior = joint.model.prior
    if not correlated(prior):
        return Draws(x, joint.log_likelihood(x, refl_id, over), joint.log_prior(x, refl_id, over), log_q)
    if len(refl_id) < joint.number:
        raise ValueError("The prior correlates reflections: draw all of them, with their parents.")
    # Given the parent's sample; what is given for roots makes no difference.
    f_parent = (x if over == "amplitude" else np.sqrt(x))[:, prior.parents]
    log_prior = prior.conditional(ids, f_parent.astype(np.float32), over).log_prob(x.astype(np.float32))
    return Draws(x, joint.log_likelihood(x, refl_id, over), log_prior.numpy().astype(np.float64), log_q)


def naive(model, reflections, samples=1000, seed=0):
    """Average the likelihood over samples of the prior: unbiased for p(I), and poor where the data are strong.

        p(I_h | Σ) ≈ (1/K) Σ_k p(I_h | F_k, Σ),  F_k ~ p(F)

    Parameters
    ----------
    model : VariationalMergingModel
        Its mean scales, likelihood and prior are used.
    reflections : Reflections
        Observations of the model's ASU, monochromatic.
    samples : int, optional
        K, for each reflection.
    seed : int, optional
        Fixes the samples.

    Returns
    -------
    Estimate
    """
    check_independent(model)
    joint = LogJoint(model, reflections)
    ids = np.arange(joint.number)
    prior = model.prior.distribution(tf.constant(ids, tf.int32))
    mean = _LogMean(joint.number)
    for number, size in _chunks(samples, joint.number):
        f = prior.sample(size, seed=tf.constant((seed, number), tf.int32)).numpy().astype(np.float64)
        mean.add(no_nan(joint.log_likelihood(f, ids)))
    return mean.result()


def importance(model, reflections, samples=1000, seed=0):
    """The importance-weighted bound [1]_ over the surrogate.

        log p(I_h | Σ) ≥ E log (1/K) Σ_k p(I_h | F_k, Σ) p(F_k) / q(F_k),  F_k ~ q(F)

    One sample gives the ELBO; more tighten it, to log p(I) in the limit. Where the prior correlates reflections the
    weights are those of a whole tree of them, whose bound is at its root; others have zero.

    Parameters
    ----------
    model : VariationalMergingModel
        Its mean scales, surrogate, likelihood and prior are used.
    reflections : Reflections
        Observations of the model's ASU, monochromatic.
    samples : int, optional
        K, for each reflection.
    seed : int, optional
        Fixes the samples.

    Returns
    -------
    Estimate

    References
    ----------
    .. [1] Burda, Y., Grosse, R. & Salakhutdinov, R. (2016). Importance weighted autoencoders. ICLR.
    """
    joint = LogJoint(model, reflections)
    mean = _LogMean(joint.number)
    for number, size in _chunks(samples, joint.number):
        mean.add(_of_trees(model.prior, draw(joint, np.arange(joint.number), size, (seed, number)).log_weight))
    return mean.result()


def _of_trees(prior, log_weight):
    """The sums over each tree at its root, and zero elsewhere, of [K, R]."""
    if not correlated(prior):
        return log_weight
    root = roots(np.asarray(prior.parents))
    total = np.zeros_like(log_weight)
    np.add.at(total, (slice(None), root), log_weight)
    return total


def elbo(model, reflections, samples=1000, seed=0):
    """The evidence lower bound of each reflection, as it is trained but with the mean scales.

        ELBO_h = E_q [ Σ_i log p(I_i | Σ_i F², σ_i) ] − KL[q(F) || p(F)]

    Where the prior correlates reflections p(F) is that given the parent's F, and the mean is over its q as well: the
    sum is the bound of all of them.

    Both terms are averaged over the same samples, even where the divergence has a closed form: the closer q is to the
    posterior the less their sum varies from one sample to the next, and it is exact where q is the posterior.

    Parameters
    ----------
    model : VariationalMergingModel
        Its mean scales, surrogate, likelihood and prior are used.
    reflections : Reflections
        Observations of the model's ASU, monochromatic.
    samples : int, optional
        Of each reflection.
    seed : int, optional
        Fixes the samples.

    Returns
    -------
    Estimate
    """
    joint = LogJoint(model, reflections)
    ids = np.arange(joint.number)
    total, square = np.zeros(joint.number), np.zeros(joint.number)
    reference = None
    for number, size in _chunks(samples, joint.number):
        terms = draw(joint, ids, size, (seed, number)).log_weight
        reference = terms[0] if reference is None else reference
        # Squares of differences from a typical value keep their digits.
        total += (terms - reference).sum(axis=0)
        square += ((terms - reference) ** 2).sum(axis=0)
    mean = total / samples
    error = np.sqrt(np.maximum(square / samples - mean**2, 0.0) / samples)
    return Estimate(reference + mean, error)


class _LogMean:
    """The logarithm of a mean of exponentials, gathered chunk by chunk without overflow."""

    def __init__(self, number):
        self._peak = np.full(number, -np.inf)
        self._sum, self._square, self._count = np.zeros(number), np.zeros(number), 0

    def add(self, log_values):
        peak = np.maximum(self._peak, log_values.max(axis=0))
        finite = np.where(np.isfinite(peak), peak, 0.0)
        shrink = np.exp(self._peak - finite)
        values = np.exp(log_values - finite)
        self._sum = self._sum * shrink + values.sum(axis=0)
        self._square = self._square * shrink**2 + np.square(values).sum(axis=0)
        self._peak, self._count = peak, self._count + len(log_values)

    def result(self):
        with np.errstate(divide="ignore", invalid="ignore"):
            log_mean = self._peak + np.log(self._sum / self._count)
            relative = self._square / self._sum**2 - 1.0 / self._count
        none = self._sum == 0
        return Estimate(np.where(none, -np.inf, log_mean), np.where(none, np.inf, np.sqrt(np.maximum(relative, 0.0))))


def _chunks(samples, number):
    """Number and size of chunks of samples that fit in memory, from the first to the last."""
    if samples < 1:
        raise ValueError(f"The number of samples must be 1 or more, not {samples}.")
    size = max(1, min(samples, CELLS // number))
    for chunk, first in enumerate(range(0, samples, size)):
        yield chunk, min(size, samples - first)


def no_nan(log_density):
    """−∞ for what has no density: outside its support a distribution may give NaN."""
    return np.where(np.isnan(log_density), -np.inf, log_density)
