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

pub(crate) const BARE_LOOP: (&str, &str) = (
    peer::THREADS,
    "A bare loop around epoll on one thread, whatever the number of workers: what the work costs without a scheduler.",
);
pub(crate) const ONE_SELECTOR: (&str, &str) =
    (peer::MAY, "Its workers poll every 10 ms at least, and a socket has one waiter.");
pub(crate) const ECHO: &[(&str, &str)] = &[ONE_SELECTOR, BARE_LOOP];
