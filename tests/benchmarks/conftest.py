"""The benchmarks are beside the package, not in it: they are imported from the repository's root."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))


@pytest.fixture
def data(tmp_path, simulation):
    """The shared simulation as a data set for benchmarks."""
    from benchmarks.datasets import DataSet

    path = tmp_path / "small.mtz"
    simulation.write(path)
    keys = ("BATCH", "XDET", "YDET", "ROT", "dHKL")
    return DataSet("small", "small", (path,), {"anomalous": True}, keys, truth=tmp_path / "small_truth.mtz")
