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
    Row {
        name: "busy_io.p50",
        unit: "us",
        counts: "200 round trips of one byte over TCP, from a thread outside to an echo server that shares its workers with 4 \
                 others; these compute for 2 ms at a time, and yield: how long half of the trips take at most",
        notes: BUSY,
        ..Row::PLAIN
    },
    Row {
        name: "busy_io.p99",
        unit: "us",
        counts: "the same: how long 99 of 100 take at most",
        notes: BUSY,
        ..Row::PLAIN
    },
    Row {
        name: "hogs_60.ms",
        unit: "ms",
        counts: "60 that compute for 50 ms each, and never yield: all together",
        notes: COMPUTE,
        parallel: true,
        ..Row::PLAIN
    },
    Row {
        name: "hogs_60.threads",
        unit: "threads",
        counts: "the same: the most threads that the process has meanwhile",
        notes: COMPUTE,
        ..Row::PLAIN
    },
    Row {
        name: "block_300",
        unit: "ms",
        counts: "300 that block their threads for 20 ms each, in a system call: until all have come back",
        notes: CROWD,
        ..Row::PLAIN
    },
];

const BUSY: &[(&str, &str)] = &[(peer::TOKIO, "Who yields is queued behind a look for I/O.")];

const COMPUTE: &[(&str, &str)] = &[
    (
        peer::GREENTHREAD,
        "One that has lost its worker computes on, on a thread of its own: with one worker, on several CPUs.",
    ),
    (peer::TOKIO, "Nothing takes a worker from who computes: one after the other, and others wait meanwhile."),
];

const CROWD: &[(&str, &str)] = &[
    (peer::GREENTHREAD, "Without `blocking`: each is found out."),
    (peer::TOKIO, "`block_in_place` around the call."),
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
