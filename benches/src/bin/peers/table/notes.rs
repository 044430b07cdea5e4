//! Notes about peers that belong to several rows.

use crate::peer;

pub(crate) const CAPACITY_1: (&str, &str) = (
    peer::TOKIO,
    "A channel of capacity 1: tokio has no rendezvous channel, so a sender does not wait for its \
                   receiver.",
);
pub(crate) const ASYNC_CHANNEL: (&str, &str) = (
    peer::TOKIO,
    "async-channel, because tokio's own queues have a \
                                                              single receiver.",
);
pub(crate) const UNBOUNDED: (&str, &str) = (peer::MAY, "An unbounded channel: may has no other kind.");
pub(crate) const SEMAPHORE_128: (&str, &str) =
    (peer::MAY, "An unbounded channel and a semaphore that counts 128 free slots.");
pub(crate) const SEMAPHORE_1: (&str, &str) =
    (peer::MAY, "An unbounded channel and a semaphore that counts one free slot.");
pub(crate) const QUEUE_128: (&str, &str) = (
    peer::MAY,
    "A `cqueue` that lives as long as the loop, with one coroutine per channel, and a semaphore that counts 128 free \
     slots. may's `select!` would spawn these coroutines for each use.",
);
pub(crate) const QUEUE_1: (&str, &str) = (
    peer::MAY,
    "A `cqueue` that lives as long as the loop, with one coroutine per channel, and a semaphore that counts one free \
     slot.",
);
pub(crate) const CANCELLATION: (&str, &str) = (peer::TOKIO, "\"Done\" is a `CancellationToken`.");
pub(crate) const CANCELLATION_1: (&str, &str) =
    (peer::TOKIO, "\"Done\" is a `CancellationToken`; the data's channel has capacity 1.");
pub(crate) const TRY_RECV_TOKIO: (&str, &str) = (peer::TOKIO, "`try_recv`, because `select!` has no default.");
pub(crate) const TRY_RECV_MAY: (&str, &str) = (peer::MAY, "`try_recv`, because a `cqueue` has no default.");
pub(crate) const FEWER: (&str, &str) =
    (peer::THREADS, "Fewer operations per repetition, because each one switches threads.");
pub(crate) const NOT_ON_THREADS: (&str, &str) = (
    peer::THREADS,
    "Not run: it would take thousands of threads, most \
                                                                 of them new.",
);
pub(crate) const ASYNC_LOCK: (&str, &str) =
    (peer::TOKIO, "tokio's own lock, whose guard may be held across an `await`. The alternative is std's lock.");
pub(crate) const PARKING_LOT: (&str, &str) = (peer::THREADS, "parking_lot's locks.");
pub(crate) const NO_SLEEPERS_ON_THREADS: (&str, &str) = (peer::THREADS, "Not run: each sleeper would need a thread.");
pub(crate) const NO_MILLION_OF_MAY: (&str, &str) =
    (peer::MAY, "Not run: each coroutine takes two memory mappings, and the kernel allows 65530 per process.");
pub(crate) const ROUNDS_UP: (&str, &str) = (
    peer::TOKIO,
    "Its timers have a resolution of one millisecond, and round \
                                                          up.",
);
pub(crate) const OUTSIDE_OF_WORKERS: (&str, &str) = (
    peer::MAY,
    "Its timer thread runs the coroutines that wake, \
                                                                 beside the workers.",
);
pub(crate) const NO_TIMERS_OF_MAY: (&str, &str) = (
    peer::MAY,
    "Not run: its only timers are those of blocked \
                                                               coroutines.",
);
pub(crate) const NO_TIMERS_ON_THREADS: (&str, &str) =
    (peer::THREADS, "Not run: the only timers are those of blocked threads.");
pub(crate) const NO_CONTEXTS_OF_MAY: (&str, &str) = (peer::MAY, "Not run: it has no contexts.");
pub(crate) const NO_CONTEXTS_ON_THREADS: (&str, &str) = (peer::THREADS, "Not run: there are no contexts.");

pub(crate) const FOUR_RECEIVES: (&str, &str) = (peer::GO_LIB, "Not run: its `select!` accepts at most four receives.");
pub(crate) const NO_MILLION_OF_GO_LIB: (&str, &str) = (
    peer::GO_LIB,
    "Not run: each goroutine takes two memory mappings, and the kernel allows 65530 per process. All 6 runs ended \
     with `new_goroutine: stack alloc failed: \"stack_alloc_size: mprotect guard page failed\"`.",
);
pub(crate) const BLOCKING_LOCK: (&str, &str) = (
    peer::GO_LIB,
    "Not run: its locks are std's, so a goroutine that waits blocks its worker, and waits forever if the holder was \
     preempted and no other worker is free. All 8 runs hung, and so did all 4 runs with `with_syscall` around the \
     call.",
);
pub(crate) const NO_TIMERS_OF_GO_LIB: (&str, &str) =
    (peer::GO_LIB, "Not run: its only timers are those of sleeping goroutines.");
pub(crate) const LASTING_TIMEOUT: (&str, &str) = (
    peer::GO_LIB,
    "A context with a timeout, which is a goroutine that sleeps on after its context is canceled. There are only \
     2000 per repetition, since at most 32 000 fit.",
);
pub(crate) const DONE_FROM_THE_START: (&str, &str) =
    (peer::GO_LIB, "Each context has its channel from the start, even if it is never requested.");

pub(crate) const BARE_LOOP: (&str, &str) = (
    peer::THREADS,
    "A bare epoll loop on one thread, whatever the number of workers: the cost of the work without a scheduler.",
);
pub(crate) const ONE_SELECTOR: (&str, &str) =
    (peer::MAY, "Its workers poll at least every 10 ms, and a socket has one waiter.");
pub(crate) const POLLS_BEFORE_SLEEP: (&str, &str) = (
    peer::GO_LIB,
    "No thread waits for sockets: a worker polls once before it sleeps, and sysmon polls every 20 us to 10 ms. \
     `TCP_NODELAY` is set through the descriptor, since go-lib has no call for it.",
);
pub(crate) const ECHO: &[(&str, &str)] = &[ONE_SELECTOR, POLLS_BEFORE_SLEEP, BARE_LOOP];
