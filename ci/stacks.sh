#!/usr/bin/env bash
# Measures how much stack common libraries use, in debug and in release builds, and prints the table
# of docs/guide/src/stacks.md.
#
#   ci/stacks.sh
#
# Fails if a program needs more than the default stack of its build provides. Builds some 100 crates
# twice: that takes some ten minutes the first time. Needs a C compiler, for zstd and ring.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/stacks"

target=$(realpath -m "${CARGO_TARGET_DIR:-../../target}/stacks")
readonly target

# measure PROFILE: prints lines of a name, a tab, and a number of KiB.
measure() {
    CARGO_TARGET_DIR=$target CARGO_INCREMENTAL=0 cargo build --locked --quiet --profile "$1"
    # cargo calls the folder of the profile dev "debug".
    timeout 120 "$target/${1/#dev/debug}/greenthread-stacks" 2>"$target/stderr" | grep $'\t' || {
        cat "$target/stderr" >&2
        return 1
    }
}

debug=$(measure dev)
release=$(measure release)
echo '| KiB of stack | debug | release |'
echo '| --- | --- | --- |'
paste <(echo "$debug") <(cut -f2 <<<"$release") | awk -F'\t' -v usable_debug=2032 -v usable_release=368 '
    { printf "| %s | %d | %d |\n", $1, $2, $3 }
    $2 > usable_debug || $3 > usable_release { print "stacks: " $1 " needs more than the default" >"/dev/stderr"; failed = 1 }
    END { exit failed || NR < 18 }'
