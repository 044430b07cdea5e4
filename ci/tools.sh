#!/usr/bin/env bash
# Makes sure that what the other steps use is there. Touches the system only where something is missing.
set -euo pipefail

missing=()
command -v cc >/dev/null || missing+=(gcc libc6-dev)
command -v sha256sum >/dev/null || missing+=(coreutils)
command -v redis-benchmark >/dev/null || missing+=(redis-tools)
command -v curl >/dev/null || missing+=(curl)
command -v wrk >/dev/null || missing+=(wrk)
if ((${#missing[@]} > 0)); then
    echo "installing ${missing[*]}"
    apt-get update
    apt-get install --yes --no-install-recommends "${missing[@]}"
fi
# Only checks scripts: without it that step is skipped, and says so.
if ! command -v shellcheck >/dev/null; then
    { apt-get update && apt-get install --yes --no-install-recommends shellcheck; } || echo "shellcheck cannot be installed"
fi
rustup component add rustfmt clippy
rustc --version --verbose
