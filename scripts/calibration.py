#!/usr/bin/env python3
"""scripts/calibration.py REFERENCE [FOLDER]

Calibrates the TPU files of accel-models to measured tables and writes figures to FOLDER (results/calibration): for each
device the five-fold errors, the errors of ten fits to 50 rows judged on the rest, the numbers, and pictures. REFERENCE is
the folder with tpu-v2-v3-mnasnet.csv (Accel-NASBench) and tpu-v4-matmul.csv. Nothing of the rows is written. A device whose
figures are there is left alone, so that the script can be interrupted. Python 3 alone; SYSTOLE names the command.
"""

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SYSTOLE = os.environ.get("SYSTOLE", str(ROOT / "target/release/systole"))
SPACE = str(ROOT / "search-spaces/mnasnet.yaml")
# Throughputs from which on the input pipeline is what was measured, images a second.
DEVICES = [
    ("tpu-v2", "tpu-v2-v3-mnasnet.csv", "throughput_tpuv2", 1700),
    ("tpu-v3", "tpu-v2-v3-mnasnet.csv", "throughput_tpuv3", 1280),
    ("tpu-v4", "tpu-v4-matmul.csv", "fusion_us_avg", None),
]
DRAWS = 10
FEW = 50


def calibrate(rows, device, more):
    command = [SYSTOLE, "calibrate", str(rows), "--accel", device, "--json", "--quiet", *more]
    if device != "tpu-v4":
        command += ["--space", SPACE]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def spread(values):
    return {"mean": round(statistics.mean(values), 3), "deviation": round(statistics.stdev(values), 3)}


def few(lines, device, folder):
    """Errors on the rest of fits to FEW rows, drawn DRAWS times."""
    judged = []
    for draw in range(DRAWS):
        body = lines[1:]
        random.Random(draw).shuffle(body)
        files = []
        for name, part in (("fitted.csv", body[:FEW]), ("judged.csv", body[FEW:])):
            files.append(folder / name)
            files[-1].write_text("\n".join([lines[0], *part]) + "\n")
        judged.append(calibrate(files[0], device, ["--judge", str(files[1])])["judged"])
    return {
        "rows": FEW,
        "draws": DRAWS,
        "mape_percent": spread([one["mape_percent"] for one in judged]),
        "spearman": spread([one["spearman"] for one in judged]),
    }


def one(device, table, column, below, out):
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        command = [sys.executable, str(ROOT / "scripts/measured-to-csv.py"), str(table), column]
        if below:
            command += ["--below", str(below)]
        text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        rows = folder / "rows.csv"
        rows.write_text(text)
        pictures = ["--plot", str(out / f"{device}.png")]
        if device == "tpu-v4":
            pictures += ["--staircase", str(out / f"{device}-staircase.png")]
        report = calibrate(rows, device, pictures)
        del report["points"], report["judged"]
        report["few"] = few(text.splitlines(), device, folder)
    return report


def line(report):
    held, few_rows = report["held_out"], report["few"]
    return (
        f"| {report['accelerator']} | {report['rows']} | {report['numbers_used']} | {report['form']} "
        f"| {held['mape_percent']:.2f} % | {held['spearman']:.4f} | {held['kendall']:.3f} "
        f"| {few_rows['mape_percent']['mean']:.2f} % +- {few_rows['mape_percent']['deviation']:.2f} "
        f"| {few_rows['spearman']['mean']:.4f} |"
    )


def main():
    if len(sys.argv) not in (2, 3) or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    reference = Path(sys.argv[1])
    out = Path(sys.argv[2]) if len(sys.argv) == 3 else ROOT / "results/calibration"
    out.mkdir(parents=True, exist_ok=True)
    lines = []
    for device, table, column, below in DEVICES:
        figures = out / f"{device}.json"
        if not figures.exists():
            report = one(device, reference / table, column, below, out)
            unfinished = figures.with_suffix(".part")
            unfinished.write_text(json.dumps(report, indent=2) + "\n")
            unfinished.rename(figures)
        lines.append(line(json.loads(figures.read_text())))
    head = (
        "| device | rows | numbers | form | MAPE, five folds | Spearman | Kendall | MAPE, 50 rows | Spearman, 50 rows |\n"
        "|---|---|---|---|---|---|---|---|---|\n"
    )
    (out / "figures.md").write_text(head + "\n".join(lines) + "\n")
    print(head + "\n".join(lines))


if __name__ == "__main__":
    main()
