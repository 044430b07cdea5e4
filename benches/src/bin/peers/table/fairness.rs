//! Fairness: a goroutine that sleeps beside others that never yield or that block.

use super::Row;
use crate::peer;

const NOTHING_PREEMPTS: &str = "Nothing takes a worker from a task that computes, and both workers, or the only one, \
                                run such a task: no sleep ever ends. The run is stopped after 4 s.";

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "hog_spin.p50",
        unit: "us late",
        counts: "200 sleeps of 1 ms by a goroutine that is spawned while 2 others compute forever: the median \
                 lateness; after 4 s the sleeps that have ended count, and the pending one counts with its lateness \
                 so far",
        notes: SPIN,
        ..Row::PLAIN
    },
    Row {
        name: "hog_spin.p99",
        unit: "us late",
        counts: "the same: the 99th percentile of the lateness",
        notes: SPIN,
        ..Row::PLAIN
    },
    Row {
        name: "hog_block.p50",
        unit: "us late",
        counts: "the same beside system calls of 100 ms, one after the other, by as many goroutines as there are \
                 workers",
        notes: BLOCK,
        ..Row::PLAIN
    },
    Row {
        name: "hog_block.p99",
        unit: "us late",
        counts: "the same: the 99th percentile of the lateness",
        notes: BLOCK,
        ..Row::PLAIN
    },
    Row {
        name: "busy_io.p50",
        unit: "us",
        counts: "200 round trips of one byte over TCP, from a thread outside the runtime to an echo server that \
                 shares its workers with 4 goroutines that compute for 2 ms at a time, and yield: the median time",
        notes: BUSY,
        ..Row::PLAIN
    },
    Row { name: "busy_io.p99", unit: "us", counts: "the same: the 99th percentile", notes: BUSY, ..Row::PLAIN },
    Row {
        name: "hogs_60.ms",
        unit: "ms",
        counts: "60 goroutines that compute for 50 ms each and never yield: the time until all have ended",
        notes: COMPUTE,
        parallel: true,
        ..Row::PLAIN
    },
    Row {
        name: "hogs_60.threads",
        unit: "threads",
        counts: "the same: the largest number of threads in the process during that time",
        notes: COMPUTE,
        ..Row::PLAIN
    },
    Row {
        name: "block_300",
        unit: "ms",
        counts: "300 goroutines that block their threads for 20 ms each, in a system call: the time until all have \
                 returned",
        notes: CROWD,
        ..Row::PLAIN
    },
];

const BUSY: &[(&str, &str)] = &[(peer::TOKIO, "A task that yields is queued behind a poll for I/O.")];

const COMPUTE: &[(&str, &str)] = &[
    (
        peer::GREENTHREAD,
        "A goroutine that has lost its worker continues to compute, on a thread of its own: with one worker, on \
         several CPUs.",
    ),
    (
        peer::TOKIO,
        "Nothing takes a worker from a task that computes: they run one after the other, and all other \
                   tasks wait until then.",
    ),
];

const CROWD: &[(&str, &str)] = &[
    (peer::GREENTHREAD, "Without `blocking`: sysmon detects each call."),
    (peer::TOKIO, "`block_in_place` around the call."),
];

const SPIN: &[(&str, &str)] = &[
    (peer::TOKIO, NOTHING_PREEMPTS),
    (peer::MAY, NOTHING_PREEMPTS),
    (peer::THREADS, "The kernel divides the CPUs among the threads."),
];

const BLOCK: &[(&str, &str)] = &[
    (
        peer::GREENTHREAD,
        "`blocking` around each call, which announces that it blocks. Without it, sysmon detects each call after 2 \
         to 12 ms.",
    ),
    (peer::TOKIO, "`block_in_place` around each call. Its timers have a resolution of one millisecond, and round up."),
    (
        peer::MAY,
        "may cannot be told that a call blocks: all workers block, and no sleep ever ends. The run is stopped after \
         4 s.",
    ),
    (
        peer::GO_LIB,
        "Not run: go-lib never has more threads than workers. `with_syscall` hands a worker to an idle thread, and \
         there is none while all are in system calls: all 4 runs hung, and the sleeper never started.",
    ),
];
