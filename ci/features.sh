#!/usr/bin/env bash
# Checks the facade without its features and with each feature alone.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

crates() {
    cargo tree -p greenthread -e normal --prefix none --no-default-features --features "$1" |
        sed 's/ (\*)$//' | sort --unique | wc -l
}

# greenthread::process exists with net and signal together.
for features in '' map net patterns signal net,signal; do
    cargo rustc --quiet -p greenthread --lib --profile check --no-default-features --features "$features" -- -D warnings
    echo "features: ${features:-none} passes, with $(crates "$features") crates"
done
