"""Processes, their records, clocks and the test set that contestants share."""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import reciprocalspaceship as rs

from benchmarks import clock, heldout, records
from benchmarks.careless_driver import chosen, keys
from benchmarks.contestants import TEST_FRACTION, Careless, Outputs, Task, Vimerge
from benchmarks.figures import quality_against_cpu
from benchmarks.processes import FailedProcessError, run_timed
from benchmarks.profile_ops import own_times

ROOT = Path(__file__).parents[2]
WORK = "x = bytearray(300_000_000); s = sum(i * i for i in range(3_000_000))"


class Tiny:
    """A contestant that does some work, writes its seed and counts how often it was called."""

    name = "tiny"

    def versions(self):
        return {"tiny": "1"}

    def arguments(self, task, folder):
        return ["merge", str(task.data.files[0]), "--seed", str(task.seed), *task.options, str(folder)]

    def command(self, task, folder):
        code = f"{WORK}; open({str(folder / 'calls')!r}, 'a').write('x')"
        return [sys.executable, "-c", code]

    def facts(self, folder):
        return {"length": 7, "training_cpu_seconds": 0.5}


def test_a_process_is_charged_its_own_time_and_memory(tmp_path):
    used = run_timed([sys.executable, "-c", WORK], tmp_path / "log")
    idle = run_timed([sys.executable, "-c", "import time; time.sleep(0.3)"], tmp_path / "log")
    assert used.cpu_seconds > 3 * idle.cpu_seconds
    assert idle.wall_seconds > 0.3 > idle.cpu_seconds
    assert used.peak_bytes > 300e6
    # Not the memory of this process, which has read tables and is far larger.
    assert idle.peak_bytes < 40e6


def test_a_process_is_pinned_to_the_cores_it_is_given(tmp_path):
    core = min(os.sched_getaffinity(0))
    used = run_timed([sys.executable, "-c", "import os; print(os.sched_getaffinity(0))"], tmp_path / "log", [core])
    assert (tmp_path / "log").read_text().strip() == str({core})
    assert used.cores == 1


def test_a_process_that_fails_says_why(tmp_path):
    with pytest.raises(FailedProcessError, match="no such thing"):
        run_timed([sys.executable, "-c", "raise SystemExit('no such thing')"], tmp_path / "log")


def test_a_run_is_kept_and_used_again_only_if_asked_and_the_same(tmp_path, data):
    held_out = heldout.write(data, TEST_FRACTION, 1, tmp_path)
    task = Task(data, held_out, 1)
    first = records.make(Tiny(), task, tmp_path, [0], reuse=True)
    again = records.make(Tiny(), task, tmp_path, [0], reuse=True)
    calls = tmp_path / first.folder / "calls"
    assert again == first
    assert calls.read_text() == "x"
    assert first.costs()["training_cpu_seconds"] == 0.5
    records.make(Tiny(), task, tmp_path, [0])
    assert calls.read_text() == "xx"
    other = records.make(Tiny(), Task(data, held_out, 1, options=("--epochs", "3")), tmp_path, [0], reuse=True)
    assert other.key != first.key
    assert other.folder != first.folder


def test_a_key_tells_test_sets_apart_but_not_places(tmp_path, data):
    held_out = [heldout.write(data, TEST_FRACTION, seed, tmp_path) for seed in (1, 2)]
    moved = heldout.write(data, TEST_FRACTION, 1, tmp_path / "elsewhere")
    key = [records.key_of(Tiny(), Task(data, path, 1), [0]) for path in (*held_out, moved)]
    assert key[0] != key[1]
    assert key[0] == key[2]


def test_both_contestants_hold_out_the_same_observations(tmp_path, data):
    from vimerge import Reflections
    from vimerge.reflections.splits import holdout

    path = heldout.write(data, TEST_FRACTION, 3, tmp_path)
    reflections = Reflections.read(list(data.files), **data.reading)
    held = holdout(reflections, TEST_FRACTION, 3)
    with np.load(path) as listed:
        mask = chosen(keys(reflections.iobs, reflections.sigiobs), keys(listed["iobs"], listed["sigiobs"]))
    assert mask.sum() == held.sum()
    table = rs.DataSet({"Iobs": reflections.iobs, "SIGIobs": reflections.sigiobs, "test": held})
    assert heldout.in_common(table, path) == 1.0
    assert heldout.in_common(table.assign(test=~held), path) == 0.0
    assert (mask != held).mean() < 1e-3


def test_of_equal_observations_as_many_are_held_out_as_listed():
    listed = np.array([5, 7, 7], np.uint64)
    assert chosen(np.array([7, 5, 7, 9, 7, 5], np.uint64), listed).tolist() == [True, True, True, False, False, False]


def test_a_key_is_of_both_intensity_and_sigma():
    found = keys([1.0, 1.0, 2.0, 1.0], [2.0, 3.0, 2.0, 2.0])
    assert len(set(found.tolist())) == 3
    assert found[0] == found[3]


