"""Checks of priors p(F)."""

from dataclasses import replace
from functools import cached_property

import numpy as np
import tensorflow as tf

from vimerge.priors import Prior
from vimerge.surrogates import Surrogate
from vimerge.testing import conditionals, layers
from vimerge.testing import density as densities
from vimerge.testing.errors import Fault, NotApplicable
from vimerge.testing.gradients import Direction, check_gradient, one_by_one
from vimerge.testing.running import run
from vimerge.testing.subject import SAMPLES_SEED, Subject

SEED = tf.constant(SAMPLES_SEED)
OVER = ("amplitude", "intensity")


class PriorSubject(Subject):
    """A prior that has taken from the data what it takes."""

    base, takes = Prior, "an asu"

    def make(self):
        """Make it for the kit's reflections."""
        return self.member(self.asu)

    def start(self, layer):
        """Let it see the data."""
        layer.adapt(self.reflections)

    @cached_property
    def densities(self):
        """Some of its reflections as samples and densities, over either variate."""
        return {over: self._density(over) for over in OVER}

    @cached_property
    def parents(self):
        """The parent of each of these, −1 for none; NotApplicable if it has no such thing."""
        return conditionals.parents_of(self)

    @cached_property
    def amplitudes_of_parents(self):
        """Amplitudes of their parents, float32 [2, N]; for roots, of themselves."""
        return conditionals.amplitudes_of_parents(self)

    def _density(self, over):
        return densities.Density(
            lambda: self.layer.distribution(self.ids, over=over),
            Surrogate.sample,
            [f"refl_id {i} over {over}" for i in self.ids],
        )

    def objective(self, layer):
        """E[F²] and densities of some reflections, by themselves and given those on which they depend."""
        values = {"E[F²]": layer(self.ids)}
        for over, density in self.densities.items():
            values[f"log_prob over {over}"] = layer.distribution(self.ids, over=over).log_prob(density.points)
        return values | conditionals.conditional_log_prob(self, layer)

    def parts(self, layer):
        """It is the model's prior."""
        return {"prior": layer}


def shapes_and_dtypes(subject):
    """One distribution a reflection over either variate; E[F²] is positive, [N], float32."""
    layer, ids = subject.layer, subject.ids
    for over in OVER:
        for refl_id, n in ((None, len(subject.asu)), (ids, len(ids))):
            distribution = layer.distribution(refl_id, over=over)
            if distribution.batch_shape != (n,) or distribution.event_shape != ():
                raise Fault(
                    f"distribution({'' if refl_id is None else 'refl_id, '}over='{over}') has the batch shape "
                    f"{list(distribution.batch_shape)} and the event shape {list(distribution.event_shape)}, not [{n}] "
                    "and []: make one scalar distribution a reflection."
                )
        if tf.as_dtype(distribution.dtype) != tf.float32:
            raise Fault(f"its distribution over {over} is of {tf.as_dtype(distribution.dtype).name}, not float32.")
        points = subject.densities[over].points
        layers.expect(f"log_prob over {over}", distribution.log_prob(points), (9, len(ids)))
    expected = layer(ids)
    layers.expect("E[F²], which calling it gives,", expected, (len(ids),))
    if not np.all(expected.numpy() > 0):
        n = int(np.argmin(expected))
        raise Fault(f"E[F²], which calling it gives, is {float(expected[n]):.4g} at refl_id {ids[n]}: it is positive.")


def support(subject):
    """Samples are positive and finite."""
    for density in subject.densities.values():
        densities.check_support(density.sample, density.labels)


def normalisation(subject):
    """The densities of amplitude and intensity integrate to one."""
    for density in subject.densities.values():
        densities.check_normalisation(density, "log_prob lacks a normaliser or, over intensity, the Jacobian 1/(2F)")


def either_variate(subject):
    """The densities over amplitude and over intensity are one distribution: p(F) = 2F p(F²)."""
    ids = subject.ids
    f = subject.densities["amplitude"].points
    of_amplitude, of_intensity = (
        subject.layer.distribution(ids, over=over).log_prob(x).numpy() for over, x in zip(OVER, (f, f**2), strict=True)
    )
    off = np.abs(of_amplitude - of_intensity - np.log(2.0 * f))
    s, n = np.unravel_index(np.argmax(np.nan_to_num(off, nan=np.inf)), off.shape)
    if not off[s, n] < densities.QUADRATURE * (1.0 + np.abs(of_amplitude[s, n])):
        raise Fault(
            f"at F = {f[s, n]:.4g} of refl_id {ids[n]} its log density over amplitude is {of_amplitude[s, n]:.4g}, but "
            f"over intensity with the Jacobian 2F {of_intensity[s, n] + np.log(2.0 * f[s, n]):.4g}: both must be one "
            "distribution, p(F) = 2F p(F²)."
        )


def samples(subject):
    """Samples follow the densities."""
    for density in subject.densities.values():
        densities.check_samples(density)


