#!/usr/bin/env bash
# Runs a command on the CUDA libraries of an installed PyTorch: see usage below.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: scripts/run-on-cuda.sh COMMAND [ARGUMENT...]
       scripts/run-on-cuda.sh target/release/systole search search-spaces/cifar10-small.yaml --device cuda

The binary is linked against the small libtorch for CPUs and finds CUDA when it starts beside a full one. This
script looks up the folder of Python's torch 2.11.0 (without importing it), puts its libraries first, and runs
COMMAND; no second build is needed. A LIBTORCH in the environment is used instead of Python's torch.

PYTHON     the Python that has torch (default: python3)
TEXT
}

die() { printf 'run-on-cuda: %s\n' "$*" >&2; exit 2; }

case "${1:-}" in
    -h | --help) usage; exit 0 ;;
    '') usage >&2; exit 2 ;;
esac

wanted=2.11.0
torch=${LIBTORCH:-}
if [ -z "$torch" ]; then
    torch=$("${PYTHON:-python3}" -c '
import importlib.util, os, sys
spec = importlib.util.find_spec("torch")
if spec is None or spec.origin is None:
    sys.exit(1)
print(os.path.dirname(spec.origin))') ||
        die "${PYTHON:-python3} has no torch; install it (pip install torch==$wanted), or set PYTHON or LIBTORCH"
fi
[ -e "$torch/lib/libtorch_cuda.so" ] || die "$torch/lib holds no libtorch_cuda.so: that torch is for CPUs only"

found=
if [ -e "$torch/version.py" ]; then
    found=$(sed -n "s/^__version__ = ['\"]\([0-9.]*\).*/\1/p" "$torch/version.py" | head -n 1)
elif [ -e "$torch/build-version" ]; then
    found=$(cut -d + -f 1 "$torch/build-version")
fi
[ -z "$found" ] || [ "$found" = "$wanted" ] || die "$torch is version $found; the binary needs $wanted"

export LD_LIBRARY_PATH="$torch/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
exec "$@"
