//! HTTP plaintext: servers loaded by wrk.

use super::Row;
use crate::peer;

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "http_64c.request",
        unit: "ns/request",
        counts: "`GET /plaintext` from a server in a process of its own, on 64 connections with one request at a \
                 time each; the client is wrk on one thread, which has CPUs of its own if the workers leave one",
        notes: HTTP,
        parallel: true,
        ..Row::PLAIN
    },
    Row {
        name: "http_64c.p99",
        unit: "us",
        counts: "the same: the 99th percentile of the latency",
        notes: HTTP,
        parallel: true,
        ..Row::PLAIN
    },
    Row {
        name: "http_64c.cpu",
        unit: "us/request",
        counts: "the same: the CPU time of the server",
        notes: HTTP,
        parallel: true,
        ..Row::PLAIN
    },
    Row {
        name: "http_64c_16.request",
        unit: "ns/request",
        counts: "the same with 16 requests at once on each connection",
        notes: HTTP_16,
        parallel: true,
        ..Row::PLAIN
    },
    Row {
        name: "http_64c_16.cpu",
        unit: "us/request",
        counts: "the same: the CPU time of the server",
        notes: HTTP_16,
        parallel: true,
        ..Row::PLAIN
    },
];

const OURS: (&str, &str) = (
    peer::GREENTHREAD,
    "The example `http` with everything that it enables: limits; timeouts for heads, bodies, idle clients, and \
     writes; graceful shutdown.",
);
const HYPER: (&str, &str) = (peer::TOKIO, "hyper, HTTP/1 only, without timeouts.");
const MINIHTTP: (&str, &str) = (
    peer::MAY,
    "may_minihttp, without may's `io_cancel`, `io_timeout` and `work_steal`, as in its own benchmark: at most 16 header \
     fields, no limit on the size of a head, no timeouts.",
);
const NO_SERVER: (&str, &str) = (peer::THREADS, "Not run: no such server exists.");

const HTTP: &[(&str, &str)] =
    &[OURS, (peer::GO, "net/http with its defaults: no timeouts."), HYPER, MINIHTTP, NO_SERVER];
const HTTP_16: &[(&str, &str)] = &[
    OURS,
    (peer::GO, "net/http with its defaults: no timeouts, and one write per answer."),
    HYPER,
    MINIHTTP,
    NO_SERVER,
];
