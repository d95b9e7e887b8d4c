import numpy as np
import pytest

from vimerge.conventional.amplitudes import french_wilson
from vimerge.conventional.merging import merge_observations
from vimerge.reflections import OptionError


def test_the_weighted_mean_by_hand():
    """Scaled intensities 10 ± 1, 12 ± 1 and 11 ± 2: weights 1, 1, 1/4."""
    iobs, sigma, scale = np.array([10.0, 24.0, 5.5, 7.0]), np.array([1.0, 2.0, 1.0, 3.0]), np.array([1, 2, 0.5, 1])
    means = merge_observations(np.array([0, 0, 0, 2]), 3, iobs, sigma, scale)
    np.testing.assert_allclose(means.intensity, [(10 + 12 + 11 / 4) / 2.25, np.nan, 7.0])
    np.testing.assert_allclose(means.sigma, [np.sqrt(1 / 2.25), np.nan, 3.0])
    np.testing.assert_array_equal(means.number, [3, 0, 1])


def test_disagreement_makes_less_sure_and_agreement_no_surer():
    zeros, ones = np.zeros(4, int), np.ones(4)
    apart = merge_observations(zeros, 1, np.array([0.0, 10.0, 0.0, 10.0]), ones, ones)
    # χ² = 4·25: the variance 1/4 grows by (10 + 100)/(10 + 3).
    assert apart.sigma[0] == pytest.approx(np.sqrt(0.25 * 110 / 13))
    assert merge_observations(zeros, 1, np.full(4, 5.0), ones, ones).sigma[0] == pytest.approx(0.5)
    trusting = merge_observations(zeros, 1, np.array([0.0, 10.0, 0.0, 10.0]), ones, ones, internal=False)
    assert trusting.sigma[0] == pytest.approx(0.5)


@pytest.mark.parametrize("robust", ["huber", "tukey"])
def test_robust_weights_resist_an_outlier_and_cost_little_without(robust):
    rng = np.random.default_rng(0)
    groups, each = 4000, 7
    group = np.repeat(np.arange(groups), each)
    scale, sigma = rng.uniform(0.5, 2, len(group)), rng.uniform(5, 10, len(group))
    iobs = 100 * scale + sigma * rng.normal(size=len(group))
    plain, tough = (merge_observations(group, groups, iobs, sigma, scale, robust=r) for r in ("none", robust))
    assert np.var(tough.intensity) < 1.15 * np.var(plain.intensity)
    iobs[::each] += 30 * sigma[::each]
    plain, tough = (merge_observations(group, groups, iobs, sigma, scale, robust=r) for r in ("none", robust))
    assert np.mean(plain.intensity - 100) > 15
    assert abs(np.mean(tough.intensity - 100)) < (2.5 if robust == "huber" else 0.4)


def test_only_chosen_observations_are_merged():
    means = merge_observations(np.zeros(3, int), 1, np.array([1.0, 2.0, 90.0]), np.ones(3), np.ones(3), [1, 1, 0])
    assert means.intensity[0] == pytest.approx(1.5)
    assert means.number[0] == 2


def test_unknown_weights_are_refused():
    with pytest.raises(OptionError, match="--robust"):
        merge_observations(np.zeros(1, int), 1, np.ones(1), np.ones(1), np.ones(1), robust="mad")


def test_strong_amplitudes_are_square_roots_and_none_is_negative(asu):
    rng = np.random.default_rng(0)
    intensity = rng.gamma(1.0, 100.0, len(asu)) + 50
    f = french_wilson(asu.miller_index, intensity, np.full(len(asu), 0.5), asu.cell, asu.spacegroup)
    np.testing.assert_allclose(f["F"], np.sqrt(intensity), rtol=1e-3)
    np.testing.assert_allclose(f["SIGF"], 0.25 / np.sqrt(intensity), rtol=0.05)
    weak = french_wilson(
        asu.miller_index, rng.normal(20, 50, len(asu)), np.full(len(asu), 50.0), asu.cell, asu.spacegroup
    )
    assert (weak["F"] > 0).all()
    assert (weak["SIGF"] > 0).all()


def test_amplitudes_do_not_depend_on_units_and_nan_stays_nan(asu):
    rng = np.random.default_rng(1)
    intensity, sigma = rng.normal(30, 30, len(asu)), np.full(len(asu), 20.0)
    intensity[3] = np.nan
    one, thousand = (
        french_wilson(asu.miller_index, k * intensity, k * sigma, asu.cell, asu.spacegroup) for k in (1, 1e6)
    )
    np.testing.assert_allclose(thousand["F"], 1e3 * one["F"], rtol=1e-4)
    assert np.flatnonzero(np.isnan(one["F"])).tolist() == [3]


def test_reflections_without_signal_get_amplitudes_all_the_same(asu):
    f = french_wilson(asu.miller_index, np.full(len(asu), -5.0), np.full(len(asu), 1.0), asu.cell, asu.spacegroup)
    assert np.isfinite(f["F"]).all()
    assert np.isfinite(f["SIGF"]).all()


def test_parts_of_many_reflections_agree_with_the_whole(monkeypatch):
    import gemmi

    from vimerge.conventional import amplitudes

    cell, spacegroup = gemmi.UnitCell(50, 60, 70, 90, 90, 90), gemmi.SpaceGroup("P 21 21 21")
    hkl = gemmi.make_miller_array(cell, spacegroup, 2.6)
    rng = np.random.default_rng(0)
    truth = 100 * np.exp(-10 * cell.calculate_1_d2_array(hkl)) * rng.exponential(size=len(hkl))
    intensity, sigma = truth + 10 * rng.normal(size=len(hkl)), np.full(len(hkl), 10.0)
    whole = french_wilson(hkl, intensity, sigma, cell, spacegroup)
    monkeypatch.setattr(amplitudes, "_CHUNK", 3000)
    parts = french_wilson(hkl, intensity, sigma, cell, spacegroup)
    assert len(hkl) > 6000
    assert np.sqrt(np.mean((parts["F"] - whole["F"]) ** 2)) < 0.05 * whole["SIGF"].mean()
    assert np.mean((whole["I"] - truth) / whole["SIGI"]) == pytest.approx(0, abs=0.1)
