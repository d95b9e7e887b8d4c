"""The demonstration, shortened."""

import pytest
import reciprocalspaceship as rs

from vimerge.cli import main
from vimerge.report.demo import truth_correlations


@pytest.mark.slow
def test_the_demo_recovers_the_truth_and_draws_it(tmp_path):
    assert main(["demo", "-o", str(tmp_path), "--epochs", "30", "--quiet"]) == 0
    figure = (tmp_path / "demo.png").read_bytes()
    assert figure.startswith(b"\x89PNG")
    assert len(figure) > 20_000
    merged = rs.read_mtz(str(tmp_path / "merged.mtz"))
    truth = rs.read_mtz(str(tmp_path / "simulated_truth.mtz"))
    amplitudes, differences = truth_correlations(merged, truth).values()
    assert amplitudes > 0.99
    assert differences > 0.7
