"""Difference maps of simulated crystals whose difference is known, from tables to peaks."""

import gemmi
import numpy as np
import pandas as pd
import pytest
import reciprocalspaceship as rs

from vimerge.reflections.tables import make_table
from vimerge.simulation import Crystal, related_crystal
from vimerge.statistics.atomic_models import atoms_factors, read_model
from vimerge.statistics.difference_coefficients import anomalous_differences, difference_coefficients
from vimerge.statistics.difference_maps import DifferenceMap
from vimerge.statistics.difference_tables import difference_table, read_amplitudes
from vimerge.statistics.phases import phases

DMIN = 1.9


@pytest.fixture(scope="module")
def ground():
    return Crystal.random(space_group="P 31 2 1", cell=(30.0, 30.0, 38.0, 90.0, 90.0, 120.0), n_anomalous=3, seed=4)


@pytest.fixture(scope="module")
def excited(ground):
    return related_crystal(ground, atoms=10, shift=1.5, fraction=0.4, seed=1)


def merged(crystal, noise=0.0, seed=0):
    """Amplitudes with a σ, and that noise if it is not zero."""
    truth = crystal.structure_factors(DMIN)
    rng = np.random.default_rng(seed)
    f = truth["F"].to_numpy(float)
    sigma = (noise or 0.01) * f.mean() / np.sqrt(rng.integers(1, 9, len(f)) / 4)
    measured = np.abs(f + (noise > 0) * sigma * rng.normal(size=len(f)))
    hkl = truth.reset_index()[["H", "K", "L"]].to_numpy()
    return make_table(hkl, {"F": measured, "SIGF": sigma}, {"F": "F", "SIGF": "Q"}, truth.cell, truth.spacegroup)


@pytest.fixture(scope="module")
def model(ground):
    first = merged(ground)
    return read_model(ground.structure, first.cell, first.spacegroup)


@pytest.fixture(scope="module")
def differences(ground, excited):
    return difference_table(merged(ground), merged(excited))


@pytest.fixture(scope="module")
def phased(differences, model):
    return phases(differences, model)


@pytest.fixture(scope="module")
def true_map(differences, phased):
    return DifferenceMap.from_coefficients(difference_coefficients(differences, phased, weights="none", reject=None))


def moved(excited):
    """The atoms that moved: where they were, with what is left of them, and where they went."""
    pairs = [tuple(residue) for chain in excited.structure[0] for residue in chain if len(residue) == 2]
    return [one for one, _ in pairs], [other for _, other in pairs]


def test_peaks_of_the_true_difference_are_where_atoms_moved(true_map, model, excited):
    old, new = moved(excited)
    peaks = true_map.peaks(6, model=model)
    holes = peaks[peaks["height"] < 0]
    assert len(holes) == 6
    assert peaks["height"].abs().is_monotonic_decreasing
    for group, atoms in ((holes, old), (peaks[peaks["height"] > 0], new)):
        places = np.array([atom.pos.tolist() for atom in atoms])
        for _, peak in group.iterrows():
            point = gemmi.Position(*peak[["x", "y", "z"]])
            distance = min(model.cell.find_nearest_image(point, gemmi.Position(*p)).dist() for p in places)
            assert distance < 0.9
    assert np.mean(true_map.at([atom.pos for atom in old])) < -5


@pytest.mark.parametrize("weights", ["none", "q", "shrinkage"])
def test_noise_lowers_the_peaks_but_leaves_them_where_they_are(weights, ground, excited, phased, model, true_map):
    table = difference_table(merged(ground, 0.06, seed=1), merged(excited, 0.06, seed=2))
    noisy = DifferenceMap.from_coefficients(difference_coefficients(table, phased, weights=weights))
    old, _ = moved(excited)
    places = [atom.pos for atom in old]
    top = noisy.peaks(3, model=model)
    for _, peak in top.head(3).iterrows():
        point = gemmi.Position(*peak[["x", "y", "z"]])
        assert (
            min(model.cell.find_nearest_image(point, atom.pos).dist() for pair in moved(excited) for atom in pair) < 1
        )
    assert noisy.at(places).mean() < -3
    assert top["height"].abs().max() < true_map.peaks(1)["height"].abs().max()


