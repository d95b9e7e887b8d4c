"""Contestants on the same data, the same held-out observations and the same cores: `python -m benchmarks run`."""

import json
import math
import os
import time
from pathlib import Path

from benchmarks import contestants, datasets, figures, heldout, judging, metrics, peer, processes, records, tables

OUTPUT = Path("~/.cache/vimerge-benchmarks/results").expanduser()
# Of the default number of epochs.
LENGTHS = (0.05, 0.1, 0.2, 0.4, 0.7)


def add_arguments(parser):
    """Describe the options."""
    parser.add_argument("--peer", choices=("careless",), help="what to compare with")
    parser.add_argument(
        "--data", nargs="+", default=["hypf"], metavar="NAME", help=f"{', '.join(datasets.NAMES)}, FILE"
    )
    for key in ("intensity", "uncertainty", "wavelength"):
        parser.add_argument(f"--{key}-key", metavar="COLUMN", help="of a FILE, where it has to be told")
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="seeds 1 … N (default: 3)")
    parser.add_argument(
        "--data-dir", default=os.environ.get("VIMERGE_DATA", "."), metavar="DIR", help="with hypf/ and pyp/"
    )
    parser.add_argument("-o", "--output", type=Path, default=OUTPUT, metavar="DIR", help=f"default: {OUTPUT}")
    parser.add_argument(
        "--cores", type=_cores, metavar="N,N…", help="the cores that each process is pinned to (default: all)"
    )
    parser.add_argument(
        "--reuse",
        nargs="*",
        choices=("vimerge", "careless"),
        metavar="NAME",
        help="take what earlier runs of these contestants left in the output folder (with no name: of all)",
    )
    parser.add_argument("--peer-env", type=Path, metavar="DIR", help=f"its virtual environment ({peer.DEFAULT})")
    parser.add_argument(
        "--peer-steps",
        nargs="+",
        type=int,
        default=[300, 1000, 3000, 10000],
        metavar="N",
        help="lengths of the peer's runs; all but the longest for the first seed only",
    )
    parser.add_argument("--peer-only", action="store_true", help="run the peer alone, for later --reuse")
    parser.add_argument(
        "--lengths",
        nargs="*",
        type=float,
        default=LENGTHS,
        metavar="X",
        help="shorter runs of vimerge, in parts of its default number of epochs",
    )
    parser.add_argument("--no-half-datasets", action="store_true", help="merge none, in any contestant")


def _cores(text):
    return [int(word) for word in text.split(",")]


def run(options):
    """Run all data sets and print their tables."""
    python = peer.ensure(options.peer_env) if options.peer else None
    cores = options.cores or sorted(os.sched_getaffinity(0))
    print(processes.describe(processes.machine()), f"pinned to {len(cores)} core(s)", sep=", ")
    for name in options.data:
        reading = {key: getattr(options, key) for key in ("intensity_key", "uncertainty_key", "wavelength_key")}
        data = datasets.get(name, options.data_dir, options.output / "data", **reading)
        held_out = {
            seed: heldout.write(data, contestants.TEST_FRACTION, seed, options.output)
            for seed in range(1, options.seeds + 1)
        }
        runs = {}
        if not options.peer_only:
            runs["vimerge"] = _vimerge(contestants.Vimerge(), data, held_out, options, cores)
        if python is not None:
            runs["careless"] = _careless(contestants.Careless(python), data, held_out, options, cores)
        _present(data, runs, options)


def _vimerge(contestant, data, held_out, options, cores):
    """The default of each seed, its shorter runs, and for the first seed what the report and the halves cost."""
    made = _maker(contestant, data, held_out, options, cores)
    runs = []
    for seed in held_out:
        end = made(seed)
        epochs = end["length"]
        shorter = sorted({max(1, math.ceil(part * epochs)) for part in options.lengths} - {epochs})
        runs += [made(seed, length) for length in shorter]
        if seed == 1:
            without = made(seed, extra=("--no-report",))
            end["report_cpu_seconds"] = end["costs"]["cpu_seconds"] - without["costs"]["cpu_seconds"]
            if not options.no_half_datasets:
                lean = made(seed, halves=False, extra=("--no-report",))
                end["halves_cpu_seconds"] = without["costs"]["cpu_seconds"] - lean["costs"]["cpu_seconds"]
        runs.append(end)
    return runs


