"""Checks of scaling models q(Σ | metadata) and of the families of q(Σ)."""

from dataclasses import replace
from functools import cached_property

import numpy as np
import tensorflow as tf

from vimerge.scaling import Scaling
from vimerge.testing import data, layers
from vimerge.testing import density as densities
from vimerge.testing.errors import Fault, NotApplicable
from vimerge.testing.gradients import all_at_once, check_gradient, gradients, one_by_one
from vimerge.testing.running import run
from vimerge.testing.subject import Subject

FEW = 24
# A network is piecewise linear: a step of its weights must not cross too many kinks.
STEP, KINKS = 0.005, 0.1


class ScalingSubject(Subject):
    """A scaling model that has seen the data, a little away from its start."""

    base, takes = Scaling, "metadata_keys"

    def make(self):
        """Make it for the kit's metadata."""
        return self.member(self.reflections.metadata_keys)

    @cached_property
    def reflections(self):
        """The observations it is checked on, with the metadata that an instance was made for."""
        given = data.reflections() if self.given is None else data.some_of(self.given, 400)
        keys = getattr(self.member, "metadata_keys", None) if self.is_instance else None
        return given if keys is None or self.given is not None else data.with_metadata(given, keys)

    @property
    def name(self):
        """The class, and the family of its posterior."""
        return f"{super().name} ({type(self.layer.posterior).__name__})" if self.is_made else super().name

    @cached_property
    def mean_scale(self):
        """Mean observed intensity over a mean F² of one."""
        return float(self.reflections.iobs.mean(dtype=np.float64))

    def start(self, layer):
        """Let it see the data."""
        layer.adapt(self.reflections, self.mean_scale)

    @cached_property
    def few(self):
        """A batch of some observations."""
        return data.take(self.batch, np.unique(np.linspace(0, len(self.reflections) - 1, FEW).astype(int)))

    @cached_property
    def density(self):
        """The scales of these as samples and densities."""
        return densities.Density(
            lambda: self.layer.distribution(self.few),
            lambda distribution, n, seed: distribution.sample(n, seed=seed),
            [f"prediction {i}" for i in range(len(self.few["iobs"]))],
        )

    @cached_property
    def is_point(self):
        """Whether scales are points."""
        return densities.is_point(self.layer.distribution(self.few))

    def objective(self, layer):
        """Mean scales, densities and KL."""
        distribution = layer.distribution(self.few)
        mean = distribution.mean()
        values = {"the mean scale": layer(self.few), "KL[q(Σ) || p(Σ)]": layer.kl_divergence(distribution, mean[None])}
        if not self.is_point:
            values["log_prob"] = distribution.log_prob(self.density.points)
        return values

    def draw(self, layer):
        """Samples of the same scales."""
        return {"scales": layer.distribution(self.few).sample(2, seed=tf.constant((8, 21)))}

    def parts(self, layer):
        """It is the model's scaling."""
        return {"scaling": layer}


def shapes_and_dtypes(subject):
    """One distribution a prediction; scales and KL [N], samples [S, N], all float32."""
    layer, batch = subject.layer, subject.batch
    n = len(batch["refl_id"])
    distribution = layer.distribution(batch)
    if distribution.batch_shape != (n,) or distribution.event_shape != ():
        raise Fault(
            f"its distribution has the batch shape {list(distribution.batch_shape)} and the event shape "
            f"{list(distribution.event_shape)}, not [{n}] and []: _parameters must give [N, posterior.n_parameters]."
        )
    sample = distribution.sample(3, seed=tf.constant((8, 21)))
    layers.expect("a sample", sample, (3, n))
    layers.expect("the mean scale, which calling it gives,", layer(batch), (n,))
    layers.expect("the variance of its distribution", distribution.variance(), (n,))
    layers.expect("the KL", layer.kl_divergence(distribution, sample), (n,))


def support(subject):
    """Scales are positive and finite."""
    densities.check_support(subject.density.sample, subject.density.labels)
    scale = subject.layer(subject.batch).numpy()
    if not np.all(scale > 0):
        n = int(np.argmin(scale))
        raise Fault(f"the mean scale of prediction {n} is {scale[n]:.4g}: it must be positive.")


def start_at_the_mean_scale(subject):
    """After adapt the scales are on average the mean scale, in data of any unit."""
    for unit in (1.0, 1e-6, 1e6):
        observed = subject.reflections
        observed = replace(observed, iobs=np.float32(unit) * observed.iobs, sigiobs=np.float32(unit) * observed.sigiobs)
        with subject.fresh() as layer:
            layer.adapt(observed, unit * subject.mean_scale)
            mean = float(np.mean(layer(subject.batch).numpy().astype(float)))
        if not 0.8 < mean / (unit * subject.mean_scale) < 1.25:
            raise Fault(
                f"adapted to a mean scale of {unit * subject.mean_scale:.4g}, its scales are {mean:.4g} on average: "
                "add log(mean_scale) in _adapt, kept in a weight, to what _parameters gives first."
            )


def observations_alone(subject):
    """The scale of an observation does not depend on the rest of its batch."""
    layers.rows_alone(subject, lambda batch, rows: subject.layer(batch), "the scale")


def normalisation(subject):
    """The density of a scale integrates to one."""
    subject.density.refuse_point()
    densities.check_normalisation(subject.density)


def samples(subject):
    """Samples follow the density."""
    subject.density.refuse_point()
    densities.check_samples(subject.density)


