"""Difference maps of simulated crystals whose difference is known, from tables to peaks."""

import gemmi
import numpy as np
import pytest
import reciprocalspaceship as rs

from vimerge.reflections.tables import make_table
from vimerge.statistics.difference_coefficients import anomalous_differences, difference_coefficients
from vimerge.statistics.difference_maps import DifferenceMap
from vimerge.statistics.difference_tables import difference_table
from vimerge.statistics.phases import phases

from .conftest import DMIN, merged, moved


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


def test_coefficients_that_make_no_map_are_refused(differences, phased):
    nothing = difference_coefficients(differences.assign(DF=0 * differences["DF"]), phased)
    with pytest.raises(ValueError, match="All coefficients are zero"):
        DifferenceMap.from_coefficients(nothing)
    with pytest.raises(ValueError, match="no coefficients"):
        DifferenceMap.from_coefficients(differences)
    with pytest.raises(ValueError, match="sample_rate"):
        DifferenceMap.from_coefficients(difference_coefficients(differences, phased), sample_rate=1)
