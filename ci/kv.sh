#!/usr/bin/env bash
# Tests the example kv with the real redis-cli and redis-benchmark (Debian's redis-tools).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

cargo build --release -p greenthread-examples --bin kv
bin=${CARGO_TARGET_DIR:-target}/release
out=$(mktemp -d)
server=
trap '[[ -z $server ]] || kill -KILL "$server" 2>/dev/null || true; rm -rf "$out"' EXIT

fail() {
    echo "kv: $*" >&2
    exit 1
}

# start PROCS: starts the server; sets server and port.
start() {
    : >"$out/listening"
    GOMAXPROCS=$1 "$bin/kv" --addr 127.0.0.1:0 >"$out/listening" &
    server=$!
    for _ in {1..100}; do
        port=$(sed -n 's/^listening on 127\.0\.0\.1://p' "$out/listening")
        [[ -z $port ]] || return 0
        sleep 0.1
    done
    fail "the server does not say where it listens"
}

# stop: ends the server with SIGTERM, which must succeed soon.
stop() {
    kill -TERM "$server"
    timeout 20 tail --pid="$server" -f /dev/null || fail "SIGTERM does not end the server"
    wait "$server" || fail "the server ended with status $?"
    server=
}

# expect COMMAND EXPECTED: checks what redis-cli prints for a command.
expect() {
    local seen
    # Split into words, as a user types them.
    # shellcheck disable=SC2086
    seen=$(timeout 10 redis-cli -p "$port" $1)
    [[ $seen == "$2" ]] || fail "redis-cli $1: expected '$2', found '$seen'"
}

commands() {
    expect "PING" "PONG"
    expect "SET greeting hello EX 100" "OK"
    expect "GET greeting" "hello"
    expect "TTL greeting" "100"
    expect "SET greeting again NX" ""
    expect "INCR hits" "1"
    expect "RPUSH list a b c" "3"
    expect "LRANGE list 0 -1" $'a\nb\nc'
    expect "GET list" "WRONGTYPE Operation against a key holding the wrong kind of value"
    expect "GET" "ERR wrong number of arguments for 'get' command"
    expect "MGET greeting none hits" $'hello\n\n1'
    expect "DBSIZE" "3"
    # Publish until the subscriber is there.
    timeout 20 redis-cli -p "$port" SUBSCRIBE news >"$out/news" &
    local subscriber=$!
    for _ in {1..100}; do
        [[ $(timeout 10 redis-cli -p "$port" PUBLISH news extra) != 1 ]] || break
        sleep 0.1
    done
    for _ in {1..100}; do
        ! grep -q extra "$out/news" || break
        sleep 0.1
    done
    kill "$subscriber"
    wait "$subscriber" || true
    [[ $(head -n 6 "$out/news") == $'subscribe\nnews\n1\nmessage\nnews\nextra' ]] || fail "SUBSCRIBE: $(cat "$out/news")"
    # A pipeline of requests, all at once.
    for n in {1..1000}; do printf 'SET bulk:%d %d\r\n' "$n" "$n"; done |
        timeout 20 redis-cli -p "$port" --pipe >"$out/pipe"
    grep -q 'errors: 0, replies: 1000' "$out/pipe" || fail "redis-cli --pipe: $(cat "$out/pipe")"
    expect "FLUSHALL" "OK"
}

# benchmark DEPTH REQUESTS: runs redis-benchmark, which must report no error and leave out no
# command.
benchmark() {
    timeout 120 redis-benchmark -p "$port" -t ping,set,get,incr,lpush,lrange,mset -P "$1" -n "$2" --csv \
        >"$out/benchmark" 2>"$out/complaints" || fail "redis-benchmark -P $1: $(cat "$out/complaints" "$out/benchmark")"
    [[ ! -s $out/complaints ]] || fail "redis-benchmark -P $1: $(cat "$out/complaints")"
    local names
    names=$(sed '1d; s/^"\([A-Z_]*\).*/\1/' "$out/benchmark" | sort -u | tr '\n' ' ')
    [[ $names == "GET INCR LPUSH LRANGE_ MSET PING_INLINE PING_MBULK SET " ]] || fail "redis-benchmark left out a command: $names"
    sed '1d; s/"//g' "$out/benchmark" | cut -d, -f1,2 | sed "s/^/kv: GOMAXPROCS=$procs -P $1: /; s/,/: /; s/\$/ a second/"
    # redis-benchmark pushes twice: for LPUSH, and to have something for LRANGE.
    expect "LLEN mylist" "$(($2 * 2))"
    expect "GET counter:__rand_int__" "$2"
}

command -v redis-benchmark >/dev/null || fail "redis-benchmark is missing: run ci/tools.sh"
for procs in 1 2; do
    start "$procs"
    commands
    benchmark 1 20000
    expect "FLUSHALL" "OK"
    benchmark 16 20000
    stop
done
echo "kv: redis-cli and redis-benchmark report no errors"
