#!/usr/bin/env bash
# Runs crossbeam-channel's own tests, examples, and documentation against our channels: once on
# threads, as they are, and once with goroutines instead of threads, on 1, 2, and 4 Ps.
# `crossbeam.sh fetch` only downloads what that needs; `crossbeam.sh build` builds it, too.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# The version to download. Our Cargo.lock has its checksum.
readonly version=0.5.17
# The limit for one file of tests, in seconds; the longest takes 11.
readonly limit=90
# Most tests sleep most of the time, so many run at once. Those of golang.rs run one by one, since
# one of them counts the allocations of the whole process.
readonly files_at_once=4 tests_at_once=16
# Files that rely on milliseconds. Each runs alone, and once more if it fails.
readonly timed=(after never tick)

root=$PWD
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target}
# As in the workspace: full debug information takes long to link.
export CARGO_PROFILE_DEV_DEBUG=line-tables-only
mkdir -p "$CARGO_TARGET_DIR"
CARGO_TARGET_DIR=$(cd "$CARGO_TARGET_DIR" && pwd)
work=$CARGO_TARGET_DIR/crossbeam
mkdir -p "$work"
theirs=$work/source/vendor/crossbeam-channel

# Tests to skip: mode, file, test, reason. A mode is `threads` or `goroutines`.
readonly skips=(
    "goroutines|thread_locals|use_while_exiting|it tests the end of a thread, which a goroutine does not have"
)

# package NAME: makes a package outside of the workspace, with the versions from our Cargo.lock; the
# rest of the manifest comes from stdin.
package() {
    mkdir -p "$work/$1/src"
    cp Cargo.lock "$work/$1/"
    {
        printf '[package]\nname = "crossbeam-%s"\nedition = "2021"\n\n' "$1"
        printf '[workspace]\n\n[lints.rust]\nwarnings = "allow"\n'
        cat
    } >"$work/$1/Cargo.toml"
}

# Prints the dependencies that both packages of tests have.
dependencies() {
    cat <<END

[dependencies]
crossbeam-channel = { package = "greenthread-channels", path = "$root/channels" }
rand = "0.8"
signal-hook = "0.3"
END
}

# Makes the package for threads. Tests and examples stay as they are. The documentation becomes that
# of a library without code, in the edition whose examples are compiled together. There are two
# edits: a macro in mpsc.rs calls a hidden part of select! instead of select! itself; and assertions
# that something takes at most some milliseconds are removed, since they test the machine.
make_threads() {
    local file
    package threads <<END

[lib]
edition = "2024"
$(dependencies)
crossbeam-utils = "0.8"
END
    rm -rf "$work/threads/tests" "$work/threads/examples"
    cp -r "$theirs/tests" "$theirs/examples" "$work/threads/"
    sed -i '/const _IS_BIASED/d; s/cc::crossbeam_channel_internal!/cc::select!/' "$work/threads/tests/mpsc.rs"
    sed -i -e '/^ *assert!(.* <= ms([0-9]*));$/d' -e '/^ *assert!(start + ms([0-9]*) > t[0-9]);$/d' \
        -e '/^ *assert!(now - fired < fired - start);$/d' "$work"/threads/tests/*.rs
    for file in lib channel err select select_macro; do
        sed -n 's|^ *//[/!]|//!|p' "$theirs/src/$file.rs" >"$work/threads/src/$file.rs"
    done
    printf 'mod %s;\n' channel err select select_macro >>"$work/threads/src/lib.rs"
}

