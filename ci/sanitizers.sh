#!/usr/bin/env bash
# The tests again, where mistakes show that hide otherwise.
#
#   ci/sanitizers.sh chaos      with the scheduler in chaos mode (scheduler/src/testing/chaos.rs); the seed is printed
#   ci/sanitizers.sh thread     under ThreadSanitizer
#   ci/sanitizers.sh address    under AddressSanitizer
#   ci/sanitizers.sh miri       in miri
#   ci/sanitizers.sh get TOOL   fetches what `thread`, `address` or `miri` needs; fails if that cannot be had
#   ci/sanitizers.sh build TOOL builds what `thread` or `address` runs
#
# They need a nightly toolchain, with `miri` or with `rust-src` (ThreadSanitizer wants a std that is built with it). Each runs
# the tests that matter most, not all: a sanitizer multiplies the time of a test by ten, and all of this has ten minutes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
readonly target=x86_64-unknown-linux-gnu

# The switch of stacks is made known to the sanitizers on one kind of machine.
get() {
    local component=rust-src
    [[ $1 != miri ]] || component=miri
    [[ $(uname -sm) == "Linux x86_64" ]] || return 1
    rustup component add --toolchain nightly "$component" ||
        rustup toolchain install nightly --profile minimal --component "$component" --no-self-update
}

# Left out: what counts allocations (chaos starts threads) and what promises an order, or one at a time, to goroutines that keep their P
# (chaos takes it: `sched`, `allocations`); what has a million of everything (`timers_crowd`); what tests no behaviour at run
# time (`ui`, `api`); and the slowest storms.
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

# run_tests PACKAGE/PROGRAM FILTER...: some tests of one test program.
run_tests() {
    local target=$1
    shift
    cargo "${cargo[@]}" "${options[@]}" --package "${target%/*}" --test "${target#*/}" -- "$@" || failed=1
}
cargo=(test)
options=()

# sanitize SANITIZER CARGO-OPTION...
sanitize() {
    export GREENTHREAD_SANITIZER=$1
    shift
    # A folder of its own: everything is built differently.
    export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/$GREENTHREAD_SANITIZER CARGO_INCREMENTAL=0
    export RUSTFLAGS="-Zsanitizer=$GREENTHREAD_SANITIZER --cfg crossbeam_sanitize"
    export CARGO_PROFILE_DEV_OPT_LEVEL=1 CARGO_PROFILE_DEV_DEBUG=line-tables-only
    export TSAN_OPTIONS="suppressions=$PWD/ci/tsan-suppressions.txt"
    # The migration guard searches stacks, so locals must be on them; and goroutines that never end leave theirs behind.
    export ASAN_OPTIONS=detect_stack_use_after_return=0:detect_leaks=0
    cargo=(+nightly test)
    options=(--target "$target" "$@")
}

# What miri cannot run: switches of stacks (inline assembly), `madvise` and huge pages (so no blocks of goroutines), and
# therefore no goroutine. Too long for it: the timer heap beside a sorted map, the chain of blocks beside a deque.
miri() {
    export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/miri MIRIFLAGS="-Zmiri-disable-isolation -Zmiri-permissive-provenance"
    cargo +nightly miri test -p greenthread-scheduler --lib -- --skip timer_heap protocol::
    cargo +nightly miri test -p greenthread-channels --lib -- --skip a_chain_grows buffer::
}

# sanitized SANITIZER CARGO-OPTION...: the tests that are run with one.
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
        sed -n '2,10s/^# \{0,1\}//p' "$0"
        exit 2
        ;;
esac
