import pytest

from vimerge.simulation import simulate


@pytest.fixture(scope="session")
def small():
    """A small experiment with everything switched on."""
    return simulate(cell=(30.0, 34.0, 40.0, 90.0, 90.0, 90.0), dmin=2.5, images=120, oscillation=1.0, seed=4)


@pytest.fixture(scope="session")
def ideal():
    """The default experiment with counting noise alone."""
    off = dict.fromkeys(
        ("absorption", "decay", "illumination", "damage", "jitter", "sensitivity", "multiplicative_error", "outliers"),
        0.0,
    )
    return simulate(seed=5, **off)
