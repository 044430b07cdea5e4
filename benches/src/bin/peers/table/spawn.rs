//! Spawning, yielding, waking.

use super::Row;
use super::notes::NO_MILLION_OF_MAY;
use crate::peer;

const WAIT_GROUP: (&str, &str) = (peer::GO, "A `WaitGroup`: goroutines have no handles there.");
const GO_LIB_WAIT_GROUP: (&str, &str) = (peer::GO_LIB, "A `WaitGroup`: `go!` gives no handle.");
const GO_LIB_300K: (&str, &str) = (
    peer::GO_LIB,
    "A `WaitGroup`, and 300 000 at once. Not all are there at the same time: the spawner is preempted, and 32 000 are what fits.",
);
const GLOBAL_QUEUE: (&str, &str) = (peer::GO, "`Gosched` puts a goroutine into the queue of all Ps, under a lock.");
const DEFERRED: (&str, &str) =
    (peer::TOKIO, "A task that yields is ready again only when its worker has run all others and has looked at epoll.");
const ONLY_ASK: (&str, &str) = (
    peer::THREADS,
    "`sched_yield`, on as many CPUs as workers. The kernel need not switch, and a thread that is alone on its CPU goes on.",
);
const LIFO_SLOT: (&str, &str) = (
    peer::TOKIO,
    "The task that was readied last can be taken by no other worker: it waits until the sender awaits something.",
);
const WAKES_NOBODY: (&str, &str) = (
    peer::MAY,
    "An unbounded channel. A coroutine that is readied by another wakes no other worker: one that is idle looks around \
     every 10 ms.",
);
const FROM_THE_TIMER: (&str, &str) = (
    peer::MAY,
    "An unbounded channel. Who has slept runs on the timer thread, beside the workers, and keeps none of them busy.",
);
const KERNEL_PREEMPTS: (&str, &str) =
    (peer::THREADS, "The kernel may take the CPU from the sender for whom it has woken.");

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "spawn_join_10k",
        unit: "ns/goroutine",
        counts: "batches of 10 000 goroutines, which add 1 to a counter: one spawns them all, then waits for each",
        notes: &[
            WAIT_GROUP,
            GO_LIB_WAIT_GROUP,
            (peer::MAY, "With a pool for 20 000 stacks: it keeps 1000 if not told to, and the others are mapped anew."),
            (peer::THREADS, "One batch to a repetition."),
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
            (peer::THREADS, "Not run: the kernel does not allow a process so many."),
        ],
        parallel: true,
        ..Row::PLAIN
    },
    Row {
        name: "yield_2",
        unit: "ns/yield",
        counts: "2 goroutines that only yield; with 2 workers each may have one of them, and nobody to yield to",
        notes: &[GLOBAL_QUEUE, DEFERRED, ONLY_ASK],
        ..Row::PLAIN
    },
    Row {
        name: "yield_1000",
        unit: "ns/yield",
        counts: "the same with 1000",
        notes: &[GLOBAL_QUEUE, DEFERRED, ONLY_ASK],
        ..Row::PLAIN
    },
    Row {
        name: "wake_hot.p50",
        unit: "us",
        counts: "a goroutine is readied by a send to it, and the sender then computes for 200 us: how long half of the \
                 times it takes at most until it runs. With one worker that is these 200 us. The next send follows at once",
        notes: &[LIFO_SLOT, WAKES_NOBODY, KERNEL_PREEMPTS],
        ..Row::PLAIN
    },
    Row {
        name: "wake_hot.p99",
        unit: "us",
        counts: "the same: how long 99 of 100 times at most",
        notes: &[LIFO_SLOT, WAKES_NOBODY, KERNEL_PREEMPTS],
        ..Row::PLAIN
    },
    Row {
        name: "wake_idle.p50",
        unit: "us",
        counts: "the same, but all sleep for 2 ms before the next send, so that a thread has to be woken: half of the times",
        notes: &[LIFO_SLOT, FROM_THE_TIMER, KERNEL_PREEMPTS],
        beyond: &[peer::MAY],
        ..Row::PLAIN
    },
    Row {
        name: "wake_idle.p99",
        unit: "us",
        counts: "the same: how long 99 of 100 times at most",
        notes: &[LIFO_SLOT, FROM_THE_TIMER, KERNEL_PREEMPTS],
        beyond: &[peer::MAY],
        ..Row::PLAIN
    },
];
