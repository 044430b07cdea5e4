#!/usr/bin/env bash
# HTTP plaintext beside Go, hyper and may_minihttp: see `--help`.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)

readonly peers=(greenthread go hyper may_minihttp)
readonly worker_counts=(1 2) depths=(1 16)
readonly connections=64
rounds=5 duration=5s port=18080

usage() {
    cat <<END
Usage: http.sh [OPTION]...

Builds the example \`http\` and its rivals, loads them in turn by wrk with one thread
and $connections connections, and prints medians as a table: GET /plaintext, with and
without pipelining, on one and two workers.

Options:
  --rounds N         how often each server has its turn (default: $rounds)
  --duration TIME    of each measurement, as wrk understands it (default: $duration)
  --port PORT        on which the servers listen, at 127.0.0.1 (default: $port)
  -h, --help         print this help and exit

Needs Linux, cargo, curl, taskset and wrk. GO names the go command; without one,
its column stays empty. CARGO_TARGET_DIR says where the programs are built.

A server with fewer workers than there are CPUs has one CPU for each of them, and wrk
the others; if there are not more CPUs than workers, all share all. Nothing else should
run meanwhile. The CPU time is that of the server, user and system together. There is
no latency with pipelining: wrk's percentiles are wrong then.

Exit status: 0; 1 if something is missing or a server fails; 2 for a wrong command
line.
END
}

fail() {
    printf 'http.sh: %s\n' "$1" >&2
    exit "${2:-1}"
}

# number NAME TEXT MAX: refuses what is not a whole number from 1 to MAX.
number() {
    if ! [[ $2 =~ ^[1-9][0-9]{0,8}$ ]] || (($2 > $3)); then
        fail "$1: '$2' is not a number from 1 to $3" 2
    fi
}

while (($# > 0)); do
    case $1 in
        -h | --help)
            usage
            exit
            ;;
        --rounds | --duration | --port)
            (($# > 1)) || fail "$1 wants a value, see --help" 2
            case $1 in
                --rounds) rounds=$2 ;;
                --duration) duration=$2 ;;
                --port) port=$2 ;;
            esac
            shift 2
            ;;
        *) fail "unknown argument '$1', see --help" 2 ;;
    esac
done
number --rounds "$rounds" 1000
number --port "$port" 65535
[[ $duration =~ ^[1-9][0-9]{0,4}[smh]?$ ]] || fail "--duration: '$duration' is not a time such as 5s" 2

for tool in cargo curl taskset wrk; do
    command -v "$tool" >/dev/null || fail "cannot find '$tool'; install it first (Debian: curl, util-linux, wrk)"
done
[[ -r /proc/self/stat ]] || fail "needs Linux: CPU times are read from /proc"

target=${CARGO_TARGET_DIR:-$root/target}
mkdir -p "$target"
target=$(cd "$target" && pwd)
declare -A program=(
    [greenthread]=$target/release/http
    [go]=$target/release/peer-http-go
    [hyper]=$target/release/peer-http-tokio
    [may_minihttp]=$target/release/peer-http-may
)

# build FOLDER ARGUMENT...: in that folder, with its lock file.
build() {
    echo "building ${1#"$root/"}" >&2
    (cd "$1" && cargo build --quiet --release --locked --target-dir "$target" "${@:2}") || fail "$1 cannot be built"
}

build "$root/examples" --bin http
build "$here/http/tokio"
build "$here/http/may"
go=${GO:-go}
if command -v "$go" >/dev/null; then
    echo "building benches/peers/http/go" >&2
    # The Go that is here, and not one that it would download.
    (cd "$here/http/go" && GOTOOLCHAIN=local "$go" build -o "${program[go]}") || fail "$here/http/go cannot be built"
else
    echo "http.sh: cannot find '$go', its column stays empty; put a \`go\` on PATH, or name one in GO" >&2
    unset 'program[go]'
fi

work=$(mktemp -d)
server=
trap '[[ -z $server ]] || kill -KILL "$server" 2>/dev/null || true; rm -rf "$work"' EXIT
readonly url=http://127.0.0.1:$port/plaintext
cpus=$(nproc)
ticks=$(getconf CLK_TCK)

# start PEER WORKERS: sets server, server_cpus and client_cpus, and returns when there is a right answer.
start() {
    local arguments=(--addr "127.0.0.1:$port")
    # Ours has no such option: it goes by GOMAXPROCS.
    [[ $1 == greenthread ]] || arguments+=(--workers "$2")
    if ((cpus > $2)); then
        server_cpus=0-$(($2 - 1)) client_cpus=$2-$((cpus - 1))
    else
        server_cpus=0-$((cpus - 1)) client_cpus=0-$((cpus - 1))
    fi
    : >"$work/listening"
    GOMAXPROCS=$2 taskset --cpu-list "$server_cpus" "${program[$1]}" "${arguments[@]}" >"$work/listening" &
    server=$!
    local n
    for ((n = 0; n < 500; n++)); do
        ! grep -q '^listening on ' "$work/listening" || break
        kill -0 "$server" 2>/dev/null || fail "$1 has ended instead of listening on port $port"
        sleep 0.01
    done
    local body
    body=$(curl --silent --show-error --fail --max-time 5 "$url") || fail "$1 does not answer"
    [[ $body == 'Hello, World!' ]] || fail "$1 answers '$body'"
}

stop() {
    kill -TERM "$server"
    timeout 15 tail --pid="$server" -f /dev/null || kill -KILL "$server"
    # By the signal, for those that do not catch it.
    wait "$server" || true
    server=
}

# The CPU time of the server so far, in clock ticks.
cpu_time() {
    local stat
    stat=$(<"/proc/$server/stat")
    # The name of the program is in parentheses, and may hold anything.
    read -ra fields <<<"${stat##*) }"
    echo $((fields[11] + fields[12]))
}

# load DEPTH TIME: sets requests, micros, p99 and errors.
load() {
    taskset --cpu-list "$client_cpus" wrk --threads 1 --connections "$connections" --duration "$2" \
        --script "$here/http.lua" "$url" -- "$1" >"$work/wrk" 2>&1 || fail "wrk: $(<"$work/wrk")"
    read -r requests micros p99 errors < <(sed -n 's/^result //p' "$work/wrk") || fail "wrk: $(<"$work/wrk")"
    ((requests > 0 && errors == 0)) || fail "$peer has failed, $errors errors: $(<"$work/wrk")"
}

# Values by 'WORKERS DEPTH FIGURE PEER', a line each.
declare -A values

# note FIGURE FORMULA: of the load that has just been.
note() {
    local value
    value=$(awk "BEGIN { printf \"%.3f\", $2 }")
    values[$workers $depth $1 $peer]+=$value$'\n'
    printf ' %s %s' "$1" "$value" >&2
}

# The middle of the numbers on standard input, of two middles their mean.
median() {
    sort -g | awk '{ v[NR] = $1 } END { if (NR) print (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2 }'
}

for ((round = 1; round <= rounds; round++)); do
    for workers in "${worker_counts[@]}"; do
        for peer in "${peers[@]}"; do
            [[ -n ${program[$peer]-} ]] || continue
            start "$peer" "$workers"
            for depth in "${depths[@]}"; do
                # Not counted: the first second is for caches, heaps and stacks.
                load "$depth" 1s
                before=$(cpu_time)
                load "$depth" "$duration"
                used=$(($(cpu_time) - before))
                printf 'round %d, workers %d, depth %d, %s:' "$round" "$workers" "$depth" "$peer" >&2
                note requests/s "$requests * 1e6 / $micros"
                # wrk takes the answers to a batch for requests of their own when it corrects its latencies for what
                # it could not send in time, and the percentiles come out wrong: often as 0.
                ((depth > 1)) || note 'p99 us' "$p99"
                note 'CPU us/request' "$used * 1e6 / $ticks / $requests"
                echo >&2
            done
            stop
        done
    done
done

printf '| workers | requests at once | figure |'
printf ' %s |' "${peers[@]}"
printf '\n| --- | --- | --- |'
printf ' %.s---: |' "${peers[@]}"
echo
for workers in "${worker_counts[@]}"; do
    for depth in "${depths[@]}"; do
        for figure in requests/s 'p99 us' 'CPU us/request'; do
            [[ -n ${values[$workers $depth $figure greenthread]-} ]] || continue
            printf '| %s | %s | %s |' "$workers" "$depth" "$figure"
            for peer in "${peers[@]}"; do
                middle=$(printf %s "${values[$workers $depth $figure $peer]-}" | median)
                # Four digits are more than a run is exact to.
                awk -v x="$middle" 'BEGIN { printf " %s |", x == "" ? "" : x < 100 ? sprintf("%.2f", x) : sprintf("%.0f", x) }'
            done
            echo
        done
    done
done
