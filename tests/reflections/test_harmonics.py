import gemmi
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vimerge.reflections import ReflectionDataError
from vimerge.reflections.harmonics import Harmonics, harmonics_within, has_harmonics, orders

CUBE = gemmi.UnitCell(10, 10, 10, 90, 90, 90)


def expand(hkl, wavelength, limits, dmin):
    hkl = np.atleast_2d(hkl)
    d = 1 / np.sqrt(CUBE.calculate_1_d2_array(hkl))
    return harmonics_within(hkl, np.atleast_1d(wavelength), d, limits, dmin)


@pytest.mark.parametrize(
    ("hkl", "wavelength", "expected"),
    [
        ((2, 0, 0), 1.0, {1: 2.0, 2: 1.0, 3: 2 / 3}),  # d = 10, 5, 3.33 Å; order 4 has 2.5 Å
        ((1, 0, 0), 1.8, {1: 1.8, 2: 0.9, 3: 0.6}),  # order 3 is at the limit of wavelengths
        ((3, 0, 0), 0.6, {1: 1.8, 2: 0.9, 3: 0.6}),  # the same spot
        ((1, 1, 0), 0.8, {1: 0.8}),
        ((0, 2, 2), 1.2, {2: 1.2}),  # order 1 would need 2.4 Å; order 3, at 0.8 Å, has d = 2.36 Å
        ((0, 0, -2), 0.5, {1: 1.0}),  # out of the band itself, but its lower order is in it
        ((3, 1, 0), 1.0, {1: 1.0}),
        ((1, 2, 3), 1.0, {}),  # d = 2.67 Å
        ((0, 1, 0), 2.5, {2: 1.25, 3: 2.5 / 3}),
    ],
)
def test_harmonics_in_a_cube_of_ten_ångström_by_hand(hkl, wavelength, expected):
    spot, order, own = expand(hkl, wavelength, (0.6, 2.0), 3.0)
    assert order.tolist() == list(expected)
    np.testing.assert_allclose(own, list(expected.values()), rtol=1e-12)
    assert not spot.any()


def test_the_order_is_the_greatest_common_divisor():
    assert orders(np.array([[2, -4, 6], [0, 0, -3], [1, 0, 0], [0, 0, 0], [5, 7, 0]])).tolist() == [2, 3, 1, 0, 1]


@settings(max_examples=100, deadline=None)
@given(
    hkl=st.tuples(*[st.integers(-6, 6)] * 3).filter(any),
    first=st.floats(0.5, 6.0),
    low=st.floats(0.5, 2.0),
    width=st.floats(0.0, 2.0),
    dmin=st.floats(0.5, 4.0),
)
def test_harmonics_are_all_those_within_the_limits_whichever_was_observed(hkl, first, low, width, dmin):
    prime = np.array(hkl) // np.gcd.reduce(np.abs(hkl))
    spacing = CUBE.calculate_d(prime.tolist())
    n = np.arange(1, 30)
    high, slack = low + width, 1e-6
    inside = (first / n >= low) & (first / n <= high) & (spacing / n >= dmin)
    doubtful = np.isclose([first / n, first / n, spacing / n], [[low], [high], [dmin]], rtol=2 * slack).any()
    found = [expand(prime * m, first / m, (low, high), dmin) for m in (1, 2, 5)]
    for spot, order, own in found:
        assert (own >= low * (1 - 2 * slack)).all()
        assert (own <= high * (1 + 2 * slack)).all()
        assert (spacing / order >= dmin * (1 - 2 * slack)).all()
        assert (spot == 0).all()
        np.testing.assert_allclose(own * order, first, rtol=1e-12)
        if not doubtful:
            assert order.tolist() == n[inside].tolist()


def test_has_harmonics_is_whether_there_is_another():
    rng = np.random.default_rng(0)
    hkl = rng.integers(-4, 5, (300, 3))
    hkl = hkl[hkl.any(axis=1)]
    wavelength = rng.uniform(0.8, 1.8, len(hkl))
    d = 1 / np.sqrt(CUBE.calculate_1_d2_array(hkl))
    limits, dmin = (wavelength.min(), wavelength.max()), d.min()
    spot, order, _ = expand(hkl, wavelength, limits, dmin)
    others = np.bincount(spot[order != orders(hkl)[spot]], minlength=len(hkl)) > 0
    np.testing.assert_array_equal(has_harmonics(hkl, wavelength, d), others)
    assert 20 < others.sum() < len(hkl) - 20


def test_taking_observations_takes_their_harmonics():
    harmonics = Harmonics([0, 0, 1, 2, 2, 2, 3], [1, 2, 1, 2, 3, 4, 1], [1, 2, 3, 6], absent=5)
    assert harmonics.counts.tolist() == [2, 1, 3, 1]
    rows, taken = harmonics.take(np.array([2, 0, 0]))
    assert rows.tolist() == [3, 4, 5, 0, 1, 0, 1]
    assert taken.harmonic_id.tolist() == [0, 0, 0, 1, 1, 2, 2]
    assert taken.order.tolist() == [2, 3, 4, 1, 2, 1, 2]
    assert taken.principal.tolist() == [0, 4, 6]
    assert taken.absent == 5
    rows, none = harmonics.take(np.array([], dtype=int))
    assert len(rows) == len(none.harmonic_id) == len(none.principal) == 0


@pytest.mark.parametrize(
    ("harmonic_id", "principal"),
    [([0, 1, 0], [0, 1]), ([0, 2], [0, 1, 1]), ([1, 1], [0, 1]), ([0, 0], [0, 1]), ([0, 1], [1, 0])],
)
def test_wrong_harmonics_are_refused(harmonic_id, principal):
    with pytest.raises(ReflectionDataError, match=r"harmonic_id|principal"):
        Harmonics(harmonic_id, np.ones(len(harmonic_id)), principal)
