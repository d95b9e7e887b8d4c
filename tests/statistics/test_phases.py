"""Phases of models and files, against the ones that are known."""

import gemmi
import numpy as np
import pytest
import reciprocalspaceship as rs

from vimerge.reflections.tables import make_table
from vimerge.simulation import Crystal
from vimerge.statistics.atomic_models import atoms_factors, is_model, read_model, solvent_factors
from vimerge.statistics.phases import phases

CELL, DMIN = (28.0, 28.0, 40.0, 90.0, 90.0, 120.0), 2.2


@pytest.fixture(scope="module")
def crystal():
    """No anomalous scatterers, a space group with translations, and a hole for the solvent."""
    whole = Crystal.random(space_group="P 61", cell=CELL, n_anomalous=0, seed=2)
    structure = whole.structure.clone()
    for chain in structure[0]:
        for i in reversed(range(len(chain))):
            position = structure.cell.fractionalize(chain[i][0].pos)
            if structure.cell.orthogonalize(gemmi.Fractional(position.x % 1, position.y % 1, 0)).length() < 9:
                del chain[i]
    structure.setup_cell_images()
    return Crystal(structure, whole.sites, whole.f_prime, whole.f_double_prime)


@pytest.fixture(scope="module")
def table(crystal):
    """Amplitudes of the crystal and their phases, PHI."""
    truth = crystal.structure_factors(DMIN)
    hkl = truth.reset_index()[["H", "K", "L"]].to_numpy()
    columns = {"F_off": truth["F"], "SIGF_off": 0.02 * truth["F"] + 0.1, "PHI": truth["PHI(+)"]}
    return make_table(hkl, columns, {"F_off": "F", "SIGF_off": "Q", "PHI": "P"}, truth.cell, truth.spacegroup)


def turn(first, second):
    """Differences of phases (°) without whole turns."""
    return (np.asarray(first, float) - np.asarray(second, float) + 180) % 360 - 180


def test_a_models_phases_are_those_of_its_structure_factors(table, crystal, tmp_path):
    crystal.structure.make_mmcif_document().write_file(str(tmp_path / "x.cif"))
    crystal.structure.write_pdb(str(tmp_path / "x.pdb"))
    f = table["F_off"].to_numpy(float)
    for source in (crystal.structure, tmp_path / "x.cif", tmp_path / "x.pdb"):
        found = phases(table, source)
        assert found.index.equals(table.index)
        assert (f * np.cos(np.deg2rad(turn(found["PHIC"], table["PHI"])))).sum() > 0.998 * f.sum()
        np.testing.assert_array_equal(found["FOM"], 1.0)


def test_a_models_scale_and_solvent_are_found(table, crystal):
    """Amplitudes on another scale, with B, its anisotropy and bulk solvent."""
    structure = read_model(crystal.structure, table.cell, table.spacegroup)
    hkl = table.reset_index()[["H", "K", "L"]].to_numpy(np.int32)
    s2 = table.cell.calculate_1_d2_array(hkl)
    total = atoms_factors(structure, hkl) + 0.4 * np.exp(-60 * s2 / 4) * solvent_factors(structure, hkl)
    c2 = (hkl[:, 2] / CELL[2]) ** 2
    scale = 0.3 * np.exp(-10 * s2 / 4 + 3 * c2 / 4)
    measured = table.assign(F_off=rs.DataSeries((scale * np.abs(total)).astype("f"), index=table.index, dtype="F"))
    found = phases(measured, structure)
    np.testing.assert_allclose(found["SCALE"].to_numpy(float), scale, rtol=0.02)
    low = s2 < 0.02
    assert np.abs(turn(found["PHIC"], np.angle(total, deg=True)))[low].mean() < 2
    without = np.angle(atoms_factors(structure, hkl), deg=True)
    assert np.abs(turn(without, np.angle(total, deg=True)))[low].mean() > 10
    np.testing.assert_allclose(found["FC"][low], np.abs(total)[low], rtol=0.1)


