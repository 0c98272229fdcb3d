#!/usr/bin/env python3
"""scripts/scale-sim-check.py CONFIG NETWORK...

Runs SCALE-Sim 3.0.0 on each NETWORK, as `systole estimate --scale-sim` writes it, with the configuration CONFIG (.cfg), and
compares its cycles of every layer with those of `systole estimate` of the network itself. A line for each network: layers,
rows (each channel of a depthwise layer is one), layers with equal cycles, cycles by SCALE-Sim and by systole. Exit code 1
where any differ. Needs Python with scalesim 3.0.0 and numpy below 2.4; SYSTOLE names the command. SCALE-Sim simulates each
cycle: a network of a thousand million MACs takes minutes.
"""

import contextlib
import csv
import io
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SYSTOLE = os.environ.get("SYSTOLE", str(ROOT / "target/release/systole"))


def estimate(network, config, *more):
    command = [SYSTOLE, "estimate", str(network), "--accel", str(config), "--timing", "scale-sim", "--json", "--quiet"]
    return json.loads(subprocess.run([*command, *more], check=True, capture_output=True, text=True).stdout)[0]


def simulated(topology, config, folder):
    """Cycles of each row by SCALE-Sim."""
    from scalesim.scale_sim import scalesim

    layout = folder / "layout.csv"
    layout.write_text("Layer name, none,\n")
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        run = scalesim(True, False, str(config), str(topology), str(layout), False)
        run.run_scale(str(folder / "reports"))
    (report,) = (folder / "reports").glob("*/COMPUTE_REPORT.csv")
    with report.open(newline="") as file:
        return [round(float(row[" Total Cycles"])) for row in csv.DictReader(file)]


def channels(topology):
    """Rows of SCALE-Sim for each line of the topology."""
    cells = [line.split(",") for line in topology.read_text().splitlines()[1:]]
    return [int(cell[5]) if "DP" in cell[0] else 1 for cell in cells]


def one(network, config):
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        topology = folder / "topology.csv"
        layers = estimate(network, config, "--scale-sim", str(topology))["layers"]
        ours = [layer["cycles"] for layer in layers if layer["macs"] > 0]
        rows = iter(simulated(topology, config, folder))
        theirs = [sum(next(rows) for _ in range(count)) for count in channels(topology)]
        equal = sum(a == b for a, b in zip(ours, theirs, strict=True))
        print(
            f"{Path(network).name} on {Path(config).name}: {len(ours)} layers, {sum(channels(topology))} rows, "
            f"{equal} equal; cycles {sum(theirs):,} by SCALE-Sim, {sum(ours):,} by systole",
            flush=True,
        )
        return equal == len(ours)


def main():
    if len(sys.argv) < 3 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    sys.exit(int(not all([one(network, sys.argv[1]) for network in sys.argv[2:]])))


if __name__ == "__main__":
    main()