def test_weights_bring_a_noisy_map_nearer_to_the_true_one(ground, excited, phased, true_map):
    table = difference_table(merged(ground, 0.1, seed=3), merged(excited, 0.1, seed=4))

    def correlation(weights):
        noisy = DifferenceMap.from_coefficients(difference_coefficients(table, phased, weights=weights))
        return np.corrcoef(np.ravel(noisy.grid.array), np.ravel(true_map.grid.array))[0, 1]

    assert correlation("shrinkage") > correlation("q") > correlation("none")


def test_coefficients_are_what_they_are_made_of(differences, phased):
    half = phased.assign(FOM=rs.DataSeries(np.full(len(phased), 0.5, np.float32), index=phased.index, dtype="W"))
    made = difference_coefficients(differences, half, electrons=False)
    assert (made["DF"] < 0).any()
    df, w, m, phi, amplitude, phase = (
        made[name].to_numpy(float) for name in ("DF", "W", "FOM", "PHIC", "DELFWT", "PHDELWT")
    )
    assert np.all(amplitude >= 0)
    assert np.all(np.abs(phase) <= 180)
    expected = m * w * df * np.exp(1j * np.deg2rad(phi))
    np.testing.assert_allclose(amplitude * np.exp(1j * np.deg2rad(phase)), expected, atol=1e-4)
    np.testing.assert_allclose(df, differences["DF"].to_numpy(float)[np.isin(differences.index, made.index)], rtol=1e-5)
    assert np.all((w <= 1) & (w > 0))


def test_outliers_have_no_weight(differences, phased):
    f = differences["DF"].to_numpy(float)
    worst = [10, 200, 1500]
    f[worst] = 100 * np.abs(f).max()
    broken = differences.assign(DF=rs.DataSeries(f, index=differences.index, dtype="R"))
    made = difference_coefficients(broken, phased, weights="none")
    assert set(differences.index[worst]) <= set(made.index[made["W"] == 0])
    assert (made["W"] == 0).mean() < 0.01
    assert (difference_coefficients(broken, phased, weights="none", reject=None)["W"] == 1).all()


def test_absolute_scale(differences, model, true_map):
    """Amplitudes a seventh of their size, with B: the same density in e/Å³."""
    s2 = differences.cell.calculate_1_d2_array(differences.reset_index()[["H", "K", "L"]].to_numpy(np.int32))
    factor = np.exp(-8 * s2 / 4) / 7
    scaled = differences.copy()
    for name in differences.columns:
        values = (differences[name].to_numpy(float) * factor).astype("f")
        scaled[name] = rs.DataSeries(values, index=differences.index, dtype=differences[name].dtype)
    again = DifferenceMap.from_coefficients(
        difference_coefficients(scaled, phases(scaled, model), weights="none", reject=None)
    )
    assert again.sigma == pytest.approx(true_map.sigma, rel=0.02)
    assert np.corrcoef(np.ravel(again.grid.array), np.ravel(true_map.grid.array))[0, 1] > 0.999


def test_sigma_is_the_root_mean_square_of_the_density(differences, phased, true_map):
    """By Parseval: σ² = Σ |F|²/V² over the whole sphere."""
    made = difference_coefficients(differences, phased, weights="none", reject=None)
    hkl = made.reset_index()[["H", "K", "L"]].to_numpy(int)
    operations = list(made.spacegroup.operations())
    sphere = [
        len({tuple(sign * np.array(op.apply_to_hkl(h))) for op in operations for sign in (1, -1)}) for h in hkl.tolist()
    ]
    square = (np.array(sphere) * made["DELFWT"].to_numpy(float) ** 2).sum()
    assert true_map.sigma == pytest.approx(np.sqrt(square) / made.cell.volume, rel=1e-3)
    array = np.asarray(true_map.grid.array, np.float64)
    assert abs(array.mean()) < 1e-4
    assert array.std() == pytest.approx(1.0, rel=1e-4)


