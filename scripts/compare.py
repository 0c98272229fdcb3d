#!/usr/bin/env python3
"""The methods of the search against each other, on CIFAR-10, with equal means.

    scripts/compare.py plan                          what would run, and for how long
    scripts/compare.py run DATA [--out DIR] [--jobs N]   runs it; repeat it to go on where it was stopped
    scripts/compare.py report [--out DIR]            runs.csv and figures.md from what is finished

DATA is the folder with cifar-10-batches-bin or the archive. Every run is one `systole search` of one thread; equal
seeds draw equal splits and first weights. What a finished run came to is kept in DIR/rows, and is not run again.
SYSTOLE names the command (target/release/systole).
"""

import argparse
import concurrent.futures
import csv
import json
import math
import os
import random
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
JOB = "search-spaces/cifar10-small.yaml"
SEEDS = (0, 1, 2)
# What every run has in common: shorter than the job, so that all of it fits into 100 minutes of two cores.
COMMON = (
    "data.training=8000",
    "data.selection=4000",
    "search.operators.epochs=5",
    "search.operators.warm-up-epochs=2",
    "search.widths.epochs=4",
    "training.epochs=3",
)
# Where latency is judged by another model than the search saw.
JUDGES = ("ideal", "pipelined", "scale-sim")
DRAWS = 10_000


@dataclass(frozen=True)
class Method:
    """A way to search: its settings, the weights of latency that span its front, the minutes that a run takes."""

    name: str
    settings: tuple[str, ...]
    lambdas: tuple[float, ...]
    minutes: float


def priced(cost: str, *more: str) -> Method:
    """Our loop under another cost: the weights span the same range."""
    return Method(cost, (f"objective.cost={cost}", *more), (0.02, 0.08, 0.3), 2.7)


ACCELERATOR = "small-32x32"
# The run under a hard target, which has no front.
HALF = "half"
# The table that `lookup` reads; written once by the command itself.
TABLE = "lookup.json"
# What `roofline` searches on: the same array with a bandwidth, without which it has no roof. 64 MACs a byte at the ridge,
# so that layers of this space lie on both sides of it. Its networks are judged on the array of the others.
ROOFED = "bandwidth.yaml"
BANDWIDTH = "memory: { bandwidth-gb-per-s: 16 }"
METHODS = (
    priced("expected"),
    # The same cost; widths are allocated as the search goes on.
    Method("dynamic", ("search.widths.policy=dynamic",), (0.02, 0.08, 0.3), 2.7),
    priced("smooth-ceil"),
    priced("roofline", f"accelerator={{folder}}/{ROOFED}"),
    priced("flops"),
    priced("lookup", f"objective.lookup-table={{folder}}/{TABLE}"),
    # A hard target: half the latency that `expected` found at this weight and seed.
    Method(HALF, ("objective.targets={ latency-ms: \"<= {half}\" }",), (0.02,), 2.7),
    # As published, without a price of hardware. All candidates run in a step, which takes seven times as long.
    Method("darts", ("search.method=darts", "search.operators.epochs=2", "search.operators.warm-up-epochs=0"), (0.0,), 8.0),
    Method("gdas", ("search.method=gdas",), (0.0,), 2.7),
    Method("random", ("search.method=random", "search.random.budget={ networks: 10 }", "search.random.epochs=1"), (0.02, 0.08, 0.3), 2.7),
)


@dataclass(frozen=True)
class Run:
    method: Method
    weight: float
    seed: int

    @property
    def name(self) -> str:
        return f"{self.method.name}-{self.weight:g}-s{self.seed}"


def runs() -> list[Run]:
    """Seed by seed and method by method, so that a stop at any time leaves comparable runs."""
    longest = max(len(method.lambdas) for method in METHODS)
    return [
        Run(method, method.lambdas[place], seed)
        for seed in SEEDS
        for place in range(longest)
        for method in METHODS
        if place < len(method.lambdas)
    ]


