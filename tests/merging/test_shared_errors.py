"""Systematic errors that related data sets share: their joint density, the posterior, and the correlation chosen."""

import gemmi
import numpy as np
import pytest
from scipy import stats
from scipy.special import i0e

from vimerge import VariationalMergingModel, likelihoods, priors, scaling, surrogates
from vimerge.merging import choose_shared_errors, differences, error_correlation
from vimerge.merging.joint import LogJoint
from vimerge.merging.recipe import train
from vimerge.merging.shared_errors import SharedErrors, paired_observations
from vimerge.merging.start import moments_on_grid
from vimerge.merging.trees import posterior_of_trees
from vimerge.reflections import Reflections
from vimerge.reflections.relations import dataset_parents

SCALE, MEAN, SDADD, IMAGES = 2.5, 10.0, 0.3, 4
CELL, SPACEGROUP = gemmi.UnitCell(20, 20, 30, 90, 90, 90), gemmi.SpaceGroup("P 4")
NOISE = {"normal": likelihoods.Normal, "student-t": lambda **options: likelihoods.StudentT(4.0, **options)}


def related_data(r, shared, dmin=2.5, seed=1):
    """Two data sets on images at the same orientations, drawn from the model, and the true amplitudes by index."""
    rng = np.random.default_rng(seed)
    hkl = gemmi.make_miller_array(CELL, SPACEGROUP, dmin)
    n = len(hkl)
    epsilon, centric = (
        SPACEGROUP.operations().epsilon_factor_array(hkl),
        SPACEGROUP.operations().centric_flag_array(hkl),
    )
    one, other = (np.where(centric, x, (x + 1j * y) / np.sqrt(2)) for x, y in rng.normal(size=(2, 2, n)))
    truth = np.sqrt(MEAN * epsilon) * np.abs([one, r * one + np.sqrt(1 - r**2) * other])
    observed = np.sort(rng.integers(0, n * IMAGES, 3 * n))
    observed = np.unique(np.concatenate([observed, np.arange(n)]))
    image, which = observed // n, observed % n
    z = rng.normal(size=(3, len(observed)))
    tables = []
    for f, own in zip(truth, z[:2], strict=True):
        intensity, sigma = SCALE * f[which] ** 2, SCALE * MEAN * rng.uniform(0.02, 0.1, len(which))
        systematic = np.sqrt(shared) * z[2] + np.sqrt(1 - shared) * own
        iobs = intensity + sigma * rng.normal(size=len(which)) + SDADD * intensity * systematic
        tables.append(Reflections.from_arrays(hkl[which], iobs, sigma, image + 1, cell=CELL, spacegroup=SPACEGROUP))
    return Reflections.concatenate(tables, ["off", "on"]), dict(zip(map(tuple, hkl.tolist()), truth.T, strict=True))


def model_of(reflections, r, noise="normal", shared_errors=0.0):
    """A model that knows the scales and errors."""
    asu = reflections.asu
    error_model = likelihoods.Evans2011(sdfac=1.0, sdb=1e-4, sdadd=SDADD)
    model = VariationalMergingModel(
        surrogates.FrenchWilson(asu),
        priors.MultivariateWilson(asu, dataset_parents(asu, {"on": "off"}), r, falloff=MEAN),
        scaling.MLP(reflections.metadata_keys, width=2, depth=0),
        NOISE[noise](error_model=error_model, shared_errors=shared_errors),
        seed=1,
    )
    model.initialize(reflections)
    model.scaling.adapt(reflections, SCALE)
    for weight in model.scaling.trainable_variables:
        if "bias" not in weight.name:
            weight.assign(0.0 * weight)
    return model


def test_both_parts_of_the_factor_make_a_normal_density_of_two():
    rng = np.random.default_rng(3)
    z, correlation = rng.normal(size=(2, 5, 7)), np.linspace(0.1, 0.95, 5)
    edge, parent = np.array([1, 3, 3, 1, 1]), np.array([-1, 0, -1, 2])
    shared = SharedErrors(edge, correlation, *z)
    own = np.zeros((4, 7))
    shared.add_own(own, parent)
    of_both = shared.of_both(np.array([3, 1]))
    for place, child in enumerate((3, 1)):
        found = own[parent[child]][:, np.newaxis] + own[child] + of_both[place]
        expected = 0.0
        for k in np.flatnonzero(edge == child):
            a, b = z[1, k][:, np.newaxis], z[0, k]
            points = np.stack(np.broadcast_arrays(a, b), axis=-1)
            density = stats.multivariate_normal([0, 0], [[1, correlation[k]], [correlation[k], 1]])
            expected = expected + density.logpdf(points) - stats.norm.logpdf(a) - stats.norm.logpdf(b)
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10)


