"""Contestants compared: who is better in the end, and how much sooner one comes to the other's quality."""

from benchmarks.metrics import HALVES, HELD_OUT, METRICS, QUALITY
from benchmarks.tables import markdown, spread

# What "the same quality" is: all of these at once.
GOALS = {
    "held-out Pearson, weighted and Spearman CC": HELD_OUT,
    "CC of F and of F(+) − F(−) with the truth": ("cc_truth", "cc_truth_anom"),
}
COSTS = ("training_cpu_seconds", "cpu_seconds", "wall_seconds", "peak_bytes")
RATIOS = {
    "training alone": ("training_cpu_seconds", "training_cpu_seconds"),
    "whole process": ("cpu_seconds", "cpu_seconds"),
    "whole process, the peer's half data sets not counted": ("lean_cpu_seconds", "cpu_seconds"),
}


def final(runs):
    """The longest run of each seed, a dict by seed; `runs` are dicts with seed, length, quality, costs."""
    found = {}
    for run in runs:
        if run["seed"] not in found or run["length"] >= found[run["seed"]]["length"]:
            found[run["seed"]] = run
    return found


def first_to_reach(runs, target, goal):
    """The shortest run whose metrics are all at least as good as a target's, None if there is none.

    Parameters
    ----------
    runs : sequence of dict
        Of one seed.
    target : dict of float
        The quality to reach.
    goal : sequence of str
        Names of metrics.

    Returns
    -------
    dict or None
    """
    for run in sorted(runs, key=lambda run: run["length"]):
        if all(name in run["quality"] for name in goal) and not any(
            METRICS[name].is_better(target[name], run["quality"][name]) for name in goal
        ):
            return run
    return None


def time_to_quality(ours, theirs):
    """How many times less one takes to come to the other's final quality.

    Parameters
    ----------
    ours, theirs : sequence of dict
        Runs of both, of several seeds and lengths; seeds that only one has are left out.

    Returns
    -------
    list of dict
        One for each goal and seed: goal, seed, `length` of our first run that reached it (None if none did) and the
        `ratios` of `RATIOS`.
    """
    rows = []
    for goal, names in GOALS.items():
        for seed, end in final(theirs).items():
            mine = [run for run in ours if run["seed"] == seed]
            if not mine or not all(name in end["quality"] for name in names):
                continue
            reached = first_to_reach(mine, end["quality"], names)
            ratios = {} if reached is None else _ratios(reached["costs"], end["costs"])
            rows.append({"goal": goal, "seed": seed, "length": reached and reached["length"], "ratios": ratios})
    return rows


def _ratios(ours, theirs):
    return {
        name: METRICS[own].ratio(ours[own], theirs[peer])
        for name, (peer, own) in RATIOS.items()
        if own in ours and peer in theirs
    }


def quality_table(contestants):
    """The quality at each contestant's end: means and ranges over seeds, and in how many the first is better.

    Parameters
    ----------
    contestants : dict of list of dict
        Runs by name, the first being judged against each other one.

    Returns
    -------
    str
    """
    ends = {name: final(runs) for name, runs in contestants.items()}
    first, *others = ends
    rows = []
    for name in QUALITY:
        values = {c: {s: r["quality"][name] for s, r in end.items() if name in r["quality"]} for c, end in ends.items()}
        if not any(values.values()):
            continue
        row = [METRICS[name].label, METRICS[name].unit or "—", *(spread(v.values()) for v in values.values())]
        for other in others:
            shared = sorted(values[first].keys() & values[other].keys())
            wins = sum(METRICS[name].is_better(values[first][s], values[other][s]) for s in shared)
            row.append(f"{wins} of {len(shared)}")
        rows.append(row)
    return markdown(["quality", "unit", *ends, *(f"better than {other}" for other in others)], rows)


def cost_table(contestants):
    """What each contestant's whole run costs, and the ratios to the first: means and ranges over seeds."""
    ends = {name: final(runs) for name, runs in contestants.items()}
    first, *others = ends
    rows = []
    for name in (*COSTS, "lean_cpu_seconds"):
        metric = METRICS[name]
        values = {c: {s: r["costs"][name] for s, r in end.items() if name in r["costs"]} for c, end in ends.items()}
        if not any(values.values()):
            continue
        row = [metric.label, *(spread(v.values(), metric.unit) for v in values.values())]
        for other in others:
            shared = values[first].keys() & values[other].keys()
            row.append(spread([metric.ratio(values[first][s], values[other][s]) for s in sorted(shared)], "×"))
        rows.append(row)
    return markdown(["cost of the whole run", *ends, *(f"times less than {other}" for other in others)], rows)


def ratio_table(rows, peer):
    """How many times less CPU time it takes to come to the peer's final quality: means and ranges over seeds."""
    lines = []
    for goal in dict.fromkeys(row["goal"] for row in rows):
        own = [row for row in rows if row["goal"] == goal]
        reached = [row for row in own if row["length"] is not None]
        for name in RATIOS:
            values = [row["ratios"].get(name) for row in reached]
            lines.append([goal, name, spread(values, "×"), f"{len(reached)} of {len(own)}"])
    return markdown([f"CPU time to {peer}'s final …", "of", "times less", "seeds that reach it"], lines)


def verdict(rows, contestants, peer):
    """In words: whether all that is asked of the end is so, seed by seed.

    Returns
    -------
    list of str
    """
    ours, theirs = (final(runs) for runs in list(contestants.values())[:2])
    lines = []
    for seed in sorted(ours.keys() & theirs.keys()):
        a, b = ours[seed]["quality"], theirs[seed]["quality"]
        worse = [n for n in HELD_OUT if n in a and n in b and not METRICS[n].is_better(a[n], b[n])]
        worse += [n for n in HALVES if n in a and n in b and METRICS[n].is_better(b[n], a[n])]
        lines.append(f"seed {seed}: " + (f"worse than {peer} in {', '.join(worse)}" if worse else "nowhere worse"))
    lines += [f"seed {r['seed']}: {peer}'s {r['goal']} is not reached" for r in rows if r["length"] is None]
    return lines
