#!/bin/sh
# Writes results/shapes-baselines.csv: how hard the data set `shapes` is. One minute on one core, after the build.
set -eu
cd "$(dirname "$0")/.."
out=results/shapes-baselines.csv
trap 'rm -f "$out.part"' EXIT
OMP_WAIT_POLICY=PASSIVE cargo run --release --example shapes_baselines >"$out.part"
mv "$out.part" "$out"