def brute_force(model, reflections, child, share, number=300):
    """Log evidence and moments of dF and F of a pair of reflections, on a net in two dimensions."""
    prior, asu = model.prior, reflections.asu
    ids = np.array([prior.parents[child], child])
    root = np.sqrt(MEAN * asu.epsilon[ids])
    around = posterior_of_trees(model, reflections, shared_errors=0.0)
    alone = moments_on_grid(LogJoint(model, reflections))[0]
    f = [
        np.linspace(max(around.F[i] - 9 * around.SIGF[i], 1e-6), around.F[i] + 9 * around.SIGF[i], number) for i in ids
    ]
    e = f[0][:, np.newaxis] / root[0], f[1] / root[1]
    r = float(prior.correlation(np.array([child]))[0])
    log_p = np.zeros((number, number))
    for x, loc, variance in ((e[0], 0.0, 1.0), (e[1], r * e[0], 1 - r**2)):
        product = 2 * x * loc / variance
        if asu.centric[child]:
            log_p = log_p + np.log1p(np.exp(-product)) - 0.5 * (x - loc) ** 2 / variance
            log_p = log_p - 0.5 * np.log(2 * np.pi * variance)
        else:
            log_p = log_p + np.log(2 * x / variance * i0e(product)) - (x - loc) ** 2 / variance
    log_p -= np.log(root).sum()
    family = stats.norm if isinstance(model.likelihood, likelihoods.Normal) else stats.t(4.0)
    z, s = [], []
    for i, amplitude in zip(ids, f, strict=True):
        rows = np.flatnonzero(reflections.refl_id == i)
        for row in rows:
            predicted = SCALE * amplitude**2
            sigma = np.sqrt(reflections.sigiobs[row] ** 2 + 1e-4 * predicted + (SDADD * predicted) ** 2)
            t = (reflections.iobs[row] - predicted) / sigma
            own = family.logpdf(t) - np.log(sigma)
            log_p += own[:, np.newaxis] if i == ids[0] else own
            z.append((row, t if family is stats.norm else -np.sign(t) * stats.norm.ppf(family.cdf(-np.abs(t)))))
            at = SCALE * alone[i] ** 2
            variance = reflections.sigiobs[row] ** 2 + 1e-4 * at + (SDADD * at) ** 2
            s.append(1 - reflections.sigiobs[row] ** 2 / variance)
    z, s = dict(z), dict(zip([row for row, _ in z], s, strict=True))
    of_child, of_parent = paired_observations(reflections, prior.parents)
    for a, b in zip(of_parent, of_child, strict=True):
        if a in z and b in z:
            rho = share * np.sqrt(s[a] * s[b])
            one, other = z[a][:, np.newaxis], z[b]
            log_p += -0.5 * np.log(1 - rho**2) - (rho**2 * (one**2 + other**2) - 2 * rho * one * other) / (
                2 * (1 - rho**2)
            )
    peak = log_p.max()
    p = np.exp(log_p - peak)
    cell = (f[0][1] - f[0][0]) * (f[1][1] - f[1][0])
    evidence = peak + np.log(p.sum() * cell)
    p /= p.sum()
    difference = f[1] - f[0][:, np.newaxis]
    moments = []
    for values in (f[0][:, np.newaxis], f[1], difference):
        mean = np.sum(p * values)
        moments += [mean, np.sqrt(np.sum(p * (values - mean) ** 2))]
    return evidence, np.array(moments)


