#!/usr/bin/env python3
"""Searchers against the table of a benchmark: how much of the exact hypervolume they find with how many rows.

    scripts/tabular-searchers.py --systole PATH --table TABLE.csv --space search-spaces/nas-bench-macro.yaml

Runs `systole search --table` for each method, accelerator and seed, and writes results/tabular/NAME.csv (curves at a few
numbers of rows read: mean, least and greatest share over the seeds) and NAME.png. A run that is there is not repeated:
the run folders stay in --work. The PNG needs matplotlib; without it only the CSV is written.
"""

import argparse
import csv
import statistics
import subprocess
import sys
from pathlib import Path

METHODS = ["random", "evolution", "nsga-2", "systole"]
MARKS = [25, 50, 100, 150, 200, 300, 400, 600, 800, 1000, 1600, 2400]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--systole", default="systole")
    parser.add_argument("--table", required=True, type=Path)
    parser.add_argument("--accuracy-column", default="mean_acc")
    parser.add_argument("--space", required=True, type=Path)
    parser.add_argument("--rows-cols", default="128,32", help="sides of the square arrays, at 1 GHz and ideal timing")
    parser.add_argument("--evaluations", type=int, default=1600)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--work", type=Path, default=Path("runs-tabular"))
    parser.add_argument("--out", type=Path, default=Path("results/tabular"))
    return parser.parse_args()


def accelerator(work, side):
    """A plain array: only its side, clock and timing matter to `ideal`."""
    path = work / f"square-{side}.yaml"
    path.write_text(
        f"version: 1\nname: square-{side}\narray: {{ rows: {side}, cols: {side} }}\ndataflow: weight-stationary\n"
        "clock-mhz: 1000\ntiming: ideal\n"
    )
    return path


def curve(options, side, method, seed):
    """Shares in the order of reading: [(rows read, share), ...]."""
    folder = options.work / f"{options.space.stem}-{side}-{method}-{options.evaluations}-s{seed}"
    command = [options.systole, "--quiet", "search", options.space, "--table", options.table]
    command += ["--accuracy-column", options.accuracy_column, "--evaluations", options.evaluations]
    command += ["--accel", accelerator(options.work, side), "--seed", seed, "--set", f"search.method={method}"]
    command += ["--out", folder, "--resume"]
    subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL)
    with open(folder / "evaluations.csv", newline="") as file:
        return [(int(row["rows_read"]), float(row["hypervolume_share"])) for row in csv.DictReader(file)]


def share_at(points, rows):
    """The share when so many rows were read; none where the search read fewer."""
    if points[-1][0] < rows:
        return None
    return next(share for read, share in points if read >= rows)


def rows_of(options):
    for side in options.rows_cols.split(","):
        for method in METHODS:
            curves = [curve(options, side, method, seed) for seed in range(options.seeds)]
            marks = [mark for mark in MARKS if mark <= options.evaluations]
            for mark in marks:
                shares = [share for share in (share_at(points, mark) for points in curves) if share is not None]
                if shares:
                    yield [side, method, "rows-read", mark, *spread(shares)]
            # Searches that read rows again reach fewer different ones: the same at so many evaluations.
            for mark in marks:
                yield [side, method, "evaluations", mark, *spread([points[mark - 1][1] for points in curves if len(points) >= mark])]


def spread(shares):
    if not shares:
        return [0, "", "", ""]
    return [len(shares), *(f"{value:.4f}" for value in (statistics.mean(shares), min(shares), max(shares)))]


def draw(rows, path):
    try:
        import matplotlib

        matplotlib.use("Agg")
        import matplotlib.pyplot as plt
    except ImportError:
        print("no matplotlib: no picture", file=sys.stderr)
        return
    sides = sorted({row[0] for row in rows}, key=int)
    figure, panels = plt.subplots(1, len(sides), figsize=(5.5 * len(sides), 4), sharey=True, squeeze=False)
    for panel, side in zip(panels[0], sides):
        for method in METHODS:
            points = [row for row in rows if row[:3] == [side, method, "rows-read"]]
            marks, means, least, most = ([float(row[place]) for row in points] for place in (3, 5, 6, 7))
            panel.plot(marks, means, marker=".", label=method)
            panel.fill_between(marks, least, most, alpha=0.15)
        panel.set(xscale="log", xlabel="different rows read", title=f"{side} x {side}, 1 GHz, ideal")
        panel.set_ylim(0.7, 1.005)
        panel.grid(alpha=0.3)
    panels[0][0].set_ylabel("share of the exact hypervolume")
    panels[0][0].legend()
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main():
    options = arguments()
    options.work.mkdir(parents=True, exist_ok=True)
    options.out.mkdir(parents=True, exist_ok=True)
    rows = list(rows_of(options))
    name = options.space.stem
    with open(options.out / f"{name}.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["side", "method", "by", "count", "n", "mean_share", "least_share", "greatest_share"])
        writer.writerows(rows)
    draw(rows, options.out / f"{name}.png")


if __name__ == "__main__":
    main()
