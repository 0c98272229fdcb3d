#!/usr/bin/env python3
"""scripts/edge-tpu-rank.py REFERENCE ONNX [OUT]

How well uncalibrated latency on accel-models/edge-tpu.yaml ranks the networks of Coral's benchmark table. REFERENCE is the
folder with edge-tpu-models.csv, ONNX the one with unpacked ONNX files of torchvision and of ONNX's backend tests; the
other networks are written by scripts/edge_tpu_networks.py. Writes aggregates only to OUT (results/edge-tpu-rank.md), and
prints them. Python 3 alone; SYSTOLE names the command.
"""

import csv
import itertools
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True
import edge_tpu_networks  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
SYSTOLE = os.environ.get("SYSTOLE", str(ROOT / "target/release/systole"))
# Rows of the table whose network is published in full, with what it is read from.
EXACT = {
    "MobileNet v1": "mobilenet-v1",
    "MobileNet v2": "mobilenet_v2.ts.onnx",
    "Inception v1": "googlenet.ts.onnx",
    "Inception v4": "inception-v4",
    "ResNet-50 V1": "resnet50-v1",
    "ResNet-50 V2": "resnet50-v2",
    "ResNet-152 V2": "resnet152-v2",
    "VGG16": "vgg16.ts.onnx",
    "VGG19": "light_vgg19.onnx",
    "EfficientNet-EdgeTpu-S": "efficientnet-edgetpu-s",
    "EfficientNet-EdgeTpu-M": "efficientnet-edgetpu-m",
}
# Rows that do not say which of several networks they are, with the one that is taken.
ASSUMED = {"DenseNet": "densenet121.ts.onnx", "SqueezeNet": "light_squeezenet.onnx"}
COLUMNS = {"USB": "desktop_cpu_plus_usb_edgetpu_ms", "dev board": "devboard_edgetpu_ms"}
HEAD = """| networks | measured on | n | latency: Spearman | Kendall | MACs: Spearman | Kendall | modelled / measured ms: least | median | most |
|---|---|---|---|---|---|---|---|---|---|
"""


def totals(source, onnx, folder):
    """What `estimate` says of the whole network."""
    path = onnx / source
    if not source.endswith(".onnx"):
        path = folder / f"{source}.yaml"
        path.write_text(edge_tpu_networks.networks()[source])
    command = [SYSTOLE, "estimate", str(path), "--accel", str(ROOT / "accel-models/edge-tpu.yaml"), "--json", "--quiet"]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    total = json.loads(output)[0]["total"]
    published = edge_tpu_networks.PARAMETERS.get(source, total["params"])
    if total["params"] != published:
        sys.exit(f"{source}: {published} parameters are published, got {total['params']}")
    return total


def ranks(values):
    """From 1, equal values share the mean of theirs."""
    return [1 + sum(w < v for w in values) + (sum(w == v for w in values) - 1) / 2 for v in values]


def spearman(a, b):
    return statistics.correlation(ranks(a), ranks(b))


def kendall(a, b):
    """Tau-b."""
    pairs = list(itertools.combinations(zip(a, b), 2))
    sign = [(math.copysign(1, x[0] - y[0]) * (x[0] != y[0]), math.copysign(1, x[1] - y[1]) * (x[1] != y[1])) for x, y in pairs]
    both = sum(s * t for s, t in sign)
    return both / math.sqrt(sum(s != 0 for s, _ in sign) * sum(t != 0 for _, t in sign))


def line(name, column, rows, found):
    measured = [float(rows[model][COLUMNS[column]]) for model in found]
    latency = [total["latency_ms"] for total in found.values()]
    macs = [total["macs"] for total in found.values()]
    ratios = [ours / theirs for ours, theirs in zip(latency, measured)]
    return (
        f"| {name} | {column} | {len(found)} | {spearman(latency, measured):.3f} | {kendall(latency, measured):.3f} "
        f"| {spearman(macs, measured):.3f} | {kendall(macs, measured):.3f} "
        f"| {min(ratios):.2f} | {statistics.median(ratios):.2f} | {max(ratios):.2f} |\n"
    )


def main():
    if len(sys.argv) not in (3, 4) or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    reference, onnx = Path(sys.argv[1]), Path(sys.argv[2])
    out = Path(sys.argv[3]) if len(sys.argv) == 4 else ROOT / "results/edge-tpu-rank.md"
    with (reference / "edge-tpu-models.csv").open(newline="") as file:
        rows = {row["model"]: row for row in csv.DictReader(file)}
    with tempfile.TemporaryDirectory() as scratch:
        exact = {model: totals(source, onnx, Path(scratch)) for model, source in EXACT.items()}
        assumed = {model: totals(source, onnx, Path(scratch)) for model, source in ASSUMED.items()}
    text = HEAD
    for name, found in [("published in full", exact), ("with two taken as DenseNet-121, SqueezeNet 1.1", exact | assumed)]:
        text += "".join(line(name, column, rows, found) for column in COLUMNS)
    out.write_text(text)
    print(text, end="")


if __name__ == "__main__":
    main()
