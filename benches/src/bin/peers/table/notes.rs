//! Where a peer differs in several rows.

use crate::peer;

pub(crate) const CAPACITY_1: (&str, &str) =
    (peer::TOKIO, "A channel of capacity 1: tokio has no rendezvous, and a sender does not wait for its receiver.");
pub(crate) const ASYNC_CHANNEL: (&str, &str) = (peer::TOKIO, "async-channel: tokio's own channels have one receiver.");
pub(crate) const UNBOUNDED: (&str, &str) = (peer::MAY, "An unbounded channel: may has no other.");
pub(crate) const SEMAPHORE_128: (&str, &str) =
    (peer::MAY, "An unbounded channel and a semaphore that counts 128 free places.");
pub(crate) const SEMAPHORE_1: (&str, &str) =
    (peer::MAY, "An unbounded channel and a semaphore that counts one free place.");
pub(crate) const QUEUE_128: (&str, &str) = (
    peer::MAY,
    "A `cqueue` that lives as long as the loop, with a coroutine per channel; 128 free places by a semaphore. \
     The `select!` of may would spawn these coroutines for each use.",
);
pub(crate) const QUEUE_1: (&str, &str) = (
    peer::MAY,
    "A `cqueue` that lives as long as the loop, with a coroutine per channel; one free place by a semaphore.",
);
pub(crate) const CANCELLATION: (&str, &str) = (peer::TOKIO, "\"Done\" is a `CancellationToken`.");
pub(crate) const CANCELLATION_1: (&str, &str) =
    (peer::TOKIO, "\"Done\" is a `CancellationToken`; the data's channel has capacity 1.");
pub(crate) const TRY_RECV_TOKIO: (&str, &str) = (peer::TOKIO, "`try_recv`: `select!` has no default.");
pub(crate) const TRY_RECV_MAY: (&str, &str) = (peer::MAY, "`try_recv`: a `cqueue` has no default.");
pub(crate) const FEWER: (&str, &str) =
    (peer::THREADS, "Fewer operations to a repetition, because each switches threads.");
pub(crate) const NOT_ON_THREADS: (&str, &str) = (peer::THREADS, "Not run: thousands of threads, most of them new.");
pub(crate) const ASYNC_LOCK: (&str, &str) =
    (peer::TOKIO, "tokio's own lock, whose guard may be held across an `await`; std's is the other choice there.");
pub(crate) const PARKING_LOT: (&str, &str) = (peer::THREADS, "parking_lot's.");
pub(crate) const NO_SLEEPERS_ON_THREADS: (&str, &str) = (peer::THREADS, "Not run: a thread for each sleeper.");
pub(crate) const NO_MILLION_OF_MAY: (&str, &str) =
    (peer::MAY, "Not run: each coroutine is two mappings, and the kernel allows a process 65530.");
pub(crate) const ROUNDS_UP: (&str, &str) = (peer::TOKIO, "Its timers are of whole milliseconds, and round up.");
pub(crate) const OUTSIDE_OF_WORKERS: (&str, &str) = (peer::MAY, "Its timer thread runs who wakes, beside the workers.");
pub(crate) const NO_TIMERS_OF_MAY: (&str, &str) = (peer::MAY, "Not run: it has no timers but those of who blocks.");
pub(crate) const NO_TIMERS_ON_THREADS: (&str, &str) =
    (peer::THREADS, "Not run: there are no timers but those of who blocks.");
pub(crate) const NO_CONTEXTS_OF_MAY: (&str, &str) = (peer::MAY, "Not run: it has no contexts.");
pub(crate) const NO_CONTEXTS_ON_THREADS: (&str, &str) = (peer::THREADS, "Not run: there are no contexts.");

pub(crate) const FOUR_RECEIVES: (&str, &str) = (peer::GO_LIB, "Not run: its `select!` takes at most four receives.");
pub(crate) const NO_MILLION_OF_GO_LIB: (&str, &str) = (
    peer::GO_LIB,
    "Not run: each goroutine is two mappings, and the kernel allows a process 65530. All of 6 runs ended with \
     `new_goroutine: stack alloc failed: \"stack_alloc_size: mprotect guard page failed\"`.",
);
pub(crate) const BLOCKING_LOCK: (&str, &str) = (
    peer::GO_LIB,
    "Not run: its locks are std's, so that a goroutine that waits blocks its worker, and waits for ever if the holder \
     was preempted and no other worker is free. All of 8 runs hung, and so did all of 4 with `with_syscall` around the call.",
);
pub(crate) const NO_TIMERS_OF_GO_LIB: (&str, &str) =
    (peer::GO_LIB, "Not run: it has no timers but those of who sleeps.");
pub(crate) const LASTING_TIMEOUT: (&str, &str) = (
    peer::GO_LIB,
    "A context with a timeout, which is a goroutine that sleeps on when it was cancelled: so there are only 2000 to a \
     repetition, as 32 000 are what fits.",
);
pub(crate) const DONE_FROM_THE_START: (&str, &str) =
    (peer::GO_LIB, "Each context has its channel from the start, whether it is asked for or not.");

pub(crate) const BARE_LOOP: (&str, &str) = (
    peer::THREADS,
    "A bare loop around epoll on one thread, whatever the number of workers: what the work costs without a scheduler.",
);
pub(crate) const ONE_SELECTOR: (&str, &str) =
    (peer::MAY, "Its workers poll every 10 ms at least, and a socket has one waiter.");
pub(crate) const ONE_LOOK: (&str, &str) = (
    peer::GO_LIB,
    "No thread waits for sockets: a worker looks once before it sleeps, and a monitor thread every 20 us to 10 ms. \
     `TCP_NODELAY` is set through the descriptor, as there is no call for it.",
);
pub(crate) const ECHO: &[(&str, &str)] = &[ONE_SELECTOR, ONE_LOOK, BARE_LOOP];
