#!/bin/sh
# Writes results/shapes-baselines.csv: how hard the data set `shapes` is. Minutes on one core.
set -eu
cd "$(dirname "$0")/.."
out=results/shapes-baselines.csv
OMP_WAIT_POLICY=PASSIVE cargo run --release --example shapes_baselines >"$out.part"
mv "$out.part" "$out"
