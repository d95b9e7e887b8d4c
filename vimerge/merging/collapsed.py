"""The evidence lower bound with F integrated out."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from vimerge.merging.elbo import ELBO

NODES = 16
# Half the width of the first grid, in the standard deviations of a rough estimate, and of the second, in better ones.
ROUGH, CLOSE = 5.0, 5.0


class Collapsed(NamedTuple):
    """What integrating F out of a batch gives; R are the batch's reflections."""

    refl_id: tf.Tensor  # int32 [R]
    row: tf.Tensor  # which of them each observation is of, int32 [M]
    log_evidence: tf.Tensor  # log p(I_h | Σ), float32 [R]
    log_likelihood: tf.Tensor  # its expectation under the posterior p(F | I, Σ), float32 [R]


def collapsed_elbo(model, batch):
    """The evidence lower bound of a batch with q(F) the exact posterior given the scales.

    Parameters
    ----------
    model : VariationalMergingModel
    batch : dict of tensors
        See `integrate_out`.

    Returns
    -------
    ELBO
        Terms in nats per observation; `kl_f` is the KL of the exact posterior.
    """
    scale_posterior = model.scaling.distribution(batch)
    scale = scale_posterior.sample(1, seed=model.next_seed())
    collapsed = integrate_out(model, batch, scale[0])
    number = tf.shape(collapsed.refl_id)[0]
    if "principal" not in batch:
        whole = tf.math.unsorted_segment_sum(batch["kl_share"], collapsed.row, number)
        # Where shapes are fixed, there are fewer reflections than there is room for.
        tf.debugging.assert_near(
            tf.where(whole > 0.0, whole, 1.0),
            tf.ones([number]),
            1e-3,
            1e-3,
            message='The collapsed ELBO is of whole reflections: give fit reflections.dataset(..., by="reflection").',
        )
    # The observations of a reflection are in one batch, and have one weight; what only fills a batch up has none.
    weight = tf.math.unsorted_segment_max(batch["weight"], collapsed.row, number)
    weight = tf.maximum(weight, 0.0)
    log_likelihood = tf.reduce_sum(weight * collapsed.log_likelihood)
    kl_f = log_likelihood - tf.reduce_sum(weight * collapsed.log_evidence)
    of_predictions = tf.gather(batch["weight"], batch["harmonic_id"])
    kl_scale = tf.reduce_sum(of_predictions * model.scaling.kl_divergence(scale_posterior, scale))
    return ELBO(log_likelihood - kl_f - kl_scale, log_likelihood, kl_f, kl_scale)


def integrate_out(model, batch, scale):
    """Log evidence of each reflection of a batch given the scales, by quadrature over its amplitude.

        log p(I_h | Σ) = log ∫ Π_{i: h(i) = h} p(I_i | Σ_i F², σ_i) p(F) dF

    This is the largest that the reflection's part of the ELBO can be, with q(F) = p(F | I_h, Σ). Its gradient in what
    the scales, the likelihood and the prior learn is the posterior expectation of the log joint density's, as in
    expectation maximisation, but it knows how F follows the scales.

    Two grids of sixteen amplitudes are laid out for each reflection. The first is about the weighted mean of its
    observations, wide enough for their disagreement; the second is about the mean and standard deviation on the first.
    Where equivalents disagree by many of their errors, the grids are coarse and the posterior is smoothed.

    An observation of several harmonics counts for its principal one, to whose ΣF² the others add what the surrogate
    expects of them: the posteriors of reflections that overlap depend on each other, and this is the bound with those
    of the others as they were when the surrogate was last conditioned.

    Parameters
    ----------
    model : VariationalMergingModel
        Its prior and likelihood are used, and its surrogate where there are harmonics.
    batch : dict of tensors
        Whole reflections, each with all its observations, one after the other: from
        ``Reflections.dataset(..., by="reflection")``.
    scale : tensor, float32 [N]
        Σ of each prediction.

    Returns
    -------
    Collapsed
    """
    joint = _Joint(model, batch)
    expected = tf.stop_gradient(model.prior(joint.refl_id))
    fixed = tf.stop_gradient(scale)

    low, high = joint.rough_range(fixed, expected)
    f, step = _grid(low, high)
    log_likelihood, log_prior = joint(f, fixed)
    weight = tf.nn.softmax(log_likelihood + log_prior + tf.math.log(step), axis=0)
    mean = tf.reduce_sum(weight * f, axis=0)
    # A posterior narrower than a cell of the grid still has that cell's width.
    variance = tf.reduce_sum(weight * (tf.square(f - mean) + 0.25 * tf.square(step)), axis=0)
    width = CLOSE * tf.sqrt(variance)

    f, step = _grid(tf.nn.relu(mean - width), mean + width)
    f, step = tf.stop_gradient(f), tf.stop_gradient(step)
    log_likelihood, log_prior = joint(f, scale)
    log_joint = log_likelihood + log_prior + tf.math.log(step)
    weight = tf.nn.softmax(log_joint, axis=0)
    log_evidence = tf.reduce_logsumexp(log_joint, axis=0)
    return Collapsed(joint.refl_id, joint.row, log_evidence, tf.reduce_sum(weight * log_likelihood, axis=0))


