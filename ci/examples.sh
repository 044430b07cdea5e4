#!/usr/bin/env bash
# Runs the larger examples once and checks their output. `cargo test` runs the small ones.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

cargo build --release -p greenthread-examples --bin digest --bin fetch --bin http --bin worker_tree
bin=${CARGO_TARGET_DIR:-target}/release
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

# digest: sha256sum agrees with every line, no file is missing, and the number of Ps does not
# matter.
folders=(scheduler channels runtime)
files=$(find "${folders[@]}" -type f | wc -l)
for procs in 1 2 8; do
    GOMAXPROCS=$procs timeout 60 "$bin/digest" "${folders[@]}" >"$out/digest.$procs"
    sha256sum --check --quiet --strict "$out/digest.$procs"
    cmp "$out/digest.1" "$out/digest.$procs"
    lines=$(wc -l <"$out/digest.$procs")
    if ((lines != files)); then
        echo "digest: GOMAXPROCS=$procs: $lines lines for $files files" >&2
        exit 1
    fi
    echo "digest: GOMAXPROCS=$procs: $lines files"
done

# worker_tree: ends when it is canceled, and leaves nothing behind.
for procs in 1 2 4; do
    GOMAXPROCS=$procs timeout 60 "$bin/worker_tree" >"$out/worker_tree"
    cmp "$out/worker_tree" - <<'END'
branch 0: context deadline exceeded
the others go on: true
9 branches: the operator said stop
left behind: 0 goroutines, 0 timers
END
    echo "worker_tree: GOMAXPROCS=$procs: nothing left behind"
done

# http and fetch, with curl and wrk.
ci/http.sh
