//! Spawning, yielding, waking.

use super::Row;
use super::notes::NO_MILLION_OF_MAY;
use crate::peer;

const WAIT_GROUP: (&str, &str) = (peer::GO, "A `WaitGroup`, because goroutines have no handles in Go.");
const GO_LIB_WAIT_GROUP: (&str, &str) = (peer::GO_LIB, "A `WaitGroup`, because `go!` returns no handle.");
const GO_LIB_300K: (&str, &str) = (
    peer::GO_LIB,
    "A `WaitGroup`, and one batch of 300 000. Not all of them exist at the same time, since the spawner is \
     preempted; at most 32 000 fit.",
);
const GLOBAL_QUEUE: (&str, &str) = (peer::GO, "`Gosched` puts a goroutine into the global run queue, under a lock.");
const DEFERRED: (&str, &str) = (
    peer::TOKIO,
    "A task that yields is ready again only after its worker has run all other tasks and has polled \
                   epoll.",
);
const SCHED_YIELD: (&str, &str) = (
    peer::THREADS,
    "`sched_yield`, on as many CPUs as workers. The kernel need not switch, and a thread that is alone on its CPU \
     continues.",
);
const LIFO_SLOT: (&str, &str) = (
    peer::TOKIO,
    "No other worker can steal the task that was readied last: it waits until the sender awaits something.",
);
const WAKES_NO_WORKER: (&str, &str) = (
    peer::MAY,
    "An unbounded channel. Readying a coroutine from another one wakes no other worker: an idle worker looks for \
     work every 10 ms.",
);
const ON_TIMER_THREAD: (&str, &str) = (
    peer::MAY,
    "An unbounded channel. A coroutine that has slept runs on the timer thread, beside the workers, and keeps none \
     of them busy.",
);
const KERNEL_PREEMPTS: (&str, &str) =
    (peer::THREADS, "The kernel may take the CPU from the sender and give it to the thread that was just woken.");

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "spawn_join_10k",
        unit: "ns/goroutine",
        counts: "batches of 10 000 goroutines, which add 1 to a counter: one goroutine spawns them all, then joins \
                 each",
        notes: &[
            WAIT_GROUP,
            GO_LIB_WAIT_GROUP,
            (
                peer::MAY,
                "With a pool for 20 000 stacks: by default may keeps 1000, and maps all others again each \
                         time.",
            ),
            (peer::THREADS, "One batch per repetition."),
        ],
        parallel: true,
        ..Row::PLAIN
    },
    Row {
        name: "spawn_join_1m",
        unit: "ns/goroutine",
        counts: "the same in one batch of a million",
        notes: &[
            WAIT_GROUP,
            GO_LIB_300K,
            NO_MILLION_OF_MAY,
            (peer::THREADS, "Not run: the kernel does not allow a process a million threads."),
        ],
        parallel: true,
        ..Row::PLAIN
    },
    Row {
        name: "yield_2",
        unit: "ns/yield",
        counts: "2 goroutines that only yield; with 2 workers each may run one of them, which then has no other to \
                 yield to",
        notes: &[GLOBAL_QUEUE, DEFERRED, SCHED_YIELD],
        ..Row::PLAIN
    },
    Row {
        name: "yield_1000",
        unit: "ns/yield",
        counts: "the same with 1000",
        notes: &[GLOBAL_QUEUE, DEFERRED, SCHED_YIELD],
        ..Row::PLAIN
    },
    Row {
        name: "wake_hot.p50",
        unit: "us",
        counts: "a send readies a goroutine, and the sender then computes for 200 us: the median time until the \
                 goroutine runs. With one worker, this is the 200 us. The next send follows at once",
        notes: &[LIFO_SLOT, WAKES_NO_WORKER, KERNEL_PREEMPTS],
        ..Row::PLAIN
    },
    Row {
        name: "wake_hot.p99",
        unit: "us",
        counts: "the same: the 99th percentile",
        notes: &[LIFO_SLOT, WAKES_NO_WORKER, KERNEL_PREEMPTS],
        ..Row::PLAIN
    },
    Row {
        name: "wake_idle.p50",
        unit: "us",
        counts: "the same, but all sleep for 2 ms before the next send, so that a thread has to be woken: the median",
        notes: &[LIFO_SLOT, ON_TIMER_THREAD, KERNEL_PREEMPTS],
        floors: &[peer::MAY],
        ..Row::PLAIN
    },
    Row {
        name: "wake_idle.p99",
        unit: "us",
        counts: "the same: the 99th percentile",
        notes: &[LIFO_SLOT, ON_TIMER_THREAD, KERNEL_PREEMPTS],
        floors: &[peer::MAY],
        ..Row::PLAIN
    },
];
