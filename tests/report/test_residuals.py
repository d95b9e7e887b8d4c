"""Normalised residuals have unit variance when the model is right, whoever has seen them."""

import numpy as np
import pandas as pd
import pytest

from vimerge.report.images import by_image
from vimerge.report.residuals import corrected_sigma, normalised_residuals, outliers, quantiles, rejected, spread_by


def test_residuals_of_an_exact_posterior_have_unit_variance(linear):
    z = normalised_residuals(linear, linear["SIGIobs"].to_numpy())
    test = linear["test"].to_numpy()
    for mask in (test, ~test):
        known = z[mask][np.isfinite(z[mask])]
        assert len(known) > 0.9 * mask.sum()
        assert np.mean(known) == pytest.approx(0, abs=4 / np.sqrt(len(known)))
        assert np.mean(known**2) == pytest.approx(1, abs=4 * np.sqrt(2 / len(known)))


def test_what_was_rejected_had_no_part_in_its_prediction(linear):
    """The last of each reflection took no part in the means, whatever the table calls it."""
    sigma = linear["SIGIobs"].to_numpy()
    as_held_out = normalised_residuals(linear, sigma)
    assert not rejected(linear).any()
    linear["rejected"], linear["test"] = linear["test"].to_numpy(), False
    np.testing.assert_array_equal(normalised_residuals(linear, sigma), as_held_out)
    assert rejected(linear).mean() == pytest.approx(0.2)


def test_an_observation_that_is_its_own_prediction_has_no_residual(linear):
    linear["SIGIpred"] = 0.99 * linear["SIGIobs"]
    z = normalised_residuals(linear, linear["SIGIobs"].to_numpy())
    np.testing.assert_array_equal(np.isfinite(z), linear["test"])


@pytest.fixture
def table():
    return pd.DataFrame({"SIGIobs": [1.0, 2.0, 3.0], "Ipred": [10.0, -5.0, 40.0], "image_id": [0, 1, 1]})


def test_sigma_is_corrected_by_the_error_model_that_was_learned(table):
    numbers = {"likelihood.SdFac": 1.5, "likelihood.SdB": 0.2, "likelihood.SdAdd": 0.1}
    sigma, _ = corrected_sigma(table, numbers)
    np.testing.assert_allclose(sigma, 1.5 * np.sqrt([1 + 2 + 1, 4, 9 + 8 + 16]))
    np.testing.assert_allclose(corrected_sigma(table, {"a": 4.0, "b": 0.01})[0], 2 * np.sqrt([2, 4, 25]))


def test_an_error_model_of_each_image_is_looked_up(table):
    sigma, _ = corrected_sigma(table, {"SdFac": [1.0, 2.0], "SdB": [0.0, 0.0], "SdAdd": [0.0, 0.0]})
    np.testing.assert_allclose(sigma, [1, 4, 6])


def test_sigma_is_as_in_the_file_without_an_error_model(table):
    sigma, words = corrected_sigma(table, {"tau_image": 0.1})
    np.testing.assert_array_equal(sigma, table["SIGIobs"])
    assert "file" in words


def test_quantiles_of_normal_residuals_are_on_the_diagonal():
    from scipy.stats import norm

    z = 1.5 * norm.ppf((np.arange(2000) + 0.5) / 2000)
    normal, observed = quantiles(np.append(z, np.nan), points=51)
    np.testing.assert_allclose(observed, 1.5 * normal, atol=1e-9)
    assert observed[[0, -1]] == pytest.approx(z[[0, -1]])


def test_spread_is_found_in_each_bin():
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 2, 20_000)
    table = spread_by(rng.normal(size=len(x)) * np.where(x < 1, 1.0, 2.0), x, bins=2)
    assert table["rms"].tolist() == pytest.approx([1, 2], rel=0.03)
    assert table["robust"].tolist() == pytest.approx([1, 2], rel=0.05)
    assert table["n"].sum() == len(x)


def test_outliers_come_largest_first(linear):
    z = np.zeros(len(linear))
    z[[7, 3, 11]] = [-9, 5, np.nan]
    worst = outliers(linear, z, np.ones(len(linear)), number=2)
    assert worst.index.tolist() == [7, 3]
    assert worst["z"].tolist() == [-9, 5]


def test_images_are_tabulated_one_by_one():
    rng = np.random.default_rng(1)
    image = np.repeat(np.arange(6), 40)
    iobs = rng.gamma(2.0, size=240)
    table = pd.DataFrame({"image_id": image, "scale": 1.0 + image, "Iobs": iobs, "Ipred": iobs + rng.normal(size=240)})
    z = rng.normal(size=240)
    found = by_image(table, z)
    for i, row in found.iterrows():
        part = table[image == i]
        assert row["cc"] == pytest.approx(np.corrcoef(part["Iobs"], part["Ipred"])[0, 1])
        assert row["r"] == pytest.approx((part["Iobs"] - part["Ipred"]).abs().sum() / part["Iobs"].sum())
        assert row["median"] == pytest.approx((1 + i) / 3.5)
        assert row["rms_z"] == pytest.approx(np.sqrt(np.mean(z[image == i] ** 2)))
    assert found["image"].tolist() == [1, 2, 3, 4, 5, 6]


def test_many_images_are_taken_in_groups():
    table = pd.DataFrame({"image_id": np.arange(10), "scale": 1.0, "Iobs": 1.0, "Ipred": np.arange(10.0)})
    found = by_image(table, np.zeros(10), most=4)
    assert found["image"].tolist() == [2, 5, 8, 10]
    assert found["observations"].tolist() == [3, 3, 3, 1]
    assert found["cc"].isna().all()