# Makes the package for goroutines, from the tests of the other. `ThreadRng` must not be held across
# a park, so `StdRng` replaces it.
make_goroutines() {
    package goroutines <<END

[lib]
name = "crossbeam_utils"
path = "$root/ci/crossbeam/goroutines.rs"
$(dependencies)
greenthread = { path = "$root/runtime" }
END
    rm -rf "$work/goroutines/tests"
    cp -r "$work/threads/tests" "$work/goroutines/"
    sed -i -e 's/std::thread\>/crossbeam_utils::thread/' \
        -e 's/use rand::{thread_rng, Rng}/use rand::{rngs::StdRng, Rng, SeedableRng}/' \
        -e 's/thread_rng()/StdRng::from_entropy()/' "$work"/goroutines/tests/*.rs
}

cannot_download() {
    echo "crossbeam.sh: cannot download $1" >&2
    exit 1
}

make_packages() {
    local mode
    package source <<END

[dependencies]
crossbeam-channel = "=$version"
END
    touch "$work/source/src/lib.rs"
    (cd "$work/source" && cargo vendor --quiet >/dev/null) || cannot_download "crossbeam-channel $version"
    make_threads
    make_goroutines
    for mode in threads goroutines; do
        (cd "$work/$mode" && cargo fetch --quiet) || cannot_download "what the tests of crossbeam-channel use"
    done
    sha256sum ci/crossbeam.sh Cargo.lock >"$work/made"
}

# Makes the packages unless they were made from the same files, since cargo would rebuild what is
# newer. The lock is against a second run at the same time.
fetch() {
    (
        flock 9
        if ! sha256sum --check --status "$work/made" 2>/dev/null; then
            make_packages
        fi
    ) 9>"$work/lock"
}

# programs MODE: builds the tests of a package and prints the paths of the programs.
programs() {
    (cd "$work/$1" && cargo test --offline --quiet --no-run --message-format=json-render-diagnostics --test '*') |
        sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | sort --reverse
}

# run_file MODE PROGRAM: runs one file of tests, without those to skip.
run_file() {
    local program_file threads=$tests_at_once arguments=() skip mode file test reason
    program_file=$(file_of "$2")
    if [[ $program_file == golang ]]; then
        threads=1
    fi
    for skip in "${skips[@]}"; do
        IFS='|' read -r mode file test reason <<<"$skip"
        if [[ $mode == "$1" && $file == "$program_file" ]]; then
            echo "skips $test: $reason"
            arguments+=(--skip "$test")
        fi
    done
    timeout --kill-after=5 "$limit" "$2" --test-threads "$threads" --exact "${arguments[@]}"
}

# file_of PROGRAM: prints the name of a file of tests, without the hash at the end of its program's
# name.
file_of() {
    basename "${1%-*}"
}

failed=()

# record MODE PROGRAM OUT: runs a file, with its output in OUT and, if it fails, its status in
# OUT.status.
record() {
    rm -f "$3.status"
    run_file "$1" "$2" >"$3" 2>&1 || echo $? >"$3.status"
}

# run_suite LABEL MODE PROGRAM...: prints the whole output of failed files, and the results of the
# others.
run_suite() {
    local label=$1 mode=$2 out=$work/out others=() program file
    shift 2
    mkdir -p "$out"
    for program in "$@"; do
        file=$(file_of "$program")
        if [[ " ${timed[*]} " != *" $file "* ]]; then
            others+=("$program")
            continue
        fi
        record "$mode" "$program" "$out/$file"
        if [[ -e $out/$file.status ]]; then
            echo "$label: $file: failed; runs again, since it relies on milliseconds"
            sed -n '/^failures:/,$p' "$out/$file"
            record "$mode" "$program" "$out/$file"
        fi
    done
    for program in "${others[@]}"; do
        while (($(jobs -pr | wc -l) >= files_at_once)); do
            wait -n || true
        done
        record "$mode" "$program" "$out/$(file_of "$program")" &
    done
    wait
    for program in "$@"; do
        file=$(file_of "$program")
        if [[ -e $out/$file.status ]]; then
            failed+=("$label: $file")
            printf -- '--- %s: %s: FAILED with status %d (124: out of time)\n' "$label" "$file" "$(<"$out/$file.status")"
            cat "$out/$file"
        else
            sed -n "s/^\(skips .*\|test result: .*\)/$label: $file: \1/p" "$out/$file"
        fi
    done
}

# expect EXAMPLE LINES PATTERN: checks how many lines of its output match. An example that does not
# end is interrupted.
expect() {
    local lines
    lines=$(timeout --preserve-status --signal=INT 2 "$CARGO_TARGET_DIR/debug/examples/$1" | grep --count -- "$3" || true)
    if ((lines == $2)); then
        echo "example $1: ok"
    else
        failed+=("example $1")
        echo "--- example $1: FAILED: $lines lines match \"$3\" instead of $2"
    fi
}

run_examples() {
    (cd "$work/threads" && cargo build --offline --quiet --examples) || {
        failed+=("examples: do not compile")
        return
    }
    expect fibonacci 20 '^[0-9]*$'
    expect matching 2 ' received a message from '
    expect stopwatch 1 '^Goodbye!$'
}

case ${1-} in
    "") fetch ;;
    fetch)
        fetch
        exit
        ;;
    build)
        fetch
        programs threads
        programs goroutines
        exit
        ;;
    *)
        echo "usage: ci/crossbeam.sh [fetch | build]" >&2
        exit 2
        ;;
esac

if mapfile -t built < <(programs threads) && wait $!; then
    run_suite threads threads "${built[@]}"
else
    failed+=("threads: does not compile")
fi
run_examples
(cd "$work/threads" && cargo test --offline --quiet --doc) || failed+=("documentation")
if mapfile -t built < <(programs goroutines) && wait $!; then
    for procs in 1 2 4; do
        GOMAXPROCS=$procs run_suite "goroutines, GOMAXPROCS=$procs" goroutines "${built[@]}"
    done
else
    failed+=("goroutines: does not compile")
fi

if ((${#failed[@]} > 0)); then
    printf 'FAILED %s\n' "${failed[@]}"
    exit 1
fi
