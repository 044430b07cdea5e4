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
# (chaos takes it: `procs`, `yield_and_fairness`, `allocations`); what has a million of everything (`timers_crowd`); what tests
# no behaviour at run time (`ui`, `api`, `tidy`); and the slowest storms.
chaos() {
    export GREENTHREAD_CHAOS=${GREENTHREAD_CHAOS:-$((RANDOM + 1))}
    echo "GREENTHREAD_CHAOS=$GREENTHREAD_CHAOS"
    local runtime=(chaos crash environment foreign func_timer net_close net_kinds net_limits net_tcp netpoll netpoll_alone os_thread panics
        scope signals spawn stacks stress_hogs stress_mixed stress_steal sync_barrier sync_errgroup sync_mutex sync_once sync_rwlock
        sync_semaphore sync_wait_group)
    local channels=(bounded close drops fifo go_conformance histories iteration rendezvous select_macro select_model thread_exit try_ops
        unbounded)
    cargo test --no-fail-fast -p greenthread "${runtime[@]/#/--test=}"
    cargo test --no-fail-fast -p greenthread-channels "${channels[@]/#/--test=}"
}

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
    cargo +nightly test --no-fail-fast --target "$target" "$@"
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
    local tests
    case $1 in
        thread)
            tests=(sanitizers stress_steal stress_hogs panics scope foreign os_thread timers sync_mutex net_tcp)
            sanitize "$@" -Zbuild-std -p greenthread "${tests[@]/#/--test=}"
            ;;
        address)
            tests=(sanitizers stress_park panics scope)
            sanitize "$@" -p greenthread "${tests[@]/#/--test=}"
            ;;
    esac
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
