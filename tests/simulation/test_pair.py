import gemmi
import numpy as np
import pytest
import reciprocalspaceship as rs

from vimerge.cli import main
from vimerge.reflections import Reflections
from vimerge.simulation import simulate, simulate_pair

SMALL = {"cell": (30.0, 34.0, 40.0, 90.0, 90.0, 90.0), "dmin": 2.2, "seed": 6}


@pytest.fixture(scope="module")
def pair():
    return simulate_pair(**SMALL, images=30, step=6.0)


@pytest.fixture(scope="module")
def written(pair, tmp_path_factory):
    return pair.write(tmp_path_factory.mktemp("pair") / "x.mtz")


def column(simulation, name):
    return simulation.observations[name].to_numpy(dtype=float)


def test_truth_has_both_amplitudes_of_every_reflection(pair):
    truth = pair.truth
    assert {name: truth[name].dtype.mtztype for name in truth.columns} == {
        "F_OFF": "F",
        "F_ON": "F",
        "PHI_OFF": "P",
        "PHI_ON": "P",
    }
    for name, simulation in (("OFF", pair.off), ("ON", pair.on)):
        table = simulation.crystal.structure_factors(SMALL["dmin"])
        np.testing.assert_allclose(truth[f"F_{name}"], table["F"], rtol=1e-6)
        np.testing.assert_allclose(truth[f"PHI_{name}"], table["PHI(+)"], rtol=1e-6)
    difference = (truth["F_ON"] - truth["F_OFF"]).abs().sum() / truth["F_OFF"].sum()
    assert 0.01 < difference < 0.2


@pytest.mark.parametrize("laue", [True, False])
def test_only_jitter_and_noise_and_the_crystal_differ(laue):
    """Between the two the scale of each image is one number, and errors have nothing in common."""
    pair = simulate_pair(laue=laue, **SMALL, images=20, **({} if laue else {"oscillation": 2.0}), outliers=0.0)
    off, on = pair.off, pair.on
    np.testing.assert_array_equal(off.observations.get_hkls(), on.observations.get_hkls())
    image = off.observations["BATCH"].to_numpy()
    ratio = np.log(on.true_scale / off.true_scale)
    by_image = np.array([ratio[image == i].mean() for i in np.unique(image)])
    np.testing.assert_allclose(ratio, by_image[np.searchsorted(np.unique(image), image)], atol=1e-9)
    assert by_image.std() == pytest.approx(0.03 * np.sqrt(2), rel=0.5)
    errors = [(column(s, "I") - s.true_intensity) / column(s, "SIGI") for s in (off, on)]
    assert abs(np.corrcoef(*errors)[0, 1]) < 4 / np.sqrt(len(image))


def test_the_difference_map_shows_what_moved(pair, written):
    """Peaks of F(on) − F(off), phased by the model as written: holes where atoms were, half as high where they went."""
    names = {path.name: path for path in written}
    model = gemmi.read_structure(str(names["x_off.pdb"]))
    changed = gemmi.read_structure(str(names["x_on.pdb"]))
    truth = rs.read_mtz(str(names["x_truth.mtz"]))
    calculator = gemmi.DensityCalculatorX()
    calculator.d_min = SMALL["dmin"]
    calculator.set_grid_cell_and_spacegroup(model)
    calculator.put_model_density_on_grid(model[0])
    phases = gemmi.transform_map_to_f_phi(calculator.grid).get_value_by_hkl(truth.get_hkls())
    truth["DF"] = (truth["F_ON"] - truth["F_OFF"]).astype("F")
    truth["PHI"] = rs.DataSeries(np.angle(phases, deg=True), index=truth.index, dtype="P")
    turned = np.exp(1j * np.deg2rad(truth["PHI"].to_numpy(float) - truth["PHI_OFF"].to_numpy(float)))
    assert (truth["F_OFF"].to_numpy(float) * turned.real).sum() > 0.999 * truth["F_OFF"].sum()
    density = truth.to_gemmi().transform_f_phi_to_map("DF", "PHI", sample_rate=3)
    density.normalize()
    moved = [residue for chain in changed[0] for residue in chain if len(residue) == 2]
    assert len(moved) == 12
    old, new = ([density.interpolate_value(r[i].pos) for r in moved] for i in (0, 1))
    assert np.mean(old) < -3
    assert np.mean(new) > 2


