#!/usr/bin/env bash
# Builds a program and its dependencies with `panic = "abort"`, and checks that it works and that a
# panic ends the process.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

cargo build -p greenthread-abort --profile abort
bin=${CARGO_TARGET_DIR:-target}/abort/greenthread-abort
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
ulimit -c 0

fail() {
    echo "abort: $*" >&2
    cat "$out/stdout" "$out/stderr" >&2
    exit 1
}

# run PROGRAM: writes its output to $out, and sets status
run() {
    status=0
    # In its own shell, whose message "Aborted" goes into the file too.
    bash -c 'timeout 30 "$0" "$1"; exit $?' "$bin" "$1" >"$out/stdout" 2>"$out/stderr" || status=$?
}

for procs in 1 2 4; do
    export GOMAXPROCS=$procs
    run works
    [[ $status == 0 && $(cat "$out/stdout") == $'4950 7\n4950' ]] || fail "works: status $status"
    for program in panics panics_with_a_destructor panics_in_catch_unwind; do
        run "$program"
        [[ $status == 134 && ! -s $out/stdout ]] || fail "$program: status $status"
        grep -q "^goroutine [0-9]* 'unlucky', spawned at runtime/tests/abort/src/main.rs:" "$out/stderr" ||
            fail "$program: the goroutine is not named"
        grep -q thirteen "$out/stderr" || fail "$program: the message is missing"
    done
    run exits_goroutine
    [[ $status == 134 && ! -s $out/stdout ]] || fail "exits_goroutine: status $status"
    grep -q 'exit_goroutine: .*panic = "abort"' "$out/stderr" || fail "exits_goroutine: the reason is missing"
done
echo "abort: panics end the process, and everything else works"
