"""What is checked of surrogate posteriors, one function a check."""

import numpy as np
import tensorflow as tf

from vimerge.distributions import has_analytic_kl, kl_divergence
from vimerge.priors import Wilson
from vimerge.testing import density as densities
from vimerge.testing import layers
from vimerge.testing.errors import Fault, NotApplicable
from vimerge.testing.gradients import gradients, one_by_one
from vimerge.testing.subject import SAMPLES_SEED

SEED = tf.constant(SAMPLES_SEED)


def shapes_and_dtypes(subject):
    """One distribution a reflection; samples [S, N], densities and moments [N], all float32."""
    layer, ids = subject.layer, subject.ids
    count = len(subject.asu)
    for refl_id, n in ((None, count), (ids, len(ids))):
        distribution = layer.distribution(refl_id)
        if tf.as_dtype(distribution.dtype) != tf.float32:
            raise Fault(f"its distribution is of {tf.as_dtype(distribution.dtype).name}, not float32.")
        if distribution.batch_shape != (n,) or distribution.event_shape != ():
            raise Fault(
                f"distribution({'' if refl_id is None else 'refl_id'}) has the batch shape "
                f"{list(distribution.batch_shape)} and the event shape {list(distribution.event_shape)}, not [{n}] and "
                "[]: make one scalar distribution a reflection."
            )
    layers.expect("a sample", layer(ids, mc_samples=3, seed=SEED), (3, len(ids)))
    if not subject.is_point:
        layers.expect("log_prob", distribution.log_prob(subject.density.points), (9, len(ids)))
    for name, value in layer.moments(ids)._asdict().items():
        layers.expect(f"moments().{name}", value, (len(ids),))


def assigned_moments(subject):
    """assign_moments gives the mean and, where the family can have it, the standard deviation."""
    with subject.fresh() as layer:
        wanted, _ = subject.wanted
        found = {}
        for ratio in (4.0, 8.0):
            layer.assign_moments(wanted, wanted / ratio)
            found[ratio] = [x.numpy().astype(float) for x in _own_moments(layer)]
        mean, sd = found[4.0]
        _close("mean", mean, wanted, 0.01)
        # A family of one width for each mean may keep it.
        if not subject.is_point and not np.allclose(sd, found[8.0][1], rtol=0.02):
            for ratio, (_, sd) in found.items():
                _close("sd", sd, wanted / ratio, 0.03)


def _own_moments(layer):
    moments = layer.moments()
    return (moments.I, moments.SIGI) if layer.over == "intensity" else (moments.F, moments.SIGF)


def _close(name, found, wanted, tolerance):
    off = np.abs(found / wanted - 1.0)
    n = int(np.argmax(np.nan_to_num(off, nan=np.inf)))
    if not off[n] < tolerance:
        raise Fault(
            f"assign_moments with the {name} {wanted[n]:.4g} gave {found[n]:.4g} at refl_id {n}: "
            "_parameters_from_moments is not the inverse of the moments."
        )


def support(subject):
    """Samples are positive and finite."""
    # As they are drawn; Surrogate.sample keeps them clear of a zero.
    sample = subject.layer.distribution(subject.ids).sample(500, seed=SEED).numpy()
    densities.check_support(sample, subject.density.labels, lowest=0.0)


def normalisation(subject):
    """The density integrates to one."""
    subject.density.refuse_point()
    densities.check_normalisation(subject.density)


def samples(subject):
    """Samples follow the density."""
    subject.density.refuse_point()
    densities.check_samples(subject.density)


def moments(subject):
    """E[F], sd(F), E[F²] and sd(F²) are those of the density."""
    density, layer = subject.density, subject.layer
    density.refuse_point()
    intensity = layer.intensity(density.wide)
    intensity = np.asarray(intensity)
    drawn = np.square(density.sample) if layer.over == "amplitude" else density.sample
    claimed = layer.moments(subject.ids)._asdict()
    for power, mean_name, sd_name in ((0.5, "F", "SIGF"), (1.0, "I", "SIGI")):
        values = intensity**power
        mean = density.expectation(values)
        sd = np.sqrt(density.expectation((values - mean) ** 2))
        of_samples = drawn**power
        for name, exact, sampled in ((mean_name, mean, of_samples.mean(axis=0)), (sd_name, sd, of_samples.std(axis=0))):
            got = claimed[name].numpy().astype(float)
            off = np.abs(got / exact - 1.0)
            n = int(np.argmax(np.nan_to_num(off, nan=np.inf)))
            if not off[n] < 2 * densities.QUADRATURE:
                raise Fault(
                    f"moments() has {name} {got[n]:.4g} at {density.label(n)}, but its density gives {exact[n]:.4g} "
                    f"and its samples {sampled[n]:.4g}: correct mean and stddev, or power_moments of its distribution."
                )


