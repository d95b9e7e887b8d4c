"""How runs are compared."""

import pytest

from benchmarks.judging import (
    cost_table,
    first_to_reach,
    quality_table,
    ratio_table,
    time_to_quality,
    verdict,
)
from benchmarks.tables import markdown, number, spread

NAMES = ("pearson", "weighted", "spearman")


def run(length, cc, cpu, seed=1, training=None, **costs):
    """A run whose three correlations are those given."""
    cc = (cc,) * 3 if isinstance(cc, float) else cc
    training = cpu / 2 if training is None else training
    costs = {"cpu_seconds": cpu, "training_cpu_seconds": training, "wall_seconds": cpu, "peak_bytes": 1e9, **costs}
    return {"seed": seed, "length": length, "quality": dict(zip(NAMES, cc, strict=True)), "costs": costs}


THEIRS = [run(300, 0.5, 60.0), run(10_000, 0.9, 900.0, training=800.0, lean_cpu_seconds=850.0)]


def test_the_quality_is_reached_by_the_shortest_run_with_all_of_it():
    runs = [run(9, 0.99, 30.0), run(1, 0.7, 10.0), run(3, (0.95, 0.95, 0.89), 15.0), run(4, 0.91, 20.0)]
    assert first_to_reach(runs, THEIRS[-1]["quality"], NAMES)["length"] == 4
    assert first_to_reach(runs[1:3], THEIRS[-1]["quality"], NAMES) is None


def test_equal_quality_is_reached():
    assert first_to_reach([run(1, 0.9, 10.0)], THEIRS[-1]["quality"], NAMES)["length"] == 1


def test_ratios_are_to_the_end_of_the_longest_run_of_the_peer():
    rows = time_to_quality([run(1, 0.8, 10.0), run(2, 0.95, 20.0, training=4.0), run(4, 0.97, 40.0)], THEIRS)
    assert len(rows) == 1
    assert rows[0]["length"] == 2
    assert rows[0]["ratios"] == pytest.approx(
        {
            "training alone": 200.0,
            "whole process": 45.0,
            "whole process, the peer's half data sets not counted": 42.5,
        }
    )


def test_what_is_not_reached_is_said_and_has_no_ratio():
    ours = [run(4, 0.85, 40.0)]
    rows = time_to_quality(ours, THEIRS)
    assert rows[0]["length"] is None
    assert "0 of 1" in ratio_table(rows, "peer")
    said = verdict(rows, {"ours": ours, "peer": THEIRS}, "peer")
    assert "worse than peer in pearson, weighted, spearman" in said[0]
    assert "not reached" in said[1]


def test_seeds_that_only_one_has_run_are_not_compared():
    ours = [run(4, 0.95, 40.0, seed=seed) for seed in (1, 2)]
    assert [row["seed"] for row in time_to_quality(ours, THEIRS)] == [1]
    table = quality_table({"ours": ours, "peer": THEIRS})
    assert "1 of 1" in table
    assert "0.950 (0.950 … 0.950)" in table


def test_costs_are_compared_by_seed():
    table = cost_table({"ours": [run(4, 0.95, 30.0), run(4, 0.95, 60.0, seed=2)], "peer": [run(9, 0.9, 900.0, seed=2)]})
    line = next(line for line in table.splitlines() if "CPU time of the process" in line)
    assert line.split("|")[-2].strip() == "15.0"


def test_numbers_have_the_digits_that_they_deserve():
    assert number(0.98765) == "0.988"
    assert number(936.4, "s") == "936 s"
    assert number(7.26, "s") == "7.3 s"
    assert number(894e6, "bytes") == "894 MB"
    assert number(float("nan")) == "—"
    assert number(43.21, "×") == "43.2"


def test_a_spread_is_the_mean_and_the_range():
    assert spread([1.0, 2.0, 6.0], "s") == "3.0 s (1.0 … 6.0)"
    assert spread([0.5]) == "0.500"
    assert spread([None, float("nan")]) == "—"


def test_a_table_is_markdown_with_its_numbers_to_the_right():
    lines = markdown(["what", "value"], [["a", "1.0"], ["longer", "20.0"]]).splitlines()
    assert lines == ["| what   | value |", "| ------ | ----: |", "| a      |   1.0 |", "| longer |  20.0 |"]
