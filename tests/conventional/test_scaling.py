"""Whole scalings of simulated data, whose truth is known."""

from dataclasses import replace

import gemmi
import numpy as np
import pytest

import vimerge.conventional.fit as fitting
from vimerge.conventional import ModelOptions, ScalingOptions, scale_reflections
from vimerge.reflections import OptionError, Reflections


@pytest.fixture(scope="module")
def scaling(measured):
    return scale_reflections(measured[1])


def _scale_error(log_ratio, s2, use):
    """Differences of log scales less what no data can tell: a constant and a common B."""
    columns = np.column_stack([np.ones(len(s2)), s2])
    return log_ratio - columns @ np.linalg.lstsq(columns[use], log_ratio[use], rcond=None)[0]


def test_the_true_relative_scales_are_found(simulation, measured, scaling):
    table = measured[1]
    strong = (table.iobs > 10 * table.sigiobs) & ~simulation.outlier
    s2 = table.asu.s2[table.refl_id]
    before = _scale_error(-np.log(simulation.true_scale), s2, strong)[strong].std()
    error = _scale_error(np.log(scaling.scale / simulation.true_scale), s2, strong)[strong]
    assert before > 0.08
    assert error.std() < 0.02
    # The uncertainty is of the right size, but for the detector's sensitivity, which this model leaves out.
    assert 0.7 < np.sqrt(np.mean((error / (scaling.sigscale / scaling.scale)[strong]) ** 2)) < 1.8


def test_the_gauge_is_kept(measured, scaling):
    assert np.log(scaling.scale).mean() == pytest.approx(0, abs=1e-3)


def test_the_error_model_finds_the_multiplicative_error(scaling):
    assert scaling.errors.sdfac[0] == pytest.approx(1, abs=0.1)
    assert scaling.errors.sdadd[0] == pytest.approx(0.03, abs=0.012)
    assert scaling.deviations_by_intensity(5)["sd"].between(0.93, 1.07).all()


def test_outliers_are_rejected_and_nothing_else(simulation, measured, scaling):
    table = measured[1]
    assert np.count_nonzero(scaling.rejected & ~simulation.outlier) <= 1
    off = np.abs(table.iobs - simulation.true_intensity) > 15 * scaling.sigma
    several = table.multiplicity[table.refl_id] >= 4
    gross = simulation.outlier & off & several
    assert gross.sum() >= 5
    assert scaling.rejected[gross].mean() > 0.8


def test_the_history_tells_of_each_cycle(scaling):
    columns = {"target", "chi2_per_observation", "rejected", "shift", "SdFac", "SdB", "SdAdd", "tau_image"}
    assert columns <= set(scaling.history.columns)
    assert scaling.history.index.tolist() == list(range(1, len(scaling.history) + 1))
    assert scaling.history["shift"].iloc[-1] < 1e-3


def test_what_is_held_out_has_no_influence(measured):
    table = measured[1]
    rng = np.random.default_rng(0)
    use = rng.random(len(table)) > 0.2
    spoilt = table.iobs.copy()
    spoilt[~use] *= 100
    plain, other = (scale_reflections(t, use) for t in (table, replace(table, iobs=spoilt)))
    np.testing.assert_allclose(plain.scale, other.scale, rtol=1e-9)
    np.testing.assert_array_equal(plain.used, other.used)
    assert not plain.used[~use].any()
    np.testing.assert_allclose(plain.sigma[use], other.sigma[use], rtol=1e-9)


def test_two_files_on_different_scales_come_together(simulation, measured):
    """Half of the images measured with twice the exposure: a second sweep, with a scale of its own."""
    table = measured[1]
    second = table.images["image"].to_numpy()[table.image_id] > 45
    factor = np.where(second, 2.0, 1.0)
    columns = {name: table.metadata[:, i] for i, name in enumerate(table.metadata_keys)}
    image = table.images["image"].to_numpy()[table.image_id]
    both = Reflections.from_arrays(
        table.hkl,
        table.iobs * factor,
        table.sigiobs * factor,
        image,
        cell=table.cell,
        spacegroup=table.spacegroup,
        anomalous=True,
        metadata=columns,
        file_id=second.astype(int),
    )
    result = scale_reflections(both)
    order = np.argsort(second, kind="stable")
    true = (simulation.true_scale * factor)[order]
    strong = (both.iobs > 10 * both.sigiobs) & ~simulation.outlier[order]
    error = _scale_error(np.log(result.scale / true), both.asu.s2[both.refl_id], strong)
    assert result.sweep.max() == 1
    assert error[strong].std() < 0.025


