"""Runs that are kept: a folder each, found again by what was run."""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks import heldout
from benchmarks.processes import FailedProcessError, Usage, run_timed, yardstick


@dataclass(frozen=True)
class Record:
    """One run of a contestant.

    Parameters
    ----------
    contestant, data : str
    seed : int
    key : str
        Of all that decides the outcome but the code of vimerge: see `key_of`.
    command : list of str
    usage : Usage
    facts : dict
        length, steps, training_cpu_seconds … as far as they are known, and the CPU seconds of `processes.yardstick`,
        before and after.
    versions : dict
    folder : str
        Where its files are, within the folder of all results.
    """

    contestant: str
    data: str
    seed: int
    key: str
    command: list
    usage: Usage
    facts: dict
    versions: dict
    folder: str
    quality: dict = field(default_factory=dict)

    def as_dict(self):
        return asdict(self)

    @classmethod
    def load(cls, path):
        values = json.loads(Path(path).read_text())
        return cls(**{**values, "usage": Usage(**values["usage"])})

    def costs(self):
        """What it cost, by the names of `metrics.METRICS`."""
        used = self.usage
        found = {"wall_seconds": used.wall_seconds, "cpu_seconds": used.cpu_seconds, "peak_bytes": used.peak_bytes}
        if "training_cpu_seconds" in self.facts:
            found["training_cpu_seconds"] = self.facts["training_cpu_seconds"]
        if "halves_cpu_seconds" in self.facts:
            found["lean_cpu_seconds"] = used.cpu_seconds - self.facts["halves_cpu_seconds"]
        return found


def key_of(contestant, task, cores):
    """A short digest of the contestant's version, its options, its input files and the number of cores."""
    told = contestant.arguments(task, Path("OUT"))
    # Where files are does not matter, what is in them does.
    paths = {str(path): path.name for path in task.data.files}
    told = [paths.get(word, word) for word in told]
    digests = [hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in task.data.files]
    version = contestant.versions()[contestant.name]
    what = [contestant.name, version, told, digests, heldout.digest(task.held_out), len(cores)]
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:12]


def make(contestant, task, folder, cores, reuse=False):
    """Run a contestant, or take what an earlier run left.

    Parameters
    ----------
    contestant : contestants.Vimerge or contestants.Careless
    task : contestants.Task
    folder : pathlib.Path
        Of all results; the run's own is made in it.
    cores : sequence of int
    reuse : bool
        Whether an earlier run of the same key will do.

    Returns
    -------
    Record
    """
    key = key_of(contestant, task, cores)
    own = Path(folder) / task.data.name / f"{contestant.name}-{task.seed}-{task.length or 'default'}-{key}"
    kept = own / "record.json"
    if reuse and kept.exists():
        return Record.load(kept)
    own.mkdir(parents=True, exist_ok=True)
    kept.unlink(missing_ok=True)
    command = [str(word) for word in contestant.command(task, own)]
    speed = yardstick(own / "yardstick.log", cores)
    usage = run_timed(command, own / "output.log", cores)
    speed = 0.5 * (speed + yardstick(own / "yardstick.log", cores))
    facts = {**contestant.facts(own), "yardstick_cpu_seconds": speed}
    if "training_cpu_seconds" not in facts and hasattr(contestant, "clocked_command"):
        facts |= _clocked(contestant, task, own, cores)
    record = Record(
        contestant=contestant.name,
        data=task.data.name,
        seed=task.seed,
        key=key,
        command=command,
        usage=usage,
        facts=facts,
        versions=contestant.versions(),
        folder=str(own.relative_to(folder)),
    )
    kept.write_text(json.dumps(record.as_dict(), indent=1) + "\n")
    return record


def _clocked(contestant, task, folder, cores):
    """CPU seconds of training, from another run with a clock."""
    clocked = folder / "clocked"
    clocked.mkdir(exist_ok=True)
    run_timed(contestant.clocked_command(task, clocked), clocked / "output.log", cores)
    times = json.loads((clocked / "times.json").read_text())["training_cpu_seconds"]
    if not times:
        raise FailedProcessError(f"{folder}: recipe.train was not called, so its CPU time is not known.")
    return {"training_cpu_seconds": sum(times), "training_clock": "another run"}
