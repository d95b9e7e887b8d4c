"""Peaks of difference maps: where they are, how high, and which atoms are near."""

import gemmi
import numpy as np
import pandas as pd
import pytest

from vimerge.reflections.tables import make_table
from vimerge.statistics.atomic_models import atoms_factors, read_model
from vimerge.statistics.difference_coefficients import difference_coefficients
from vimerge.statistics.difference_maps import DifferenceMap

from .conftest import moved


@pytest.fixture(scope="module")
def one_atom(differences):
    """A map of one atom, and the structure it is in, with a neighbour at 4 Å; the atom is outside the unit cell."""
    structure = gemmi.Structure()
    structure.cell, structure.spacegroup_hm = differences.cell, differences.spacegroup.xhm()
    chain = gemmi.Chain("Q")
    for i, position in enumerate(([37.0, 22.0, -9.0], [41.0, 22.0, -9.0])):
        residue, atom = gemmi.Residue(), gemmi.Atom()
        residue.name, residue.seqid, atom.name = "LIG", gemmi.SeqId(i + 7, " "), "C1"
        atom.element, atom.b_iso, atom.pos = gemmi.Element("C"), 15.0, gemmi.Position(*position)
        residue.add_atom(atom)
        chain.add_residue(residue)
    model = gemmi.Model(1)
    model.add_chain(chain)
    structure.add_model(model)
    alone = structure.clone()
    del alone[0]["Q"][1]
    hkl = differences.reset_index()[["H", "K", "L"]].to_numpy(np.int32)
    factors = atoms_factors(read_model(alone, differences.cell, differences.spacegroup), hkl)
    columns = {"DELFWT": np.abs(factors), "PHDELWT": np.angle(factors, deg=True)}
    types = {"DELFWT": "F", "PHDELWT": "P"}
    made = make_table(hkl, columns, types, differences.cell, differences.spacegroup)
    return DifferenceMap.from_coefficients(made), read_model(structure, differences.cell, differences.spacegroup)


def test_a_peak_is_told_once_and_at_its_atom_through_symmetry(one_atom):
    density, structure = one_atom
    peaks = density.peaks(5, minimum=8, model=structure)
    assert len(peaks) == 1
    peak = peaks.iloc[0]
    np.testing.assert_allclose(peak[["x", "y", "z"]].to_numpy(float), [37.0, 22.0, -9.0], atol=0.01)
    assert tuple(peak[["chain", "residue", "seqid", "atom", "altloc"]]) == ("Q", "LIG", "7", "C1", "")
    assert peak["distance"] < 0.01
    fractional = structure.cell.fractionalize(gemmi.Position(37.0, 22.0, -9.0)).tolist()
    np.testing.assert_allclose(peak[["u", "v", "w"]].to_numpy(float), fractional, atol=1e-3)
    alone = density.peaks(5, minimum=8)
    assert len(alone) == 1
    assert "chain" not in alone
    where = gemmi.Position(*alone.iloc[0][["x", "y", "z"]])
    assert structure.cell.find_nearest_image(structure[0]["Q"][0][0].pos, where).dist() < 0.01
    assert where.dist(structure[0]["Q"][0][0].pos) > 5


def test_the_nearest_atom_may_be_a_symmetry_mate(one_atom):
    """The same with the model's atoms at another of their equivalent positions."""
    density, structure = one_atom
    for operation in list(structure.find_spacegroup().operations())[1:]:
        turned = structure.clone()
        for found in turned[0].all():
            point = turned.cell.fractionalize(found.atom.pos).tolist()
            found.atom.pos = turned.cell.orthogonalize(gemmi.Fractional(*operation.apply_to_xyz(point)))
        turned.setup_cell_images()
        peak = density.peaks(1, minimum=8, model=turned, around="Q/7").iloc[0]
        assert peak["distance"] < 0.01
        place = turned[0]["Q"][0][0].pos.tolist()
        np.testing.assert_allclose(peak[["x", "y", "z"]].to_numpy(float), place, atol=0.01)
        assert peak["near"]
        assert not density.peaks(1, minimum=8, model=turned, around="Q/8").iloc[0]["near"]


def test_the_height_of_a_peak_is_that_of_the_finely_sampled_map(true_map, differences, phased):
    made = difference_coefficients(differences, phased, weights="none", reject=None)
    fine = DifferenceMap.from_coefficients(made, sample_rate=8)
    coarse, exact = true_map.peaks(4), fine.peaks(4)
    # Two nearly equal peaks may change places.
    for sign in (1, -1):
        one, other = (np.sort(p["height"][p["height"] * sign > 0]) for p in (coarse, exact))
        np.testing.assert_allclose(one, other, rtol=2e-3)
    assert fine.sigma == pytest.approx(true_map.sigma, rel=1e-4)
    assert exact["height"].max() >= np.asarray(fine.grid.array).max()
    np.testing.assert_allclose(coarse["density"], coarse["height"] * true_map.sigma, rtol=1e-9)


def test_peaks_keep_their_distance(true_map):
    peaks = true_map.peaks(30, minimum=3, separation=3.0)
    cell, group = true_map.grid.unit_cell, true_map.grid.spacegroup
    for sign in (1, -1):
        points = peaks[peaks["height"] * sign > 0][["u", "v", "w"]].to_numpy()
        for i, one in enumerate(points):
            for other in points[:i]:
                images = np.array([op.apply_to_xyz(other.tolist()) for op in group.operations()]) - one
                images -= np.round(images)
                nearest = min(cell.orthogonalize(gemmi.Fractional(*v)).length() for v in images)
                assert nearest > 2.5


def test_around_residues(true_map, model, excited):
    old, _ = moved(excited)
    numbers = [
        f"{chain.name}/{residue.seqid}" for chain in excited.structure[0] for residue in chain if len(residue) == 2
    ]
    found = true_map.around(model, numbers, radius=1.5)
    assert found.atoms == 10
    values = true_map.at([atom.pos for atom in old])
    assert found.rms == pytest.approx(np.sqrt(np.mean(values**2)), rel=1e-6)
    peaks = true_map.peaks(3, model=model, around=numbers)
    assert found.minimum == pytest.approx(peaks["height"].min(), rel=0.03)
    assert found.minimum <= values.min()
    assert found.minimum_distance <= 1.5
    assert found.minimum_atom.split("/")[2] in {"C", "N", "O", "S"}
    assert peaks["near"].all()
    # Forty per cent of each atom went, and all of it is within 1.5 Å of where it was.
    electrons = sum(atom.element.atomic_number for atom in old)
    assert -0.4 * electrons < found.lost < -0.05 * electrons
    assert found.gained > 0
    again = true_map.around(model, " ".join(numbers), radius=1.5)
    assert again == found
    with pytest.raises(ValueError, match="no residue A/9999"):
        true_map.around(model, "A/1 A/9999")


def test_there_may_be_no_peak_as_high_as_that(true_map, model):
    assert isinstance(true_map.peaks(1, minimum=1000), pd.DataFrame)
    assert len(true_map.peaks(1, minimum=1000, model=model, around="A/1")) == 0


def test_peaks_that_cannot_be_looked_for_are_refused(true_map):
    with pytest.raises(ValueError, match="number"):
        true_map.peaks(0)
    with pytest.raises(ValueError, match="give model="):
        true_map.peaks(3, around="A/1")