def gathering(subject):
    """The distribution of some reflections is that of all, gathered."""
    layer = subject.layer
    ids = subject.ids[np.r_[3 % len(subject.ids), 0, 3 % len(subject.ids), -1]]
    some, every = layer.distribution(ids), layer.distribution()
    pairs = [("mean", some.mean(), tf.gather(every.mean(), ids))]
    pairs += [
        (f"moments().{name}", value, tf.gather(of_all, ids))
        for name, value, of_all in zip(("F", "SIGF", "I", "SIGI"), layer.moments(ids), layer.moments(), strict=True)
    ]
    if not subject.is_point:
        x = every.mean() * 1.1
        pairs.append(("log_prob", some.log_prob(tf.gather(x, ids)), tf.gather(every.log_prob(x), ids)))
    for name, got, expected in pairs:
        off = ~np.isclose(got, expected, rtol=1e-4, atol=1e-4)
        if off.any():
            n = int(np.argmax(off))
            raise Fault(
                f"the {name} of refl_id {ids[n]} is {got[n]:.6g} when it is asked for with others, but "
                f"{expected[n]:.6g} among all: gather what belongs to each reflection by refl_id."
            )


def gradient_of_the_density(subject):
    """The gradient of log_prob in every parameter is that of finite differences."""
    subject.density.refuse_point()
    densities.check_density_gradient(subject.density, one_by_one(subject.layer.trainable_variables))


def gradient_of_the_samples(subject):
    """The gradient of samples in every parameter is on average that of the density."""
    densities.check_sample_gradient(subject.density, one_by_one(subject.layer.trainable_variables))


def divergence(subject):
    """KL[q || p] from Wilson's prior is that of quadrature, where it is in closed form."""
    density, layer, ids = subject.density, subject.layer, subject.ids
    density.refuse_point()
    expected_intensity = layer.moments().I.numpy() / subject.asu.epsilon * np.resize([0.5, 1.0, 3.0], len(subject.asu))
    q, p = layer.distribution(ids), Wilson(subject.asu, expected_intensity).distribution(ids, over=layer.over)
    if not has_analytic_kl(q, p):
        raise NotApplicable("There is no closed form: it is estimated from samples.")
    kl = kl_divergence(q, p)
    layers.expect("KL[q || p]", kl, (len(ids),))
    log_p = np.maximum(p.log_prob(density.x).numpy().astype(float), -1e30)
    log_q = np.log(np.maximum(density.density, 1e-300))
    exact, kl = density.expectation(log_q - log_p), kl.numpy()
    off = np.abs(kl - exact) / (densities.QUADRATURE * (1.0 + np.abs(exact)))
    n = int(np.argmax(off))
    if not off[n] < 1.0:
        raise Fault(
            f"its closed form of KL[q || p] from Wilson's prior is {kl[n]:.4g}, but by quadrature {exact[n]:.4g}, at "
            f"{density.label(n)}: correct what tfp.distributions.RegisterKL registered for its distribution."
        )


def narrow_posteriors(subject):
    """Density, samples and their gradients are right where mean/sd is 100 or 300, as of strong reflections."""
    with subject.fresh() as layer:
        mean, _ = subject.wanted
        layer.assign_moments(mean, mean / np.resize([100.0, 300.0], len(mean)))
        ids = subject.ids[:: max(len(subject.ids) // 8, 1)]
        density = subject.density_of(ids)
        densities.check_normalisation(density, "at such a mean/sd log_prob loses its digits in float32")
        densities.check_samples(density)
        densities.check_sample_gradient(density, one_by_one(layer.trainable_variables))


def extreme_parameters(subject):
    """Samples, densities and gradients are finite with means from 1e-6 to 1e6 and mean/sd from 1 to 1000."""
    layer, count = subject.layer, len(subject.asu)
    points = np.unique(np.linspace(0, count - 1, min(count, 200)).astype(np.int32))
    mean = 10.0 ** np.linspace(-6.0, 6.0, count)
    ratio = np.resize([1.0, 3.0, 30.0, 1000.0], count)
    with subject.fresh():
        layer.assign_moments(mean, mean / ratio)
        at = layer.sample(layer.distribution(points), 20, SEED)
        with tf.GradientTape(persistent=True) as tape:
            distribution = layer.distribution(points)
            targets = {"the logarithm of a sample": tf.math.log(layer.sample(distribution, 20, SEED))}
            if not subject.is_point:
                targets["log_prob"] = distribution.log_prob(at)
        values = targets | {f"moments().{name}": v[np.newaxis] for name, v in layer.moments(points)._asdict().items()}
        for name, value in values.items():
            _finite(name, value.numpy(), mean[points], ratio[points])
        for name, target in targets.items():
            weights = layer.trainable_variables
            for weight, gradient in zip(weights, gradients(tape, target, weights), strict=True):
                gradient = gradient.numpy()
                if gradient.shape == (count,):
                    _finite(f"the gradient of {name} in {weight.name}", gradient[np.newaxis], mean, ratio)
                elif not np.all(np.isfinite(gradient)):
                    raise Fault(f"the gradient of {name} in {weight.name} is not finite at extreme means.")


def _finite(name, values, mean, ratio):
    bad = ~np.isfinite(values)
    if bad.any():
        s, n = np.argwhere(bad)[0]
        raise Fault(
            f"{name} is {values[s, n]} where the mean is {mean[n]:.2g} and the sd {mean[n] / ratio[n]:.2g}: something "
            "overflows or divides by zero in float32."
        )
