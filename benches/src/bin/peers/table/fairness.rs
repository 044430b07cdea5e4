//! Fairness: one that sleeps beside others that never let go.

use super::Row;
use crate::peer;

const NOTHING_PREEMPTS: &str = "Nothing takes a worker from who computes, and both workers compute, or the only one: \
                                no sleep ever ends. It is given up after 4 s.";

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "hog_spin.p50",
        unit: "us late",
        counts: "200 sleeps of 1 ms of a goroutine that is spawned while 2 others compute for ever: how late half of the \
                 sleeps end at most; after 4 s those count that have ended, and the one that has not as it stands",
        notes: SPIN,
        ..Row::PLAIN
    },
    Row {
        name: "hog_spin.p99",
        unit: "us late",
        counts: "the same: how late 99 of 100 end at most",
        notes: SPIN,
        ..Row::PLAIN
    },
    Row {
        name: "hog_block.p50",
        unit: "us late",
        counts: "the same beside system calls of 100 ms, one after the other, of as many goroutines as there are workers",
        notes: BLOCK,
        ..Row::PLAIN
    },
    Row {
        name: "hog_block.p99",
        unit: "us late",
        counts: "the same: how late 99 of 100 end at most",
        notes: BLOCK,
        ..Row::PLAIN
    },
];

const SPIN: &[(&str, &str)] = &[
    (peer::TOKIO, NOTHING_PREEMPTS),
    (peer::MAY, NOTHING_PREEMPTS),
    (peer::THREADS, "The kernel shares the CPUs out."),
];

const BLOCK: &[(&str, &str)] = &[
    (
        peer::GREENTHREAD,
        "`blocking` around each call, which says that it blocks; without it each is found out after 2 to 12 ms.",
    ),
    (peer::TOKIO, "`block_in_place` around each call. Its timers are of whole milliseconds, and round up."),
    (
        peer::MAY,
        "It has nothing to say that a call blocks: all workers block, and no sleep ever ends. It is given up after 4 s.",
    ),
    (
        peer::GO_LIB,
        "Not run: it has never more threads than workers. `with_syscall` hands a worker to an idle thread, and there is none \
         while all are in system calls: all of 4 runs hung, and the sleeper was never started.",
    ),
];
