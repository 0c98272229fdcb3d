#!/usr/bin/env bash
# scripts/demo.sh [FLAG...]: runs search-spaces/demo.yaml; an unfinished run is resumed, else the next free folder
# is taken: results/demo-s0, results/demo-s0-2, ... Then draws the front of all finished demonstrations, so that runs
# with other flags, such as `--set objective.lambda=0.02`, stand beside each other. Flags go to `systole search`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

finished() { [ -e "$1/summary.json" ] && ! grep -q '"stop_reason": "interrupted"' "$1/summary.json"; }

folder=results/demo-s0
number=1
while finished "$folder"; do
    number=$((number + 1))
    folder=results/demo-s0-$number
done

resume=()
if [ -e "$folder" ]; then
    resume=(--resume)
    echo "resuming $folder" >&2
fi
systole=(cargo run --release --quiet --)
"${systole[@]}" search search-spaces/demo.yaml --out "$folder" ${resume[@]+"${resume[@]}"} "$@"

runs=()
for run in results/demo-s0 results/demo-s0-*; do
    if finished "$run"; then
        runs+=("$run")
    fi
done
echo
"${systole[@]}" pareto "${runs[@]}" --out "$folder/front"
echo
echo "pictures: $folder/plots/*.png, $folder/front/front.png"