def command() -> str:
    return os.environ.get("SYSTOLE", str(ROOT / "target/release/systole"))


def search(run: Run, data: Path, folder: Path) -> None:
    """One search; a finished folder is left alone, an unfinished one goes on."""
    out = folder / run.name
    arguments = [command(), "search", JOB, "--data", str(data), "--out", str(out), "--seed", str(run.seed)]
    arguments += ["--threads", "1", "--resume"]
    for setting in (f"name={run.name}", *COMMON, *run.method.settings, f"objective.lambda={run.weight:g}"):
        setting = setting.replace("{folder}", str(folder.resolve()))
        if "{half}" in setting:
            setting = setting.replace("{half}", f"{half_latency_ms(run, folder):.6f}")
        arguments += ["--set", setting]
    with open(folder / f"{run.name}.log", "a") as log:
        process = subprocess.Popen(arguments, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)
        _, status, used = os.wait4(process.pid, 0)
    code = os.waitstatus_to_exitcode(status)
    add_cpu_seconds(folder / f"{run.name}.cpu", used.ru_utime + used.ru_stime)
    if code == 130:
        raise KeyboardInterrupt
    print(f"{run.name}: {'done' if code in (0, 1) else f'exit code {code}, see {log.name}'}", flush=True)


def half_latency_ms(run: Run, folder: Path) -> float:
    """Half the latency of the first method's network at the run's weight and seed, which comes before it."""
    row = kept(Run(METHODS[0], run.weight, run.seed), folder)
    if not row.exists():
        sys.exit(f"compare.py: {run.name} needs the row of {row.stem}: repeat the call when that is done")
    return json.loads(row.read_text())["ideal_us"] / 2e3


def add_cpu_seconds(file: Path, seconds: float) -> None:
    """Seconds of one core over all sittings of a run: they do not depend on what else the machine does."""
    before = float(file.read_text()) if file.exists() else 0.0
    file.write_text(f"{before + seconds:.1f}\n")


def run_all(data: Path, folder: Path, jobs: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / TABLE).exists():
        arguments = ["estimate", "--lookup-table", str(folder / TABLE), "--space", JOB, "--accel", ACCELERATOR]
        subprocess.run([command(), *arguments], cwd=ROOT, check=True)
    if not (folder / ROOFED).exists():
        shipped = (ROOT / f"accel-models/{ACCELERATOR}.yaml").read_text()
        (folder / ROOFED).write_text(shipped.replace(f"name: {ACCELERATOR}", "name: bandwidth") + BANDWIDTH + "\n")
    left = [run for run in runs() if not kept(run, folder).exists()]
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        try:
            for done in [pool.submit(one, run, data, folder) for run in left]:
                done.result()
        except BaseException:
            # Those under way end by the same signal, and keep where they stand.
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def one(run: Run, data: Path, folder: Path) -> None:
    search(run, data, folder)
    summary = folder / run.name / "summary.json"
    if summary.exists() and json.loads(summary.read_text())["stop_reason"] != "interrupted":
        keep(run, folder)


def kept(run: Run, folder: Path) -> Path:
    return folder / "rows" / f"{run.name}.json"


def judged(out: Path) -> dict[str, float]:
    """Latency, us, and utilization of the network found, under each model of time."""
    cells = {}
    for timing in JUDGES:
        arguments = [command(), "estimate", str(out / "network.yaml"), "--accel", ACCELERATOR, "--timing", timing, "--json"]
        text = subprocess.run(arguments, cwd=ROOT, check=True, capture_output=True, text=True).stdout
        total = json.loads(text)[0]["total"]
        cells[f"{timing}_us"] = total["latency_ms"] * 1e3
        cells[f"{timing}_utilization"] = total["overall_utilization"]
    return cells


