import numpy as np
import pytest

from vimerge.conventional import ScalingOptions, scale_reflections
from vimerge.conventional.laue import has_harmonics
from vimerge.reflections import Reflections


@pytest.mark.parametrize(
    ("hkl", "wavelength", "d", "overlap"),
    [
        ((1, 2, 3), 1.1, 4.0, False),  # 2 4 6 would diffract at 0.55 Å, which the beam does not have
        ((2, 4, 6), 1.0, 2.0, True),  # 1 2 3 diffracts at 2 Å
        ((2, 2, 0), 1.5, 2.0, False),  # 1 1 0 would at 3 Å, 3 3 0 at 1 Å but with d = 4/3 Å
        ((2, 2, 0), 1.5, 3.0, True),  # the same, with d = 2 Å
        ((0, 0, 3), 1.2, 3.0, True),  # 0 0 2 diffracts at 1.8 Å
        ((0, 0, 1), 2.0, 3.0, True),  # 0 0 2 diffracts at 1 Å, with d = 1.5 Å: at both limits
    ],
)
def test_harmonics_by_hand(hkl, wavelength, d, overlap):
    found = has_harmonics(np.array([hkl]), np.array([wavelength]), np.array([d]), (1.0, 2.0), 1.5)
    assert found.tolist() == [overlap]


def test_in_a_narrow_band_nothing_overlaps_but_high_orders():
    rng = np.random.default_rng(0)
    hkl = rng.integers(-9, 10, (500, 3))
    hkl = hkl[hkl.any(axis=1)]
    order = np.gcd.reduce(np.abs(hkl), axis=1)
    found = has_harmonics(hkl, rng.uniform(1.00, 1.05, len(hkl)), np.full(len(hkl), 3.0), (1.00, 1.05), 1.5)
    # Neighbouring orders n and n + 1 differ by 1/n in wavelength.
    assert not found[order < 20].any()


def test_the_wavelength_curve_is_found(asu, table):
    rng = np.random.default_rng(0)
    refl_id = np.repeat(np.arange(len(asu)), 60)
    image = rng.integers(8, size=len(refl_id))
    wavelength = rng.uniform(1.0, 1.2, len(refl_id))
    curve = np.exp(-0.5 * ((wavelength - 1.12) / 0.04) ** 2) + 0.1
    truth = rng.gamma(1.0, 1000.0, len(asu))[refl_id]
    scale = curve * np.exp(0.3 * rng.normal(size=8))[image]
    sigma = 0.02 * scale * truth + 2.0
    data = table(asu, refl_id, scale * truth + sigma * rng.normal(size=len(truth)), sigma, image, LAMBDA=wavelength)
    result = scale_reflections(data, options=ScalingOptions(wavelength_key="LAMBDA"))
    error = np.log(result.scale / scale)
    strong = scale * truth > 20 * sigma
    assert (error - error[strong].mean())[strong].std() < 0.03
    plain = scale_reflections(data)
    assert np.log(plain.scale / scale)[strong].std() > 0.3
    assert isinstance(data, Reflections)
