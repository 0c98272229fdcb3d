#!/usr/bin/env bash
# Fuzzes the readers with libFuzzer on stable Rust: every target of fuzz/ in turn, or those named.
# usage: scripts/fuzz.sh MINUTES [TARGET...]
#
# Each runs MINUTES on what earlier runs found in target/fuzz/corpus and on the repository's own examples. A target stops
# at its first find, which lies in target/fuzz/found; the other targets still run. Exit 1 where anything was found.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/need.sh cargo g++

minutes=${1:-}
if ! [[ $minutes =~ ^[1-9][0-9]{0,5}$ ]]; then
    echo "usage: scripts/fuzz.sh MINUTES [TARGET...], minutes a whole number from 1, got \`$minutes\`" >&2
    exit 2
fi
shift
all=$(sed -n 's/^name = "\([a-z_]*\)"$/\1/p' fuzz/Cargo.toml)
targets=("$@")
((${#targets[@]})) || read -ra targets <<<"${all//$'\n'/ }"

# What cargo-fuzz passes for `--sanitizer none`: coverage and comparisons, all of them stable flags.
coverage='-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table
    -Cllvm-args=-sanitizer-coverage-trace-compares'
host=$(rustc -vV | sed -n 's/^host: //p')
folder=${CARGO_TARGET_DIR:-target}/fuzz
# With --target the flags reach no build script, which could not be linked with them.
RUSTFLAGS="--cfg fuzzing ${coverage//$'\n'/ }" CARGO_TARGET_DIR=$folder \
    cargo build --release --manifest-path fuzz/Cargo.toml --target "$host" --bins

# The examples that a target starts from.
seeds() {
    case $1 in
        network) echo tests/data/*.yaml results/*/network.yaml ;;
        accelerator) echo accel-models/*.yaml ;;
        job) echo search-spaces/*.yaml tests/data/*.yaml ;;
        architecture) echo fuzz/seeds/architecture/* results/*/architecture.yaml ;;
        onnx) echo fuzz/seeds/onnx/* ;;
        measured_rows) echo fuzz/seeds/measured_rows/* ;;
        topology_conv | topology_gemm) echo tests/data/*.csv tests/data/scale-sim/*.csv ;;
        scale_sim_cfg) echo tests/data/scale-sim/*.cfg ;;
        *) echo "scripts/fuzz.sh: no seeds for $1" >&2; exit 2 ;;
    esac
}

failed=()
for target in "${targets[@]}"; do
    corpus=$folder/corpus/$target
    mkdir -p "$corpus" "$folder/found"
    for seed in $(seeds "$target"); do
        [[ ! -e $seed ]] || cp "$seed" "$corpus/"
    done
    echo "== $target: $minutes minutes"
    # A second for 8 KiB of input and a gigabyte are more than any reader may take.
    "$folder/$host/release/$target" "$corpus" -max_total_time=$((minutes * 60)) -max_len=8192 -timeout=2 \
        -rss_limit_mb=1024 -dict=fuzz/words.dict -artifact_prefix="$folder/found/$target-" -print_final_stats=1 \
        2>&1 | grep -Ev '^#|NEW_FUNC|DE: ' || failed+=("$target")
done
if ((${#failed[@]})); then
    echo "found something: ${failed[*]} (see $folder/found)"
    exit 1
fi
