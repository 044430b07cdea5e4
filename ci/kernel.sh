#!/usr/bin/env bash
# Runs test programs on Debian's older kernels, in an emulated machine.
#
#   ci/kernel.sh             the tests that depend most on the kernel, on each kernel
#   ci/kernel.sh full        more tests: nearly all of these programs
#   ci/kernel.sh get         only installs the programs and downloads the kernels
#
# KERNELS=6.1 chooses the kernels: 6.1 (Debian 12) and 5.10 (Debian 11) by default. The programs are
# linked statically, since the guest has nothing but them and busybox: no C library, no disk, and no
# network except the loopback. The emulation needs no privileges; it is about five times as slow as
# the machine, so the tests are given more time (GREENTHREAD_PATIENCE).
#
# Left out, each with its reason:
#   crash::the_runtime_is_used_after_main  std runs the destructors of the main thread's
#       thread-locals at the end of the process only in a dynamically linked program
#   hogs::a_crowd_of_blocked_threads_is_found_quickly  asserts that 200 threads start and are found
#       in 200 ms, for which the emulator is too slow
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly target=x86_64-unknown-linux-gnu
# The longest time that one guest may run, in seconds; for `full`, four times as long.
limit=${KERNEL_LIMIT:-600}
read -ra kernels <<<"${KERNELS:-6.1 5.10}"
folder=$(realpath --canonicalize-missing "${CARGO_TARGET_DIR:-target}/kernel")
mkdir -p "$folder"

mode=${1-usual}
case $mode in
    usual | full | get) ;;
    *)
        sed -n '2,6s/^# \{0,1\}//p' "$0"
        exit 2
        ;;
esac
packages=(--package greenthread-scheduler --lib
    --package greenthread --test goroutine --test isolated --test sched --test stress
    --package greenthread-examples --test echo --test parked)
# The guest's memory in MiB, of which the programs take a part.
memory=4096
if [[ $mode == full ]]; then
    packages+=(--test memory --test net --test netpoll --test sync --test threads --test time
        --package greenthread-channels --test channel --test select)
    limit=$((limit * 4)) memory=8192
fi
names=()
failed=0
guest=
work=$(mktemp -d "$folder/work.XXXXXX")
# `timeout` passes the signal on to the emulator.
trap '[[ -z $guest ]] || kill -TERM "$guest" 2>/dev/null || true; rm -rf "$work"' EXIT

