#!/usr/bin/env bash
# Runs the scheduler's tests for aarch64 Linux in an emulator (qemu-user): `ci/aarch64.sh`.
#
# The switch of stacks, thread-locals, unwinding, guards, and the handling of faults are tested
# there. Tests of faults start the test program again, for which the kernel has to know the emulator
# (binfmt_misc); without root, they are skipped.
#
# Left out, each with its reason:
#   threads_are_listed_until_they_end  the emulator makes up /proc/self/stat, with no number of
#       threads (and it has threads of its own, so deadlocks cannot be found there either)
#   every_class_gives_a_usable_stack  the emulator keeps a table of each page, and takes minutes to
#       reserve stacks of 64 GiB
#   shallow_stacks_are_left_alone  pages that were not touched count as used there; the reason is
#       not known yet
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly target=aarch64-unknown-linux-gnu
skips=(--skip threads_are_listed_until_they_end --skip every_class_gives_a_usable_stack
    --skip shallow_stacks_are_left_alone)

if (($# > 0)); then
    sed -n '2,6s/^# \{0,1\}//p' "$0"
    exit 2
fi
missing=()
command -v qemu-aarch64 >/dev/null || missing+=(qemu-user)
command -v aarch64-linux-gnu-gcc >/dev/null || missing+=(gcc-aarch64-linux-gnu)
[[ -e /usr/aarch64-linux-gnu/lib/libc.so.6 ]] || missing+=(libc6-dev-arm64-cross)
if ((${#missing[@]} > 0)); then
    echo "installing ${missing[*]}"
    apt-get update
    apt-get install --yes --no-install-recommends "${missing[@]}"
fi
rustup target add "$target"

# Programs of aarch64 are run by the emulator from here on, until this script ends.
readonly formats=/proc/sys/fs/binfmt_misc name=greenthread-aarch64
[[ -e $formats/register ]] || mount -t binfmt_misc none $formats 2>/dev/null || true
if [[ -e $formats/qemu-aarch64 ]]; then
    :
elif printf '%s' ":$name:M::\\x7fELF\\x02\\x01\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x02\\x00\\xb7\\x00:\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\x00\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xfe\\xff\\xff\\xff:$(command -v qemu-aarch64):" >$formats/register 2>/dev/null; then
    trap 'echo -1 >$formats/$name' EXIT
else
    echo "skipped: tests of faults, since binfmt_misc cannot be used here"
    skips+=(--skip stack::tests::faults)
fi

# Everything takes several times as long there.
export GREENTHREAD_PATIENCE=5 QEMU_LD_PREFIX=/usr/aarch64-linux-gnu CARGO_INCREMENTAL=0 RUST_BACKTRACE=0
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER=qemu-aarch64
cargo test --target "$target" --package greenthread-scheduler --lib -- "${skips[@]}"
