#!/usr/bin/env bash
# Runs tests where hidden mistakes show.
#
#   ci/sanitizers.sh chaos      in chaos mode (scheduler/src/testing/chaos.rs); prints the seed
#   ci/sanitizers.sh thread     under ThreadSanitizer
#   ci/sanitizers.sh address    under AddressSanitizer
#   ci/sanitizers.sh miri       in miri
#   ci/sanitizers.sh get TOOL   installs what `thread`, `address`, or `miri` needs, or fails
#   ci/sanitizers.sh build TOOL builds what `thread` or `address` runs
#
# The sanitizers need a nightly toolchain with `rust-src` (ThreadSanitizer needs a std that is built
# with it), and miri needs one with `miri`. Each runs only the most important tests: a sanitizer
# makes a test ten times as slow, and all of them together have ten minutes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
readonly target=x86_64-unknown-linux-gnu

# The sanitizers are told about switches of stacks only on x86-64 Linux.
get() {
    local component=rust-src
    [[ $1 != miri ]] || component=miri
    [[ $(uname -sm) == "Linux x86_64" ]] || return 1
    rustup component add --toolchain nightly "$component" ||
        rustup toolchain install nightly --profile minimal --component "$component" --no-self-update
}

# These are left out: tests that count allocations, since chaos starts threads; tests of what holds
# for goroutines that keep their P, such as an order, since chaos takes it (`sched`, `allocations`);
# tests with a million of everything (`timers_crowd`); tests without behavior at run time (`ui`,
# `api`); and the slowest storms.
chaos() {
    export GREENTHREAD_CHAOS=${GREENTHREAD_CHAOS:-$((RANDOM + 1))}
    echo "GREENTHREAD_CHAOS=$GREENTHREAD_CHAOS"
    run_tests greenthread/isolated chaos:: crash:: environment:: netpoll_alone:: signals::
    run_tests greenthread/goroutine --skip block_on::
    run_tests greenthread/time func_timer::
    run_tests greenthread/net --skip busy:: --skip serve::
    run_tests greenthread/netpoll descriptors::
    run_tests greenthread/stress --skip park:: --skip resize:: --skip spawn::
    run_tests greenthread/sync --skip condvar:: --skip limits:: --skip shared:: --skip singleflight::
    run_tests greenthread-channels/channel --skip clock:: --skip stress::
    run_tests greenthread-channels/select macros:: model::
    ((failed == 0))
}

failed=0

# run_tests PACKAGE/PROGRAM FILTER...: runs some tests of one test program.
run_tests() {
    local program=$1
    shift
    cargo "${cargo[@]}" "${options[@]}" --package "${program%/*}" --test "${program#*/}" -- "$@" || failed=1
}
cargo=(test)
options=()

# sanitize SANITIZER CARGO-OPTION...: makes run_tests build with a sanitizer.
sanitize() {
    export GREENTHREAD_SANITIZER=$1
    shift
    # A separate folder, since everything is built differently.
    export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/$GREENTHREAD_SANITIZER CARGO_INCREMENTAL=0
    export RUSTFLAGS="-Zsanitizer=$GREENTHREAD_SANITIZER --cfg crossbeam_sanitize"
    export CARGO_PROFILE_DEV_OPT_LEVEL=1 CARGO_PROFILE_DEV_DEBUG=line-tables-only
    export TSAN_OPTIONS="suppressions=$PWD/ci/tsan-suppressions.txt"
    # The migration guard searches stacks, so locals must be on them. Goroutines that never end
    # leak.
    export ASAN_OPTIONS=detect_stack_use_after_return=0:detect_leaks=0
    cargo=(+nightly test)
    options=(--target "$target" "$@")
}

# miri cannot run switches of stacks (inline assembly), `madvise`, or huge pages (so no blocks of
# goroutines), and therefore no goroutines. The timer heap beside a sorted map and the chain of
# blocks beside a deque take too long in it.
miri() {
    export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/miri MIRIFLAGS="-Zmiri-disable-isolation -Zmiri-permissive-provenance"
    cargo +nightly miri test -p greenthread-scheduler --lib -- --skip timer_heap protocol::
    cargo +nightly miri test -p greenthread-channels --lib -- --skip a_chain_grows buffer::
}

# sanitized SANITIZER CARGO-OPTION...: runs the tests for a sanitizer.
sanitized() {
    case $1 in
        thread)
            sanitize "$@" -Zbuild-std
            run_tests greenthread/sanitizers
            run_tests greenthread/stress steal:: hogs::
            run_tests greenthread/goroutine panics:: scope:: foreign:: os_thread::
            run_tests greenthread/time sleep::
            run_tests greenthread/sync mutex::
            run_tests greenthread/net tcp::
            ;;
        address)
            sanitize "$@"
            run_tests greenthread/sanitizers
            run_tests greenthread/stress park::
            run_tests greenthread/goroutine panics:: scope::
            ;;
    esac
    ((failed == 0))
}

case ${1-} in
    chaos) chaos ;;
    thread | address) sanitized "$1" ;;
    build) sanitized "$2" --no-run ;;
    miri) miri ;;
    get) get "$2" ;;
    *)
        sed -n '2,9s/^# \{0,1\}//p' "$0"
        exit 2
        ;;
esac
