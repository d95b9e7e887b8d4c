"""Adaptive quadrature against SciPy's, one reflection at a time."""

import numpy as np
import pytest
from scipy import stats

from vimerge import likelihoods
from vimerge.evidence import exact
from vimerge.merging import joint
from vimerge.reflections import ReflectionDataError

SCALE = 2.5
MEAN = 10.0


def normal(z):
    return -0.5 * z**2 - 0.5 * np.log(2 * np.pi)


def student(dof):
    constant = stats.t(dof).logpdf(0.0)
    return lambda z: constant - 0.5 * (dof + 1) * np.log1p(z**2 / dof)


def log_joint_of(reflections, refl_id, noise):
    """Log joint density of one reflection with Wilson's prior, as a function of F in double precision."""
    rows = reflections.refl_id == refl_id
    iobs, sigma = (x[rows].astype(np.float64) for x in (reflections.iobs, reflections.sigiobs))
    expected = MEAN * float(reflections.asu.epsilon[refl_id])
    centric = reflections.asu.centric[refl_id]

    def log_joint(f):
        f = np.asarray(f, np.float64)
        if centric:
            log_p = 0.5 * np.log(2 / (np.pi * expected)) - f**2 / (2 * expected)
        else:
            log_p = np.log(2 * f / expected) - f**2 / expected
        return log_p + sum(noise((x - SCALE * f**2) / s) - np.log(s) for x, s in zip(iobs, sigma, strict=True))

    top = np.sqrt(max(60 * expected, 2 * max(iobs, default=0.0) / SCALE))
    return log_joint, top


@pytest.mark.parametrize(
    ("likelihood", "noise"),
    [(likelihoods.Normal, normal), (lambda: likelihoods.StudentT(4.0), student(4.0))],
    ids=["normal", "student"],
)
def test_exact_agrees_with_quad(observed, make_case, by_quad, likelihood, noise):
    found = np.array(exact(*make_case(observed, likelihood=likelihood())))
    ratio = observed.iobs / observed.sigiobs
    assert ratio.max() > 250
    assert ratio.min() < -3
    # The weakest, the strongest, the most and the least observed, and a few of both kinds.
    which = {observed.refl_id[ratio.argmin()], observed.refl_id[ratio.argmax()]}
    which |= {observed.multiplicity.argmin(), observed.multiplicity.argmax(), *range(0, 60, 7)}
    assert 3 <= observed.asu.centric[list(which)].sum() <= len(which) - 3
    for refl_id in which:
        expected = by_quad(*log_joint_of(observed, refl_id, noise))
        log_evidence, f, sigf, i, sigi = found[:, refl_id]
        assert log_evidence == pytest.approx(expected[0], abs=2e-3)
        assert abs(f - expected[1]) < 1e-3 * expected[2]
        assert abs(i - expected[3]) < 1e-3 * expected[4]
        np.testing.assert_allclose([sigf, sigi], expected[[2, 4]], rtol=1e-3)


def test_two_observations_that_contradict_each_other(asu, table, make_case, by_quad):
    # With such tails the posterior has two peaks, each far narrower than the distance between them.
    iobs = SCALE * np.tile([10.0, 30.0], 60)
    reflections = table(asu, np.repeat(np.arange(60), 2), iobs, 0.1 * SCALE)
    found = np.array(exact(*make_case(reflections, likelihood=likelihoods.StudentT(1.5))))
    for refl_id in (np.flatnonzero(asu.centric)[0], np.flatnonzero(~asu.centric)[0]):
        expected = by_quad(*log_joint_of(reflections, refl_id, student(1.5)))
        np.testing.assert_allclose(found[0, refl_id], expected[0], atol=2e-3)
        np.testing.assert_allclose(found[1:, refl_id], expected[1:], rtol=2e-3)


def test_a_reflection_without_observations_keeps_the_prior(case):
    model, reflections = case
    missing = np.arange(60) % 4 == 0
    found = exact(model, reflections[~missing[reflections.refl_id]])
    np.testing.assert_allclose(found.log_evidence[missing], 0.0, atol=1e-5)
    prior = model.prior.distribution()
    np.testing.assert_allclose(found.F[missing], prior.mean().numpy()[missing], rtol=1e-5)
    np.testing.assert_allclose(found.SIGF[missing], prior.stddev().numpy()[missing], rtol=1e-4)
    everything = exact(model, reflections)
    np.testing.assert_array_equal(everything.log_evidence[~missing] != 0.0, True)
    assert everything.total == pytest.approx(everything.log_evidence.sum())


def test_exact_does_not_depend_on_how_the_observations_are_divided(case, monkeypatch):
    whole = exact(*case)
    sums, calls = joint.LogJoint._sums, []
    monkeypatch.setattr(joint.LogJoint, "_sums", lambda *args: calls.append(1) or sums(*args))
    monkeypatch.setattr(joint.LogJoint.log_likelihood, "__kwdefaults__", {"cells": 20_000})
    monkeypatch.setattr(joint.LogJoint.__call__, "__kwdefaults__", {"cells": 20_000})
    np.testing.assert_allclose(exact(*case), whole, rtol=1e-5)
    assert len(calls) > 10


def test_reflections_of_another_asu_are_refused(case, reflections):
    with pytest.raises(ReflectionDataError, match="not those that the model was made for"):
        exact(case.model, reflections)
