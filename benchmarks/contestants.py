"""The programs that are compared: how each is called, and where it writes what."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import reciprocalspaceship as rs

from benchmarks import peer
from vimerge.statistics.labels import with_own_names

TEST_FRACTION = 0.1


@dataclass(frozen=True)
class Task:
    """One run of a contestant.

    Parameters
    ----------
    data : datasets.DataSet
    held_out : pathlib.Path
        The observations to hold out, iobs and sigiobs.
    seed : int
    length : int, optional
        Steps or epochs, whatever the contestant counts in; its own default if not given.
    halves : bool
        Whether half data sets are merged.
    options : tuple of str
        Further options of the contestant's command line.
    """

    data: object
    held_out: Path
    seed: int
    length: int | None = None
    halves: bool = True
    options: tuple = ()


@dataclass(frozen=True)
class Outputs:
    """The tables that a contestant wrote, with vimerge's column names, each None if it is not there."""

    predictions: pd.DataFrame | None = None
    halves: rs.DataSet | None = None
    merged: rs.DataSet | None = None


class Vimerge:
    """`vimerge merge` with its defaults, in this environment."""

    name = "vimerge"
    unit = "epochs"

    def __init__(self):
        script = Path(sys.executable).with_name("vimerge")
        self._program = [script] if script.exists() else [sys.executable, "-m", "vimerge.cli"]

    def versions(self):
        from benchmarks.processes import PACKAGES, installed

        return {name: installed(name) for name in PACKAGES}

    def arguments(self, task, folder):
        """What follows `vimerge`."""
        words = ["merge", *map(str, task.data.files), "-o", str(folder)]
        for name, value in task.data.reading.items():
            option = f"--{name.replace('_', '-')}"
            words += [option] if value is True else [option, str(value)]
        words += ["--test-fraction", str(TEST_FRACTION), "--seed", str(task.seed)]
        words += [] if task.length is None else ["--epochs", str(task.length)]
        words += [] if task.halves else ["--half-datasets", "0"]
        return [*words, *task.options]

    def command(self, task, folder):
        """The command as a user would type it."""
        return [*self._program, *self.arguments(task, folder)]

    def clocked_command(self, task, folder):
        """The same command with a clock around its training."""
        return [sys.executable, "-m", "benchmarks.clocked", str(folder / "times.json"), *self.arguments(task, folder)]

    def facts(self, folder):
        """Steps, and CPU seconds of training if the run's record has them."""
        record = json.loads((folder / "run.json").read_text())
        epochs = len(pd.read_csv(folder / "history.csv"))
        found = {"length": epochs}
        if "steps" in record:
            found["steps"] = record["steps"]
        if "training_cpu_seconds" in record:
            found["training_cpu_seconds"] = record["training_cpu_seconds"]
        return found

    def outputs(self, folder):
        """The tables."""
        read = {
            name: rs.read_mtz(str(folder / f"{file}.mtz")) if (folder / f"{file}.mtz").exists() else None
            for name, file in (("predictions", "predictions"), ("halves", "half_datasets"), ("merged", "merged"))
        }
        return Outputs(**read)


class Careless:
    """careless in an environment of its own, with its default network.

    Parameters
    ----------
    python : path
        Of that environment; see `peer.ensure`.
    """

    name = "careless"
    unit = "steps"
    length = 10_000

    def __init__(self, python):
        self._python = Path(python)

    def versions(self):
        return peer.versions(self._python)

    def arguments(self, task, folder):
        """What follows `careless`: for a test set of the fraction given, which the driver takes from the list."""
        data = task.data
        reading = dict(data.reading)
        words = ["poly" if data.laue else "mono"]
        words += ["--anomalous"] if reading.pop("anomalous", False) else []
        words += [word for name, value in reading.items() for word in (f"--{name.replace('_', '-')}", str(value))]
        words += ["--disable-image-scales", "--disable-progress-bar", f"--iterations={task.length or self.length}"]
        words += [] if data.laue else ["--studentt-likelihood-dof=16"]
        words += [f"--test-fraction={TEST_FRACTION}", f"--seed={task.seed}"]
        words += ["--merge-half-datasets"] if task.halves else []
        return [*words, *task.options, ",".join(data.metadata), *map(str, data.files), str(folder / "merge")]

    def command(self, task, folder):
        driver = Path(__file__).with_name("careless_driver.py")
        return [self._python, driver, task.held_out, folder / "times.json", *self.arguments(task, folder)]

    def facts(self, folder):
        """Steps, CPU seconds of training and of the half data sets' training, and how many were held out."""
        times = json.loads((folder / "times.json").read_text())
        merge, *halves = times["training"]
        return {
            "length": merge["steps"],
            "steps": merge["steps"],
            "training_cpu_seconds": merge["cpu_seconds"],
            "halves_cpu_seconds": sum(half["cpu_seconds"] for half in halves),
        }

    def outputs(self, folder):
        """The tables."""
        predictions = rs.read_mtz(str(folder / "merge_predictions_0.mtz")).rename(columns={"SigIobs": "SIGIobs"})
        halves = folder / "merge_xval_0.mtz"
        return Outputs(
            predictions,
            with_own_names(rs.read_mtz(str(halves))) if halves.exists() else None,
            with_own_names(rs.read_mtz(str(folder / "merge_0.mtz"))),
        )