def moments(subject):
    """Mean and variance are those of the density."""
    density = subject.density
    density.refuse_point()
    distribution, mean = subject.layer.distribution(subject.few), density.expectation(density.wide)
    sd = np.sqrt(density.expectation((density.wide - mean) ** 2))
    for name, got, exact in (("mean", distribution.mean(), mean), ("stddev", distribution.stddev(), sd)):
        off = np.abs(got.numpy() / exact - 1.0)
        n = int(np.argmax(np.nan_to_num(off, nan=np.inf)))
        if not off[n] < 2 * densities.QUADRATURE:
            raise Fault(
                f"the {name} of its distribution is {float(got[n]):.4g} at {density.label(n)}, but that of its density "
                f"{exact[n]:.4g}."
            )


def gradient_of_the_scale(subject):
    """The gradient of the log of the mean scale in every weight is that of finite differences."""
    check_gradient(
        lambda: tf.math.log(subject.layer(subject.few)),
        one_by_one(subject.layer.trainable_variables),
        "the log of the mean scale",
        lambda at: f"prediction {at[0]}",
        step=STEP,
        kinks=KINKS,
    )


def gradient_of_the_samples(subject):
    """The gradient of samples in the weights is on average that of the density."""
    if subject.is_point:
        raise NotApplicable("The gradient of a point is that of its mean.")
    densities.check_sample_gradient(subject.density, all_at_once(subject.layer.trainable_variables))


def divergence(subject):
    """The KL is not negative, and that of quadrature where the posterior tells its prior."""
    layer, density = subject.layer, subject.density
    density.refuse_point()
    distribution = layer.distribution(subject.few)
    sample = distribution.sample(densities.SAMPLES, seed=tf.constant(densities.SEED))
    parts = np.array([layer.kl_divergence(distribution, part).numpy() for part in tf.split(sample, 20)])
    kl, error = parts.mean(axis=0).astype(float), parts.std(axis=0, ddof=1) / np.sqrt(len(parts))
    # Student's t of 19 degrees of freedom is beyond 12 with a probability of 2e-10.
    allowed = 12.0 * error + 1e-4
    n = int(np.argmin(kl + allowed))
    if not kl[n] + allowed[n] > 0:
        raise Fault(
            f"its KL[q(Σ) || p(Σ)] is {kl[n]:.4g} ± {error[n]:.2g} at {density.label(n)}: a divergence is not negative."
        )
    prior = getattr(layer.posterior, "prior", None)
    if prior is None:
        return
    log_p = np.maximum(prior.log_prob(density.x).numpy().astype(float), -1e30)
    exact = density.expectation(np.log(np.maximum(density.density, 1e-300)) - log_p)
    off = np.abs(kl - exact) / (allowed + densities.QUADRATURE * (1.0 + np.abs(exact)))
    n = int(np.argmax(np.nan_to_num(off, nan=np.inf)))
    if not off[n] < 1.0:
        raise Fault(
            f"its KL[q(Σ) || p(Σ)] is {kl[n]:.4g} ± {error[n]:.2g} at {density.label(n)}, but from its posterior's "
            f"prior by quadrature {exact[n]:.4g}: correct kl_divergence or prior."
        )


def extremes(subject):
    """Scales, KL and gradients are finite with mean scales from 1e-6 to 1e6."""
    for mean_scale in (1e-6, 1.0, 1e6):
        with subject.fresh() as layer:
            layer.adapt(subject.reflections, mean_scale)
            with tf.GradientTape() as tape:
                distribution = layer.distribution(subject.batch)
                sample = distribution.sample(3, seed=tf.constant((8, 21)))
                values = {
                    "the log of a sample": tf.math.log(sample),
                    "the KL": layer.kl_divergence(distribution, sample),
                    "the variance": distribution.variance(),
                }
                total = tf.add_n([tf.reduce_sum(v) for v in list(values.values())[:2]])
            weights = layer.trainable_variables
            slopes = gradients(tape, total, weights)
            values |= {f"the gradient in {w.name}": slope for w, slope in zip(weights, slopes, strict=True)}
        for name, value in values.items():
            if not np.all(np.isfinite(value.numpy())):
                raise Fault(
                    f"{name} is not finite at a mean scale of {mean_scale:g}: something overflows or divides by zero "
                    "in float32."
                )


CHECKS = (
    layers.construction,
    layers.registration,
    shapes_and_dtypes,
    layers.weights,
    support,
    start_at_the_mean_scale,
    observations_alone,
    normalisation,
    samples,
    moments,
    gradient_of_the_scale,
    gradient_of_the_samples,
    divergence,
    extremes,
    layers.minibatches,
    layers.configuration,
    layers.saving,
    layers.training,
    layers.compilation,
)


def check_scaling(scaling, *, reflections=None, skip=(), report=False):
    """Check a scaling model, and the family of its posterior, against what its family has agreed on.

    Parameters
    ----------
    scaling : Scaling or callable
        A factory, called with the keys of the metadata, such as the class; the kit's data have 8 images. Or an
        instance, which is left as it was; the kit makes up the metadata that it was made for.
    reflections, skip, report
        See `check_surrogate`. A family of q(Σ) is checked in a scaling model that has it, and its KL against its prior
        if it has an attribute `prior`, a tfd.Distribution.

    Returns
    -------
    pandas.DataFrame or None
        With `report`, a row a check: member, check, passed (<NA> where it does not apply), message.

    Raises
    ------
    ConformanceError
        If a check fails: what is wrong, where, and what to do, in a sentence.

    Examples
    --------
    >>> check_scaling(lambda keys: MLP(keys, posterior=MyPosterior()))
    """
    return run([ScalingSubject(scaling, reflections)], CHECKS, skip=skip, report=report)
