"""Fall-offs: known ones come back from noisy data, and what is learned keeps the symmetry and the level."""

import gemmi
import keras
import numpy as np
import pytest
import tensorflow as tf

from vimerge import priors
from vimerge.priors.b_factor import symmetric_tensors
from vimerge.priors.log_linear import fit_log_linear
from vimerge.reflections import ReciprocalASU

K = 500.0
TENSOR = np.array([[20.0, 0.0, 6.0], [0.0, 45.0, 0.0], [6.0, 0.0, 30.0]])
CELLS = {
    "P 1": (20, 25, 30, 80, 85, 100),
    "P 1 2 1": (20, 25, 30, 90, 105, 90),
    "P 21 21 21": (20, 25, 30, 90, 90, 90),
    "P 43 21 2": (20, 20, 30, 90, 90, 90),
    "R 3 :H": (25, 25, 30, 90, 90, 120),
    "P 6": (20, 20, 30, 90, 90, 120),
    "F 2 3": (30, 30, 30, 90, 90, 90),
}
INDEPENDENT = dict(zip(CELLS, (6, 4, 3, 2, 2, 2, 1), strict=True))


def complete(spacegroup, cell, dmin):
    cell, spacegroup = gemmi.UnitCell(*cell), gemmi.SpaceGroup(spacegroup)
    return ReciprocalASU.from_observed(gemmi.make_miller_array(cell, spacegroup, dmin), cell, spacegroup)


def cartesian(hkl, cell):
    """Reciprocal-space vectors, one a row: the components of h a* + k b* + l c*."""
    orth = np.array(cell.orth.mat.tolist())
    return hkl @ np.linalg.inv(orth)


@pytest.fixture(scope="module")
def monoclinic():
    return complete("P 1 21 1", (40, 50, 60, 90, 110, 90), 2.2)


def observed(asu, table, tensor, noise, spoil=0.0, seed=0):
    """Two observations each of intensities with Wilson's statistics, the given noise, and 0.3 % of outliers."""
    rng = np.random.default_rng(seed)
    s = cartesian(asu.miller_index, asu.cell)
    sigma = K * np.exp(-0.5 * np.sum((s @ tensor) * s, axis=1))
    shape = np.where(asu.centric, 0.5, 1.0)
    true = sigma * asu.epsilon * rng.gamma(shape) / shape
    refl_id = np.repeat(np.arange(len(asu)), 2)
    iobs = true[refl_id] + noise * rng.normal(size=len(refl_id))
    iobs[rng.random(len(iobs)) < 0.003] += spoil * K
    return table(asu, refl_id, iobs, noise), sigma


# Some 11,000 independent reflections: a standard error of 0.35 Å² where noise is small.
@pytest.mark.parametrize(("noise", "spoil"), [(1.0, 0.0), (50.0, 0.0), (50.0, 100.0)])
def test_isotropic_b_comes_back(monoclinic, table, noise, spoil):
    reflections, _ = observed(monoclinic, table, 25.0 * np.eye(3), noise, spoil)
    falloff = priors.IsotropicFallOff()
    priors.Wilson(monoclinic, falloff).adapt(reflections)
    assert pytest.approx(25.0, abs=1.5) == falloff.B
    assert falloff.k == pytest.approx(K, rel=0.06)


@pytest.mark.parametrize(("noise", "spoil"), [(1.0, 0.0), (50.0, 0.0), (50.0, 100.0)])
def test_anisotropic_b_comes_back(monoclinic, table, noise, spoil):
    reflections, sigma = observed(monoclinic, table, TENSOR, noise, spoil)
    prior = priors.Wilson(monoclinic, "anisotropic")
    prior.adapt(reflections)
    np.testing.assert_allclose(prior.falloff.B, TENSOR, atol=2.0)
    assert prior.falloff.k == pytest.approx(K, rel=0.06)
    assert np.sqrt(np.mean((np.asarray(prior.mean_intensity) / sigma - 1) ** 2)) < 0.05