@pytest.mark.parametrize("direct", [6000, 0])
def test_stills_are_scaled_image_by_image(monkeypatch, direct):
    monkeypatch.setattr(fitting, "DIRECT", direct)
    rng = np.random.default_rng(0)
    images, each, groups = 60, 120, 400
    cell, spacegroup = gemmi.UnitCell(30, 40, 50, 90, 90, 90), gemmi.SpaceGroup("P 21 21 21")
    hkl = gemmi.make_miller_array(cell, spacegroup, 3.0)[-groups:]
    s2 = cell.calculate_1_d2_array(hkl)
    truth = rng.gamma(1.0, 1000.0, groups)
    k, b = np.exp(rng.normal(size=images)), rng.normal(scale=5.0, size=images)
    image = np.repeat(np.arange(images), each)
    which = rng.integers(groups, size=len(image))
    scale = k[image] * np.exp(-b[image] * s2[which] / 2)
    sigma = 0.02 * scale * truth[which] + 5.0
    iobs = scale * truth[which] + sigma * rng.normal(size=len(image))
    table = Reflections.from_arrays(hkl[which], iobs, sigma, image + 1, cell=cell, spacegroup=spacegroup)
    result = scale_reflections(table)
    assert result.model.stills
    strong = iobs > 10 * sigma
    error = _scale_error(np.log(result.scale / scale), s2[which], strong)[strong]
    assert error.std() < 0.02
    assert np.sqrt(np.mean((error * (result.scale / result.sigscale)[strong]) ** 2)) == pytest.approx(1, abs=0.3)
    assert result.model.tau["image"] == pytest.approx(1, rel=0.35)
    assert result.model.tau["image_b"] == pytest.approx(5, rel=0.4)


def test_without_an_error_model_sigmas_stay_as_they_are(measured):
    table = measured[1]
    result = scale_reflections(table, options=ScalingOptions(error_model=False, cycles=2))
    np.testing.assert_allclose(result.sigma, table.sigiobs, rtol=1e-6)


def test_a_detector_surface_stands_in_where_the_geometry_is_unknown(simulation, measured):
    table = measured[1]
    columns = {name: table.metadata[:, table.metadata_keys.index(name)] for name in ("ROT", "XDET", "YDET")}
    image = table.images["image"].to_numpy()[table.image_id]
    bare = Reflections.from_arrays(
        table.hkl, table.iobs, table.sigiobs, image, cell=table.cell, spacegroup=table.spacegroup, metadata=columns
    )
    result = scale_reflections(bare)
    assert result.model.names == [["scale", "b", "detector"]]
    strong = (bare.iobs > 10 * bare.sigiobs) & ~simulation.outlier
    error = _scale_error(np.log(result.scale / simulation.true_scale), bare.asu.s2[bare.refl_id], strong)
    plain = scale_reflections(bare, options=ScalingOptions(model=ModelOptions(detector=0)))
    worse = _scale_error(np.log(plain.scale / simulation.true_scale), bare.asu.s2[bare.refl_id], strong)
    assert error[strong].std() < worse[strong].std()


@pytest.mark.parametrize("options", [{"outlier_limit": 0.0}, {"cycles": 0}, {"tolerance": -1.0}])
def test_bad_options_are_refused(options):
    with pytest.raises(OptionError, match="--"):
        ScalingOptions(**options)


@pytest.mark.parametrize("options", [{"scale_spacing": 0.0}, {"b_spacing": -1.0}, {"absorption": -1}, {"detector": -1}])
def test_bad_parts_of_the_model_are_refused(options):
    with pytest.raises(OptionError, match="--"):
        ModelOptions(**options)


def test_holding_out_everything_is_refused(measured):
    with pytest.raises(OptionError, match="--test-fraction"):
        scale_reflections(measured[1], np.zeros(len(measured[1]), bool))
