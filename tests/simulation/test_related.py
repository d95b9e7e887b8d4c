import gemmi
import numpy as np
import pytest

from vimerge.simulation import Crystal, correlated_crystal, related_crystal

DMIN = 2.0


@pytest.fixture(scope="module")
def crystal():
    return Crystal.random(seed=3)


def factors(crystal):
    """F(h) and F(−h)."""
    return crystal.complex_structure_factors(DMIN)[1:]


def atoms_of(crystal):
    return [site.atom for site in crystal.structure[0].all()]


@pytest.mark.parametrize("shift", [1.5, None])
def test_the_mixture_is_linear_in_the_fraction(crystal, shift):
    """F = F_ground + f (F_excited − F_ground), as complex numbers and for both Friedel mates."""
    ground = factors(crystal)
    excited, mixed = (factors(related_crystal(crystal, shift=shift, fraction=f, seed=1)) for f in (1.0, 0.3))
    for g, e, m in zip(ground, excited, mixed, strict=True):
        scale = np.sqrt(np.mean(np.abs(g) ** 2))
        np.testing.assert_allclose(m, g + 0.3 * (e - g), atol=2e-4 * scale)
        assert np.sqrt(np.mean(np.abs(e - g) ** 2)) > 0.1 * scale


def test_nothing_changes_where_nothing_is_excited(crystal):
    for unchanged in (related_crystal(crystal, fraction=0.0), related_crystal(crystal, shift=0.0)):
        for before, after in zip(factors(crystal), factors(unchanged), strict=True):
            np.testing.assert_allclose(after, before, atol=2e-4 * np.abs(before).max())


def test_a_compact_group_of_light_atoms_moves_by_the_shift(crystal):
    moved = related_crystal(crystal, atoms=8, shift=1.2, fraction=0.25, seed=2)
    residues = [residue for chain in moved.structure[0] for residue in chain if len(residue) == 2]
    assert len(residues) == 8
    for residue in residues:
        ground, excited = residue
        assert (ground.altloc, excited.altloc) == ("A", "B")
        assert (ground.occ, excited.occ) == (pytest.approx(0.75), pytest.approx(0.25))
        assert (ground.element, ground.b_iso) == (excited.element, excited.b_iso)
        assert ground.pos.dist(excited.pos) == pytest.approx(1.2, abs=1e-6)
        assert ground.element != gemmi.Element("Se")
    positions = np.array([residue[0].pos.tolist() for residue in residues])
    # Eight atoms at the crystal's density fill a sphere of 4 Å or so.
    assert np.linalg.norm(positions - positions.mean(axis=0), axis=1).max() < 8
    assert len(atoms_of(moved)) == len(atoms_of(crystal)) + 8


def test_a_ligand_leaves(crystal):
    left = related_crystal(crystal, atoms=5, shift=None, fraction=0.4, seed=2)
    occupancies = np.array([atom.occ for atom in atoms_of(left)])
    np.testing.assert_allclose(np.sort(occupancies)[:6], [0.6] * 5 + [1.0], rtol=1e-6)


def test_the_original_stays_as_it_was(crystal):
    related_crystal(crystal, seed=5)
    correlated_crystal(crystal, 0.5)
    assert {atom.occ for atom in atoms_of(crystal)} == {1.0}
    assert len(atoms_of(crystal)) == len(atoms_of(Crystal.random(seed=3)))


def test_an_excited_crystal_can_be_excited_again(crystal):
    """Conformers are told apart whatever came before."""
    twice = related_crystal(related_crystal(crystal, seed=1), seed=1, shift=2.0)
    for chain in twice.structure[0]:
        for residue in chain:
            assert len({(atom.name, atom.altloc) for atom in residue}) == len(residue)
            assert sum(atom.occ for atom in residue) == pytest.approx(1.0)


