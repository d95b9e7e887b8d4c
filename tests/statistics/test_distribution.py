"""Wilson's plot, twinning, resolution limits and normalised deviations, on data with known answers."""

import numpy as np
import pandas as pd
import pytest
import reciprocalspaceship as rs

from vimerge.statistics import (
    deviation_quantiles,
    deviation_summary,
    expected_abs_l,
    normalised_deviations,
    resolution_estimate,
    sigma_calibration,
    twin_fraction,
    twinning,
    wilson_b,
    wilson_plot,
)
from vimerge.statistics.wilson import scattering


@pytest.fixture
def wilson_data(make, crystal):
    hkl, s2, epsilon, _, relative = crystal
    mean = 50.0 * epsilon * scattering(s2) * np.exp(-25.0 * s2 / 2)

    def data(noise):
        rng = np.random.default_rng(2)
        sigma = np.full(len(hkl), noise * np.median(mean))
        return make(hkl, I=mean * relative + sigma * rng.normal(size=len(hkl)), SIGI=sigma)

    return data


@pytest.mark.parametrize("noise", [0.01, 1.0, 4.0])
def test_wilsons_b_is_found_within_its_error_even_when_intensities_are_negative(wilson_data, noise):
    table = wilson_data(noise)
    fit = wilson_b(table)
    assert abs(fit.b - 25) < 3 * fit.sigma < 12
    assert fit.scale == pytest.approx(50, rel=0.3)
    assert fit.dmax <= 4


def test_the_error_of_wilsons_b_is_the_spread_of_its_values(make, crystal):
    hkl, s2, epsilon, centric, _ = crystal
    rng, fits = np.random.default_rng(3), []
    for _ in range(60):
        relative = np.where(centric, rng.normal(size=len(hkl)) ** 2, rng.exponential(size=len(hkl)))
        intensity = relative * epsilon * scattering(s2) * np.exp(-10 * s2)
        fits.append(wilson_b(make(hkl, I=intensity, SIGI=1e-3 * np.ones(len(hkl)))))
    b = np.array([fit.b for fit in fits])
    assert b.std() == pytest.approx(fits[0].sigma, rel=0.25)
    assert abs(b.mean() - 20) < 3 * fits[0].sigma / np.sqrt(60)


def test_wilsons_plot_lies_on_its_line(wilson_data):
    plot = wilson_plot(wilson_data(0.01), 8)
    np.testing.assert_allclose(plot["observed"], plot["fitted"], atol=0.25)
    assert plot["s2"].is_monotonic_increasing


def test_scattering_at_rest_is_the_electrons_squared():
    assert scattering(0.0, {"C": 2, "O": 1}) == pytest.approx(2 * 36 + 64, rel=2e-3)


@pytest.mark.parametrize(("fraction", "mean_abs", "square"), [(0.0, 0.5, 1 / 3), (0.5, 0.375, 0.2), (0.2, None, None)])
def test_the_l_test_knows_the_twin_fraction(make, crystal, fraction, mean_abs, square):
    hkl, s2, _, centric, _ = crystal
    rng = np.random.default_rng(4)
    one, two = np.where(centric, rng.normal(size=(2, len(hkl))) ** 2, rng.exponential(size=(2, len(hkl))))
    intensity = ((1 - fraction) * one + fraction * two) * np.exp(-10 * s2)
    found = twinning(make(hkl, I=intensity, SIGI=0.01 * np.exp(-10 * s2)))
    # Of ⟨|L|⟩, which hardly changes any more between fractions of 0.4 and 0.5.
    assert expected_abs_l(found.fraction) == pytest.approx(expected_abs_l(fraction), abs=0.008)
    assert found.pairs > 10_000
    if mean_abs is not None:
        assert found.mean_abs_l == pytest.approx(mean_abs, abs=0.01)
        assert found.mean_l2 == pytest.approx(square, abs=0.01)
        assert found.moment_acentric == pytest.approx(2 - fraction, abs=0.1)
        assert found.moment_centric == pytest.approx(3 - 2 * fraction, abs=0.4)


