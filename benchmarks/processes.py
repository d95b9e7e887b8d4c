"""Processes that are timed: what each cost is asked of the kernel when it has ended."""

import json
import os
import platform
import subprocess
import sys
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("vimerge", "tensorflow", "tensorflow-probability", "keras", "numpy", "pandas", "reciprocalspaceship")


class FailedProcessError(RuntimeError):
    """A process ended with an error."""


@dataclass(frozen=True)
class Usage:
    """What a process and its own children used.

    Parameters
    ----------
    wall_seconds, cpu_seconds : float
        CPU seconds are those of user and system, of all threads.
    peak_bytes : int
        The most memory that was resident at once, of the largest of them.
    cores : int
        How many it could use.
    """

    wall_seconds: float
    cpu_seconds: float
    peak_bytes: int
    cores: int

    def as_dict(self):
        return asdict(self)


def run_timed(command, log, cores=None, environment=None):
    """Run a command to its end.

    Parameters
    ----------
    command : sequence of str
    log : path
        Takes what it prints.
    cores : sequence of int, optional
        The cores it is pinned to; those of this process if not given.
    environment : dict, optional
        Variables to set besides those of this process.

    Returns
    -------
    Usage

    Raises
    ------
    FailedProcessError
        With the last lines that it printed.
    """
    cores = sorted(os.sched_getaffinity(0) if cores is None else cores)
    # Threads are as many as the cores unless a variable of the shell says otherwise.
    surroundings = {k: v for k, v in os.environ.items() if k not in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")}
    log = Path(log)
    log.parent.mkdir(parents=True, exist_ok=True)
    usage = log.with_suffix(".usage.json")
    launch = [sys.executable, "-I", "-S", Path(__file__).with_name("launch.py"), usage, ",".join(map(str, cores))]
    with open(log, "wb") as stream:
        ended = subprocess.run(
            [str(word) for word in (*launch, *command)],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            env={**surroundings, **(environment or {})},
            check=False,
        )
    if ended.returncode != 0:
        last = "\n".join(log.read_text(errors="replace").replace("\r", "\n").strip().splitlines()[-15:])
        raise FailedProcessError(f"{' '.join(map(str, command))}\nended with {ended.returncode}; see {log}:\n{last}")
    return Usage(**json.loads(usage.read_text()), cores=len(cores))


# Some of what merging does: exponentials of long arrays, and products of matrices.
_WORK = """
import time, numpy as np
x, a = np.linspace(-1, 1, 1_000_000, dtype=np.float32), np.ones((256, 256), np.float32)
started = time.process_time()
for _ in range(400):
    y = np.exp(x) * x
    b = a @ a
print(time.process_time() - started)
"""


def yardstick(log, cores=None):
    """CPU seconds of a fixed piece of work, to tell whether the machine is as fast as it was.

    A machine's speed drifts with its clock and with what else it does: caches and cores are shared.
    """
    run_timed([sys.executable, "-c", _WORK], log, cores)
    return float(Path(log).read_text())


def machine():
    """The machine and this environment, a dict of str."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        models = [line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model n")]
        cpu = models[0] if models else cpu
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "CPU": cpu,
        "cores": str(os.cpu_count()),
        "memory": f"{memory / 2**30:.0f} GiB",
        "system": platform.platform(terse=True),
        "Python": platform.python_version(),
        **{name: installed(name) for name in PACKAGES},
    }


def installed(name):
    """The version of a package, or "none"."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"


def describe(facts):
    """A machine's description in one line."""
    return ", ".join(f"{name} {value}" for name, value in facts.items())
