"""The scale between two merged data sets, on amplitudes whose scale, difference and noise are known."""

import numpy as np
import pytest
import reciprocalspaceship as rs

from vimerge.reflections.tables import make_table
from vimerge.statistics.relative_scale import _quadratic_forms, scale_together

from .conftest import CELL, SPACE_GROUP


@pytest.fixture(scope="module")
def two(crystal):
    """Make a table: two(k, noise_a, noise_b): F_b is F_a with a tenth changed, divided by k, both with noise."""
    hkl, s2, epsilon, _, relative = crystal

    def make(k=1.0, noise_a=0.03, noise_b=0.03, seed=0):
        rng = np.random.default_rng(seed)
        f = 100 * np.sqrt(epsilon * relative) * np.exp(-5 * s2)
        changed = np.abs(f + 0.1 * f.mean() * np.exp(-5 * s2) * rng.normal(size=len(f)))
        size = f.mean() * np.ones(len(f))
        s_a, s_b = noise_a * size, noise_b * size / k
        f_a, f_b = f + s_a * rng.normal(size=len(f)), changed / k + s_b * rng.normal(size=len(f))
        columns = {"F_off": f_a, "SIGF_off": s_a, "F_on": f_b, "SIGF_on": s_b}
        columns |= {"DF": f_b - f_a, "SIGDF": np.hypot(s_a, s_b)}
        types = {name: "Q" if "SIG" in name else "F" for name in columns} | {"DF": "R"}
        return make_table(hkl, columns, types, CELL, SPACE_GROUP)

    return make


def scale_of(table, name="on", **options):
    return scale_together(table, **options)[f"SCALE_{name}"].to_numpy(float)


def vectors(table):
    """q, [N, 3], in Å⁻¹, of a cell of right angles, and 1/d²."""
    q = table.reset_index()[["H", "K", "L"]].to_numpy(float) / CELL.parameters[:3]
    return q, (q**2).sum(axis=1)


def test_a_known_scale_is_recovered(two):
    q, s2 = vectors(two())
    exponent = 0.5 * q[:, 0] ** 2 - 0.8 * q[:, 1] ** 2 + 0.3 * q[:, 2] ** 2
    for k, options in (
        (1.7 * np.exp(-6 * s2 / 4), {"anisotropic": False, "local": False}),
        (1.7 * np.exp(-6 * s2 / 4 - exponent), {"local": False}),
        (0.6 * np.exp(0.1 * np.sin(20 * s2) - exponent), {}),
    ):
        np.testing.assert_allclose(scale_of(two(k), **options), k, rtol=0.025)
    assert np.abs(scale_of(two(k), local=False) / k - 1).max() > 0.05, "the smooth scale needs its knots"


def test_data_sets_on_one_scale_stay_there(two):
    np.testing.assert_allclose(scale_of(two()), 1.0, atol=0.02)


def test_exchanging_the_data_sets_inverts_the_scale(two):
    table = two(1.3, noise_a=0.02, noise_b=0.2)
    exchanged = table[["F_on", "SIGF_on", "F_off", "SIGF_off"]]
    for options in ({}, {"neighbours": 100}):
        product = scale_of(table, **options) * scale_of(exchanged, "off", **options)
        np.testing.assert_allclose(product, 1.0, rtol=1e-5)


def test_noise_does_not_bias_the_scale(two):
    """As it does a least-squares line through the origin, by about its share of the mean square."""
    scales, lines = [], []
    for seed in range(8):
        table = two(noise_b=0.8, seed=seed)
        scales.append(scale_of(table, local=False, anisotropic=False).mean())
        f_a, f_b = (table[name].to_numpy(float) for name in ("F_off", "F_on"))
        lines.append((f_a * f_b).sum() / (f_b**2).sum())
    assert abs(np.mean(scales) - 1) < 4 * np.std(scales) / np.sqrt(len(scales)) + 0.003
    assert np.mean(lines) < 0.8