def test_values_between_grid_points_are_those_of_the_fourier_sum(differences, phased):
    """ρ(x) = Σ F exp(−2πi h·x)/V over the whole sphere, in units of σ."""
    made = difference_coefficients(differences, phased)
    density = DifferenceMap.from_coefficients(made)
    hkl = made.reset_index()[["H", "K", "L"]].to_numpy(int)
    factors = made["DELFWT"].to_numpy(float) * np.exp(1j * np.deg2rad(made["PHDELWT"].to_numpy(float)))
    sphere = {}
    for op in made.spacegroup.operations():
        turned = hkl @ (np.array(op.rot) // op.DEN)
        shifted = factors * np.exp(-2j * np.pi * (hkl @ np.array(op.tran)) / op.DEN)
        sphere |= dict(zip(map(tuple, turned), shifted, strict=True))
        sphere |= dict(zip(map(tuple, -turned), shifted.conj(), strict=True))
    points = np.random.default_rng(0).uniform(-1, 2, (50, 3))
    waves = np.exp(-2j * np.pi * points @ np.array(list(sphere)).T)
    exact = (waves @ np.array(list(sphere.values()))).real / made.cell.volume
    positions = points @ np.array(made.cell.orth.mat.tolist()).T
    np.testing.assert_allclose(density.at(positions), exact / density.sigma, atol=0.04)
    assert np.abs(exact / density.sigma).max() > 2


def test_written_and_read_again(differences, phased, tmp_path):
    made = difference_coefficients(differences, phased)
    made.write_mtz(str(tmp_path / "x.mtz"))
    mtz = gemmi.read_mtz_file(str(tmp_path / "x.mtz"))
    assert {c.label: c.type for c in mtz.columns[3:]} == {
        "DF": "R",
        "SIGDF": "Q",
        "W": "W",
        "PHIC": "P",
        "FOM": "W",
        "DELFWT": "F",
        "PHDELWT": "P",
    }
    assert mtz.spacegroup == differences.spacegroup
    assert mtz.cell.parameters == pytest.approx(differences.cell.parameters, rel=1e-6)
    read = DifferenceMap.from_coefficients(rs.read_mtz(str(tmp_path / "x.mtz")))
    own = DifferenceMap.from_coefficients(made)
    np.testing.assert_allclose(read.grid.array, own.grid.array, atol=1e-4)
    other = mtz.transform_f_phi_to_map("DELFWT", "PHDELWT", sample_rate=3)
    np.testing.assert_allclose(np.asarray(other.array) / own.sigma, own.grid.array, atol=1e-3)
    own.write_ccp4(tmp_path / "x.ccp4")
    back = gemmi.read_ccp4_map(str(tmp_path / "x.ccp4"), setup=True).grid
    np.testing.assert_array_equal(back.array, own.grid.array)


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


def test_anomalous_scatterers_are_where_they_are(ground, model):
    truth = ground.structure_factors(DMIN)
    rng = np.random.default_rng(3)
    hkl = truth.reset_index()[["H", "K", "L"]].to_numpy()
    noise = 0.01 * truth["F"].mean()
    columns = {f"F({s})": truth[f"F({s})"].to_numpy(float) + noise * rng.normal(size=len(truth)) for s in "+-"}
    columns |= {f"SIGF({s})": np.full(len(truth), noise) for s in "+-"}
    types = {"F(+)": "G", "SIGF(+)": "L", "F(-)": "G", "SIGF(-)": "L"}
    table = anomalous_differences(make_table(hkl, columns, types, truth.cell, truth.spacegroup))
    is_centric = np.asarray(table.spacegroup.operations().centric_flag_array(np.ascontiguousarray(hkl, np.int32)), bool)
    assert table["DANO"].isna().sum() == is_centric.sum() > 0
    np.testing.assert_allclose(table["SIGDANO"].dropna(), np.sqrt(2) * noise, rtol=1e-5)
    made = difference_coefficients(table, phases(table, model), anomalous=True)
    assert {name: made[name].dtype.mtztype for name in made} == {
        "DANO": "D",
        "SIGDANO": "Q",
        "W": "W",
        "PHIC": "P",
        "FOM": "W",
        "FAN": "F",
        "PHAN": "P",
    }
    density = DifferenceMap.from_coefficients(made)
    peaks = density.peaks(3, model=model)
    assert (peaks["height"].head(3) > 0).all()
    assert set(peaks["residue"].head(3)) == {"SE"}
    assert peaks["distance"].head(3).max() < 0.2
    sites = density.sites(model, ["Se"])
    assert len(sites) == 3
    assert set(sites["element"]) == {"Se"}
    np.testing.assert_allclose(np.sort(sites["height"]), np.sort(peaks["height"].head(3)), rtol=0.02)
    assert (sites["at"] <= sites["height"] + 1e-6).all()
    with pytest.raises(ValueError, match="no atoms of Zn"):
        density.sites(model, ["Zn"])


def test_tables_from_files_of_other_programs(ground, excited, tmp_path):
    """Other names, and half of the reflections as equivalents outside the asymmetric unit."""
    expected = difference_table(merged(ground), merged(excited))
    operation = list(expected.spacegroup.operations())[2]
    tables = []
    for name, crystal in (("off", ground), ("on", excited)):
        table = merged(crystal)
        hkl = table.reset_index()[["H", "K", "L"]].to_numpy(np.int32)
        hkl[::2] = [operation.apply_to_hkl(h) for h in hkl[::2].tolist()]
        columns = {"F_mine": table["F"], "err": table["SIGF"]}
        other = make_table(hkl, columns, {"F_mine": "F", "err": "Q"}, table.cell, table.spacegroup)
        other.write_mtz(str(tmp_path / f"{name}.mtz"))
        tables.append(read_amplitudes(tmp_path / f"{name}.mtz", "F_mine", "err"))
    found = difference_table(*tables)
    assert found.index.equals(expected.index)
    for name in expected.columns:
        assert found[name].dtype == expected[name].dtype
        np.testing.assert_allclose(found[name].to_numpy(float), expected[name].to_numpy(float), rtol=1e-5)
    difference = found["F_on"].to_numpy(float) - found["F_off"].to_numpy(float)
    np.testing.assert_allclose(found["DF"].to_numpy(float), difference, atol=1e-3)


def test_only_common_reflections_with_a_standard_deviation(ground):
    one, other = merged(ground).iloc[50:], merged(ground).iloc[:-70]
    sigma = other["SIGF"].to_numpy(float)
    sigma[60] = 0
    other = other.assign(SIGF=rs.DataSeries(sigma, index=other.index, dtype="Q"))
    assert len(difference_table(one, other)) == len(merged(ground)) - 121


def test_what_is_refused(differences, phased, true_map, model):
    def coefficients(table=differences, **options):
        return difference_coefficients(table, phased, **options)

    with pytest.raises(ValueError, match="no DANO"):
        coefficients(anomalous=True)
    with pytest.raises(ValueError, match="none, q, shrinkage"):
        coefficients(weights="best")
    with pytest.raises(ValueError, match="reject must be positive"):
        coefficients(reject=0)
    with pytest.raises(ValueError, match="No reflection"):
        coefficients(dmin=5.0, dmax=4.0)
    with pytest.raises(ValueError, match="All coefficients are zero"):
        DifferenceMap.from_coefficients(coefficients(differences.assign(DF=0 * differences["DF"])))
    with pytest.raises(ValueError, match="no coefficients"):
        DifferenceMap.from_coefficients(differences)
    with pytest.raises(ValueError, match="sample_rate"):
        DifferenceMap.from_coefficients(coefficients(), sample_rate=1)
    with pytest.raises(ValueError, match="number"):
        true_map.peaks(0)
    with pytest.raises(ValueError, match="give model="):
        true_map.peaks(3, around="A/1")
    with pytest.raises(ValueError, match="Friedel mates apart"):
        anomalous_differences(differences)
    other = differences.rename(columns={"F_off": "F", "SIGF_off": "SIGF"})
    shifted = other.copy()
    shifted.spacegroup = gemmi.SpaceGroup("P 1")
    with pytest.raises(ValueError, match="space groups"):
        difference_table(other, shifted)
    assert isinstance(true_map.peaks(1, minimum=1000), pd.DataFrame)
    assert len(true_map.peaks(1, minimum=1000, model=model, around="A/1")) == 0
