//! Crowds that park: memory, and what they cost while nothing happens.

use super::Row;
use crate::peer;

const BROADCAST: (&str, &str) = (
    peer::TOKIO,
    "A `broadcast`, of tokio's own channels that have many receivers the one that takes the least memory and time here.",
);
const STACKLESS: (&str, &str) = (
    peer::TOKIO,
    "Tasks have no stacks: what they use before they wait is the worker's, and nothing of it is kept. They wait on a \
     `broadcast`.",
);
const FEWER_OF_MAY: (&str, &str) = (
    peer::MAY,
    "20 000 coroutines: each is two mappings, and the kernel allows a process 65530. Their channel is the `mpmc`. Of \
     those that have ended, may keeps 1000 for later use.",
);
const FEWER_DEEP_OF_MAY: (&str, &str) = (
    peer::MAY,
    "20 000 coroutines: each is two mappings, and the kernel allows a process 65530. Their channel is the `mpmc`. Their \
     stacks are of may's default size, 32 KiB, which is enough for this; one that needs more ends the process.",
);
const FEWER_THREADS: (&str, &str) =
    (peer::THREADS, "10 000 threads; what the kernel keeps of each, besides its page tables, is not counted.");
const FREED: (&str, &str) = (
    peer::GO,
    "After `runtime.GC` and `debug.FreeOSMemory` at the beginning of the rest: Go shrinks stacks only when its collector \
     runs, which it would do by itself after two minutes, and gives memory back slowly.",
);
const GONE_AFTER_GC: (&str, &str) =
    (peer::GO, "`runtime.GC` and `debug.FreeOSMemory` ran at the beginning of the rest, which is not counted.");
const TIMED_BY_GO: (&str, &str) = (
    peer::GO,
    "The one that measures is a goroutine on a thread of its own. That thread is not counted; the timer that ends its \
     sleep is, about one wake-up in the three seconds.",
);
const FEWER_OF_GO_LIB: (&str, &str) =
    (peer::GO_LIB, "20 000, because each goroutine is two mappings, and the kernel allows a process 65530.");
const FEWER_DEEP_OF_GO_LIB: (&str, &str) = (
    peer::GO_LIB,
    "20 000, because each goroutine is two mappings, and the kernel allows a process 65530. Its first stack has 32 KiB, \
     which it keeps: neither frame makes it grow.",
);
const MONITORS: (&str, &str) = (peer::GO_LIB, "Its monitor thread sleeps for 10 ms at a time and never stops.");
const POLLS: (&str, &str) = (peer::MAY, "Its workers look around every 10 ms.");

const PARKED: &[(&str, &str)] = &[BROADCAST, FEWER_OF_MAY, FEWER_OF_GO_LIB, FEWER_THREADS];
const DEEP: &[(&str, &str)] = &[STACKLESS, FEWER_DEEP_OF_MAY, FEWER_DEEP_OF_GO_LIB, FEWER_THREADS];
const DEEP_AT_REST: &[(&str, &str)] = &[FREED, STACKLESS, FEWER_DEEP_OF_MAY, FEWER_DEEP_OF_GO_LIB, FEWER_THREADS];
const DEEP_WAKE: &[(&str, &str)] = &[GONE_AFTER_GC, STACKLESS, FEWER_DEEP_OF_MAY, FEWER_DEEP_OF_GO_LIB, FEWER_THREADS];
const IDLE: &[(&str, &str)] = &[TIMED_BY_GO, BROADCAST, POLLS, MONITORS];

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "parked_1m.bytes",
        unit: "bytes/goroutine",
        counts: "a million goroutines that park on one channel: the memory that the process gains, page tables included, in \
                 its first such crowd",
        notes: PARKED,
        parallel: true,
        ..Row::PLAIN
    },
    Row {
        name: "parked_1m.make",
        unit: "ns/goroutine",
        counts: "the same, on memory that an earlier crowd has freed: from the first spawn until all are about to park",
        notes: PARKED,
        parallel: true,
        ..Row::PLAIN
    },
    Row {
        name: "parked_1m.wake",
        unit: "ns/goroutine",
        counts: "the same: from the close of the channel until all are joined",
        notes: PARKED,
        parallel: true,
        ..Row::PLAIN
    },
    Row {
        name: "deep_6k.bytes",
        unit: "bytes/goroutine",
        counts: "100 000 goroutines that use 6 KiB of stack and park on one channel: the memory that the process gains, page \
                 tables included, in its first such crowd",
        notes: DEEP,
        parallel: true,
        beyond: &[peer::TOKIO],
    },
    Row {
        name: "deep_6k.rest",
        unit: "bytes/goroutine",
        counts: "the same, after three seconds in which nobody touches them",
        notes: DEEP_AT_REST,
        parallel: true,
        beyond: &[peer::TOKIO],
    },
    Row {
        name: "deep_6k.make",
        unit: "ns/goroutine",
        counts: "the same, on memory that an earlier crowd has freed: from the first spawn until all are about to park",
        notes: DEEP,
        parallel: true,
        beyond: &[peer::TOKIO],
    },
    Row {
        name: "deep_6k.wake",
        unit: "ns/goroutine",
        counts: "the same, after that rest: from the close of the channel until all are joined",
        notes: DEEP_WAKE,
        parallel: true,
        beyond: &[peer::TOKIO],
    },
    Row {
        name: "deep_24k.bytes",
        unit: "bytes/goroutine",
        counts: "`deep_6k.bytes` with 24 KiB of stack",
        notes: DEEP,
        parallel: true,
        beyond: &[peer::TOKIO],
    },
    Row {
        name: "deep_24k.rest",
        unit: "bytes/goroutine",
        counts: "`deep_6k.rest` with 24 KiB of stack",
        notes: DEEP_AT_REST,
        parallel: true,
        beyond: &[peer::TOKIO],
    },
    Row {
        name: "deep_24k.make",
        unit: "ns/goroutine",
        counts: "`deep_6k.make` with 24 KiB of stack",
        notes: DEEP,
        parallel: true,
        beyond: &[peer::TOKIO],
    },
    Row {
        name: "deep_24k.wake",
        unit: "ns/goroutine",
        counts: "`deep_6k.wake` with 24 KiB of stack",
        notes: DEEP_WAKE,
        parallel: true,
        beyond: &[peer::TOKIO],
    },
    Row {
        name: "idle_10k.cpu",
        unit: "us/s",
        counts: "10 000 goroutines that are parked on one channel, three seconds after they were made, for three seconds: CPU time of the whole process, but for \
                 the thread that measures",
        notes: IDLE,
        ..Row::PLAIN
    },
    Row {
        name: "idle_10k.switches",
        unit: "switches/s",
        counts: "the same: how often one of its threads goes to sleep",
        notes: IDLE,
        ..Row::PLAIN
    },
];
