#!/usr/bin/env bash
# Runs tests while the kernel denies system calls, as the filters of containers do.
#
#   ci/seccomp.sh            each call alone: a few tests; all together: the core of each suite
#   ci/seccomp.sh full       the core of each suite each time
#
# Each call is denied with EPERM and with ENOSYS; `ci/deny` lists the calls and installs the filter.
#
# Left out, each with its reason:
#   clone3 with EPERM  the C library starts threads by clone3 and tries clone only after ENOSYS, so
#       no program can start a thread then
#   the reports of overflows of ordinary threads, without sched_getaffinity  the C library then does
#       not tell std where a thread's stack is
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

mode=${1-usual}
case $mode in
    usual | full) ;;
    *)
        sed -n '2,7s/^# \{0,1\}//p' "$0"
        exit 2
        ;;
esac
target=$(realpath --canonicalize-missing "${CARGO_TARGET_DIR:-target}")
logs=$target/seccomp
rm -rf "$logs"
mkdir -p "$logs"
export CARGO_TARGET_DIR=$target CARGO_INCREMENTAL=0 RUST_BACKTRACE=0

cargo build --quiet --manifest-path ci/deny/Cargo.toml
deny=$target/debug/greenthread-deny
cargo test --workspace --no-run --message-format=json >"$logs/built"

# binary NAME: prints the path of a test program.
binary() {
    sed -n 's/.*"executable":"\([^"]*\/deps\/'"$1"'-[^"]*\)".*/\1/p' "$logs/built" | tail -n 1
}

# What runs: the folder, the test program, and the tests.
few=(
    'scheduler greenthread_scheduler stack::tests::guards stack::tests::faults'
    'runtime goroutine go::'
    'runtime isolated deadlock::waiting dump::goroutine_info crash::an_overflow_is'
)
core=(
    'scheduler greenthread_scheduler stack:: sys::'
    'runtime goroutine go:: spawn:: panics:: stacks::'
    'runtime sched hogs:: procs:: process::'
    'runtime time sleep:: deadlines::'
    'runtime net tcp:: serve::'
    'runtime sync mutex:: wait_group::'
    'runtime isolated deadlock:: dump:: crash::an_overflow faults:: stacks_run_out::'
    'channels channel bounded:: rendezvous:: close:: clock::'
)
[[ $mode != full ]] || few=("${core[@]}")

# check ERROR CALLS SUITE...: runs the tests under the filter, in the background.
check() {
    while (($(jobs -rp | wc -l) >= 2)); do
        wait -n || true
    done
    under_filter "$@" &
}

under_filter() {
    local error=$1 calls=$2 suite folder name tests begin=$SECONDS log skips=()
    shift 2
    log=$logs/$error-$(cut -c 1-40 <<<"$calls")
    if [[ $calls == *sched_getaffinity* ]]; then
        skips=(--skip an_overflow_of_a_thread --skip an_overflow_of_an_ordinary --skip an_overflow_of_the_schedulers
            --skip std_still_reports)
    fi
    for suite in "$@"; do
        read -r folder name tests <<<"$suite"
        # shellcheck disable=SC2086
        if ! (cd "$folder" && timeout 300 "$deny" "$error" "$calls" "$(binary "$name")" $tests "${skips[@]}") >>"$log" 2>&1; then
            echo "FAILED: $name $tests, with $calls denied by $error; output: $log"
            grep -aE -A 5 'panicked at|FAILED' "$log" | head -n 40 || true
            touch "$logs/failed"
        fi
    done
    printf '%s %s: %d s\n' "$error" "$calls" $((SECONDS - begin))
}

# Those that take longest begin first.
all=$("$deny" list | paste -sd ,)
check ENOSYS "$all" "${core[@]}"
check EPERM "${all/,clone3/}" "${core[@]}"
for error in EPERM ENOSYS; do
    while read -r call; do
        [[ $error-$call == EPERM-clone3 ]] || check "$error" "$call" "${few[@]}"
    done < <("$deny" list)
done
wait
[[ ! -e $logs/failed ]]