def test_outliers_do_not_matter(two):
    table = two()
    f = table["F_on"].to_numpy(float)
    f[::500] *= 30
    broken = table.assign(F_on=rs.DataSeries(f, index=table.index, dtype="F"))
    assert f.sum() / table["F_on"].sum() > 1.05
    np.testing.assert_allclose(scale_of(broken), scale_of(table), rtol=0.01)


def test_the_covariance_of_the_amplitudes_is_kept(two):
    """Var(k F_b − F_a) = σ_a² + k² σ_b² − 2 k c."""
    table = two(2.0)
    s_a, s_b = (table[f"SIGF_{name}"].to_numpy(float) for name in ("off", "on"))
    covariance = 0.9 * s_a * s_b
    sigma = np.sqrt(s_a**2 + s_b**2 - 2 * covariance)
    scaled = scale_together(table.assign(SIGDF=rs.DataSeries(sigma, index=table.index, dtype="Q")))
    k = scaled["SCALE_on"].to_numpy(float)
    expected = s_a**2 + (k * s_b) ** 2 - 2 * k * covariance
    np.testing.assert_allclose(scaled["SIGDF"].to_numpy(float) ** 2, expected, rtol=1e-4)
    np.testing.assert_allclose(scaled["SIGF_on"], k * s_b, rtol=1e-6)
    difference = scaled["F_on"].to_numpy(float) - scaled["F_off"].to_numpy(float)
    np.testing.assert_allclose(scaled["DF"], difference, atol=1e-4)


def test_which_data_set_is_subtracted_is_told_by_the_differences(two):
    """DF = F_on − F_off, whichever columns are first, and its own digits are kept."""
    table = two(1.3)
    expected = scale_together(table)
    other = scale_together(table[["DF", "SIGDF", "F_on", "SIGF_on", "F_off", "SIGF_off"]])
    for name in expected.columns:
        np.testing.assert_array_equal(other[name].to_numpy(), expected[name].to_numpy())
    exact = two()
    df = exact["DF"].to_numpy(float) + 1e-3
    shifted = scale_together(exact.assign(DF=rs.DataSeries(df, index=exact.index, dtype="F")))
    assert shifted["DF"].dtype.mtztype == "F"
    difference = shifted["DF"].to_numpy(float) - scale_together(exact)["DF"].to_numpy(float)
    np.testing.assert_allclose(difference, 1e-3, atol=2e-4)


def test_neighbours_follow_what_depends_on_direction(two):
    q, s2 = vectors(two())
    # Even under the crystal's symmetry, as of merged data, but not quadratic.
    angle = (q[:, 0] * q[:, 1] * q[:, 2] / s2**1.5) ** 2
    table = two(np.exp(6 * angle))
    ratio = scale_of(table) / np.exp(6 * angle), scale_of(table, neighbours=100) / np.exp(6 * angle)
    assert np.std(ratio[1]) < 0.6 * np.std(ratio[0])


def test_equivalent_directions_have_one_scale(crystal):
    hkl = crystal[0][:50]
    forms = _quadratic_forms(hkl, CELL, SPACE_GROUP)
    for op in SPACE_GROUP.operations():
        other = np.array([op.apply_to_hkl(h) for h in hkl.tolist()])
        np.testing.assert_allclose(_quadratic_forms(other, CELL, SPACE_GROUP), forms, atol=1e-12)
    np.testing.assert_allclose(forms[:, [1, 2, 4]], 0, atol=1e-12)


def test_bad_tables_and_options(two):
    with pytest.raises(ValueError, match="SIGF_<b>"):
        scale_together(two()[["F_off", "SIGF_off"]])
    with pytest.raises(ValueError, match="neighbours must be 10"):
        scale_together(two(), neighbours=3)
    nothing = two().assign(F_on=np.float32(np.nan))
    with pytest.raises(ValueError, match="in both data sets"):
        scale_together(nothing)