def test_phases_of_a_file_are_brought_into_the_asymmetric_unit(table, tmp_path):
    """Each reflection written as an equivalent of it, where screw axes and Friedel's law give it another phase."""
    hkl = table.reset_index()[["H", "K", "L"]].to_numpy(int)
    rng = np.random.default_rng(0)
    operations = list(table.spacegroup.operations())
    moved, shifted = [], []
    for h, phi in zip(hkl, table["PHI"], strict=True):
        op, sign = operations[rng.integers(len(operations))], rng.choice([1, -1])
        # F(hR) = F(h) exp(−2πi h·t), from ρ(x) = ρ(Rx + t).
        moved.append(sign * np.array(op.apply_to_hkl(h.tolist())))
        shifted.append(sign * (phi - 360 * np.dot(h, op.tran) / op.DEN))
    assert np.mean(np.any(np.array(moved) != hkl, axis=1)) > 0.8
    file = make_table(moved, {"PHIB": shifted, "FOM": np.full(len(hkl), 0.7)}, {"PHIB": "P", "FOM": "W"}, *_of(table))
    file = file[rng.random(len(file)) < 0.9]
    file.write_mtz(str(tmp_path / "x.mtz"))
    found = phases(table, tmp_path / "x.mtz")
    assert found.index.equals(table.index)
    known = found["PHIC"].notna().to_numpy()
    assert 0.85 < known.mean() < 0.95
    np.testing.assert_allclose(turn(found["PHIC"], table["PHI"])[known], 0, atol=1e-3)
    np.testing.assert_allclose(found["FOM"].to_numpy(float)[known], 0.7, rtol=1e-6)


def test_which_column_is_meant(table, tmp_path):
    path = tmp_path / "x.mtz"
    columns = {"PHIC": 1.0, "PHIC_ALL": 2.0, "PHDELWT": 3.0, "W": 0.1, "FOM": 0.5}
    types = {"PHIC": "P", "PHIC_ALL": "P", "PHDELWT": "P", "W": "W", "FOM": "W"}
    hkl = table.reset_index()[["H", "K", "L"]].to_numpy()
    columns = {name: np.full(len(table), value) for name, value in columns.items()}

    def write(*names):
        make_table(hkl, columns, {name: types[name] for name in names}, *_of(table)).write_mtz(str(path))

    write(*columns)
    assert set(phases(table, path)["PHIC"]) == {2.0}
    assert set(phases(table, path, "PHIC", "W")["PHIC"]) == {1.0}
    assert set(phases(table, path, "PHIC", "W")["FOM"]) == {np.float32(0.1)}
    with pytest.raises(ValueError, match="did you mean PHIC"):
        phases(table, path, "PHICC")
    with pytest.raises(ValueError, match="MTZ type W"):
        phases(table, path, "FOM")
    write("PHDELWT", "W")
    assert set(phases(table, path)["FOM"]) == {1.0}
    write("W")
    with pytest.raises(ValueError, match="no column of phases"):
        phases(table, path)


def test_what_is_refused(table, crystal, tmp_path):
    with pytest.raises(ValueError, match="no such file"):
        phases(table, tmp_path / "x.pdb")
    (tmp_path / "x.txt").write_text("no phases")
    with pytest.raises(ValueError, match="neither"):
        phases(table, tmp_path / "x.txt")
    with pytest.raises(ValueError, match="no columns"):
        phases(table, crystal.structure, "PHI")
    other = crystal.structure.clone()
    other.spacegroup_hm = "P 65"
    with pytest.raises(ValueError, match="its space group is P 65"):
        phases(table, other)
    other = crystal.structure.clone()
    other.cell = gemmi.UnitCell(30, 30, 40, 90, 90, 120)
    with pytest.raises(ValueError, match="3 %"):
        phases(table, other)
    with pytest.raises(ValueError, match="add F and SIGF"):
        phases(table[["PHI"]], crystal.structure)
    assert is_model("a.PDB.gz")
    assert not is_model("a.mtz")


def test_a_model_is_scaled_to_amplitudes_not_differences(table, crystal):
    """Though a difference may have the type of an amplitude, and be the first column."""
    first = table["F_off"] * 0.01
    with_difference = table.assign(DF=first.astype("F"), SIGDF=table["SIGF_off"])[["DF", "SIGDF", "F_off", "SIGF_off"]]
    found = phases(with_difference, crystal.structure)
    np.testing.assert_array_equal(found["SCALE"].to_numpy(), phases(table, crystal.structure)["SCALE"].to_numpy())


def test_a_structure_that_is_given_stays_as_it_is(table, crystal):
    own = crystal.structure.clone()
    own.cell = gemmi.UnitCell(28.1, 28.1, 40, 90, 90, 120)
    phases(table, own)
    assert own.cell.a == 28.1


def _of(table):
    return table.cell, table.spacegroup
