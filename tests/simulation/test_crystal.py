import gemmi
import numpy as np
import pytest
import reciprocalspaceship as rs

from vimerge.simulation import Crystal

LATTICES = {
    "P 1": (22, 26, 31, 82, 87, 95),
    "C 2": (60, 30, 40, 90, 110, 90),
    "P 21 21 21": (30, 34, 40, 90, 90, 90),
    "P 43 21 2": (40, 40, 60, 90, 90, 90),
    "R 3:H": (50, 50, 60, 90, 90, 120),
    "P 61 2 2": (50, 50, 70, 90, 90, 120),
    "F 4 3 2": (80, 80, 80, 90, 90, 90),
    "P -1": (22, 26, 31, 82, 87, 95),
}
DMIN = 2.2


@pytest.fixture(scope="module", params=LATTICES)
def crystal(request):
    return Crystal.random(space_group=request.param, cell=LATTICES[request.param], seed=3)


def direct_sum(crystal, hkl, calculator):
    """F(h) by gemmi's direct summation; f'' from how F changes when it is added to f', times i."""
    element = gemmi.Element("Se")
    calculator.addends.set(element, crystal.f_prime)
    real = calculator.calculate_sf_from_model(crystal.structure[0], hkl)
    calculator.addends.set(element, crystal.f_prime + crystal.f_double_prime)
    return real + 1j * (calculator.calculate_sf_from_model(crystal.structure[0], hkl) - real)


def test_structure_factors_match_direct_summation(crystal):
    hkl, plus, minus = crystal.complex_structure_factors(DMIN)
    calculator = gemmi.StructureFactorCalculatorX(crystal.cell)
    scale = np.sqrt(np.mean(np.abs(plus) ** 2))
    for i in np.random.default_rng(0).choice(len(hkl), 12, replace=False):
        assert plus[i] == pytest.approx(direct_sum(crystal, hkl[i].tolist(), calculator), abs=1e-4 * scale)
        assert minus[i] == pytest.approx(direct_sum(crystal, (-hkl[i]).tolist(), calculator), abs=1e-4 * scale)


def test_unique_reflections_are_those_of_the_asymmetric_unit(crystal):
    hkl, _, _ = crystal.complex_structure_factors(DMIN)
    expected = rs.utils.generate_reciprocal_asu(crystal.cell, crystal.space_group, DMIN)
    present = ~rs.utils.is_absent(expected, crystal.space_group) & (np.abs(expected).sum(axis=1) > 0)
    assert {tuple(h) for h in hkl.tolist()} == {tuple(h) for h in expected[present].tolist()}
    assert rs.utils.in_asu(hkl, crystal.space_group).all()


def test_equivalent_reflections_agree(crystal):
    """|F(h·R)| = |F(h)|, and centric reflections have no anomalous difference."""
    hkl, plus, minus = crystal.complex_structure_factors(DMIN)
    centric = rs.utils.is_centric(hkl, crystal.space_group)
    np.testing.assert_allclose(np.abs(plus[centric]), np.abs(minus[centric]), rtol=1e-12)
    if not centric.all():
        difference = np.abs(np.abs(plus) - np.abs(minus))[~centric]
        assert difference.mean() > 0.02 * np.abs(plus).mean()


def test_absences_vanish_by_direct_summation():
    crystal = Crystal.random(space_group="P 43 21 2", cell=(40, 40, 60), seed=3)
    calculator = gemmi.StructureFactorCalculatorX(crystal.cell)
    for absent in ([0, 0, 2], [0, 0, 7], [3, 0, 0]):
        assert abs(direct_sum(crystal, absent, calculator)) < 1e-3


@pytest.mark.parametrize("options", [{"n_anomalous": 0}, {"n_atoms": 0, "n_anomalous": 4}])
def test_extremes_of_composition(options):
    crystal = Crystal.random(cell=(30, 34, 40), seed=1, **options)
    table = crystal.structure_factors(3.0)
    assert np.isfinite(table.to_numpy(dtype=float)).all()
    assert len(list(crystal.sites[0].all())) == options["n_anomalous"]


