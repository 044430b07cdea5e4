#!/usr/bin/env bash
# Tests the example `http` with curl, wrk, and the example `fetch`. Needs curl, wrk, and a release
# build of the examples.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

bin=${CARGO_TARGET_DIR:-target}/release
out=$(mktemp -d)
server=
trap '[[ -z $server ]] || kill -KILL "$server" 2>/dev/null || true; rm -rf "$out"' EXIT

# start PROCS: starts the server on a free port; sets server and url.
start() {
    : >"$out/listening"
    GOMAXPROCS=$1 "$bin/http" --addr 127.0.0.1:0 >"$out/listening" 2>"$out/stderr" &
    server=$!
    for ((n = 0; n < 1000; n++)); do
        url=$(sed -n 's|^listening on |http://|p' "$out/listening")
        [[ -z $url ]] || return 0
        sleep 0.01
    done
    echo "http: the server does not listen" >&2
    exit 1
}

# stop: ends the server with SIGTERM, which must succeed.
stop() {
    kill -TERM "$server"
    timeout 20 tail --pid="$server" -f /dev/null
    wait "$server"
    server=
}

# expect NAME WANTED SEEN: fails if they differ.
expect() {
    if [[ $3 != "$2" ]]; then
        printf 'http: %s: expected %q, saw %q\n' "$1" "$2" "$3" >&2
        exit 1
    fi
}

ask() {
    curl --silent --show-error --max-time 20 "$@"
}

# load NAME ARGUMENT...: runs wrk for two seconds, which must report no error.
load() {
    local name=$1
    shift
    timeout 30 wrk --threads 1 --connections 64 --duration 2s "$@" >"$out/wrk"
    if grep -E 'Socket errors|Non-2xx' "$out/wrk" || ! grep -qE '^Requests/sec: +[1-9]' "$out/wrk"; then
        cat "$out/wrk" >&2
        exit 1
    fi
    printf 'http: GOMAXPROCS=%s: %s: %s\n' "$procs" "$name" "$(grep Requests/sec "$out/wrk")"
}

head -c 1000000 /dev/urandom >"$out/body"
cat >"$out/pipeline.lua" <<'END'
local batch
init = function()
    batch = wrk.format("GET", "/plaintext"):rep(16)
end
request = function()
    return batch
end
END

for procs in 1 2 4; do
    start "$procs"
    expect plaintext 'Hello, World!' "$(ask "$url/plaintext")"
    expect json '{"message":"Hello, World!"}' "$(ask "$url/json")"
    expect http/1.0 200 "$(ask --http1.0 --output /dev/null --write-out '%{http_code}' "$url/json")"
    expect head 27 "$(ask --head "$url/json" | tr -d '\r' | sed -n 's/^Content-Length: //p')"
    expect keep-alive '200 1200 0' \
        "$(ask --write-out '%{stderr}%{http_code} %{num_connects}' -o /dev/null "$url/json" -o /dev/null "$url/json" 2>&1)"
    expect missing 404 "$(ask --output /dev/null --write-out '%{http_code}' "$url/nowhere")"
    expect 'too large' 413 "$(head -c 2000000 /dev/zero |
        ask --output /dev/null --write-out '%{http_code}' --header Expect: --data-binary @- "$url/echo")"
    ask --data-binary "@$out/body" --header 'Expect: 100-continue' "$url/echo" | cmp - "$out/body"
    ask --data-binary "@$out/body" --header 'Transfer-Encoding: chunked' "$url/echo" | cmp - "$out/body"
    # curl exits with 28 when its time is up.
    status=0
    ask --max-time 0.2 "$url/slow?ms=60000" 2>/dev/null || status=$?
    expect 'a client that goes' 28 "$status"
    expect fetch '200 404 200' "$(timeout 30 "$bin/fetch" "$url/slow?ms=100" "$url/nowhere" "$url/json" |
        awk '{ print $1 }' | paste -sd ' ')"
    load plaintext "$url/plaintext"
    load 'pipelines of 16' --script "$out/pipeline.lua" "$url"
    load json "$url/json"
    expect 'plaintext after all that' 'Hello, World!' "$(ask "$url/plaintext")"
    stop
    expect stderr 'http: /slow?ms=60000 is canceled: the client disconnected' "$(cat "$out/stderr")"
done
