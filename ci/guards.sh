#!/usr/bin/env bash
# Runs the tests of stacks and overflows with each method of making guard areas.
#
# The scheduler's own tests of stacks try all methods by themselves; here the tests of whole
# programs run with each. A method that the kernel does not support is named and skipped.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

cargo test -p greenthread-scheduler --lib stack::
status=0
for method in install userfault holes mprotect; do
    echo "--- guards by $method"
    if GREENTHREAD_GUARDS=$method cargo run -q -p greenthread-examples --bin parked -- 10 2>&1 |
        grep "are not available"; then
        echo "guards: SKIPPED $method: this kernel does not support it"
        continue
    fi
    for test in goroutine/stacks isolated/crash isolated/faults; do
        GREENTHREAD_GUARDS=$method cargo test -p greenthread --test "${test%/*}" -- "${test#*/}::" || status=1
    done
done
exit "$status"
