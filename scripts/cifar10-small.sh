#!/usr/bin/env bash
# scripts/cifar10-small.sh DATA [FOLDER]: five searches of search-spaces/cifar10-small.yaml on CIFAR-10, two at a time
# with one thread each: the exact cost at two weights of latency,
# the FLOPs proxy at three. DATA is the folder with
# cifar-10-batches-bin or the archive. Safe to repeat and to interrupt: a finished run is left alone, another goes on.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
data=${1:?the folder of CIFAR-10 is missing}
folder=${2:-results/cifar10-small}
systole=${SYSTOLE:-target/release/systole}

search() { # NAME LAMBDA COST
    "$systole" search search-spaces/cifar10-small.yaml --data "$data" --threads 1 --resume --out "$folder/$1" \
        --set "name=$1" --set "objective.lambda=$2" --set "objective.cost=$3" >"$folder/$1.log" 2>&1
}

mkdir -p "$folder"
(search expected-0.05 0.05 expected && search flops-0.01 0.01 flops) &
first=$!
(search expected-0.2 0.2 expected && search flops-0.05 0.05 flops && search flops-0.2 0.2 flops) &
second=$!
wait "$first"
wait "$second"
runs=("$folder"/expected-{0.05,0.2} "$folder"/flops-{0.01,0.05,0.2})
"$systole" pareto "${runs[@]}" --out "$folder/front"
