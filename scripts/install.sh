#!/usr/bin/env bash
# scripts/install.sh [--check] PREFIX: copies the release build and the libraries that it needs, as real files, into
# PREFIX/bin and PREFIX/lib/systole: as `systole-torch`, beside a small `systole` without libtorch, which starts at once
# and becomes the other where something is to be trained. Called by `make install`, which builds the large one first.
# --check only looks at PREFIX.
set -euo pipefail

die() { printf 'install: %s\n' "$*" >&2; exit 2; }

check_only=
if [ "${1:-}" = --check ]; then
    check_only=1
    shift
fi
prefix=${1:-}
[ -n "$prefix" ] || die "say where: make install PREFIX=DIR (for example PREFIX=\$HOME/.local)"
prefix=${prefix/#\~\//$HOME/}
for folder in bin lib/systole; do
    if ! mkdir -p "$prefix/$folder" || ! [ -w "$prefix/$folder" ]; then
        die "cannot write to $prefix/$folder; choose another PREFIX"
    fi
done
prefix=$(cd "$prefix" && pwd)
[ -z "$check_only" ] || exit 0

cd "$(dirname "${BASH_SOURCE[0]}")/.."
target=$(cargo metadata --format-version 1 --no-deps --offline |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')
binary=$target/release/systole
[ -x "$binary" ] || die "$binary is not built; run \`make install\`"

# A new file under the final name at once: a running command keeps the old one.
put() {
    local mode=$1 from=$2 to=$3
    ! cmp --quiet "$from" "$to" || return 0
    install -m "$mode" "$from" "$to.new"
    mv -f "$to.new" "$to"
}

# Everything that the binary maps from libtorch's folders; the rest is the system's.
libtorch=$(cd "${LIBTORCH:-libtorch/torch}" && pwd -P)
libraries() {
    local name path
    LD_LIBRARY_PATH="$libtorch/lib" ldd "$binary" | while read -r name _ path _; do
        [ -e "$path" ] || continue
        path=$(cd "$(dirname "$path")" && pwd -P)/$name
        case "$path" in
            "$libtorch"/* | "$(dirname "$libtorch")"/nvidia/*) printf '%s\n' "$path" ;;
        esac
    done
}

found=$(libraries)
grep -q '/libtorch_cpu\.so' <<<"$found" || die "$binary does not use $libtorch; run \`make build\`"
while read -r path; do
    put 644 "$path" "$prefix/lib/systole/$(basename "$path")"
done <<<"$found"
if [ -d "$libtorch/../licenses" ]; then
    cp -R "$libtorch/../licenses" "$prefix/lib/systole/"
fi
cargo build --release --no-default-features --features cli --target-dir "$target/without-torch"
put 755 "$binary" "$prefix/bin/systole-torch"
put 755 "$target/without-torch/release/systole" "$prefix/bin/systole"

echo "installed $prefix/bin/systole with its libraries in $prefix/lib/systole" >&2
case ":$PATH:" in
    *":$prefix/bin:"*) ;;
    *) echo "$prefix/bin is not in PATH" >&2 ;;
esac