def test_estimates_of_b_are_as_good_as_wilsons_statistics_allow(monoclinic, table):
    errors = []
    for seed in range(8):
        reflections, _ = observed(monoclinic, table, TENSOR, 1.0, seed=seed)
        falloff = priors.AnisotropicFallOff()
        priors.Wilson(monoclinic, falloff).adapt(reflections)
        errors.append((falloff.B - TENSOR)[np.triu_indices(3)])
    # The Fisher information of E² in each element, from the same weights, with 2 for centric reflections.
    s = cartesian(monoclinic.miller_index, monoclinic.cell)
    design = np.column_stack([np.ones(len(s)), 0.5 * s**2, s[:, 0] * s[:, 2]])
    information = (design.T / np.where(monoclinic.centric, 2.0, 1.0)) @ design
    limit = np.sqrt(np.diag(np.linalg.inv(information)))[1:]
    found = np.sqrt(np.mean(np.square(errors), axis=0))[[0, 3, 5, 2]]
    # Eight draws know their own spread to a quarter.
    assert np.all(found < 1.75 * limit)


def test_isotropic_is_anisotropic_with_the_unit_tensor(monoclinic):
    iso, aniso = priors.IsotropicFallOff(learn=True), priors.AnisotropicFallOff(learn=True)
    for falloff in (iso, aniso):
        falloff.bind(monoclinic)
    iso.trainable_variables[0].assign([0.7])
    tensors = symmetric_tensors(monoclinic.cell, monoclinic.spacegroup)
    aniso.trainable_variables[0].assign(0.7 * np.trace(tensors, axis1=1, axis2=2))
    np.testing.assert_allclose(aniso.B, iso.B * np.eye(3), atol=1e-4)
    np.testing.assert_allclose(aniso.mean_intensity(), iso.mean_intensity(), rtol=1e-5)
    assert aniso.k == pytest.approx(iso.k, rel=1e-5)


@pytest.mark.parametrize("name", CELLS)
def test_tensor_obeys_the_point_group(name):
    cell, spacegroup = gemmi.UnitCell(*CELLS[name]), gemmi.SpaceGroup(name)
    tensors = symmetric_tensors(cell, spacegroup)
    assert tensors.shape == (INDEPENDENT[name], 3, 3)
    np.testing.assert_allclose(np.einsum("pij,qij->pq", tensors, tensors), np.eye(len(tensors)), atol=1e-12)
    hkl = np.random.default_rng(0).integers(-9, 10, (50, 3))
    for op in spacegroup.operations().sym_ops:
        equivalent = np.array([op.apply_to_hkl(h) for h in hkl.tolist()])
        both = [np.einsum("ri,pij,rj->rp", s, tensors, s) for s in (cartesian(hkl, cell), cartesian(equivalent, cell))]
        np.testing.assert_allclose(*both, atol=1e-10)
    # And the unit tensor is one of them.
    np.testing.assert_allclose(np.tensordot(np.trace(tensors, axis1=1, axis2=2), tensors, axes=1), np.eye(3), atol=1e-9)


def test_a_cell_that_misses_its_symmetry_by_a_little_has_as_many_elements():
    cell = gemmi.UnitCell(20.05, 19.98, 30.1, 90.1, 89.95, 90.05)
    assert len(symmetric_tensors(cell, gemmi.SpaceGroup("P 43 21 2"))) == 2


def test_flat_is_the_mean_of_normalised_intensities(monoclinic, table):
    reflections, _ = observed(monoclinic, table, np.zeros((3, 3)), 50.0, spoil=100.0)
    prior = priors.Wilson(monoclinic, "flat")
    prior.adapt(reflections)
    np.testing.assert_allclose(prior.mean_intensity, K, rtol=0.05)


