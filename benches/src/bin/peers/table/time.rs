//! Sleeping, timers, contexts.

use super::Row;
use super::notes::{
    DONE_FROM_THE_START, FEWER, LASTING_TIMEOUT, NO_CONTEXTS_OF_MAY, NO_CONTEXTS_ON_THREADS, NO_MILLION_OF_GO_LIB,
    NO_MILLION_OF_MAY, NO_SLEEPERS_ON_THREADS, NO_TIMERS_OF_GO_LIB, NO_TIMERS_OF_MAY, NO_TIMERS_ON_THREADS,
    OUTSIDE_OF_WORKERS, ROUNDS_UP,
};
use crate::peer;

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "sleep_20k.p50",
        unit: "us late",
        counts: "20 000 goroutines that sleep once for 1 to 1000 ms: the median lateness",
        notes: &[ROUNDS_UP, OUTSIDE_OF_WORKERS, NO_SLEEPERS_ON_THREADS],
        ..Row::PLAIN
    },
    Row {
        name: "sleep_20k.p99",
        unit: "us late",
        counts: "the same: the 99th percentile of the lateness",
        notes: &[ROUNDS_UP, OUTSIDE_OF_WORKERS, NO_SLEEPERS_ON_THREADS],
        ..Row::PLAIN
    },
    Row {
        name: "sleep_1m.wall",
        unit: "ms",
        counts: "a million of them: from the first spawn until the last has ended",
        notes: &[ROUNDS_UP, NO_MILLION_OF_MAY, NO_MILLION_OF_GO_LIB, NO_SLEEPERS_ON_THREADS],
        parallel: true,
        ..Row::PLAIN
    },
    Row {
        name: "sleep_1m.p99",
        unit: "us late",
        counts: "the same: the 99th percentile of the lateness",
        notes: &[ROUNDS_UP, NO_MILLION_OF_MAY, NO_MILLION_OF_GO_LIB, NO_SLEEPERS_ON_THREADS],
        parallel: true,
        ..Row::PLAIN
    },
    Row {
        name: "timer_new_stop",
        unit: "ns/timer",
        counts: "a timer of an hour is created and stopped, while 10 000 others are pending; no goroutine waits for \
                 it, so neither greenthread nor Go inserts it among them",
        notes: &[
            (peer::TOKIO, "A `Sleep` that is polled once, which does insert it among the others, and then dropped."),
            NO_TIMERS_OF_MAY,
            NO_TIMERS_OF_GO_LIB,
            NO_TIMERS_ON_THREADS,
        ],
        ..Row::PLAIN
    },
    Row {
        name: "after_func_stop",
        unit: "ns/timer",
        counts: "a call is scheduled to run in an hour and is stopped, while 10 000 others are pending",
        notes: &[
            (peer::TOKIO, "Not run: tokio has only tasks that sleep."),
            NO_TIMERS_OF_MAY,
            NO_TIMERS_OF_GO_LIB,
            NO_TIMERS_ON_THREADS,
        ],
        ..Row::PLAIN
    },
    Row {
        name: "timer_select",
        unit: "ns/round trip",
        counts: "`chan_unbuf_pingpong`, but a select with an `after` of an hour receives the value: each time, a \
                 timer is created, waited for, and dropped",
        notes: &[
            (peer::TOKIO, "`timeout` around `recv`, and channels of capacity 1."),
            (peer::MAY, "`recv_timeout` on an unbounded channel."),
            LASTING_TIMEOUT,
            FEWER,
        ],
        ..Row::PLAIN
    },
    Row {
        name: "ctx_timeout_cancel",
        unit: "ns/context",
        counts: "a context with a timeout of an hour is created and canceled",
        notes: &[
            (peer::TOKIO, "A `CancellationToken`, and a `Sleep` that is polled once."),
            NO_CONTEXTS_OF_MAY,
            LASTING_TIMEOUT,
            NO_CONTEXTS_ON_THREADS,
        ],
        ..Row::PLAIN
    },
    Row {
        name: "ctx_tree_10k",
        unit: "us",
        counts: "a context that has 100 children with 100 children each is canceled; `done` was called on none of \
                 them",
        notes: &[
            (peer::TOKIO, "A tree of `CancellationToken`s."),
            NO_CONTEXTS_OF_MAY,
            DONE_FROM_THE_START,
            NO_CONTEXTS_ON_THREADS,
        ],
        ..Row::PLAIN
    },
    Row {
        name: "ctx_tree_10k_done",
        unit: "us",
        counts: "the same, but `done` was called on each of the 10 000",
        notes: &[
            (peer::TOKIO, "Not run: a `CancellationToken` creates nothing on demand."),
            NO_CONTEXTS_OF_MAY,
            DONE_FROM_THE_START,
            NO_CONTEXTS_ON_THREADS,
        ],
        ..Row::PLAIN
    },
];
