"""Coefficients of difference maps: what they are made of, and that other programs read them."""

import gemmi
import numpy as np
import pytest
import reciprocalspaceship as rs

from vimerge.statistics.difference_coefficients import anomalous_differences, difference_coefficients
from vimerge.statistics.difference_maps import DifferenceMap


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


def test_what_coefficients_cannot_be_made_of_is_refused(differences, phased):
    def coefficients(**options):
        return difference_coefficients(differences, phased, **options)

    with pytest.raises(ValueError, match="no DANO"):
        coefficients(anomalous=True)
    with pytest.raises(ValueError, match="none, q, shrinkage"):
        coefficients(weights="best")
    with pytest.raises(ValueError, match="reject must be positive"):
        coefficients(reject=0)
    with pytest.raises(ValueError, match="No reflection"):
        coefficients(dmin=5.0, dmax=4.0)
    with pytest.raises(ValueError, match="Friedel mates apart"):
        anomalous_differences(differences)