def mean_intensity(subject):
    """Calling it gives E[F²] under either density."""
    claimed = subject.layer(subject.ids).numpy().astype(float)
    for over, density in subject.densities.items():
        exact = density.expectation(density.wide**2 if over == "amplitude" else density.wide)
        off = np.abs(claimed / exact - 1.0)
        n = int(np.argmax(np.nan_to_num(off, nan=np.inf)))
        if not off[n] < densities.QUADRATURE:
            raise Fault(
                f"calling it gives E[F²] = {claimed[n]:.4g} at refl_id {subject.ids[n]}, but its density over {over} "
                f"has {exact[n]:.4g}: correct the mean of its distribution over intensity."
            )


def gathering(subject):
    """The distribution of some reflections is that of all, gathered."""
    ids = subject.ids[np.r_[3 % len(subject.ids), 0, 3 % len(subject.ids), -1]]
    for over in OVER:
        x = tf.gather(tf.sqrt(subject.layer(tf.range(len(subject.asu)))), ids)
        some = subject.layer.distribution(ids, over=over).log_prob(x).numpy()
        every = subject.layer.distribution(over=over).log_prob(x[:, tf.newaxis]).numpy()[np.arange(len(ids)), ids]
        off = ~np.isclose(some, every, rtol=1e-4, atol=1e-4)
        if off.any():
            n = int(np.argmax(off))
            raise Fault(
                f"log_prob over {over} of refl_id {ids[n]} is {some[n]:.6g} when it is asked for with others, but "
                f"{every[n]:.6g} among all: gather what belongs to each reflection by refl_id."
            )


def gradient_in_the_variate(subject):
    """The gradient of log_prob in F, by which it pulls on the surrogate, is that of finite differences."""
    for over, density in subject.densities.items():
        shift = tf.Variable(tf.zeros_like(density.points))
        check_gradient(
            lambda density=density, shift=shift: density.make().log_prob(density.points * tf.exp(shift)),
            [Direction(f"the logarithm of the {over}", [shift], [np.ones(shift.shape, np.float32)])],
            f"log_prob over {over}",
            lambda at, density=density: f"{density.points[at]:.3g} of {density.label(at[1])}",
        )


def gradient_in_the_parameters(subject):
    """The gradient of log_prob in every trained weight is that of finite differences."""
    weights = subject.layer.trainable_variables
    if not weights:
        raise NotApplicable("Nothing of it is trained.")
    for density in subject.densities.values():
        densities.check_density_gradient(density, one_by_one(weights))


def extremes(subject):
    """Densities and gradients are finite from 1e-6 to 1e6 of √E[F²], in data of any unit."""
    ids = subject.ids
    for unit in (1.0, 1e-6, 1e6):
        data = subject.reflections
        data = replace(data, iobs=np.float32(unit) * data.iobs, sigiobs=np.float32(unit) * data.sigiobs)
        with subject.fresh() as layer:
            layer.adapt(data)
            root = tf.sqrt(layer(ids)).numpy()
            layers.expect(f"√E[F²] of data in a unit of {1 / unit:g}", root, (len(ids),))
            f = root * 10.0 ** np.linspace(-6.0, 6.0, 25, dtype=np.float32)[:, np.newaxis]
            for over in OVER:
                x = tf.constant(f if over == "amplitude" else f**2)
                with tf.GradientTape() as tape:
                    tape.watch(x)
                    log_prob = layer.distribution(ids, over=over).log_prob(x)
                values = {"log_prob": log_prob, "the gradient of log_prob": tape.gradient(log_prob, x)}
                for name, value in values.items():
                    bad = ~np.isfinite(value.numpy())
                    if bad.any():
                        s, n = np.argwhere(bad)[0]
                        raise Fault(
                            f"{name} over {over} is {value.numpy()[s, n]} at F = {f[s, n]:.3g} of refl_id {ids[n]}, "
                            f"where √E[F²] is {root[n]:.3g}: something overflows or divides by zero in float32."
                        )


CHECKS = (
    layers.construction,
    layers.registration,
    shapes_and_dtypes,
    layers.weights,
    gathering,
    support,
    normalisation,
    either_variate,
    samples,
    mean_intensity,
    gradient_in_the_variate,
    gradient_in_the_parameters,
    extremes,
    *conditionals.CHECKS,
    layers.minibatches,
    layers.configuration,
    layers.saving,
    layers.training,
    layers.compilation,
)


def check_prior(prior, *, reflections=None, skip=(), report=False):
    """Check a prior of the structure factors against what its family has agreed on.

    Parameters
    ----------
    prior : Prior or callable
        A factory, called with an asu, such as the class. Or an instance, which is checked on its own reflections and
        left as it was.
    reflections, skip, report
        See `check_surrogate`.

    Returns
    -------
    pandas.DataFrame or None
        With `report`, a row a check: member, check, passed (<NA> where it does not apply), message.

    Raises
    ------
    ConformanceError
        If a check fails: what is wrong, where, and what to do, in a sentence.
    """
    return run([PriorSubject(prior, reflections)], CHECKS, skip=skip, report=report)
