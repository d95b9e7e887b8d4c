"""Merged amplitudes have the uncertainties that they claim."""

import importlib.util
from pathlib import Path

import pytest

from vimerge.statistics import coverage

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "calibration.py"


@pytest.mark.slow
def test_true_amplitudes_are_inside_the_intervals_as_often_as_they_promise_with_learned_scales():
    spec = importlib.util.spec_from_file_location("calibration", BENCHMARK)
    calibration = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(calibration)
    truth = calibration.simulate(seed=1)
    model = calibration.merged(truth, known=False, seed=1)
    found = coverage(calibration.ranks(model, truth, known=False)).loc["overall"]
    for level in (0.5, 0.683, 0.9, 0.954):
        # A standard error is 0.75 points at most, of 4,415 reflections.
        assert abs(found[level] - level) < 0.02
    assert found["p_uniform"] > 1e-3