def _grid(low, high):
    """Midpoints [S, R] between two limits, and their steps; towards zero they crowd, for a density may end there."""
    unit = ((np.arange(NODES, dtype=np.float32) + 0.5) / NODES)[:, np.newaxis]
    span, at_zero = (high - low) / NODES, low <= 0.0
    return (
        low + NODES * span * tf.where(at_zero, unit**2, unit),
        span * tf.where(at_zero, 2.0 * unit, tf.ones_like(unit)),
    )


class _Joint:
    """Log densities of a batch's reflections at any amplitudes."""

    def __init__(self, model, batch):
        self.likelihood, self.batch = model.likelihood, batch
        principal = batch.get("principal")
        refl_id = batch["refl_id"] if principal is None else tf.gather(batch["refl_id"], principal)
        # A reflection's observations follow each other.
        begins = tf.cast(refl_id[1:] != refl_id[:-1], tf.int32)
        self.row = tf.concat([[0], tf.cumsum(begins)], 0)
        fixed = None if tf.executing_eagerly() else refl_id.shape[0]
        # Within one XLA program shapes are fixed, and each observation may be another reflection's.
        self.number = self.row[-1] + 1 if fixed is None else fixed
        self.refl_id = tf.maximum(tf.math.unsorted_segment_max(refl_id, self.row, self.number), 0)
        self.real = tf.cast(batch["weight"] > 0.0, tf.float32)
        self.prior = model.prior.distribution(self.refl_id, over="amplitude")
        self.principal = principal
        if principal is not None:
            self.is_principal = tf.range(tf.shape(batch["refl_id"])[0]) == tf.gather(principal, batch["harmonic_id"])
            self.others = tf.where(self.is_principal, 0.0, model.surrogate.moments(batch["refl_id"]).I)
            self.others = tf.stop_gradient(self.others)

    def __call__(self, f, scale):
        """Log-likelihood and log prior, each [S, R], at amplitudes [S, R]."""
        intensity = tf.transpose(tf.gather(tf.transpose(tf.square(f)), self.row))
        if self.principal is not None:
            intensity = tf.gather(intensity, self.batch["harmonic_id"], axis=1)
            intensity = tf.where(self.is_principal, intensity, self.others)
        log_prob = self.likelihood(scale * intensity, self.batch)
        return self._sum(self.real * log_prob), self.prior.log_prob(f)

    def rough_range(self, scale, expected):
        """Limits of the amplitude [R] from the weighted mean of the observations and their disagreement."""
        iobs, sigma = self.batch["iobs"], self.batch["sigiobs"]
        rest = tf.zeros_like(iobs)
        if self.principal is not None:
            rest = self.likelihood.sum_harmonics((scale * self.others)[tf.newaxis], self.batch)[0]
            scale = tf.gather(scale, self.principal)
        iobs = iobs - rest
        for _ in range(2):
            # An error model's σ needs a prediction, which the mean under the given σ is good enough for.
            information = self._sum_one(tf.square(scale / sigma))
            mean = tf.math.divide_no_nan(self._sum_one(scale * iobs / tf.square(sigma)), information)
            predicted = scale * tf.gather(tf.nn.relu(mean), self.row)
            sigma = self._sigma(predicted + rest)
        deviation = tf.square((iobs - scale * tf.gather(mean, self.row)) / sigma)
        disagreement = tf.math.divide_no_nan(self._sum_one(deviation), self._sum_one(tf.ones_like(deviation)))
        # The prior counts as an observation, if a vague one.
        precision = information / (1.0 + disagreement), 1.0 / tf.square(2.0 * expected)
        centre = tf.nn.relu((precision[0] * mean + precision[1] * expected) / (precision[0] + precision[1]))
        width = ROUGH * tf.math.rsqrt(precision[0] + precision[1])
        return tf.sqrt(tf.nn.relu(centre - width)), tf.sqrt(centre + width)

    def _sigma(self, predicted):
        """σ' of the observations at predicted intensities [M]."""
        batch = {**self.batch, "harmonic_id": tf.range(tf.shape(predicted)[0])}
        if self.principal is not None:
            batch["image_id"] = tf.gather(batch["image_id"], self.principal)
            batch["metadata"] = tf.gather(batch["metadata"], self.principal)
        sigma = self.likelihood.prediction(predicted[tf.newaxis], batch)[1]
        return tf.stop_gradient(tf.reshape(sigma * tf.ones_like(predicted[tf.newaxis]), tf.shape(predicted)))

    def _sum(self, per_observation):
        return tf.transpose(tf.math.unsorted_segment_sum(tf.transpose(per_observation), self.row, self.number))

    def _sum_one(self, per_observation):
        return tf.math.unsorted_segment_sum(self.real * per_observation, self.row, self.number)