def _careless(contestant, data, held_out, options, cores):
    """The longest run of each seed, and for the first seed the shorter ones without half data sets."""
    made = _maker(contestant, data, held_out, options, cores)
    *shorter, longest = sorted(options.peer_steps)
    runs = [made(seed, longest) for seed in held_out]
    return [*(made(1, length, halves=False) for length in shorter), *runs]


def _maker(contestant, data, held_out, options, cores):
    """A function that runs a contestant and judges what it wrote: made(seed, length, halves, extra) is a dict."""
    reuse = options.reuse is not None and (not options.reuse or contestant.name in options.reuse)
    truth = None
    if data.truth is not None:
        import reciprocalspaceship as rs

        truth = rs.read_mtz(str(data.truth))

    def made(seed, length=None, halves=True, extra=()):
        halves = halves and not options.no_half_datasets
        task = contestants.Task(data, held_out[seed], seed, length, halves, extra)
        what = f"{data.name}: {contestant.name}, seed {seed}, {length or 'default'} {contestant.unit} …"
        print(time.strftime("%H:%M:%S"), what, flush=True)
        record = records.make(contestant, task, options.output, cores, reuse)
        found = contestant.outputs(options.output / record.folder)
        return {
            "seed": seed,
            "length": record.facts["length"],
            "quality": metrics.quality(found.predictions, found.halves, found.merged, truth),
            "costs": record.costs(),
            "held_out_in_common": heldout.in_common(found.predictions, held_out[seed]),
            "halves": found.halves,
            "record": record.as_dict(),
        }

    return made


def _present(data, runs, options):
    """Print the tables of a data set and write results.json and the figure."""
    folder = options.output / data.name
    print(f"\n## {data.title}\n")
    alike = _on_common_reflections(runs)
    rows = judging.time_to_quality(*runs.values()) if len(runs) == 2 else []
    print(judging.quality_table(runs), judging.cost_table(runs), sep="\n\n", end="\n\n")
    if alike:
        print("Half data sets, of the reflections that both have complete in both halves:\n")
        print(judging.quality_table(alike), end="\n\n")
    if rows:
        print(judging.ratio_table(rows, list(runs)[1]), *judging.verdict(rows, runs, list(runs)[1]), sep="\n\n")
    print(*notes(runs), sep="\n")
    results = {
        "machine": processes.machine(),
        "data": data.name,
        "title": data.title,
        "metrics": {name: vars(metric) for name, metric in metrics.METRICS.items()},
        "runs": runs,
        "time_to_quality": rows,
    }
    (folder / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    if len(runs) == 2:
        figures.quality_against_cpu(runs, folder / "quality.png")
    print(f"written: {folder / 'results.json'}")


def _on_common_reflections(runs):
    """The quality of half data sets at both contestants' ends, of reflections complete in the halves of both.

    Each divides the observations at random in its own way, so that it has other reflections complete in both halves.
    The runs' half data sets are taken out of them.
    """
    halves = {id(run): run.pop("halves") for own in runs.values() for run in own}
    ends = {name: judging.final(own) for name, own in runs.items()}
    alike = {name: [] for name in ends}
    if len(ends) != 2:
        return {}
    for seed in sorted(set.intersection(*(set(end) for end in ends.values()))):
        tables = [halves[id(end[seed])] for end in ends.values()]
        if any(table is None for table in tables):
            continue
        first, second = map(metrics.complete_in_halves, tables)
        common = first.intersection(second)
        for (name, end), table in zip(ends.items(), tables, strict=True):
            quality = metrics.half_dataset_means_of(table, common)
            alike[name].append({**end[seed], "quality": quality, "reflections": len(common)})
    return alike if any(alike.values()) else {}


def notes(runs):
    """What the tables have to be read with, lines of text."""
    lines = []
    for name, own in runs.items():
        same = min(run["held_out_in_common"] for run in own)
        lines.append(
            f"- {name}: {100 * same:.2f} % of the held-out observations are those of the list"
            f"; the longest run has {max(run['length'] for run in own):,} {UNITS[name]}"
        )
        speeds = [run["record"]["facts"].get("yardstick_cpu_seconds") for run in own]
        lines.append(f"- {name}: a fixed piece of work took {tables.spread(speeds)} CPU s beside its runs")
        for key, what in (("report_cpu_seconds", "the report"), ("halves_cpu_seconds", "half data sets")):
            lines += [
                f"- {name}: {what} cost {run[key]:.1f} CPU s of it (seed {run['seed']})" for run in own if key in run
            ]
    return lines


UNITS = {cls.name: cls.unit for cls in (contestants.Vimerge, contestants.Careless)}
