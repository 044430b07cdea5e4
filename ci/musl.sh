#!/usr/bin/env bash
# Runs the tests of the libraries as static programs with musl instead of glibc.
#
#   ci/musl.sh               the tests that depend most on the C library
#   ci/musl.sh full          all of them
#
# Left out, each with its reason:
#   dump::goroutine_info_is_right, dump::sigquit_names_hogs, dump::waits_in_std_are_named  the part
#       of musl that makes system calls has no unwind tables, so the calls of a running goroutine
#       may end there
#   crash::the_runtime_is_used_after_main  std runs the destructors of the main thread's
#       thread-locals at the end of the process only in a dynamically linked program
#   faults::an_overflow_of_an_ordinary_thread  std finds no guard page below the main thread there,
#       and lets the signal end the process
#   ui.rs  compares messages of the compiler, which do not depend on the C library
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly target=x86_64-unknown-linux-musl
readonly left_out=(goroutine_info_is_right sigquit_names_hogs waits_in_std_are_named the_runtime_is_used_after_main
    an_overflow_of_an_ordinary_thread)

packages=(--package greenthread-scheduler --lib --package greenthread)
programs=(goroutine isolated net time)
case ${1-usual} in
    usual) ;;
    full)
        packages+=(--package greenthread-channels --package greenthread-ctx)
        programs+=(memory netpoll patterns sched stress sync threads allocations api channel select)
        ;;
    *)
        sed -n '2,5s/^# \{0,1\}//p' "$0"
        exit 2
        ;;
esac
for program in "${programs[@]}"; do
    packages+=(--test "$program")
done
skips=()
for test in "${left_out[@]}"; do
    skips+=(--skip "$test")
done
rustup target add "$target"
export CARGO_INCREMENTAL=0 RUST_BACKTRACE=0
# The symbolizer, unoptimized, would make dumps take long.
command=(cargo test --target "$target" "${packages[@]}" --config profile.dev.package.addr2line.opt-level=3
    --config profile.dev.package.backtrace.opt-level=3 --config profile.dev.package.object.opt-level=3)
built=$("${command[@]}" --no-run --message-format=json | sed -n 's/.*"executable":"\([^"]*\/deps\/[^"]*\)".*/\1/p')
for program in $built; do
    # A program that needs a dynamic loader names it.
    ! readelf --program-headers "$program" | grep -q INTERP || { echo "$program is not static" && exit 1; }
done
"${command[@]}" --no-fail-fast -- "${skips[@]}"