install_tools() {
    local missing=()
    command -v qemu-system-x86_64 >/dev/null || missing+=(qemu-system-x86)
    [[ -x /bin/busybox ]] && ! ldd /bin/busybox >/dev/null 2>&1 || missing+=(busybox-static)
    command -v cpio >/dev/null || missing+=(cpio)
    if ((${#missing[@]} > 0)); then
        echo "installing ${missing[*]}"
        apt-get update
        apt-get install --yes --no-install-recommends "${missing[@]}"
    fi
    rustup target add "$target"
}

# get VERSION: downloads a kernel from Debian's archive, checks its signature, and unpacks it to
# $folder/VERSION. Does nothing if it is there.
get() {
    local suite package dir=$folder/$1
    [[ ! -f $dir/vmlinuz ]] || return 0
    case $1 in
        6.1) suite=bookworm-security ;;
        5.10) suite=bullseye-security ;;
        *) echo "kernel: do not know where to get Linux $1" >&2 && return 2 ;;
    esac
    # Lists of packages of its own, so that the machine's stay as they are.
    mkdir -p "$work/$1/lists/partial" "$work/$1/cache"
    echo "deb [arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]" \
        "${DEBIAN_SECURITY:-http://deb.debian.org/debian-security} $suite main" >"$work/$1/sources"
    local apt=(-o "Dir::Etc::SourceList=$work/$1/sources" -o Dir::Etc::SourceParts=- -o "Dir::State::Lists=$work/$1/lists"
        -o "Dir::Cache=$work/$1/cache" -o APT::Architecture=amd64 -o APT::Sandbox::User=root -o Acquire::Languages=none
        -o Acquire::Check-Valid-Until=false)
    apt-get "${apt[@]}" -qq update
    package=$(apt-cache "${apt[@]}" depends linux-image-cloud-amd64 | sed -n 's/.*Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
    (cd "$work/$1" && apt-get "${apt[@]}" -qq download "$package")
    dpkg-deb -x "$work/$1"/linux-image-*.deb "$work/$1/root"
    mkdir -p "$dir"
    cp "$work/$1"/root/boot/vmlinuz-* "$dir/vmlinuz.new"
    mv "$dir/vmlinuz.new" "$dir/vmlinuz"
}

# build: builds the programs, and puts them where the guest will find them: at the same place, which
# the tests of the examples expect, and under a short name in /t.
build() {
    local path name
    # In the emulator, an unoptimized symbolizer would make dumps take a minute.
    CARGO_INCREMENTAL=0 RUSTFLAGS="-C target-feature=+crt-static" cargo test --no-run --target "$target" "${packages[@]}" \
        --config profile.dev.package.addr2line.opt-level=3 --config profile.dev.package.backtrace.opt-level=3 \
        --config profile.dev.package.object.opt-level=3 --message-format=json-render-diagnostics >"$work/built"
    mkdir -p "$work/root/t" "$work/root/bin"
    while read -r path; do
        name=${path##*/}
        case $path in
            */deps/*) name=${name%-*} ;;
            */echo | */parked | */deadlock) name=example-$name ;;
            *) continue ;;
        esac
        mkdir -p "$work/root${path%/*}"
        cp --link "$path" "$work/root$path" 2>/dev/null || cp "$path" "$work/root$path"
        ln -s "$path" "$work/root/t/$name"
    done < <(sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' "$work/built" | sort -u)
    cp /bin/busybox "$work/root/bin/busybox"
    cp ci/kernel/init "$work/root/init"
    chmod +x "$work/root/init"
}

# job NAME SECONDS COMMANDS: adds a job, which the guest ends after that time.
job() {
    names+=("$1")
    printf '# %d\n%s\n' "$2" "$3" >"$work/root/jobs/$(printf '%02d' "${#names[@]}")-$1"
}

# add_jobs VERSION: makes the list of jobs for a kernel, which run in the guest.
# shellcheck disable=SC2016
add_jobs() {
    names=()
    rm -rf "$work/root/jobs"
    local seed=${GREENTHREAD_CHAOS:-$((RANDOM + 1))} method methods=(userfault holes mprotect) late='--skip the_runtime_is_used_after_main' few test
    mkdir "$work/root/jobs"
    # These try every method by themselves.
    job stacks 120 '/t/greenthread_scheduler stack::'
    # Neither kernel has it: the program must say so, and use the next one.
    job refused 60 'GREENTHREAD_GUARDS=install /t/example-parked 1000 2>&1 | tee /scratch/said
        grep -q "guards by install are not available" /scratch/said && grep -q "ended: 1000" /scratch/said'
    for method in "${methods[@]}"; do
        job "goroutines-$method" 120 "GREENTHREAD_GUARDS=$method /t/goroutine stacks::"
        # A report of an overflow takes seconds in the emulator, and comes by one of two signals.
        few='crash::an_overflow_is crash::an_overflow_of_a_chosen'
        [[ $method != userfault ]] || few="crash::an_overflow faults:: $late"
        job "overflows-$method" 200 "GREENTHREAD_GUARDS=$method /t/isolated $few"
    done
    job parked-userfault 100 'GREENTHREAD_GUARDS=userfault /t/example-parked 100000'
    job parked-holes 100 'GREENTHREAD_GUARDS=holes /t/example-parked 55000'
    job parked-mprotect 100 'GREENTHREAD_GUARDS=mprotect /t/example-parked 28000'
    # An ordinary user may not open a descriptor for the faults of the kernel.
    job parked-as-nobody 100 "su nobody -s /bin/sh -c 'GREENTHREAD_GUARDS=userfault /t/example-parked 20000'"
    job echo-1000 100 '/t/echo a_thousand_idle_connections'
    # Each test of stacks by itself, since the pools of a process add up to more than the system
    # allows: half of the guest's memory. Two of them need more by themselves.
    job overcommit-stacks 120 'echo 2 >/proc/sys/vm/overcommit_memory
        for test in $(/t/greenthread_scheduler stack:: --list | sed -n "s/: test$//p" | grep -vE "live_pages|every_class"); do
            /t/greenthread_scheduler --exact "$test" || exit 1
        done'
    job overcommit-programs 200 'echo 2 >/proc/sys/vm/overcommit_memory
        /t/isolated crash::an_overflow_is crash::an_overflow_of_a_chosen && /t/goroutine go:: panics:: --test-threads=2 && GREENTHREAD_STACK=256k /t/example-parked 5000'
    # Without /proc there is no deadlock report.
    job without-proc 60 'umount /proc && /t/example-parked 5000'
    # What these test does not depend on the kernel as much, so one kernel is enough.
    if [[ $1 == "${kernels[0]}" || $mode == full ]]; then
        job hogs 200 '/t/sched hogs:: --skip a_crowd_of_blocked_threads'
        job deadlock 300 '/t/isolated deadlock'
        job dump 300 '/t/isolated dump::'
        job chaos 200 "export GREENTHREAD_CHAOS=$seed; /t/stress steal:: mixed:: && /t/isolated chaos::"
    fi
    [[ $mode == full ]] || return 0
    for test in goroutine memory net netpoll stress sync threads time channel select parked echo; do
        job "all-$test" 400 "/t/$test"
    done
    job all-sched 400 '/t/sched --skip a_crowd_of_blocked_threads'
    job all-isolated 800 "/t/isolated $late"
    job all-scheduler 400 /t/greenthread_scheduler
}

# boot VERSION: runs all jobs on a kernel, and prints what came of them.
boot() {
    local log=$folder/$1/log begin=$SECONDS name line
    echo "--- Linux $1, output: $log"
    : >"$log"
    # A guest that panics ends (`panic=-1`, `-no-reboot`). An emulated CPU that gets no time of the
    # host's is no stall of the guest.
    timeout --foreground --kill-after=5 "$limit" qemu-system-x86_64 -accel tcg,thread=multi -cpu max -smp 2 -m "$memory" \
        -nodefaults -no-reboot -display none -serial "file:$log" -kernel "$folder/$1/vmlinuz" -initrd "$work/initramfs" \
        -append "console=ttyS0 quiet panic=-1 mitigations=off rcupdate.rcu_cpu_stall_suppress=1 nowatchdog tsc=reliable" </dev/null &
    guest=$!
    tail --pid="$guest" --lines=+1 --follow "$log" | sed -un 's/\r$//; /^BOOTED\|^RESULT\|^| \|^FINISHED/p'
    wait "$guest" || echo "kernel: the emulator ended with status $?"
    guest=
    for name in "${names[@]}"; do
        line=$(grep -a "^RESULT $name " "$log" || true)
        if [[ -z $line ]]; then
            echo "FAILED: Linux $1: $name did not run to its end"
            failed=1
        elif [[ $line != "RESULT $name 0 "* ]]; then
            echo "FAILED: Linux $1: $name"
            failed=1
        fi
    done
    echo "--- Linux $1: ${#names[@]} jobs in $((SECONDS - begin)) s"
}

install_tools
for kernel in "${kernels[@]}"; do
    get "$kernel"
done
[[ $mode != get ]] || exit 0
build
for kernel in "${kernels[@]}"; do
    add_jobs "$kernel"
    (cd "$work/root" && find . | cpio --create --format newc --quiet) >"$work/initramfs"
    boot "$kernel"
done
exit "$failed"
