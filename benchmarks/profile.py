"""Where the time of a whole merge goes, and that of a step."""

import json
import os
import sys
from pathlib import Path

from benchmarks import contestants, datasets, processes
from benchmarks.profile_stages import STEPS
from benchmarks.tables import markdown

OUTPUT = Path("~/.cache/vimerge-benchmarks/profile").expanduser()


def add_arguments(parser):
    """Describe the options."""
    parser.add_argument("--data", default="hypf", metavar="NAME", help=f"{', '.join(datasets.NAMES)}, FILE")
    parser.add_argument(
        "--data-dir", default=os.environ.get("VIMERGE_DATA", "."), metavar="DIR", help="with hypf/ and pyp/"
    )
    parser.add_argument("--cores", type=lambda text: [int(w) for w in text.split(",")], metavar="N,N…")
    parser.add_argument("--objective", choices=("collapsed", "elbo"), help="default: the model's own")
    parser.add_argument("--top", type=int, default=12, metavar="N", help="operations to list (default: 12)")
    parser.add_argument("-o", "--output", type=Path, default=OUTPUT, metavar="DIR", help=f"default: {OUTPUT}")


def run(options):
    """Profile and print two tables."""
    data = datasets.get(options.data, options.data_dir, options.output / "data")
    folder = options.output / data.name
    folder.mkdir(parents=True, exist_ok=True)
    print(processes.describe(processes.machine()), f"\n## {data.title}\n", sep="\n")
    extra = ("--objective", options.objective) if options.objective else ()
    task = contestants.Task(data, None, 1, options=extra)
    merge = contestants.Vimerge().arguments(task, folder / "merge")
    stages = folder / "stages.json"
    command = [sys.executable, "-m", "benchmarks.profile_stages", stages, *merge]
    usage = processes.run_timed(command, folder / "stages.log", options.cores)
    spent = json.loads(stages.read_text())
    print(stage_table(spent, usage), end="\n\n")

    operations = folder / "operations.json"
    reading = [
        w for n, v in data.reading.items() for w in ([f"--{n}"] if v is True else [f"--{n.replace('_', '-')}", v])
    ]
    command = [sys.executable, "-m", "benchmarks.profile_ops", data.files[0], operations, *reading, *extra]
    processes.run_timed(command, folder / "operations.log", options.cores)
    traced = json.loads(operations.read_text())
    print(operation_table(traced, options.top))
    if STEPS in spent:
        print(f"\n{1e3 * traced['seconds'] / traced['steps']:.1f} CPU ms a step, traced; profiling adds to it.")


def stage_table(spent, usage):
    """CPU and wall seconds by stage, and the share of the process's CPU time."""
    rows = [
        [name, f"{cpu:.2f}", f"{wall:.2f}", f"{100 * cpu / usage.cpu_seconds:.0f}"]
        for name, (cpu, wall) in spent.items()
    ]
    known = [sum(values) for values in zip(*spent.values(), strict=True)]
    rest = [usage.cpu_seconds - known[0], usage.wall_seconds - known[1]]
    rows.append(["leaving", f"{rest[0]:.2f}", f"{rest[1]:.2f}", f"{100 * rest[0] / usage.cpu_seconds:.0f}"])
    rows.append(["together", f"{usage.cpu_seconds:.2f}", f"{usage.wall_seconds:.2f}", "100"])
    return markdown(["stage of `vimerge merge`", "CPU s", "wall s", "% of CPU"], rows)


def operation_table(traced, top):
    """The costliest operations of a step."""
    found, steps = traced["operations"], traced["steps"]
    total = sum(value["seconds"] for value in found.values())
    rows = [
        [
            kind,
            f"{value['count'] / steps:.0f}",
            f"{1e6 * value['seconds'] / steps:.0f}",
            f"{100 * value['seconds'] / total:.0f}",
        ]
        for kind, value in list(found.items())[:top]
    ]
    rows.append(["all", f"{sum(v['count'] for v in found.values()) / steps:.0f}", f"{1e6 * total / steps:.0f}", "100"])
    return markdown(["operation", "a step", "µs a step", "% of all operations"], rows)