def test_five_files_that_are_read_as_written(pair, written):
    assert [path.name for path in written] == ["x_off.mtz", "x_on.mtz", "x_truth.mtz", "x_off.pdb", "x_on.pdb"]
    assert len(list(written[0].parent.iterdir())) == 5
    for path, simulation in zip(written, (pair.off, pair.on), strict=False):
        reflections = Reflections.read(path)
        np.testing.assert_array_equal(reflections.hkl, simulation.observations.get_hkls())
        np.testing.assert_array_equal(reflections.iobs, simulation.observations["I"].to_numpy(np.float32))
    truth = rs.read_mtz(str(written[2]))
    assert truth.merged
    np.testing.assert_array_equal(truth.to_numpy(float), pair.truth.to_numpy(float))


def test_a_pair_of_given_correlation():
    pair = simulate_pair(**SMALL, images=10, correlation=0.97)
    truth = pair.truth
    off, on = (
        truth[f"F_{name}"].to_numpy(float) * np.exp(1j * np.deg2rad(truth[f"PHI_{name}"].to_numpy(float)))
        for name in ("OFF", "ON")
    )
    measured = (off * on.conj()).sum() / np.sqrt((np.abs(off) ** 2).sum() * (np.abs(on) ** 2).sum())
    assert abs(measured - 0.97) < 0.01


def test_the_same_seed_writes_the_same_bytes(written, tmp_path):
    again = simulate_pair(**SMALL, images=30, step=6.0).write(tmp_path / "x.mtz")
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in written]


def test_bad_paths(pair, tmp_path):
    with pytest.raises(ValueError, match="must end in"):
        pair.write(tmp_path / "x")


COMMAND = "--cell 22 26 31 90 90 90 --dmin 3 --images 12 --seed 1"


def test_the_command_line_writes_what_the_library_writes(tmp_path):
    options = {"cell": (22.0, 26.0, 31.0, 90.0, 90.0, 90.0), "dmin": 3.0, "images": 12, "seed": 1}
    assert main(["simulate", "-o", str(tmp_path / "a.mtz"), *COMMAND.split()]) == 0
    expected = simulate(**options).write(tmp_path / "b.mtz")
    for path in expected:
        assert path.read_bytes() == path.with_name(path.name.replace("b", "a", 1)).read_bytes()
    assert main(["simulate", "--laue", "--pair", "-o", str(tmp_path / "c.mtz"), *COMMAND.split()]) == 0
    expected = simulate_pair(**options).write(tmp_path / "d.mtz")
    for path in expected:
        assert path.read_bytes() == path.with_name(path.name.replace("d", "c", 1)).read_bytes()
    assert main(["simulate", "--laue", "-o", str(tmp_path / "e.mtz"), "--wavelength-max", "1.4", *COMMAND.split()]) == 0
    assert {path.name for path in tmp_path.glob("e*")} == {"e.mtz", "e_truth.mtz", "e_model.pdb"}


def test_rotation_experiments_stay_as_they_are():
    """What `simulate` gave before there were Laue experiments; exact but for the platform's last digits."""
    simulation = simulate(**(SMALL | {"seed": 0}), images=60)
    assert len(simulation.observations) == 3083
    assert simulation.true_scale.sum() == pytest.approx(20.4507934169631, rel=1e-6)
    assert simulation.true_intensity.sum() == pytest.approx(203979.792541902, rel=1e-6)
    assert column(simulation, "I").mean() == pytest.approx(67.34067546779987, rel=1e-4)
    assert simulation.outlier.sum() == 7


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--laue --oscillation 1", "--oscillation"),
        ("--step 1", "add --laue"),
        ("--fraction 0.1", "add --pair"),
        ("--pair --correlation 0.9 --shift 1", "--shift"),
        ("--pair --correlation 2", "correlation"),
        ("--laue --wavelength-max 0.5", "wavelength_max"),
    ],
)
def test_options_that_would_do_nothing_are_refused(options, message, tmp_path, capsys):
    assert main(["simulate", "-o", str(tmp_path / "x.mtz"), *options.split()]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_defaults_are_told_as_they_are():
    import inspect

    from vimerge.cli.simulate import LAUE, PAIR
    from vimerge.simulation import simulate_laue

    for numbers, function in ((LAUE, simulate_laue), (PAIR, simulate_pair)):
        signature = inspect.signature(function).parameters
        for name, (kind, _, text) in numbers.items():
            default = signature[name.replace("-", "_")].default
            if default is not None:
                assert kind(text.split("default: ")[1].rstrip(")")) == default, name
        for name in signature:
            assert name in function.__doc__
