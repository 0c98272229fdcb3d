#!/usr/bin/env python3
"""Searchers against the table of a benchmark: how much of the exact hypervolume they find with how many rows.

    scripts/tabular-searchers.py --systole PATH --table TABLE.csv --space search-spaces/nas-bench-macro.yaml

Runs `systole search --table` for each method, accelerator and seed, and writes results/tabular/NAME.csv (curves at a few
numbers of rows read: mean, least and greatest share over the seeds) and NAME.png. A run that is there is not repeated:
the run folders stay in --work. `preference` is `objective: preference`; NAME-fan.csv and NAME-fan.png show its fan. `ridge` is
no part of the command: a ridge regression of the error on pairs of choices, whose predicted front is read in turns (the
latency of every network is known); it needs numpy. The PNG need matplotlib; without it only the CSV is written.
"""

import argparse
import csv
import json
import random
import statistics
import subprocess
import sys
from pathlib import Path

METHODS = ["random", "evolution", "nsga-2", "systole", "preference", "ridge"]
# Look-ups of one search over preferences, and of the searches of eight weights beside it.
FAN = [(800, "preference"), (1600, "preference"), (2400, "systole")]
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


def run(options, side, method, seed, evaluations):
    """The folder of a run."""
    folder = options.work / f"{options.space.stem}-{side}-{method}-{evaluations}-s{seed}"
    own = "objective=preference" if method == "preference" else f"search.method={method}"
    command = [options.systole, "--quiet", "search", options.space, "--table", options.table]
    command += ["--accuracy-column", options.accuracy_column, "--evaluations", evaluations]
    command += ["--accel", accelerator(options.work, side), "--seed", seed, "--set", own]
    command += ["--out", folder, "--resume"]
    subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL)
    return folder


def curve(options, side, method, seed):
    """Shares in the order of reading: [(rows read, share), ...]."""
    if method == "ridge":
        return ridge(options, side, seed)
    folder = run(options, side, method, seed, options.evaluations)
    with open(folder / "evaluations.csv", newline="") as file:
        return [(int(row["rows_read"]), float(row["hypervolume_share"])) for row in csv.DictReader(file)]


def hypervolume(points, reference):
    """Of (error, latency) pairs, both minimised."""
    volume, least = 0.0, reference[0]
    for error, latency in sorted(points, key=lambda point: (point[1], point[0])):
        if error < least and latency < reference[1]:
            volume += (least - error) * (reference[1] - latency)
            least = error
    return volume


def front(errors, latencies):
    """Places of the non-dominated ones."""
    members, least = [], float("inf")
    for place in sorted(range(len(errors)), key=lambda place: (latencies[place], errors[place])):
        if errors[place] < least:
            members.append(place)
            least = errors[place]
    return members


def table(options, side):
    """Architecture strings, errors and latencies of all rows, and the reference."""
    command = [options.systole, "--quiet", "pareto", "--table", options.table, "--space", options.space]
    command += ["--accuracy-column", options.accuracy_column, "--accel", accelerator(options.work, side), "--json"]
    text = subprocess.run([str(part) for part in command], check=True, stdout=subprocess.PIPE).stdout
    points = json.loads(text)["points"]
    folder = run(options, side, "random", 0, options.evaluations)
    facts = json.loads((folder / "summary.json").read_text())["table"]
    reference = facts["reference_error"], facts["reference_latency_ms"]
    return [[point[key] for point in points] for key in ("name", "error", "latency_ms")], reference


def ridge(options, side, seed, first=32, batch=8, penalty=1e-2):
    """As `curve`: `first` random rows, then in turns up to `batch` unread rows of the predicted front."""
    import numpy

    (names, errors, latencies), reference = table(options, side)
    letters = sorted(set("".join(names)))
    ones = numpy.array([[float(letter == option) for letter in name for option in letters] for name in names])
    layers = len(names[0])
    blocks = ones.reshape(len(names), layers, len(letters))
    pairs = [blocks[:, i, :, None] * blocks[:, j, None, :] for i in range(layers) for j in range(i)]
    features = numpy.concatenate([ones] + [pair.reshape(len(names), -1) for pair in pairs], axis=1)
    exact = hypervolume(zip(errors, latencies), reference)
    draws = random.Random(seed)
    order = draws.sample(range(len(names)), len(names))
    read, points = [], []
    is_read = numpy.zeros(len(names), bool)

    def look(place):
        read.append(place)
        is_read[place] = True
        points.append((len(read), hypervolume([(errors[r], latencies[r]) for r in read], reference) / exact))

    for place in order[:first]:
        look(place)
    while len(read) < options.evaluations:
        known, values = features[read], numpy.array([errors[place] for place in read])
        mean = values.mean()
        weights = numpy.linalg.solve(known.T @ known + penalty * numpy.eye(known.shape[1]), known.T @ (values - mean))
        predicted = features @ weights + mean
        predicted[read] = values
        wanted = [place for place in front(predicted, latencies) if not is_read[place]]
        if not wanted:
            wanted = [place for place in order if not is_read[place]][:batch]
        for place in draws.sample(wanted, min(batch, len(wanted), options.evaluations - len(read))):
            look(place)
    return points


def fans(options):
    """Shares of the fan alone and of everything read, at so many look-ups allowed."""
    for side in options.rows_cols.split(","):
        for evaluations, method in FAN:
            folders = [run(options, side, method, seed, evaluations) for seed in range(options.seeds)]
            facts = [json.loads((folder / "summary.json").read_text())["table"] for folder in folders]
            made = [fact["evaluations"] for fact in facts]
            alone = [fact["fan"]["hypervolume_share"] for fact in facts if "fan" in fact]
            networks = [fact["fan"]["networks"] for fact in facts if "fan" in fact]
            read = spread([fact["hypervolume_share"] for fact in facts])
            yield [side, method, evaluations, min(made), max(made), min(networks, default=""), max(networks, default=""),
                   *(spread(alone)[1:3] if alone else ["", ""]), *read[:3]]


def draw_fans(options, path):
    try:
        import matplotlib

        matplotlib.use("Agg")
        import matplotlib.pyplot as plt
    except ImportError:
        return
    sides = sorted(options.rows_cols.split(","), key=int)
    figure, panels = plt.subplots(1, len(sides), figsize=(5.5 * len(sides), 4), sharey=True, squeeze=False)
    for panel, side in zip(panels[0], sides):
        for seed in range(options.seeds):
            folder = run(options, side, "preference", seed, FAN[0][0])
            for file, by, colour, name in [("fan.csv", "evaluations", "C0", "fan"), ("evaluations.csv", "rows_read", "C1", "all")]:
                with open(folder / file, newline="") as rows:
                    points = [(int(row[by]), float(row["hypervolume_share"])) for row in csv.DictReader(rows)]
                panel.plot(*zip(*points), color=colour, alpha=0.6, lw=1, label=name if seed == 0 else None)
        panel.set(xlabel="different rows read", title=f"{side} x {side}, 1 GHz, ideal")
        panel.set_ylim(0.7, 1.005)
        panel.grid(alpha=0.3)
    panels[0][0].set_ylabel("share of the exact hypervolume")
    panels[0][0].legend()
    figure.tight_layout()
    figure.savefig(path, dpi=110)


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
    with open(options.out / f"{name}-fan.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        header = "side,method,allowed,least_look_ups,most_look_ups,least_networks,most_networks,mean_fan,least_fan,n,mean_all,least_all"
        writer.writerow(header.split(","))
        writer.writerows(fans(options))
    draw_fans(options, options.out / f"{name}-fan.png")


if __name__ == "__main__":
    main()
