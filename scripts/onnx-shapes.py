#!/usr/bin/env python3
"""scripts/onnx-shapes.py FOLDER [OUT]

Compares the shape of every value in the ONNX files of FOLDER, as `systole estimate --shapes` writes them, with three others:
what ONNX's own shape inference says, what tract infers, and what ONNX Runtime puts out when it runs the network on an image
of zeros. Writes the counts, a line a file, to OUT (results/onnx-shapes.csv), and prints what differs. Exit code 1 where
anything does. Needs Python with onnx and onnxruntime; SYSTOLE names the command, TRACT_SHAPES the program of
scripts/tract-shapes, which is built otherwise (cargo, some minutes).

Columns: nodes that an output needs, their values; then for each of the three: values compared, equal, and those that it
gives no shape (inference, tract: of a length it does not know; Runtime: none).
"""

import ast
import csv
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy
import onnx
import onnxruntime

ROOT = Path(__file__).resolve().parent.parent
SYSTOLE = os.environ.get("SYSTOLE", str(ROOT / "target/release/systole"))
TRACT = ROOT / "scripts/tract-shapes"
HEADER = ["file", "nodes", "values", "inferred", "inferred_equal", "not_inferred", "tract", "tract_equal", "not_tract", "run", "run_equal", "not_run"]


def ours(path):
    """Shape of each value by its name (None where it is not known), and the number of nodes."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "shapes.csv"
        command = [SYSTOLE, "estimate", str(path), "--accel", "small-32x32", "--shapes", str(out), "--json", "--quiet"]
        subprocess.run([*command, "--allow-unknown"], check=True, stdout=subprocess.DEVNULL)
        with out.open(newline="") as file:
            rows = list(csv.DictReader(file))
    shapes = {row["value"]: tuple(ast.literal_eval(row["shape"])) if row["shape"] else None for row in rows}
    return shapes, len({row["node"] for row in rows})


def with_batch_of_one(path):
    """The model, every open dimension of its inputs set to 1, without the shapes that the file states."""
    model = onnx.load(path)
    for value in model.graph.input:
        for dimension in value.type.tensor_type.shape.dim:
            if not dimension.HasField("dim_value"):
                dimension.dim_value = 1
    del model.graph.value_info[:]
    return model


def inferred(model):
    """Shapes by ONNX's inference; a value of which it does not know every length is left out."""
    graph = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
    shapes = {}
    for value in [*graph.value_info, *graph.output]:
        tensor = value.type.tensor_type
        if tensor.HasField("shape") and all(dimension.HasField("dim_value") for dimension in tensor.shape.dim):
            shapes[value.name] = tuple(dimension.dim_value for dimension in tensor.shape.dim)
    return shapes


def tract_program():
    """The program that prints tract's shapes."""
    if "TRACT_SHAPES" in os.environ:
        return os.environ["TRACT_SHAPES"]
    subprocess.run(["cargo", "build", "--release", "--manifest-path", str(TRACT / "Cargo.toml")], check=True)
    return str(TRACT / "target/release/tract-shapes")


def by_tract(model, program):
    """Shapes that tract infers."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.onnx"
        onnx.save(model, file)
        done = subprocess.run([program, str(file)], stdout=subprocess.PIPE, text=True)
    pairs = (line.rsplit(",", 1) for line in done.stdout.splitlines())
    return {name: tuple(map(int, dims.split())) for name, dims in pairs}


def run(model, names):
    """Shapes of the values `names` when the network runs."""
    there = {value.name for value in model.graph.output}
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in there)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.onnx"
        onnx.save(model, file)
        session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    image = {value.name: numpy.zeros(value.shape, numpy.float32) for value in session.get_inputs()}
    outputs = session.run(names, image)
    return {name: tuple(value.shape) for name, value in zip(names, outputs)}


def compare(file, what, mine, theirs):
    """Values compared, equal, and without a shape; prints what differs."""
    both = [name for name in mine if mine[name] is not None and name in theirs]
    for name in both:
        if mine[name] != theirs[name]:
            print(f"{file}: `{name}`: {list(mine[name])}, {what} says {list(theirs[name])}")
    return [len(both), sum(mine[name] == theirs[name] for name in both), len(mine) - len(both)]


def one(path, tract):
    shapes, nodes = ours(path)
    model = with_batch_of_one(path)
    of_graph = {name for node in model.graph.node for name in node.output}
    theirs = compare(path.name, "inference", shapes, inferred(model))
    theirs += compare(path.name, "tract", shapes, by_tract(model, tract))
    ran = compare(path.name, "ONNX Runtime", shapes, run(model, [name for name in shapes if name in of_graph]))
    return [path.name, nodes, len(shapes), *theirs, *ran]


def main():
    if len(sys.argv) not in (2, 3) or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    out = Path(sys.argv[2]) if len(sys.argv) == 3 else ROOT / "results/onnx-shapes.csv"
    lines, tract = [], tract_program()
    for path in sorted(Path(sys.argv[1]).glob("*.onnx")):
        lines.append(one(path, tract))
        print(",".join(map(str, lines[-1])), flush=True)
    total = ["all", *(sum(column) for column in list(zip(*lines))[1:])]
    unfinished = out.with_suffix(".part")
    with unfinished.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([HEADER, *lines, total])
    unfinished.rename(out)
    print(",".join(map(str, total)))
    sys.exit(int(any(total[place] != total[place + 1] for place in (3, 6, 9))))


if __name__ == "__main__":
    main()
