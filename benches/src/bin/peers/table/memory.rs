//! Crowds that park: their memory, and their cost while nothing happens.

use super::Row;
use crate::peer;

const BROADCAST: (&str, &str) = (
    peer::TOKIO,
    "A `broadcast`: of tokio's own channels with many receivers, the one that takes the least memory and time here.",
);
const STACKLESS: (&str, &str) = (
    peer::TOKIO,
    "Tasks have no stacks: before they wait they use the worker's stack, and none of it is kept. They wait on a \
     `broadcast`.",
);
const FEWER_OF_MAY: (&str, &str) = (
    peer::MAY,
    "20 000 coroutines: each takes two memory mappings, and the kernel allows 65530 per process. Their channel is \
     may's `mpmc`. Of the coroutines that have ended, may keeps 1000 for later use.",
);
const FEWER_DEEP_OF_MAY: (&str, &str) = (
    peer::MAY,
    "20 000 coroutines: each takes two memory mappings, and the kernel allows 65530 per process. Their channel is \
     may's `mpmc`. Their stacks have may's default size, 32 KiB, which is enough here; a coroutine that needs more \
     ends the process.",
);
const FEWER_THREADS: (&str, &str) =
    (peer::THREADS, "10 000 threads. Apart from page tables, what the kernel keeps for each of them is not counted.");
const FREED: (&str, &str) = (
    peer::GO,
    "After `runtime.GC` and `debug.FreeOSMemory` at the beginning of the pause: Go shrinks stacks only when its \
     collector runs, which would happen by itself after two minutes, and returns memory to the kernel slowly.",
);
const AFTER_GC: (&str, &str) =
    (peer::GO, "`runtime.GC` and `debug.FreeOSMemory` ran at the beginning of the pause, which is not counted.");
const TIMED_BY_GO: (&str, &str) = (
    peer::GO,
    "The goroutine that measures has a thread of its own. That thread is not counted. The timer that ends its sleep \
     is: about one wake-up in the three seconds.",
);
const FEWER_OF_GO_LIB: (&str, &str) =
    (peer::GO_LIB, "20 000 goroutines: each takes two memory mappings, and the kernel allows 65530 per process.");
const FEWER_DEEP_OF_GO_LIB: (&str, &str) = (
    peer::GO_LIB,
    "20 000 goroutines: each takes two memory mappings, and the kernel allows 65530 per process. The first stack of \
     a goroutine has 32 KiB, which it keeps: neither frame makes it grow.",
);
const SYSMON_WAKES: (&str, &str) = (peer::GO_LIB, "Its sysmon thread sleeps for 10 ms at a time and never stops.");
const POLLS: (&str, &str) = (peer::MAY, "Its workers look for work every 10 ms.");

const PARKED: &[(&str, &str)] = &[BROADCAST, FEWER_OF_MAY, FEWER_OF_GO_LIB, FEWER_THREADS];
const DEEP: &[(&str, &str)] = &[STACKLESS, FEWER_DEEP_OF_MAY, FEWER_DEEP_OF_GO_LIB, FEWER_THREADS];
const DEEP_REST: &[(&str, &str)] = &[FREED, STACKLESS, FEWER_DEEP_OF_MAY, FEWER_DEEP_OF_GO_LIB, FEWER_THREADS];
const DEEP_WAKE: &[(&str, &str)] = &[AFTER_GC, STACKLESS, FEWER_DEEP_OF_MAY, FEWER_DEEP_OF_GO_LIB, FEWER_THREADS];
const IDLE: &[(&str, &str)] = &[TIMED_BY_GO, BROADCAST, POLLS, SYSMON_WAKES];

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "parked_1m.bytes",
        unit: "bytes/goroutine",
        counts: "a million goroutines that park on one channel: the memory that the process gains with its first \
                 such crowd, page tables included",
        notes: PARKED,
        parallel: true,
        ..Row::PLAIN
    },
    Row {
        name: "parked_1m.make",
        unit: "ns/goroutine",
        counts: "the same, on memory that an earlier crowd has freed: the time from the first spawn until all are \
                 about to park",
        notes: PARKED,
        parallel: true,
        ..Row::PLAIN
    },
    Row {
        name: "parked_1m.wake",
        unit: "ns/goroutine",
        counts: "the same: the time from closing the channel until all are joined",
        notes: PARKED,
        parallel: true,
        ..Row::PLAIN
    },
    Row {
        name: "deep_6k.bytes",
        unit: "bytes/goroutine",
        counts: "100 000 goroutines that use 6 KiB of stack and park on one channel: the memory that the process \
                 gains with its first such crowd, page tables included",
        notes: DEEP,
        parallel: true,
        floors: &[peer::TOKIO],
    },
    Row {
        name: "deep_6k.rest",
        unit: "bytes/goroutine",
        counts: "the same, after they have stayed parked for three seconds",
        notes: DEEP_REST,
        parallel: true,
        floors: &[peer::TOKIO],
    },
    Row {
        name: "deep_6k.make",
        unit: "ns/goroutine",
        counts: "the same, on memory that an earlier crowd has freed: the time from the first spawn until all are \
                 about to park",
        notes: DEEP,
        parallel: true,
        floors: &[peer::TOKIO],
    },
    Row {
        name: "deep_6k.wake",
        unit: "ns/goroutine",
        counts: "the same, after that pause: the time from closing the channel until all are joined",
        notes: DEEP_WAKE,
        parallel: true,
        floors: &[peer::TOKIO],
    },
    Row {
        name: "deep_24k.bytes",
        unit: "bytes/goroutine",
        counts: "`deep_6k.bytes` with 24 KiB of stack",
        notes: DEEP,
        parallel: true,
        floors: &[peer::TOKIO],
    },
    Row {
        name: "deep_24k.rest",
        unit: "bytes/goroutine",
        counts: "`deep_6k.rest` with 24 KiB of stack",
        notes: DEEP_REST,
        parallel: true,
        floors: &[peer::TOKIO],
    },
    Row {
        name: "deep_24k.make",
        unit: "ns/goroutine",
        counts: "`deep_6k.make` with 24 KiB of stack",
        notes: DEEP,
        parallel: true,
        floors: &[peer::TOKIO],
    },
    Row {
        name: "deep_24k.wake",
        unit: "ns/goroutine",
        counts: "`deep_6k.wake` with 24 KiB of stack",
        notes: DEEP_WAKE,
        parallel: true,
        floors: &[peer::TOKIO],
    },
    Row {
        name: "idle_10k.cpu",
        unit: "us/s",
        counts: "10 000 goroutines that are parked on one channel, three seconds after they were created, for three \
                 seconds: the CPU time of the whole process except for the thread that measures",
        notes: IDLE,
        ..Row::PLAIN
    },
    Row {
        name: "idle_10k.switches",
        unit: "switches/s",
        counts: "the same: how often a thread of the process goes to sleep",
        notes: IDLE,
        ..Row::PLAIN
    },
];
