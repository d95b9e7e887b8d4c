"""How cost grows with the number of observations."""

import json
import sys
from pathlib import Path

from benchmarks import processes
from benchmarks.tables import markdown, number

OUTPUT = Path("~/.cache/vimerge-benchmarks/scale").expanduser()
HEADER = (
    "observations",
    "reflections",
    "reading, s per 10⁶",
    "start, CPU s",
    "CPU s an epoch",
    "the same per 10⁶ observations",
    "conditioning, CPU s per 10⁶",
    "steps",
    "training, CPU s",
    "CC of F with the truth",
    "peak memory",
)


def add_arguments(parser):
    """Describe the options."""
    parser.add_argument("--sizes", nargs="+", type=float, default=[1e5, 1e6, 1e7], metavar="N")
    parser.add_argument("--cores", type=lambda text: [int(w) for w in text.split(",")], metavar="N,N…")
    parser.add_argument("--epochs", type=int, metavar="N", help="default: as many as `vimerge merge` takes")
    parser.add_argument("--objective", choices=("collapsed", "elbo"), help="default: the model's own")
    parser.add_argument("-o", "--output", type=Path, default=OUTPUT, metavar="DIR", help=f"default: {OUTPUT}")


def run(options):
    """Measure each size in a process of its own and print the table."""
    options.output.mkdir(parents=True, exist_ok=True)
    print(processes.describe(processes.machine()))
    results = []
    for size in options.sizes:
        path = options.output / f"{size:.0e}.mtz".replace("e+0", "e")
        if not path.exists():
            print(f"simulating {path} …", flush=True)
            processes.run_timed([sys.executable, "-m", "benchmarks.larger", path, size], path.with_suffix(".log"))
        report = path.with_suffix(".json")
        command = [sys.executable, "-m", "benchmarks.scale_one", path, report]
        command += ["--epochs", options.epochs] if options.epochs else []
        command += ["--objective", options.objective] if options.objective else []
        print(f"merging {path} …", flush=True)
        usage = processes.run_timed(command, path.with_suffix(".log"), options.cores)
        results.append({**json.loads(report.read_text()), **usage.as_dict()})
    print(markdown(HEADER, [row(result) for result in results]))
    (options.output / "results.json").write_text(
        json.dumps({"machine": processes.machine(), "sizes": results}, indent=1) + "\n"
    )


def row(result):
    """A result as a row of the table."""
    millions = result["observations"] / 1e6
    return [
        f"{result['observations']:,}",
        f"{result['reflections']:,}",
        number(result["reading_seconds"] / millions, "ratio"),
        number(result["start_cpu_seconds"], "ratio"),
        number(result["epoch_cpu_seconds"], "ratio"),
        number(result["epoch_cpu_seconds"] / (result["training_observations"] / 1e6), "ratio"),
        number(result["conditioning_cpu_seconds"] / (result["training_observations"] / 1e6), "ratio"),
        f"{result['steps']:,}",
        number(result["training_cpu_seconds"], "ratio"),
        number(result["cc_truth"]),
        number(result["peak_bytes"], "bytes"),
    ]
