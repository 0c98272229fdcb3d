#!/usr/bin/env python3
"""Dynamic channel allocation against a fixed range, on CIFAR-10: objective, seconds and memory of the width stage.

    scripts/allocation.py plan                        what would run, and for how long
    scripts/allocation.py run DATA [--out DIR]        runs it, one run at a time; repeat it to go on where it was stopped
    scripts/allocation.py report [--out DIR]          runs.csv and figures.md from what is finished

DATA is the folder with cifar-10-batches-bin or the archive. Every run is one `systole search` of one thread; a run that
was stopped begins anew. Equal seeds draw equal splits, first weights and operators, so that policies differ in their
widths alone. SYSTOLE names the command (target/release/systole). Linux only: the process is watched through /proc.
"""

import argparse
import csv
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SEEDS = (0, 1, 2)
BETA = 0.1
POLICIES = {
    "dynamic": ("search.widths.policy=dynamic",),
    "hard": ("search.widths.policy=fixed", "search.widths.masks=hard"),
    "soft": ("search.widths.policy=fixed", "search.widths.masks=soft"),
}
# What a process holds before widths matter: the same stage over the two narrowest options.
EMPTY = "empty"
TICK_SECONDS = 0.05
COMMON = ("objective.latency=milliseconds", f"objective.beta={BETA}")


@dataclass(frozen=True)
class Space:
    """A job, its key of widths, and two weights of a millisecond: the best widths at less than half of the range, and
    at about two thirds."""

    name: str
    job: str
    settings: tuple[str, ...]
    widths: tuple[str, ...]
    lambdas: tuple[float, ...]
    minutes: float


SPACES = (
    Space(
        "chain",
        "search-spaces/cifar10-chain.yaml",
        ("data.training=12000", "data.selection=3000", "search.batch=128", "search.widths.epochs=6", "training.epochs=5"),
        tuple(f"space.body.chain.stages.{stage}.width" for stage in range(6)),
        (40.0, 4.0),
        1.2,
    ),
    Space(
        "cells",
        "search-spaces/cifar10-small.yaml",
        ("data.training=6000", "data.selection=1500", "search.operators.epochs=3", "search.operators.warm-up-epochs=1", "search.widths.epochs=6", "training.epochs=3"),
        ("space.body.cells.width",),
        (2.0, 0.1),
        2.0,
    ),
)
RANGE = (8, 96, 8)


@dataclass(frozen=True)
class Run:
    space: Space
    policy: str
    weight: float
    seed: int

    @property
    def name(self) -> str:
        return f"{self.space.name}-{self.policy}-{self.weight:g}-s{self.seed}"

    def arguments(self) -> list[str]:
        low, high, step = RANGE if self.policy != EMPTY else (8, 16, 8)
        grid = f"{{ min: {low}, max: {high}, step: {step} }}"
        policy = POLICIES.get(self.policy, POLICIES["soft"])
        settings = [f"name={self.name}", *COMMON, *self.space.settings, f"objective.lambda={self.weight:g}"]
        settings += [f"{key}={grid}" for key in self.space.widths] + list(policy)
        if self.policy == EMPTY and any("operators" in setting for setting in settings):
            settings.append("search.operators.width=16")
        return [argument for setting in settings for argument in ("--set", setting)]


def runs() -> list[Run]:
    """The policies of a seed one after the other, so that a stop at any time leaves comparable runs."""
    empty = [Run(space, EMPTY, space.lambdas[0], 0) for space in SPACES]
    return empty + [
        Run(space, policy, space.lambdas[place], seed)
        for seed in SEEDS
        for place in range(2)
        for space in SPACES
        for policy in POLICIES
    ]


def command() -> str:
    return os.environ.get("SYSTOLE", str(ROOT / "target/release/systole"))


