//! The network.

use super::Row;
use super::notes::ECHO;
use crate::peer;

/// The fields that all rows have in common.
///
/// Several connections are served at once, and the loop on threads is not a scheduler.
const TCP: Row = Row { notes: ECHO, parallel: true, floors: &[peer::THREADS], ..Row::PLAIN };

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "echo_64c.request",
        unit: "ns/request",
        counts: "64 bytes sent and echoed over TCP, on 64 connections with one request at a time each; the client is \
                 a process of its own, the same for all peers",
        ..TCP
    },
    Row { name: "echo_64c.p99", unit: "us", counts: "the same: the 99th percentile of the latency", ..TCP },
    Row { name: "echo_64c.cpu", unit: "us/request", counts: "the same: the CPU time of the server", ..TCP },
    Row { name: "echo_512c.request", unit: "ns/request", counts: "the same with 512 connections", ..TCP },
    Row { name: "echo_512c.p99", unit: "us", counts: "the same: the 99th percentile of the latency", ..TCP },
    Row { name: "echo_512c.cpu", unit: "us/request", counts: "the same: the CPU time of the server", ..TCP },
];
