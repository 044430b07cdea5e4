#!/usr/bin/env bash
# Builds the guide into target/guide, and gets mdbook first if it is not there. The guide's code and the links between
# its chapters are tests of the package greenthread-guide.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly version=0.5.4
target=$(realpath --canonicalize-missing "${CARGO_TARGET_DIR:-target}")
tools=$target/tools
mdbook=$tools/bin/mdbook

# One at a time, should it be on its way already.
mkdir -p "$tools"
(
    flock 9
    if [[ "$("$mdbook" --version 2>/dev/null)" != "mdbook v$version" ]]; then
        # It builds one small book: the compiler's time counts, not its own. Optimised it takes 122 s to install on two CPUs,
        # unoptimised 73 s, without debug information 46 s. What it is built from is not kept.
        env -u CARGO_TARGET_DIR CARGO_PROFILE_DEV_DEBUG=0 cargo install mdbook --version "$version" --locked \
            --no-default-features --debug --root "$tools"
    fi
) 9>"$tools/lock"

log=$(mktemp)
trap 'rm -f "$log"' EXIT
"$mdbook" build docs/guide --dest-dir "$target/guide" 2>&1 | tee "$log"
# What is wrong with a chapter is only a warning to mdbook.
if grep --extended-regexp --quiet 'WARN|ERROR' "$log"; then
    echo "guide: mdbook has warned" >&2
    exit 1
fi
# A page for each chapter, and nothing that a page of ours names is missing.
missing=0
pages=("$target"/guide/*.html)
for page in "${pages[@]}"; do
    while read -r name; do
        if [[ ! -e $target/guide/$name ]]; then
            echo "guide: ${page##*/} links to $name, which is not there" >&2
            missing=1
        fi
    done < <(grep --only-matching --perl-regexp '(?:href|src)="\K[^"#:?]+(?=["#?])' "$page" | sort --unique)
done
echo "guide: ${#pages[@]} pages in $target/guide"
exit "$missing"
