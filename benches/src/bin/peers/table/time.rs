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
        counts: "20 000 goroutines that sleep once for 1 to 1000 ms: how late half of them wake at most",
        notes: &[ROUNDS_UP, OUTSIDE_OF_WORKERS, NO_SLEEPERS_ON_THREADS],
        ..Row::PLAIN
    },
    Row {
        name: "sleep_20k.p99",
        unit: "us late",
        counts: "the same: how late 99 of 100 wake at most",
        notes: &[ROUNDS_UP, OUTSIDE_OF_WORKERS, NO_SLEEPERS_ON_THREADS],
        ..Row::PLAIN
    },
    Row {
        name: "sleep_1m.wall",
        unit: "ms",
        counts: "a million of them: from the first spawn to the last end",
        notes: &[ROUNDS_UP, NO_MILLION_OF_MAY, NO_MILLION_OF_GO_LIB, NO_SLEEPERS_ON_THREADS],
        parallel: true,
        ..Row::PLAIN
    },
    Row {
        name: "sleep_1m.p99",
        unit: "us late",
        counts: "the same: how late 99 of 100 wake at most",
        notes: &[ROUNDS_UP, NO_MILLION_OF_MAY, NO_MILLION_OF_GO_LIB, NO_SLEEPERS_ON_THREADS],
        parallel: true,
        ..Row::PLAIN
    },
    Row {
        name: "timer_new_stop",
        unit: "ns/timer",
        counts: "a timer an hour away is made and stopped, while 10 000 others wait; nobody waits for it, so that neither \
                 greenthread nor Go puts it among them",
        notes: &[
            (peer::TOKIO, "A `Sleep` that is polled once, which does put it among the others, and dropped."),
            NO_TIMERS_OF_MAY,
            NO_TIMERS_OF_GO_LIB,
            NO_TIMERS_ON_THREADS,
        ],
        ..Row::PLAIN
    },
    Row {
        name: "after_func_stop",
        unit: "ns/timer",
        counts: "a function that is to run in an hour, and is stopped, while 10 000 others wait",
        notes: &[
            (peer::TOKIO, "Not run: it has none but a task that sleeps."),
            NO_TIMERS_OF_MAY,
            NO_TIMERS_OF_GO_LIB,
            NO_TIMERS_ON_THREADS,
        ],
        ..Row::PLAIN
    },
    Row {
        name: "timer_select",
        unit: "ns/round trip",
        counts: "`chan_unbuf_pingpong`, but that the value comes back into a select with `after` an hour: a timer is made, \
                 waited for and given up each time",
        notes: &[
            (peer::TOKIO, "`timeout` around `recv`, and channels of capacity 1."),
            (peer::MAY, "`recv_timeout`, of an unbounded channel."),
            LASTING_TIMEOUT,
            FEWER,
        ],
        ..Row::PLAIN
    },
    Row {
        name: "ctx_timeout_cancel",
        unit: "ns/context",
        counts: "a context with a timeout of an hour is made and cancelled",
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
        counts: "a context is cancelled that has 100 children with 100 children each, which nobody has asked for `done`",
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
        counts: "the same, but that each of the 10 000 was asked for `done`",
        notes: &[
            (peer::TOKIO, "Not run: a `CancellationToken` has nothing that is made when it is asked for."),
            NO_CONTEXTS_OF_MAY,
            DONE_FROM_THE_START,
            NO_CONTEXTS_ON_THREADS,
        ],
        ..Row::PLAIN
    },
];
