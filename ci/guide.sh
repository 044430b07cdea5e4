#!/usr/bin/env bash
# Builds the guide into target/guide, and installs mdbook first if it is missing. The package
# greenthread-guide tests the guide's code and the links between its chapters.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly version=0.5.4
target=$(realpath --canonicalize-missing "${CARGO_TARGET_DIR:-target}")
tools=$target/tools
mdbook=$tools/bin/mdbook

# Another run may be installing it at this moment.
mkdir -p "$tools"
(
    flock 9
    if [[ "$("$mdbook" --version 2>/dev/null)" != "mdbook v$version" ]]; then
        # It builds one small book, so its compile time matters and its speed does not. On two CPUs
        # it takes 122 s to install when optimized, 73 s unoptimized, and 46 s without debug
        # information. The build directory is not kept.
        env -u CARGO_TARGET_DIR CARGO_PROFILE_DEV_DEBUG=0 cargo install mdbook --version "$version" --locked \
            --no-default-features --debug --root "$tools"
    fi
) 9>"$tools/lock"

log=$(mktemp)
trap 'rm -f "$log"' EXIT
"$mdbook" build docs/guide --dest-dir "$target/guide" 2>&1 | tee "$log"
# mdbook only warns about mistakes in a chapter.
if grep --extended-regexp --quiet 'WARN|ERROR' "$log"; then
    echo "guide: mdbook has printed warnings" >&2
    exit 1
fi
# Every file that a page refers to must exist.
missing=0
pages=("$target"/guide/*.html)
for page in "${pages[@]}"; do
    while read -r name; do
        if [[ ! -e $target/guide/$name ]]; then
            echo "guide: ${page##*/} links to $name, which does not exist" >&2
            missing=1
        fi
    done < <(grep --only-matching --perl-regexp '(?:href|src)="\K[^"#:?]+(?=["#?])' "$page" | sort --unique)
done
echo "guide: ${#pages[@]} pages in $target/guide"
exit "$missing"
