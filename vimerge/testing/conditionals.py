"""Checks of priors in which a reflection depends on another, its parent."""

import numpy as np
import tensorflow as tf

from vimerge.surrogates import Surrogate
from vimerge.testing import density as densities
from vimerge.testing import layers
from vimerge.testing.errors import Fault, NotApplicable
from vimerge.testing.gradients import Direction, check_gradient

OVER = ("amplitude", "intensity")
# Amplitudes of parents, in units of √E[F²], at which densities are checked.
AMPLITUDES = (0.3, 1.5)


def parents_of(subject):
    """The parent of each of the subject's reflections, −1 for none, int32 [N]."""
    parents = subject.layer.parents
    if parents is None:
        raise NotApplicable("Its reflections are independent.")
    number = len(subject.asu)
    parents = np.asarray(parents)
    if parents.shape != (number,) or parents.dtype != np.int32:
        raise Fault(
            f"parents is an array of {parents.dtype} of shape {list(parents.shape)}: it must be int32 [{number}], the "
            "refl_id of each reflection's parent or −1."
        )
    if np.any((parents < -1) | (parents >= number)):
        raise Fault(
            f"parents has the refl_id {parents.max()} or {parents.min()}: they go from −1, for none, to {number - 1}."
        )
    return parents[subject.ids]


def amplitudes_of_parents(subject):
    """Amplitudes of the parents of the subject's reflections, float32 [2, N]; for roots, of themselves."""
    parents = subject.parents
    root = np.sqrt(subject.layer(np.where(parents < 0, subject.ids, parents)).numpy())
    return np.float32(AMPLITUDES)[:, np.newaxis] * root


def conditional_log_prob(subject, layer):
    """Log densities of the subject's reflections given amplitudes of their parents, a dict of float32 tensors."""
    if layer.parents is None:
        return {}
    values = {}
    for over, density in subject.densities.items():
        for amplitude in subject.amplitudes_of_parents:
            conditional = layer.conditional(subject.ids, amplitude, over)
            values[f"log_prob over {over} at {len(values)}"] = conditional.log_prob(density.points)
    return values


def conditional_shapes(subject):
    """Given amplitudes [S, N] of the parents there are as many distributions, which of roots are as by themselves."""
    parents = subject.parents
    amplitudes = subject.amplitudes_of_parents
    for over in OVER:
        conditional = subject.layer.conditional(subject.ids, amplitudes, over)
        if conditional.batch_shape != amplitudes.shape or conditional.event_shape != ():
            raise Fault(
                f"conditional(refl_id, parent_amplitude, over='{over}') has the batch shape "
                f"{list(conditional.batch_shape)} for amplitudes of shape {list(amplitudes.shape)}: make one scalar "
                "distribution for each."
            )
        points = subject.densities[over].points
        log_prob = conditional.log_prob(points[:, np.newaxis])
        layers.expect(f"conditional log_prob over {over}", log_prob, (len(points), *amplitudes.shape))
        alone = subject.layer.distribution(subject.ids, over=over).log_prob(points).numpy()[:, np.newaxis]
        off = ~np.isclose(log_prob, alone, rtol=1e-4, atol=1e-4) & (parents < 0)
        if off.any():
            s, _, n = np.argwhere(off)[0]
            raise Fault(
                f"log_prob over {over} of refl_id {subject.ids[n]}, which has no parent, is {log_prob[s, 0, n]:.6g} in "
                f"its conditional, but {alone[s, 0, n]:.6g} in its distribution: what is given for the parent of a "
                "root must make no difference."
            )


def conditional_densities(subject):
    """The densities given the parent integrate to one, and samples follow them."""
    for amplitude in subject.amplitudes_of_parents:
        for over in OVER:
            density = densities.Density(
                lambda amplitude=amplitude, over=over: subject.layer.conditional(subject.ids, amplitude, over),
                Surrogate.sample,
                [f"refl_id {i} over {over} given F = {f:.3g}" for i, f in zip(subject.ids, amplitude, strict=True)],
            )
            densities.check_normalisation(
                density, "log_prob of its conditional lacks a normaliser or, over intensity, 1/(2F)"
            )
            densities.check_samples(density, "samples of its conditional")


def marginal_of_children(subject):
    """Children of parents that are drawn from the prior are distributed as the prior says of them by themselves."""
    parents = subject.parents
    of_parents = subject.layer.distribution(np.where(parents < 0, subject.ids, parents))

    def draw(_, number, seed):
        amplitude = Surrogate.sample(of_parents, number, seed)
        return Surrogate.sample(subject.layer.conditional(subject.ids, amplitude), 1, seed + 1)[0]

    density = densities.Density(
        lambda: subject.layer.distribution(subject.ids), draw, [f"refl_id {i}" for i in subject.ids]
    )
    try:
        densities.check_samples(density, "children that its conditional gives of parents that its distribution gives")
    except Fault as fault:
        reason = str(fault).split("; correct")[0]
        raise Fault(f"{reason}: averaged over its parent, a child must have its own distribution.") from None


def gradient_in_the_parent(subject):
    """The gradient of log_prob in the parent's amplitude, by which its child pulls on it, is that of differences."""
    amplitudes = subject.amplitudes_of_parents
    for over in OVER:
        x = tf.constant(subject.layer.conditional(subject.ids, amplitudes, over).mean())
        shift = tf.Variable(tf.zeros_like(amplitudes))
        check_gradient(
            lambda x=x, over=over, shift=shift: subject.layer.conditional(
                subject.ids, amplitudes * tf.exp(shift), over
            ).log_prob(x),
            [Direction("the logarithm of the parent's amplitude", [shift], [np.ones(shift.shape, np.float32)])],
            f"the conditional log_prob over {over}",
            lambda at: f"refl_id {subject.ids[at[1]]} given F = {amplitudes[at]:.3g}",
        )


CHECKS = (conditional_shapes, conditional_densities, marginal_of_children, gradient_in_the_parent)
