#!/usr/bin/env python3
"""Kills a small search at random moments, resumes it to its end, and compares it with a run that was left alone.

usage: python3 scripts/kill-points.py [--count 100] [--seed 0] [--binary target/debug/systole] [--out results/kill-points.json]

Half of the kills are at a random moment of a write (SYSTOLE_DIE_AT, which a debug build knows), half at a random time
(SIGKILL); a third of the runs is killed once more after it was resumed. Equal are weights, network and architecture to the
byte, the history by its lines but for the times, and nothing unfinished lies about. Every trial is a line of OUT's
neighbour `.jsonl`, and the script goes on where that ends. Exit 1 where a trial differs.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
JOB = {
    "data.training": 256,
    "data.selection": 128,
    "search.batch": 32,
    "search.operators.epochs": 2,
    "search.operators.warm-up-epochs": 1,
    "search.operators.paths": "sampled",
    "search.widths.epochs": 2,
    "training.epochs": 2,
}
SAME = ["weights.safetensors", "network.yaml", "architecture.yaml"]
MOMENTS_OF_A_FILE = 4
MOMENTS_OF_A_LINE = 2
# Files that every run writes once: job, environment, history, network, pictures, summary and the like.
OTHER_FILES = 14


def command(binary, out):
    sets = [word for key, value in JOB.items() for word in ("--set", f"{key}={value}")]
    # One thread, so that bits are equal; a checkpoint after every step, so that most moments are in one.
    where = ["--out", str(out), "--resume", "--threads", "1", "--device", "cpu", "--checkpoint-seconds", "0"]
    return [str(binary), "search", "search-spaces/demo.yaml", *where, *sets]


def start(binary, out, die_at=None):
    environment = {**os.environ, **({"SYSTOLE_DIE_AT": str(die_at)} if die_at else {})}
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    return subprocess.Popen(command(binary, out), cwd=ROOT, env=environment, **quiet)


def history(out):
    """Records without what a clock says."""
    records = [json.loads(line) for line in (out / "history.jsonl").read_text().splitlines()]
    return [{key: value for key, value in record.items() if key != "seconds"} for record in records]


def differences(out, whole):
    """Names of what is not as in the run that was left alone."""
    found = [name for name in SAME if (out / name).read_bytes() != (whole / name).read_bytes()]
    found += ["history.jsonl"] if history(out) != history(whole) else []
    return found + [str(path.relative_to(out)) for path in out.rglob(".unfinished-*")]


def kill(binary, out, how, whole):
    """Starts or resumes the run and kills it; where, or None where it was done before."""
    if how == "moment":
        place = random.randint(1, whole["moments"])
        process = start(binary, out, place)
        process.communicate()
    else:
        place = round(random.uniform(0, whole["seconds"]), 3)
        process = start(binary, out)
        try:
            process.communicate(timeout=place)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
    return place if process.returncode < 0 else None


def trial(number, seed, binary, whole):
    random.seed(f"{seed} {number}")
    how = "moment" if number % 2 == 0 else "time"
    with tempfile.TemporaryDirectory() as folder:
        out, places = Path(folder) / "run", []
        while not places:
            place = kill(binary, out, how, whole)
            if place is None:
                # It was done before: once more from the beginning.
                shutil.rmtree(out)
            else:
                places.append(place)
        if random.random() < 1 / 3:
            place = kill(binary, out, how, whole)
            places += [place] if place is not None else []
        process = start(binary, out)
        _, told = process.communicate()
        if process.returncode != 0:
            different = [f"exit {process.returncode}: {told.decode(errors='replace').splitlines()[-1:]}"]
        else:
            different = differences(out, whole["folder"])
    return {"trial": number, "how": how, "at": places, "different": different}


def left_alone(binary, out):
    began = time.monotonic()
    process = start(binary, out)
    _, told = process.communicate()
    if process.returncode != 0:
        sys.exit(f"the run that is left alone fails: {told.decode(errors='replace')}")
    checkpoints = json.loads((out / "summary.json").read_text())["checkpoints"]
    files = 2 * checkpoints + OTHER_FILES
    moments = MOMENTS_OF_A_FILE * files + MOMENTS_OF_A_LINE * len(history(out))
    return {"folder": out, "seconds": time.monotonic() - began, "moments": moments}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--binary", type=Path, default=ROOT / "target/debug/systole")
    parser.add_argument("--out", type=Path, default=ROOT / "results/kill-points.json")
    options = parser.parse_args()
    if not options.binary.exists():
        sys.exit(f"{options.binary} is not there: run `cargo build` first")
    binary, log = options.binary.resolve(), options.out.with_suffix(".jsonl")
    trials = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    with tempfile.TemporaryDirectory() as folder:
        whole = left_alone(binary, Path(folder) / "whole")
        for number in range(len(trials), options.count):
            trials.append(trial(number, options.seed, binary, whole))
            with log.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps(trials[-1]) + "\n")
            print(trials[-1], flush=True)
    count = lambda how: sum(trial["how"] == how for trial in trials)
    bad = [trial for trial in trials if trial["different"]]
    result = {
        "trials": len(trials),
        "at a moment of a write": count("moment"),
        "at a time": count("time"),
        "killed twice": sum(len(trial["at"]) > 1 for trial in trials),
        "equal to the run left alone": len(trials) - len(bad),
        "different": bad,
        "seed": options.seed,
    }
    options.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
