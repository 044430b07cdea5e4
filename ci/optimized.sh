#!/usr/bin/env bash
# Runs the tests of what the optimizer may break, built as programs are built for production.
#
#   ci/optimized.sh           in all configurations
#   ci/optimized.sh NAME...   in these: fat, thin, size, speed
#
# The tests are about stacks, switches between them, and addresses of thread-locals that the
# compiler keeps. Where the compiler keeps them depends on link-time optimization, frame pointers,
# the level of optimization, and the number of codegen units. Only the programs that test this are
# built. Each configuration has its own folder under the target folder, so the next run builds only
# what has changed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# NAME: LTO OPT-LEVEL CODEGEN-UNITS FRAME-POINTERS TEST...; a test is a program, which link-time
# optimization compiles again, and after a slash the module to run.
declare -rA ways=(
    [fat]="fat 3 1 yes threads/migration threads/unwinding optimized goroutine/os_thread"
    [thin]="thin 3 16 yes threads/migration optimized"
    [size]="off s 1 no threads/migration threads/unwinding optimized goroutine/os_thread goroutine/stacks"
    [speed]="off 2 16 no threads/migration threads/unwinding optimized goroutine/os_thread goroutine/stacks"
)
readonly target=${CARGO_TARGET_DIR:-target}/optimized

build_and_test() {
    local lto level units pointers tests
    read -ra tests <<<"${ways[$1]}"
    lto=${tests[0]} level=${tests[1]} units=${tests[2]} pointers=${tests[3]} tests=("${tests[@]:4}")
    echo "--- $1: lto = \"$lto\", opt-level = $level, codegen-units = $units, frame pointers: $pointers"
    local test filter result=0
    for test in "${tests[@]}"; do
        filter=()
        [[ $test != */* ]] || filter=("${test#*/}::")
        CARGO_TARGET_DIR=$target/$1 CARGO_INCREMENTAL=0 GREENTHREAD_OPTIMIZED=$1 RUSTFLAGS="-C force-frame-pointers=$pointers" \
            CARGO_PROFILE_RELEASE_LTO=$lto CARGO_PROFILE_RELEASE_OPT_LEVEL=$level CARGO_PROFILE_RELEASE_CODEGEN_UNITS=$units \
            CARGO_PROFILE_RELEASE_DEBUG=false CARGO_PROFILE_RELEASE_STRIP=debuginfo \
            cargo test --release -p greenthread --test "${test%/*}" -- "${filter[@]}" || result=1
    done
    return "$result"
}

chosen=("$@")
((${#chosen[@]} > 0)) || chosen=(fat thin size speed)
status=0
for way in "${chosen[@]}"; do
    if [[ -z ${ways[$way]-} ]]; then
        sed -n '2,5s/^# \{0,1\}//p' "$0"
        exit 2
    fi
    build_and_test "$way" || status=1
done
exit "$status"