def test_a_modulation_is_taken_out_before_the_fall_off_is_estimated(monoclinic, table):
    modulation = priors.tncs_modulation(monoclinic, (0.5, 0.5, 0.48), 0.9)
    reflections, sigma = observed(monoclinic, table, 25.0 * np.eye(3), 1.0)
    iobs = reflections.iobs * modulation[reflections.refl_id]
    modulated = table(monoclinic, reflections.refl_id, iobs, 1.0)
    prior = priors.Wilson(monoclinic, "isotropic", modulation=modulation)
    prior.adapt(modulated)
    assert pytest.approx(25.0, abs=1.5) == prior.falloff.B
    ratio = np.asarray(prior.mean_intensity) / (sigma * modulation)
    assert np.sqrt(np.mean((ratio - 1) ** 2)) < 0.05


def test_rounding_does_not_break_the_fit_when_there_is_nothing_but_noise():
    rng = np.random.default_rng(0)
    functions = rng.normal(size=(500, 3))
    functions -= functions.mean(axis=0)
    refl_id, centric = np.arange(500), np.zeros(500, bool)
    intensity = 0.01 + rng.normal(size=500)
    level, w = fit_log_linear(functions, np.full(500, 0.01), centric, refl_id, intensity, np.ones(500))
    assert np.all(np.isfinite([level, *w]))
    assert np.abs(w).max() < 30


@pytest.mark.parametrize("cls", [priors.IsotropicFallOff, priors.AnisotropicFallOff, priors.SmoothFallOff])
def test_maximum_likelihood_finds_the_fall_off_from_a_wrong_start(cls, monoclinic):
    """Given the amplitudes, training a learned fall-off is fitting it: its shape comes back, its level stays."""
    asu = monoclinic
    rng = np.random.default_rng(3)
    true = 25.0 * np.eye(3) if cls is not priors.AnisotropicFallOff else TENSOR
    s = cartesian(asu.miller_index, asu.cell)
    log_sigma = -0.5 * np.sum((s @ true) * s, axis=1)
    shape = np.where(asu.centric, 0.5, 1.0)
    # A geometric mean of one over the reflections, as that of the untrained fall-off.
    intensity = np.exp(log_sigma - log_sigma.mean()) * asu.epsilon * rng.gamma(shape) / shape
    prior = priors.Wilson(asu, cls(learn=True))
    optimizer = keras.optimizers.Adam(0.1)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = -tf.reduce_mean(prior.distribution(over="intensity").log_prob(intensity.astype(np.float32)))
        optimizer.apply(tape.gradient(loss, prior.trainable_variables), prior.trainable_variables)

    for _ in range(150):
        step()
    found = np.log(prior.mean_intensity.numpy().astype(np.float64))
    assert found.mean() == pytest.approx(0.0, abs=1e-5)
    assert np.sqrt(np.mean((found - (log_sigma - log_sigma.mean())) ** 2)) < 0.05
    if cls is priors.AnisotropicFallOff:
        np.testing.assert_allclose(prior.falloff.B, TENSOR, atol=2.0)
    elif cls is priors.IsotropicFallOff:
        assert prior.parameters()["B"] == pytest.approx(25.0, abs=1.5)


def test_unknown_names_and_wrong_lengths_are_refused(asu):
    with pytest.raises(ValueError, match="no fall-off 'steep'; there are: flat, isotropic, anisotropic, smooth"):
        priors.Wilson(asu, "steep")
    with pytest.raises(ValueError, match=r"one for each of the 60 reflections, not an array of shape \(59,\)"):
        priors.Wilson(asu, np.ones(59))
    with pytest.raises(ValueError, match=r"modulation needs a number for each of the 60 reflections"):
        priors.Wilson(asu, modulation=np.ones(3))
    with pytest.raises(ValueError, match="modulation of a fall-off must be positive"):
        priors.Wilson(asu, modulation=np.zeros(60))


def test_a_fall_off_belongs_to_one_set_of_reflections(asu, monoclinic):
    falloff = priors.SmoothFallOff(learn=True)
    first = priors.Wilson(asu, falloff)
    assert priors.Wilson(asu, falloff).falloff is first.falloff
    with pytest.raises(ValueError, match="is of other reflections: make one for each prior"):
        priors.Wilson(monoclinic, falloff)