@pytest.mark.parametrize(
    ("noise", "r"),
    [
        ("normal", 0.99),
        ("student-t", 0.6),
        *(pytest.param(*case, marks=pytest.mark.slow) for case in (("normal", 0.6), ("student-t", 0.99))),
    ],
)
def test_pairs_are_integrated_as_by_brute_force(noise, r):
    reflections, _ = related_data(0.97, 0.8, dmin=4.0)
    model = model_of(reflections, r, noise, shared_errors=0.8)
    found = posterior_of_trees(model, reflections)
    without = posterior_of_trees(model, reflections, shared_errors=0.0)
    parents, n, centric = model.prior.parents, reflections.multiplicity, reflections.asu.centric
    for kind in (False, True):
        children = np.flatnonzero((parents >= 0) & (n > 1) & (n[parents] > 1) & (centric == kind))[[2, 9]]
        for child in children:
            parent = parents[child]
            evidence, moments = brute_force(model, reflections, child, 0.8)
            np.testing.assert_allclose(found.log_evidence[parent], evidence, atol=0.01)
            here = np.array([found.F[parent], found.SIGF[parent], found.F[child], found.SIGF[child]])
            sd = moments[1]
            np.testing.assert_allclose(here, moments[:4], atol=0.01 * sd, rtol=0)
            np.testing.assert_allclose([found.dF[child], found.SIGdF[child]], moments[4:], atol=0.01 * moments[5])
    # The data are such that it matters.
    assert abs(found.total - without.total) > 10


def test_differences_are_smaller_and_their_intervals_right():
    reflections, truth = related_data(0.98, 0.9)
    model = model_of(reflections, 0.98)
    tables = []
    for shared in (0.0, 0.9):
        model.likelihood.shared_errors = shared
        tables.append(differences(model, reflections, child="on", parent="off"))
    true = np.array([truth[hkl] for hkl in tables[0].index])
    true = true[:, 1] - true[:, 0]
    without, within = ((table["DF"].to_numpy() - true, table["SIGDF"].to_numpy()) for table in tables)
    assert np.mean(within[0] ** 2) < 0.8 * np.mean(without[0] ** 2)
    assert abs(np.mean((within[0] / within[1]) ** 2) - 1) < 0.1
    assert np.mean((without[0] / without[1]) ** 2) < 0.8


@pytest.mark.parametrize("shared", [0.0, 0.8])
def test_the_correlation_of_most_evidence_is_that_of_the_simulation(shared):
    reflections, _ = related_data(0.98, shared, dmin=3.0)
    model = model_of(reflections, 0.98)
    assert choose_shared_errors(model, reflections) == pytest.approx(shared, abs=0.06)


def test_training_settles_what_the_likelihood_leaves_open(monkeypatch):
    # To within a tenth will do here.
    monkeypatch.setattr(error_correlation, "PRECISION", 0.1)
    reflections, _ = related_data(0.98, 0.8, dmin=3.5)
    model = model_of(reflections, 0.98, shared_errors=None)
    train(model, reflections, epochs=1)
    assert 0.5 < model.likelihood.shared_errors < 0.99
    assert model.parameters()["likelihood"]["correlation of shared errors"] == model.likelihood.shared_errors
    again = likelihoods.Normal.from_config(model.likelihood.get_config())
    assert again.shared_errors == model.likelihood.shared_errors


def test_observations_are_paired_that_are_one_spot_on_images_of_one_number():
    reflections, _ = related_data(0.9, 0.0, dmin=4.0)
    parents = dataset_parents(reflections.asu, {"on": "off"})
    child, parent = paired_observations(reflections, parents)
    number = reflections.images["image"].to_numpy()[reflections.image_id]
    np.testing.assert_array_equal(reflections.hkl[child], reflections.hkl[parent])
    np.testing.assert_array_equal(number[child], number[parent])
    np.testing.assert_array_equal(parents[reflections.refl_id[child]], reflections.refl_id[parent])
    assert len(np.unique(child)) == len(np.unique(parent)) == len(child) == len(reflections) / 2
    # Without the images of one of them, none are left.
    assert len(paired_observations(reflections[number < 3], parents)[0]) < len(child)
    assert not len(paired_observations(reflections[: len(reflections) // 2], parents)[0])


def test_no_correlation_leaves_the_posterior_as_it_is():
    reflections, _ = related_data(0.9, 0.5, dmin=4.0)
    model = model_of(reflections, 0.9)
    alike = posterior_of_trees(model, reflections, shared_errors=1e-6)
    plain = posterior_of_trees(model, reflections, shared_errors=0.0)
    for one, other in zip(alike, plain, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"shared_errors": 0.5}, "error model"),
        ({"shared_errors": 1.0, "error_model": likelihoods.Evans2011()}, "0 to 0.99"),
    ],
)
def test_what_is_refused(options, words):
    with pytest.raises(ValueError, match=words):
        likelihoods.Normal(**options)