def test_the_expected_l_is_that_of_samples_and_is_inverted():
    rng = np.random.default_rng(5)
    x, y = 0.7 * rng.exponential(size=(2, 400_000)) + 0.3 * rng.exponential(size=(2, 400_000))
    assert expected_abs_l(0.3) == pytest.approx(np.abs((x - y) / (x + y)).mean(), abs=2e-3)
    assert (expected_abs_l(0.0), expected_abs_l(0.5)) == pytest.approx((0.5, 0.375), abs=1e-9)
    for fraction in (0.0, 0.1, 0.33, 0.45):
        assert twin_fraction(expected_abs_l(fraction)) == pytest.approx(fraction, abs=0.01)


def shells_of(half, width, end=2.0):
    edges = 1 / np.linspace(0.05, 1 / end, 21)
    middle = np.sqrt(0.5 * (edges[:-1] ** -2 + edges[1:] ** -2))
    cc = 0.5 * (1 - np.tanh((middle - half) / width))
    return pd.DataFrame({"dmax": edges[:-1], "dmin": edges[1:], "cc_half": cc, "reflections": 100})


def test_the_resolution_estimate_is_where_the_curve_crosses_the_threshold():
    estimate = resolution_estimate(shells_of(0.4, 0.05))
    assert estimate.reached
    assert estimate.d == pytest.approx(1 / (0.4 + 0.05 * np.arctanh(0.4)), rel=1e-3)
    assert estimate.curve(estimate.d) == pytest.approx(0.3, abs=1e-3)
    assert resolution_estimate(shells_of(0.4, 0.05), threshold=0.5).d == pytest.approx(2.5, rel=1e-3)


def test_data_that_end_before_the_threshold_have_their_own_limit():
    estimate = resolution_estimate(shells_of(0.7, 0.1))
    assert not estimate.reached
    assert estimate.d == 2.0


def test_deviations_of_right_sigmas_are_standard_normal(make):
    rng = np.random.default_rng(6)
    ipred, sigma, sigipred = rng.exponential(10, 4000), rng.uniform(1, 3, 4000), rng.uniform(0, 2, 4000)
    test = np.arange(4000) % 2
    iobs = ipred + np.hypot(sigma, sigipred) * rng.normal(size=4000) * np.where(test, 1.0, 0.5)
    table = make(np.ones((4000, 3), int), Iobs=iobs, SIGIobs=sigma, Ipred=ipred, SIGIpred=sigipred, test=test)
    deviations = normalised_deviations(table)
    summary = deviation_summary(deviations)
    assert summary["sd"].tolist() == pytest.approx([0.5, 1.0], rel=0.05)
    assert summary["robust_sd"].tolist() == pytest.approx([0.5, 1.0], rel=0.06)
    quantiles = deviation_quantiles(deviations.loc[deviations["test"], "deviation"], 21)
    np.testing.assert_allclose(quantiles["deviation"], quantiles["normal"], atol=0.15)
    table["rejected"] = np.abs(iobs - ipred) > 2
    assert not normalised_deviations(table)["deviation"].isna().all()
    assert normalised_deviations(table)["deviation"].isna().sum() == table["rejected"].sum()


@pytest.mark.parametrize("factor", [1.0, 2.0])
def test_calibration_tells_by_how_much_sigmas_are_too_small(make, crystal, factor):
    hkl, _, _, _, truth = crystal
    rng, number = np.random.default_rng(7), len(hkl)
    parts = [
        make(hkl, I=truth + 0.5 * rng.normal(size=number), SIGI=0.5 / factor * np.ones(number), half=[h] * number)
        for h in (0, 1)
    ]
    halves = rs.concat(parts)
    halves["repeat"] = rs.DataSeries([0] * len(halves), index=halves.index, dtype="I")
    overall = sigma_calibration(halves, 4).loc["overall"]
    assert overall["deviation_sd"] == pytest.approx(factor, rel=0.03)
    assert overall["deviation_robust_sd"] == pytest.approx(factor, rel=0.05)
    if factor == 1:
        assert overall["cc_half"] == pytest.approx(overall["cc_half_expected"], abs=0.02)
    else:
        assert overall["cc_half"] < overall["cc_half_expected"] - 0.1
