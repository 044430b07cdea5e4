#!/usr/bin/env bash
# Installs the programs that the other steps use, if they are missing.
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
# It only checks scripts; without it, that step is skipped.
if ! command -v shellcheck >/dev/null; then
    { apt-get update && apt-get install --yes --no-install-recommends shellcheck; } || echo "cannot install shellcheck"
fi
rustup component add rustfmt clippy
rustc --version --verbose
