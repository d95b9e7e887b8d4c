import itertools

import gemmi
import numpy as np
import pytest

from vimerge.priors import Wilson, tncs_modulation
from vimerge.reflections import ReciprocalASU

VECTOR = np.array([0.5, 0.47, 0.31])


@pytest.fixture(scope="module")
def orthorhombic():
    cell, spacegroup = gemmi.UnitCell(40, 50, 60, 90, 90, 90), gemmi.SpaceGroup("P 21 21 21")
    return ReciprocalASU.from_observed(gemmi.make_miller_array(cell, spacegroup, 3.0), cell, spacegroup)


def structure_factors(asu, rng, atoms=100):
    """F of point atoms in two copies, the second displaced by the vector, under all operations of the space group."""
    hkl, total = asu.miller_index, 0.0
    copy = rng.random((atoms, 3))
    for site in (copy, copy + VECTOR):
        for op in asu.spacegroup.operations():
            images = (site @ np.array(op.rot).T + np.array(op.tran)) / op.DEN
            total = total + np.exp(2j * np.pi * (hkl @ images.T)).sum(axis=1)
    return total


def test_intensities_of_two_copies_have_wilsons_statistics_about_it(orthorhombic):
    asu, rng = orthorhombic, np.random.default_rng(0)
    modulation = tncs_modulation(asu, VECTOR, 0.999)
    squares = np.mean([np.abs(structure_factors(asu, rng)) ** 2 for _ in range(6)], axis=0) / asu.epsilon
    # Two copies and four operations of 100 atoms each.
    e2 = squares / (2 * 4 * 100)
    edges = np.quantile(modulation, np.linspace(0, 1, 9))
    for low, high in itertools.pairwise(edges):
        chosen = (modulation >= low) & (modulation <= high)
        assert e2[chosen].mean() == pytest.approx(modulation[chosen].mean(), rel=0.1)
    assert modulation.max() > 1.9
    assert modulation.min() < 0.1


def test_it_is_the_same_for_equivalent_reflections_and_for_the_opposite_vector(orthorhombic):
    asu = orthorhombic
    for op in asu.spacegroup.operations().sym_ops:
        rotated = np.array(op.rot) / op.DEN @ VECTOR
        np.testing.assert_allclose(tncs_modulation(asu, -rotated), tncs_modulation(asu, VECTOR), atol=1e-9)
    np.testing.assert_allclose(tncs_modulation(asu, VECTOR, 0.0), 1.0)
    each = np.linspace(0.0, 0.9, len(asu))
    deviation = tncs_modulation(asu, VECTOR, each) - 1
    np.testing.assert_allclose(deviation, each * (tncs_modulation(asu, VECTOR, 0.5) - 1) / 0.5, atol=1e-12)


def test_a_prior_is_multiplied_by_it(orthorhombic):
    modulation = tncs_modulation(orthorhombic, VECTOR, 0.8)
    prior = Wilson(orthorhombic, 3.0, modulation=modulation)
    np.testing.assert_allclose(prior.mean_intensity, 3.0 * modulation, rtol=1e-5)
    expected = 3.0 * modulation * orthorhombic.epsilon
    np.testing.assert_allclose(prior(np.arange(len(orthorhombic))), expected, rtol=1e-5)


def test_impossible_numbers_are_refused(orthorhombic):
    with pytest.raises(ValueError, match="three fractions of the cell"):
        tncs_modulation(orthorhombic, (0.5, 0.5))
    with pytest.raises(ValueError, match="between 0 and 1, 1 excluded"):
        tncs_modulation(orthorhombic, VECTOR, 1.0)
    with pytest.raises(ValueError, match="one number, or one for each"):
        tncs_modulation(orthorhombic, VECTOR, [0.5, 0.6])