def normalised(first, second, hkl, crystal):
    """E's of both, on the scale of the first's mean intensity in shells."""
    s2 = crystal.cell.calculate_1_d2_array(hkl)
    epsilon = crystal.space_group.operations().epsilon_factor_array(hkl)
    shell = np.digitize(s2, np.quantile(s2, np.linspace(0, 1, 21)[1:-1]))
    mean = np.bincount(shell, (np.abs(first) ** 2 + np.abs(second) ** 2) / epsilon) / (2 * np.bincount(shell))
    return first / np.sqrt(epsilon * mean[shell]), second / np.sqrt(epsilon * mean[shell])


@pytest.mark.parametrize("r", [0.0, 0.6, 0.95, 0.99])
def test_correlation_is_as_asked(crystal, r):
    """E₂ = r E₁ + √(1 − r²) of a Gaussian of its own: the correlation, and the moments of what is left over."""
    hkl, plus, minus = crystal.complex_structure_factors(DMIN)
    _, other_plus, other_minus = correlated_crystal(crystal, r, seed=1).complex_structure_factors(DMIN)
    centric = np.asarray(crystal.space_group.operations().centric_flag_array(hkl))
    for first, second in ((plus, other_plus), (minus, other_minus)):
        e1, e2 = normalised(first, second, hkl, crystal)
        n = len(e1)
        measured = np.sum(e2 * e1.conj()) / np.sqrt(np.sum(np.abs(e1) ** 2) * np.sum(np.abs(e2) ** 2))
        # The sd's of its parts are (1 − r²)/√2n, since a change of size of both does not matter, and √((1 − r²)/2n).
        assert abs(measured.real - r) < 4 * (1 - r**2) / np.sqrt(2 * n)
        assert abs(measured.imag) < 4 * np.sqrt((1 - r**2) / (2 * n))
        rest = (e2 - r * e1) / np.sqrt(1 - r**2)
        assert np.mean(np.abs(rest) ** 2) == pytest.approx(1, abs=0.06)
        # ⟨|z|⁴⟩/⟨|z|²⟩² is 2 for a complex Gaussian and 3 for a real one.
        for group, kurtosis in ((~centric, 2.0), (centric, 3.0)):
            z2 = np.abs(rest[group]) ** 2
            assert np.mean(z2**2) / np.mean(z2) ** 2 == pytest.approx(kurtosis, rel=0.12)


def test_complete_correlation_is_identity(crystal):
    for before, after in zip(factors(crystal), factors(correlated_crystal(crystal, 1.0)), strict=True):
        np.testing.assert_allclose(after, before, atol=2e-4 * np.abs(before).max())


def test_symmetry_is_kept(crystal):
    """Centric reflections have no anomalous difference in any of them; acentric ones keep theirs."""
    for other in (related_crystal(crystal), correlated_crystal(crystal, 0.7)):
        hkl, plus, minus = other.complex_structure_factors(2.5)
        centric = np.asarray(other.space_group.operations().centric_flag_array(hkl))
        np.testing.assert_allclose(np.abs(plus[centric]), np.abs(minus[centric]), rtol=1e-12)
        assert np.abs(np.abs(plus) - np.abs(minus))[~centric].mean() > 0.02 * np.abs(plus).mean()


def test_reproducible(crystal):
    for make in (
        lambda seed: related_crystal(crystal, seed=seed),
        lambda seed: correlated_crystal(crystal, 0.9, seed=seed),
    ):
        first, again, other = (make(seed).structure_factors(3.0) for seed in (7, 7, 8))
        assert first.equals(again)
        assert not first.equals(other)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"atoms": 0}, "atoms"),
        ({"atoms": 10_000}, "light atoms"),
        ({"shift": -1.0}, "shift"),
        ({"fraction": 1.5}, "fraction"),
        ({"seed": -1}, "seed"),
    ],
)
def test_bad_arguments(crystal, options, message):
    with pytest.raises(ValueError, match=message):
        related_crystal(crystal, **options)


@pytest.mark.parametrize("correlation", [-0.1, 1.1, np.nan])
def test_bad_correlation(crystal, correlation):
    with pytest.raises(ValueError, match="correlation"):
        correlated_crystal(crystal, correlation)
