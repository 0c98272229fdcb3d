#!/usr/bin/env bash
# Fetches libtorch 2.11.0 into libtorch/ and tells cargo where it is: see usage below.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: scripts/get-libtorch.sh

Fetches libtorch 2.11.0 (544 MB to download, 500 MB on disk) into libtorch/ at the root of the repository
and writes .cargo/local.toml, after which plain cargo commands find it. Does nothing where that is done.

The libraries come from three wheels of the Python package index; each must have the SHA-256 written in
scripts/libtorch-requirements.txt. No Python part of them is kept or used.

LIBTORCH   a libtorch 2.11.0 of your own (a folder with lib/ and include/): then nothing is fetched
TEXT
}

# Counts up when this script lays the folder out in another way, so that what it made before is not reused.
layout=1

say() { printf 'libtorch: %s\n' "$*" >&2; }
die() { say "$@"; exit 2; }

case "${1:-}" in
    '') ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
esac

cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
requirements=scripts/libtorch-requirements.txt
dest=libtorch
partial=libtorch.partial
old=libtorch.old
local_config=.cargo/local.toml

check_own_libtorch() {
    if ! [ -e "$LIBTORCH/lib/libtorch_cpu.so" ] || ! [ -d "$LIBTORCH/include" ]; then
        die "LIBTORCH=$LIBTORCH is set but holds no lib/libtorch_cpu.so and include/; correct it, or unset it to fetch libtorch"
    fi
    say "using your own, LIBTORCH=$LIBTORCH; nothing is fetched, and cargo finds it while LIBTORCH is set"
}

check_system() {
    [ "$(uname -s)-$(uname -m)" = Linux-x86_64 ] ||
        die "only Linux on x86-64 has the full command; here, build \`cargo install --path . --no-default-features --features cli\` (estimate, pareto, check, accel)"
    scripts/need.sh python3 pip
}

# What the folder must have been made from to be reused.
stamp() { printf 'layout %s\n' "$layout"; sha256sum <"$requirements"; }

is_complete() {
    [ -e "$dest/torch/lib/libtorch_cpu.so" ] && [ -e "$dest/stamp" ] && [ "$(cat "$dest/stamp")" = "$(stamp)" ]
}

# The tags and the Python version are those of the wheels, whatever Python runs here.
download() {
    local quiet=()
    [ -t 2 ] || quiet=(--quiet)
    PIP_REQUIRE_VIRTUALENV=0 python3 -m pip download ${quiet[@]+"${quiet[@]}"} --disable-pip-version-check --no-cache-dir \
        --require-hashes --no-deps --only-binary=:all: \
        --platform manylinux_2_28_x86_64 --platform manylinux_2_25_x86_64 --platform manylinux2014_x86_64 \
        --implementation cp --python-version 311 --abi cp311 --abi none \
        --dest "$partial/wheels" --requirement "$requirements" ||
        die "the download failed, for the reason above; after a lost connection repeat the command"
}

unpack() {
    python3 - "$partial/wheels" "$partial/tree" <<'PYTHON'
import pathlib, re, sys, zipfile

wheels, tree = map(pathlib.Path, sys.argv[1:])
keep = re.compile(
    r"torch/include/"
    r"|torch/lib/(libtorch_cpu\.so|libc10\.so|libgomp\.so\.1)$"
    r"|nvidia/cu13/lib/lib(cudart|cupti)\.so\.13$"
    r"|[^/]+\.dist-info/licenses/[^/]+$"
)
for wheel in sorted(wheels.glob("*.whl")):
    with zipfile.ZipFile(wheel) as archive:
        for name in filter(keep.match, archive.namelist()):
            archive.extract(name, tree)
for folder in list(tree.glob("*.dist-info")):
    (tree / "licenses").mkdir(exist_ok=True)
    (folder / "licenses").rename(tree / "licenses" / folder.name.split("-")[0])
    folder.rmdir()
PYTHON
    # torch-sys asks for -ltorch; the real libtorch.so would draw libtorch_cuda.so in.
    ln -sf libc10.so "$partial/tree/torch/lib/libtorch.so"
    echo 2.11.0 >"$partial/tree/torch/build-version"
    stamp >"$partial/tree/stamp"
}

# Written last, so that cargo never sees half a libtorch.
write_local_config() {
    cat >"$local_config.new" <<'TOML'
# Written by `make libtorch`.
[env]
LIBTORCH = { value = "libtorch/torch", relative = true }
TOML
    mv "$local_config.new" "$local_config"
}

if [ -n "${LIBTORCH:-}" ]; then
    check_own_libtorch
    exit 0
fi
check_system

# One at a time; the lock goes with this process, however it ends.
exec 9<"scripts/get-libtorch.sh"
if ! flock --nonblock 9; then
    say "another run is at it; waiting"
    flock 9
fi

if ! is_complete; then
    say "fetching libtorch 2.11.0 (544 MB)"
    rm -rf "$partial" "$local_config"
    mkdir -p "$partial/wheels" "$partial/tree"
    download
    unpack
    rm -rf "$old"
    [ ! -e "$dest" ] || mv "$dest" "$old"
    mv "$partial/tree" "$dest"
    rm -rf "$partial" "$old"
    say "ready in $root/$dest"
fi
write_local_config