def keep(run: Run, folder: Path) -> None:
    """What the finished run came to, as a row."""
    out = folder / run.name
    summary = json.loads((out / "summary.json").read_text())
    cells: dict[str, object] = {"method": run.method.name, "lambda": run.weight, "seed": run.seed}
    cells["accuracy"] = summary["accuracy"]["test"]
    cells |= judged(out)
    for key in ("macs", "params", "search_seconds", "train_seconds"):
        cells[key] = summary[key]
    cells["cpu_seconds"] = float((folder / f"{run.name}.cpu").read_text())
    cells["peak_mib"] = round(summary["peak_memory_bytes"] / 2**20)
    to = kept(run, folder)
    to.parent.mkdir(exist_ok=True)
    part = to.with_suffix(".part")
    part.write_text(json.dumps(cells, indent=1) + "\n")
    part.rename(to)


def front(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """(accuracy, latency) that nothing is better than in both, from slow to fast."""
    best: list[tuple[float, float]] = []
    for accuracy, latency in sorted(points, key=lambda point: (-point[0], point[1])):
        if not best or latency < best[-1][1]:
            best.append((accuracy, latency))
    return best


def log_latency(points: list[tuple[float, float]], accuracy: float) -> float:
    """ln latency of the front at an accuracy: linear between its points."""
    for (high, slow), (low, fast) in zip(points, points[1:]):
        if low <= accuracy <= high:
            share = (accuracy - low) / (high - low)
            return math.log(fast) + share * (math.log(slow) - math.log(fast))
    return math.log(points[0][1] if accuracy >= points[0][0] else points[-1][1])


def ratio(mine: list[tuple[float, float]], other: list[tuple[float, float]], places: int = 50) -> float:
    """Geometric mean of other latency / my latency over the accuracies that both fronts reach; not a number where they
    reach none in common."""
    mine, other = front(mine), front(other)
    low = max(mine[-1][0], other[-1][0])
    high = min(mine[0][0], other[0][0])
    if low > high:
        return math.nan
    at = [low + (high - low) * place / (places - 1) for place in range(places)]
    return math.exp(statistics.mean(log_latency(other, a) - log_latency(mine, a) for a in at))


def bootstrap(rows: list[dict], mine: str, other: str, latency: str) -> tuple[float, float, float, float]:
    """The ratio, its 2.5 and 97.5 percentiles over draws of seeds within each weight, and the share of draws in which
    the fronts meet. A weight counts once all its seeds are there."""
    stream = random.Random(0)
    groups: dict[str, dict[float, list[tuple[float, float]]]] = {mine: {}, other: {}}
    for cells in rows:
        if cells["method"] in groups:
            point = (cells["accuracy"], cells[latency])
            groups[cells["method"]].setdefault(cells["lambda"], []).append(point)

    for method, group in groups.items():
        groups[method] = {weight: points for weight, points in group.items() if len(points) == len(SEEDS)}

    def all_of(method: str) -> list[tuple[float, float]]:
        return [point for points in groups[method].values() for point in points]

    def drawn(method: str) -> list[tuple[float, float]]:
        return [stream.choice(points) for points in groups[method].values() for _ in points]

    ratios = [ratio(drawn(mine), drawn(other)) for _ in range(DRAWS)]
    met = sorted(value for value in ratios if not math.isnan(value))
    if not met:
        return ratio(all_of(mine), all_of(other)), math.nan, math.nan, 0.0
    at = lambda share: met[min(len(met) - 1, int(share * len(met)))]
    return ratio(all_of(mine), all_of(other)), at(0.025), at(0.975), len(met) / DRAWS


def spread(values: list[float], digits: int) -> str:
    mean = statistics.mean(values)
    deviation = f" ({statistics.stdev(values):.{digits}f})" if len(values) > 1 else ""
    return f"{mean:.{digits}f}{deviation}"


def is_complete(rows: list[dict], method: Method) -> bool:
    """Whether all runs of the method are there."""
    return sum(cells["method"] == method.name for cells in rows) == len(method.lambdas) * len(SEEDS)


def halves(rows: list[dict]) -> list[str]:
    """What the hard target of half the latency came to, seed by seed."""
    free = {(cells["lambda"], cells["seed"]): cells for cells in rows if cells["method"] == METHODS[0].name}
    lines = ["", f"A hard target of half the latency of `{METHODS[0].name}`:", ""]
    lines += ["| seed | target, us | latency, us | room, % | test accuracy, % | without the target: latency, us | test accuracy, % |"]
    lines += ["|---|---|---|---|---|---|---|"]
    for cells in rows:
        if cells["method"] == HALF:
            other = free[cells["lambda"], cells["seed"]]
            target = other["ideal_us"] / 2
            lines.append(
                f"| {cells['seed']} | {target:.2f} | {cells['ideal_us']:.2f} | {100 * (1 - cells['ideal_us'] / target):.1f} "
                f"| {100 * cells['accuracy']:.2f} | {other['ideal_us']:.2f} | {100 * other['accuracy']:.2f} |"
            )
    return lines


def report(folder: Path) -> None:
    rows = [json.loads(kept(run, folder).read_text()) for run in runs() if kept(run, folder).exists()]
    if not rows:
        sys.exit(f"compare.py: no finished run in {folder}; start them with `run`")
    with open(folder / "runs.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    lines = [
        f"{len(rows)} of {len(runs())} runs; mean (sample deviation) over the seeds.",
        "",
        "| method | lambda | n | test accuracy, % | latency, us (`ideal`) | utilization, % | latency, us (`pipelined`) | parameters | search, s | training, s | both, s of a core | peak memory, MiB |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for method in METHODS:
        for weight in method.lambdas:
            group = [cells for cells in rows if (cells["method"], cells["lambda"]) == (method.name, weight)]
            if not group:
                continue
            column = lambda key, scale=1.0: [cells[key] * scale for cells in group]
            lines.append(
                f"| `{method.name}` | {weight:g} | {len(group)} | {spread(column('accuracy', 100), 2)} "
                f"| {spread(column('ideal_us'), 2)} | {spread(column('ideal_utilization', 100), 1)} "
                f"| {spread(column('pipelined_us'), 2)} | {spread(column('params'), 0)} "
                f"| {spread(column('search_seconds'), 0)} | {spread(column('train_seconds'), 0)} | {spread(column('cpu_seconds'), 0)} "
                f"| {max(column('peak_mib'))} |"
            )
    for latency, title in (("ideal_us", "the timing of the search"), ("pipelined_us", "`pipelined`"), ("scale-sim_us", "`scale-sim`")):
        lines += ["", f"Latency at equal accuracy, other / `{METHODS[0].name}`, judged by {title}:", ""]
        lines += ["| other | ratio | 95 % interval | draws in which the fronts meet |", "|---|---|---|---|"]
        for method in METHODS[1:]:
            if method.name != HALF and is_complete(rows, method):
                value, low, high, met = bootstrap(rows, METHODS[0].name, method.name, latency)
                lines.append(f"| `{method.name}` | {value:.2f} | {low:.2f} to {high:.2f} | {100 * met:.0f} % |")
    lines += halves(rows)
    (folder / "figures.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def plan() -> None:
    total = 0.0
    for method in METHODS:
        count = len(method.lambdas) * len(SEEDS)
        total += count * method.minutes
        print(f"{method.name:12} lambda {', '.join(f'{w:g}' for w in method.lambdas):20} x {len(SEEDS)} seeds x {method.minutes:g} min = {count * method.minutes:.0f} min")
    print(f"{len(runs())} runs, {total:.0f} minutes of one core, {total / 2:.0f} minutes of two")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("plan")
    for verb in ("run", "report"):
        sub = verbs.add_parser(verb)
        sub.add_argument("--out", type=Path, default=ROOT / "results/compare")
        if verb == "run":
            sub.add_argument("data", type=Path)
            sub.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    if given.verb == "plan":
        plan()
    elif given.verb == "run":
        run_all(given.data, given.out, given.jobs)
    else:
        report(given.out)


if __name__ == "__main__":
    main()