def test_contestants_are_told_the_same_data_fraction_and_seed(tmp_path, data):
    task = Task(data, tmp_path / "held.npz", 4, length=12, halves=False)
    ours, theirs = Vimerge().arguments(task, tmp_path), Careless("python").arguments(task, tmp_path)
    assert str(data.files[0]) in ours
    assert str(data.files[0]) in theirs
    assert "--anomalous" in ours
    assert "--anomalous" in theirs
    assert ours[ours.index("--test-fraction") + 1] == str(TEST_FRACTION)
    assert f"--test-fraction={TEST_FRACTION}" in theirs
    assert ours[ours.index("--seed") + 1] == "4"
    assert "--seed=4" in theirs
    assert ours[ours.index("--epochs") + 1] == "12"
    assert "--iterations=12" in theirs
    assert "--merge-half-datasets" not in theirs
    assert ours[ours.index("--half-datasets") + 1] == "0"


def test_the_command_of_vimerge_is_one_that_it_understands(tmp_path, data):
    from vimerge.cli import merge

    parser = argparse.ArgumentParser()
    merge.add_arguments(parser)
    command, *arguments = Vimerge().arguments(Task(data, None, 1, length=3), tmp_path)
    parsed = parser.parse_args(arguments)
    assert command == "merge"
    assert parsed.epochs == 3
    assert parsed.half_datasets == 1


def test_the_tables_of_careless_are_read_with_own_names(tmp_path, reflections):
    n = 50
    hkl = {name: rs.DataSeries(reflections.hkl[:n, i], dtype="H") for i, name in enumerate("HKL")}
    common = {"cell": reflections.cell, "spacegroup": reflections.spacegroup}
    values = {name: np.arange(1.0, n + 1) for name in ("Iobs", "SigIobs", "Ipred", "test")}
    predictions = rs.DataSet({**hkl, **values}, **common, merged=False).infer_mtz_dtypes()
    predictions.set_index(["H", "K", "L"]).write_mtz(str(tmp_path / "merge_predictions_0.mtz"))
    merged = rs.DataSet({**hkl, "F": values["Iobs"], "SigF": values["Ipred"]}, **common, merged=True).infer_mtz_dtypes()
    merged.set_index(["H", "K", "L"]).write_mtz(str(tmp_path / "merge_0.mtz"))
    found = Careless("python").outputs(tmp_path)
    assert isinstance(found, Outputs)
    assert {"Iobs", "SIGIobs", "Ipred", "test"} <= set(found.predictions)
    assert {"F", "SIGF", "I", "SIGI"} <= set(found.merged)
    assert found.halves is None


def test_a_stage_is_not_charged_what_another_within_it_takes(monkeypatch):
    times = iter([(0.0, 0.0), (1.0, 2.0), (4.0, 6.0), (5.0, 8.0)])
    monkeypatch.setattr(clock, "_now", lambda: next(times))
    stages = clock.Clock()
    with stages.stage("outer"), stages.stage("inner"):
        pass
    assert stages.spent == {"outer": [2.0, 4.0], "inner": [3.0, 4.0]}


def test_a_whole_stage_is_charged_all_within_it(monkeypatch):
    times = iter([(float(t), float(t)) for t in range(10)])
    monkeypatch.setattr(clock, "_now", lambda: next(times))
    stages = clock.Clock()
    with stages.stage("outer"), stages.stage("whole", whole=True), stages.stage("inner"):
        pass
    assert stages.spent == {"outer": [2.0, 2.0], "whole": [3.0, 3.0]}


def test_wrapped_functions_and_class_methods_work_as_before():
    class Thing:
        def method(self, x):
            return x + 1

        @classmethod
        def made(cls, x):
            return cls, x

    stages = clock.Clock()
    for name in ("method", "made"):
        stages.wrap(Thing, name, name)
    assert Thing().method(1) == 2
    assert Thing.made(3) == (Thing, 3)
    assert set(stages.spent) == {"method", "made"}


def test_an_operation_is_not_charged_those_within_it():
    events = [(0, 100, "While"), (10, 20, "MatMul"), (40, 50, "Call"), (45, 10, "MatMul"), (200, 5, "Add")]
    totals = {}
    for kind, time in own_times(events[::-1]):
        totals[kind] = totals.get(kind, 0) + time
    assert totals == {"While": 30, "MatMul": 30, "Call": 40, "Add": 5}


def test_both_curves_are_drawn(tmp_path):
    def runs(start):
        return [
            {
                "seed": 1,
                "length": i,
                "quality": {"pearson": 0.5 + 0.1 * i, "log_density": -2.0 + 0.1 * i},
                "costs": {"cpu_seconds": start * 10**i, "training_cpu_seconds": start * 8**i},
            }
            for i in range(4)
        ]

    quality_against_cpu({"a": runs(1.0), "b": runs(10.0)}, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 10_000


def test_the_commands_are_listed_without_importing_vimerge():
    code = (
        "import sys; from benchmarks.__main__ import main\n"
        "try: main(['gpu', 'run', '--help'])\n"
        "except SystemExit: print([name for name in sys.modules if name.split('.')[0] in ('vimerge', 'tensorflow')])"
    )
    out = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert out.strip().endswith("[]")


def test_a_record_survives_its_file(tmp_path, data):
    held_out = heldout.write(data, TEST_FRACTION, 1, tmp_path)
    record = records.make(Tiny(), Task(data, held_out, 1), tmp_path, [0])
    path = tmp_path / record.folder / "record.json"
    assert records.Record.load(path) == record
    assert json.loads(path.read_text())["usage"]["cores"] == 1
