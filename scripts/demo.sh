#!/usr/bin/env bash
# scripts/demo.sh [FLAG...]: runs search-spaces/demo.yaml; an unfinished run is resumed, else the next free folder
# is taken: results/demo-s0, results/demo-s0-2, ... Further flags go to `systole search`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

folder=results/demo-s0
number=1
finished() { [ -e "$1/summary.json" ] && ! grep -q '"stop_reason": "interrupted"' "$1/summary.json"; }
while finished "$folder"; do
    number=$((number + 1))
    folder=results/demo-s0-$number
done

resume=()
if [ -e "$folder" ]; then
    resume=(--resume)
    echo "resuming $folder" >&2
fi
exec cargo run --release --quiet -- search search-spaces/demo.yaml --out "$folder" ${resume[@]+"${resume[@]}"} "$@"