def test_friedels_law_is_exact_without_anomalous_scatterers():
    crystal = Crystal.random(n_anomalous=0, cell=(30, 34, 40), seed=1)
    _, plus, minus = crystal.complex_structure_factors(2.5)
    np.testing.assert_array_equal(np.abs(plus), np.abs(minus))
    acentric = ~rs.utils.is_centric(crystal.complex_structure_factors(2.5)[0], crystal.space_group)
    np.testing.assert_array_equal(plus[acentric], minus[acentric].conj())


def test_table():
    crystal = Crystal.random(cell=(30, 34, 40), seed=1)
    table = crystal.structure_factors(2.5)
    assert table.merged
    assert table.spacegroup.xhm() == "P 21 21 21"
    types = {name: table[name].dtype.mtztype for name in table.columns}
    assert types == {"F": "F", "I": "J", "F(+)": "G", "F(-)": "G", "PHI(+)": "P", "PHI(-)": "P"}
    plus, minus = table["F(+)"].to_numpy(float), table["F(-)"].to_numpy(float)
    np.testing.assert_allclose(table["F"].to_numpy(float), (plus + minus) / 2, rtol=1e-5)
    np.testing.assert_allclose(table["I"].to_numpy(float), (plus**2 + minus**2) / 2, rtol=1e-5)


def test_falls_off_as_the_b_factor_says():
    """A Wilson plot of ln⟨|F|²⟩/Σf² against s² has the slope −B/2."""
    crystal = Crystal.random(n_anomalous=0, b_range=(25.0, 25.0), seed=2)
    hkl, plus, _ = crystal.complex_structure_factors(1.8)
    s2 = crystal.cell.calculate_1_d2_array(hkl)
    epsilon = crystal.space_group.operations().epsilon_factor_array(hkl)
    atoms = [site.atom for site in crystal.structure[0].all()]
    f2 = np.array([4 * sum(a.element.it92.calculate_sf(x / 4) ** 2 for a in atoms) for x in np.linspace(0, 0.32, 17)])
    normalised = np.abs(plus) ** 2 / epsilon / np.interp(s2, np.linspace(0, 0.32, 17), f2)
    shell = np.digitize(s2, np.quantile(s2, np.linspace(0, 1, 13)[1:-1]))
    x = [s2[shell == i].mean() for i in range(12)]
    y = [np.log(normalised[shell == i].mean()) for i in range(12)]
    slope, intercept = np.polyfit(x, y, 1)
    assert slope == pytest.approx(-25 / 2, abs=1.5)
    assert intercept == pytest.approx(0, abs=0.25)


def test_reproducible():
    first, again, other = (Crystal.random(cell=(30, 34, 40), seed=s).structure_factors(3.0) for s in (7, 7, 8))
    assert first.equals(again)
    assert not first.equals(other)


def test_sites_keep_their_distance():
    crystal = Crystal.random(n_anomalous=5, seed=0)
    atoms = [site.atom.pos for site in crystal.sites[0].all()]
    for i, a in enumerate(atoms):
        for j, b in enumerate(atoms[: i + 1]):
            asu = gemmi.Asu.Different if i == j else gemmi.Asu.Any
            assert crystal.sites.cell.find_nearest_image(a, b, asu).dist() > 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"space_group": "P 99"}, "not known"),
        ({"space_group": "P 4", "cell": (30, 40, 50)}, "symmetry"),
        ({"cell": (30, 40)}, "three lengths"),
        ({"cell": (30, 40, -50)}, "between"),
        ({"cell": (30, 40, 50, 20, 20, 90), "space_group": "P 1"}, "no volume"),
        ({"n_atoms": -1}, "n_atoms"),
        ({"n_atoms": 0, "n_anomalous": 0}, "at least one atom"),
        ({"anomalous_element": "Xx"}, "anomalous_element"),
        ({"wavelength": 0.0}, "wavelength"),
        ({"b_range": (40.0, 15.0)}, "b_range"),
        ({"b_range": 20.0}, "b_range"),
        ({"seed": 1.5}, "seed"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message) as caught:
        Crystal.random(**options)
    assert str(caught.value).count("\n") == 0


@pytest.mark.parametrize("dmin", [0, -1, np.nan, 500.0])
def test_bad_resolution(dmin):
    with pytest.raises(ValueError, match="dmin"):
        Crystal.random(cell=(30, 34, 40)).structure_factors(dmin)
