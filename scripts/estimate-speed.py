#!/usr/bin/env python3
"""scripts/estimate-speed.py REFERENCE [BUILD=COMMAND ...]

Times `systole estimate` from process start to process end on one core, with the files in the page cache, and prints a
JSON line for each figure and build. REFERENCE is a folder whose onnx/ holds torchvision's networks as the TorchScript
exporter writes them, NAME.ts.onnx, packed as .xz or not; unpacked they take 1.3 GB of the temporary folder. Each command
runs once unmeasured, then RUNS times. BUILD=COMMAND measures a program that is there; with none named, two are built:
`library-free` (--no-default-features --features cli) and `full`. Python 3 on Linux alone.

`seconds` is the median, `least` and `most` the spread, `cpu_seconds` the median of user and system time together.
`peak_mib` is the largest resident set of the runs; none below `floor_mib` of the first line can be told, that is this
script's own.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RUNS = 5
ACCELERATORS = "edge-tpu,small-32x32,tpu-v1,tpu-v2,tpu-v3,tpu-v4,uboost-128x128"
NETWORKS = [
    "convnext_tiny",
    "densenet121",
    "efficientnet_b0",
    "googlenet",
    "mobilenet_v2",
    "mobilenet_v3_large",
    "resnet50",
    "shufflenet_v2_x1_0",
    "vgg16",
    "vit_b_16",
]
# Figure, networks, accelerators, seconds and MiB that it should stay below.
FIGURES = [
    ("ResNet-50 from ONNX to table", ["resnet50"], "tpu-v1", 0.2, None),
    ("VGG-16 from ONNX to table", ["vgg16"], "tpu-v1", 0.3, 100),
    ("ViT-B/16 from ONNX to table", ["vit_b_16"], "tpu-v1", 0.3, None),
    ("ten networks on seven accelerators", NETWORKS, ACCELERATORS, 2.0, None),
]
BUILDS = {"library-free": ["--no-default-features", "--features", "cli"], "full": []}
KIB_PER_MIB = 1024
UNPACK = """
import lzma, shutil, sys
with lzma.open(sys.argv[1]) as source, open(sys.argv[2], "wb") as file:
    shutil.copyfileobj(source, file, 1 << 20)
"""


def say(record):
    print(json.dumps(record), flush=True)


def build():
    """Both builds, each copied aside: they have one name."""
    metadata = ["cargo", "metadata", "--format-version", "1", "--no-deps", "--offline"]
    target = Path(json.loads(subprocess.run(metadata, cwd=ROOT, check=True, capture_output=True).stdout)["target_directory"])
    commands = {}
    for name, features in BUILDS.items():
        subprocess.run(["cargo", "build", "--release", "--bin", "systole", *features], cwd=ROOT, check=True)
        commands[name] = target / "estimate-speed" / name
        commands[name].parent.mkdir(exist_ok=True)
        shutil.copy2(target / "release/systole", commands[name])
    return commands


def unpack(reference, folder):
    """The networks as plain files; those that are packed are unpacked into `folder`."""
    files = {}
    for name in NETWORKS:
        plain = reference / "onnx" / f"{name}.ts.onnx"
        packed = plain.with_name(plain.name + ".xz")
        if plain.exists():
            files[name] = plain
        elif packed.exists():
            files[name] = folder / plain.name
            # By another process: the memory that unpacking takes would be the least peak that can be told.
            xz = [sys.executable, "-c", UNPACK, str(packed), str(files[name])]
            subprocess.run(xz, check=True)
        else:
            sys.exit(f"{plain}: not there, nor with .xz behind it")
    return files


def run(command):
    """Wall seconds, CPU seconds and peak MiB of one run."""
    files = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_WRONLY, 0) for fd in (1, 2)]
    environment = {**os.environ, "RAYON_NUM_THREADS": "1"}
    began = time.perf_counter()
    child = os.posix_spawn(command[0], command, environment, file_actions=files)
    _, status, usage = os.wait4(child, 0)
    seconds = time.perf_counter() - began
    if status != 0:
        sys.exit(f"wait status {status} of: {' '.join(command)}")
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / KIB_PER_MIB


def measure(command):
    run(command)
    seconds, cpu, peak = zip(*(run(command) for _ in range(RUNS)))
    return {
        "runs": RUNS,
        "seconds": round(statistics.median(seconds), 4),
        "least": round(min(seconds), 4),
        "most": round(max(seconds), 4),
        "cpu_seconds": round(statistics.median(cpu), 4),
        "peak_mib": round(max(peak), 1),
    }


def commands_of(arguments):
    pairs = [argument.partition("=") for argument in arguments]
    for name, _, command in pairs:
        if not name or not os.access(command, os.X_OK):
            sys.exit(f"BUILD=COMMAND names a program, got {name}={command}")
    return {name: Path(command).resolve() for name, _, command in pairs}


def main():
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    commands = commands_of(sys.argv[2:]) or build()
    with tempfile.TemporaryDirectory() as folder:
        files = unpack(Path(sys.argv[1]), Path(folder))
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        floor = run(["/bin/true"])[2]
        say({"load_average": round(os.getloadavg()[0], 2), "cores": 1, "floor_mib": round(floor, 1)})
        for figure, networks, accelerators, most_seconds, most_mib in FIGURES:
            for name, command in commands.items():
                asked = ["estimate", *(str(files[network]) for network in networks), "--accel", accelerators]
                measured = measure([str(command), *asked])
                limits = {"below_seconds": most_seconds, **({"below_mib": most_mib} if most_mib else {})}
                say({"figure": figure, "build": name, **measured, **limits})


if __name__ == "__main__":
    main()
