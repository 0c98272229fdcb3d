#!/usr/bin/env bash
# scripts/need.sh TOOL...: names each missing tool with its cure; exit 2 if one is missing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

oldest_rust=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
missing=0

lacks() {
    printf 'missing: %s; cure: %s\n' "$1" "$2" >&2
    missing=1
}

has_cargo() {
    local found
    found=$(cargo --version 2>/dev/null | cut -d ' ' -f 2) && [ -n "$found" ] &&
        [ "$(printf '%s\n' "$oldest_rust" "${found%%-*}" | sort --version-sort | head -n 1)" = "$oldest_rust" ]
}

for tool in "$@"; do
    case "$tool" in
        cargo) has_cargo ||
            lacks "cargo $oldest_rust or newer" "install Rust from https://rustup.rs, or \`rustup update stable\`" ;;
        clippy | fmt) cargo "$tool" --version >/dev/null 2>&1 ||
            lacks "cargo $tool" "rustup component add clippy rustfmt" ;;
        g++) command -v "${CXX:-g++}" >/dev/null ||
            lacks "${CXX:-g++}, a C++17 compiler" "apt-get install g++ (Fedora: dnf install gcc-c++)" ;;
        python3) python3 -c 'import sys; sys.exit(sys.version_info < (3, 7))' 2>/dev/null ||
            lacks "python3, 3.7 or newer" "apt-get install python3 (Fedora: dnf install python3)" ;;
        pip) python3 -m pip --version >/dev/null 2>&1 ||
            lacks "pip for python3" "apt-get install python3-pip (Fedora: dnf install python3-pip)" ;;
        *) command -v "$tool" >/dev/null || lacks "$tool" "install it with your system's package manager" ;;
    esac
done
[ "$missing" -eq 0 ] || exit 2
