//! The network.

use super::Row;
use super::notes::ECHO;
use crate::peer;

/// What all rows have in common: several connections are served at once, and the loop on threads is no scheduler.
const TCP: Row = Row { notes: ECHO, parallel: true, beyond: &[peer::THREADS], ..Row::PLAIN };

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "echo_64c.request",
        unit: "ns/request",
        counts: "64 bytes there and back over TCP, on each of 64 connections one after the other; the client is a process of its own, the same for all",
        ..TCP
    },
    Row { name: "echo_64c.p99", unit: "us", counts: "the same: how long 99 of 100 requests take at most", ..TCP },
    Row { name: "echo_64c.cpu", unit: "us/request", counts: "the same: CPU time of the server", ..TCP },
    Row { name: "echo_512c.request", unit: "ns/request", counts: "the same with 512 connections", ..TCP },
    Row { name: "echo_512c.p99", unit: "us", counts: "the same: how long 99 of 100 requests take at most", ..TCP },
    Row { name: "echo_512c.cpu", unit: "us/request", counts: "the same: CPU time of the server", ..TCP },
];