class Watched:
    """A process as /proc shows it."""

    def __init__(self, pid: int):
        self.folder = Path(f"/proc/{pid}")
        self.page = os.sysconf("SC_PAGE_SIZE")
        self.tick = os.sysconf("SC_CLK_TCK")

    def cpu_seconds(self) -> float:
        fields = (self.folder / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / self.tick

    def resident_bytes(self) -> int:
        return int((self.folder / "statm").read_text().split()[1]) * self.page

    def forget_peak(self) -> None:
        (self.folder / "clear_refs").write_text("5")

    def peak_bytes(self) -> int:
        line = next(line for line in (self.folder / "status").read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024


def epochs_done(history: Path, stage: str) -> tuple[int, int]:
    """(epochs of the stage that are done, epochs that it has); (0, 1) before the first."""
    done = (0, 1)
    for line in history.read_text().splitlines() if history.exists() else []:
        record = json.loads(line) if line.startswith("{") and line.endswith("}") else {}
        if record.get("record") == "epoch" and record.get("stage") == stage:
            done = (record["epoch"], record["of"])
    return done


def one(run: Run, data: Path, folder: Path) -> None:
    out, log = folder / run.name, folder / f"{run.name}.log"
    shutil.rmtree(out, ignore_errors=True)
    arguments = [command(), "search", run.space.job, "--data", str(data), "--out", str(out), "--seed", str(run.seed), "--threads", "1"]
    with open(log, "w") as file:
        process = subprocess.Popen([*arguments, *run.arguments()], cwd=ROOT, stdout=file, stderr=subprocess.STDOUT)
        try:
            seen = watch(process, run, out / "history.jsonl", log)
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
    if process.returncode not in (0, 1):
        sys.exit(f"allocation.py: {run.name} ended with exit code {process.returncode}, see {log}")
    keep(run, folder, seen)
    print(f"{run.name}: {seen['cpu_seconds']:.1f} s of a core", flush=True)


def watch(process: subprocess.Popen, run: Run, history: Path, log: Path) -> dict[str, float]:
    """Seconds and bytes of the width stage: from the end of the operator stage, or where there is none from the line
    that tells the memory, to the end of its last epoch."""
    watched = Watched(process.pid)
    before: float | None = None
    wall = 0.0
    resident: list[int] = []
    seen: dict[str, float] = {}
    size = -1
    while process.poll() is None:
        time.sleep(TICK_SECONDS)
        try:
            if before is None:
                at, of = epochs_done(history, "operators")
                has_operators = run.space.name == "cells"
                if (has_operators and at == of) or (not has_operators and "memory:" in log.read_text()):
                    before, wall = watched.cpu_seconds(), time.monotonic()
                    watched.forget_peak()
            elif not seen:
                resident.append(watched.resident_bytes())
                if history.exists() and history.stat().st_size != size:
                    size = history.stat().st_size
                    at, of = epochs_done(history, "widths")
                    if at == of:
                        seen = {
                            "cpu_seconds": watched.cpu_seconds() - before,
                            "wall_seconds": time.monotonic() - wall,
                            "peak_bytes": watched.peak_bytes(),
                            "mean_bytes": statistics.mean(resident),
                        }
        except (FileNotFoundError, ProcessLookupError, StopIteration):
            break
    process.wait()
    if not seen and process.returncode in (0, 1):
        sys.exit(f"allocation.py: the width stage of {run.name} was not seen to end")
    return seen


def keep(run: Run, folder: Path, seen: dict[str, float]) -> None:
    out = folder / run.name
    summary = json.loads((out / "summary.json").read_text())
    epochs = [json.loads(line) for line in (out / "history.jsonl").read_text().splitlines() if line]
    last = [epoch for epoch in epochs if epoch.get("stage") == "widths"][-1]
    widths = [width["most_likely"] for width in last["widths"].values()]
    row: dict[str, object] = {"space": run.space.name, "policy": run.policy, "lambda": run.weight, "seed": run.seed}
    row |= {"widths": widths, "share_of_range": sum(widths) / (RANGE[1] * len(widths))}
    row |= {"accuracy": summary["accuracy"]["test"], "test_loss": summary["test_loss"]}
    row |= {"latency_us": summary["latency_ms"] * 1e3, "utilization": summary["overall_utilization"]}
    row["objective"] = summary["test_loss"] + run.weight * summary["latency_ms"] - BETA * summary["overall_utilization"]
    row |= {key: round(value, 2) for key, value in seen.items()}
    to = kept(run, folder)
    to.parent.mkdir(exist_ok=True)
    part = to.with_suffix(".part")
    part.write_text(json.dumps(row, indent=1) + "\n")
    part.rename(to)


def kept(run: Run, folder: Path) -> Path:
    return folder / "rows" / f"{run.name}.json"


def run_all(data: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for run in runs():
        if not kept(run, folder).exists():
            one(run, data, folder)


def spread(values: list[float], digits: int) -> str:
    deviation = f" ({statistics.stdev(values):.{digits}f})" if len(values) > 1 else ""
    return f"{statistics.mean(values):.{digits}f}{deviation}"


def report(folder: Path) -> None:
    rows = [json.loads(kept(run, folder).read_text()) for run in runs() if kept(run, folder).exists()]
    if not rows:
        sys.exit(f"allocation.py: no finished run in {folder}; start them with `run`")
    with open(folder / "runs.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows({**row, "widths": " ".join(map(str, row["widths"]))} for row in rows)
    empty = {row["space"]: row["peak_bytes"] for row in rows if row["policy"] == EMPTY}
    lines = [
        f"{len(rows)} of {len(runs())} runs; mean (sample deviation) over the seeds. Seconds of a core and resident bytes of the width",
        "stage alone; bytes less the peak of the same stage over the two narrowest options"
        + "".join(f", {name} {bytes_ / 2**20:.0f} MiB" for name, bytes_ in empty.items())
        + ". Objective: test cross-entropy + lambda latency - 0.1 utilization.",
        "",
        "| space | lambda, 1/ms | policy | n | widths, share of the range | objective | test accuracy, % | latency, us | utilization, % | s of a core | mean, MiB | peak, MiB |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    ratios = ["", "Means of the fixed policies over that of `dynamic` (least to greatest of the seeds), and what the objective differs by:", ""]
    ratios += ["| space | lambda | policy | objective less that of `dynamic` | seconds | mean bytes | peak bytes |", "|---|---|---|---|---|---|---|"]
    for space in SPACES:
        for weight in space.lambdas:
            group = {
                policy: [row for row in rows if (row["space"], row["lambda"], row["policy"]) == (space.name, weight, policy)]
                for policy in POLICIES
            }
            for policy, of in group.items():
                if not of:
                    continue
                column = lambda key, scale=1.0: [row[key] * scale for row in of]
                above = lambda key: [(row[key] - empty[space.name]) / 2**20 for row in of]
                lines.append(
                    f"| {space.name} | {weight:g} | `{policy}` | {len(of)} | {spread(column('share_of_range'), 2)} | {spread(column('objective'), 3)} "
                    f"| {spread(column('accuracy', 100), 2)} | {spread(column('latency_us'), 2)} | {spread(column('utilization', 100), 1)} "
                    f"| {spread(column('cpu_seconds'), 1)} | {spread(above('mean_bytes'), 0)} | {spread(above('peak_bytes'), 0)} |"
                )
                if policy != "dynamic" and len(of) == len(group["dynamic"]):
                    ratios.append(f"| {space.name} | {weight:g} | `{policy}` | " + " | ".join(against(group["dynamic"], of, empty[space.name])) + " |")
    (folder / "figures.md").write_text("\n".join(lines + ratios) + "\n")
    print("\n".join(lines + ratios))


def against(mine: list[dict], other: list[dict], empty: float) -> list[str]:
    """What `other` differs by, seed by seed."""
    pairs = list(zip(mine, other))
    cells = [spread([b["objective"] - a["objective"] for a, b in pairs], 3)]
    for key, floor in (("cpu_seconds", 0.0), ("mean_bytes", empty), ("peak_bytes", empty)):
        each = [(b[key] - floor) / (a[key] - floor) for a, b in pairs]
        whole = sum(b[key] - floor for b in other) / sum(a[key] - floor for a in mine)
        cells.append(f"{whole:.2f} ({min(each):.2f} to {max(each):.2f})")
    return cells


def plan() -> None:
    minutes = sum(run.space.minutes for run in runs())
    for space in SPACES:
        print(f"{space.name:6} {len(POLICIES)} policies x lambda {space.lambdas} x {len(SEEDS)} seeds x {space.minutes:g} min")
    print(f"{len(runs())} runs, {minutes:.0f} minutes of one core")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("plan")
    for verb in ("run", "report"):
        sub = verbs.add_parser(verb)
        sub.add_argument("--out", type=Path, default=ROOT / "results/allocation")
        if verb == "run":
            sub.add_argument("data", type=Path)
    given = parser.parse_args()
    if given.verb == "plan":
        plan()
    elif given.verb == "run":
        run_all(given.data, given.out)
    else:
        report(given.out)


if __name__ == "__main__":
    main()
