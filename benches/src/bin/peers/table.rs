//! The workloads: what a figure counts, and where a peer's differs in meaning.

use crate::peer;

/// A line of the report.
#[derive(Debug)]
pub(crate) struct Row {
    /// A peer prints its figures under this name. Up to a dot it is the workload's, so that one workload may have
    /// several figures.
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) counts: &'static str,
    /// By peer: what is different there, or why nothing is there.
    pub(crate) notes: &'static [(&'static str, &'static str)],
}

impl Row {
    pub(crate) fn workload(&self) -> &'static str {
        self.name.split_once('.').map_or(self.name, |(workload, _)| workload)
    }

    pub(crate) fn note(&self, peer: &str) -> Option<&'static str> {
        self.notes.iter().find(|&&(of, _)| of == peer).map(|&(_, note)| note)
    }
}

const CAPACITY_1: (&str, &str) =
    (peer::TOKIO, "A channel of capacity 1: tokio has no rendezvous, and a sender does not wait for its receiver.");
const ASYNC_CHANNEL: (&str, &str) = (peer::TOKIO, "async-channel: tokio's own channels have one receiver.");
const UNBOUNDED: (&str, &str) = (peer::MAY, "An unbounded channel: may has no other.");
const SEMAPHORE_128: (&str, &str) = (peer::MAY, "An unbounded channel and a semaphore that counts 128 free places.");
const SEMAPHORE_1: (&str, &str) = (peer::MAY, "An unbounded channel and a semaphore that counts one free place.");
const QUEUE_128: (&str, &str) = (
    peer::MAY,
    "A `cqueue` that lives as long as the loop, with a coroutine per channel; 128 free places by a semaphore. \
     The `select!` of may would spawn these coroutines for each use.",
);
const QUEUE_1: (&str, &str) = (
    peer::MAY,
    "A `cqueue` that lives as long as the loop, with a coroutine per channel; one free place by a semaphore.",
);
const CANCELLATION: (&str, &str) = (peer::TOKIO, "\"Done\" is a `CancellationToken`.");
const CANCELLATION_1: (&str, &str) =
    (peer::TOKIO, "\"Done\" is a `CancellationToken`; the data's channel has capacity 1.");
const TRY_RECV_TOKIO: (&str, &str) = (peer::TOKIO, "`try_recv`: `select!` has no default.");
const TRY_RECV_MAY: (&str, &str) = (peer::MAY, "`try_recv`: a `cqueue` has no default.");
const FEWER: (&str, &str) = (peer::THREADS, "Fewer operations to a repetition, because each switches threads.");
const NOT_ON_THREADS: (&str, &str) = (peer::THREADS, "Not run: thousands of threads, most of them new.");
const ASYNC_LOCK: (&str, &str) =
    (peer::TOKIO, "tokio's own lock, whose guard may be held across an `await`; std's is the other choice there.");
const PARKING_LOT: (&str, &str) = (peer::THREADS, "parking_lot's.");
const NO_SLEEPERS_ON_THREADS: (&str, &str) = (peer::THREADS, "Not run: a thread for each sleeper.");
const NO_MILLION_OF_MAY: (&str, &str) =
    (peer::MAY, "Not run: each coroutine is two mappings, and the kernel allows a process 65530.");
const ROUNDS_UP: (&str, &str) = (peer::TOKIO, "Its timers are of whole milliseconds, and round up.");
const OUTSIDE_OF_WORKERS: (&str, &str) = (peer::MAY, "Its timer thread runs who wakes, beside the workers.");
const NO_TIMERS_OF_MAY: (&str, &str) = (peer::MAY, "Not run: it has no timers but those of who blocks.");
const NO_TIMERS_ON_THREADS: (&str, &str) = (peer::THREADS, "Not run: there are no timers but those of who blocks.");
const NO_CONTEXTS_OF_MAY: (&str, &str) = (peer::MAY, "Not run: it has no contexts.");
const NO_CONTEXTS_ON_THREADS: (&str, &str) = (peer::THREADS, "Not run: there are no contexts.");

const BARE_LOOP: (&str, &str) = (
    peer::THREADS,
    "A bare loop around epoll on one thread, whatever the number of workers: what the work costs without a scheduler.",
);
const ONE_SELECTOR: (&str, &str) = (peer::MAY, "Its workers poll every 10 ms at least, and a socket has one waiter.");
const ECHO: &[(&str, &str)] = &[ONE_SELECTOR, BARE_LOOP];

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "chan_unbuf_pingpong",
        unit: "ns/round trip",
        counts: "two goroutines and two unbuffered channels: a value goes one way and comes back the other",
        notes: &[CAPACITY_1, UNBOUNDED, FEWER],
    },
    Row {
        name: "chan_buf_spsc",
        unit: "ns/value",
        counts: "one sender, one receiver, a buffer of 128",
        notes: &[SEMAPHORE_128],
    },
    Row {
        name: "chan_mpmc_4x4",
        unit: "ns/value",
        counts: "four senders, four receivers, one buffer of 128",
        notes: &[ASYNC_CHANNEL, SEMAPHORE_128],
    },
    Row {
        name: "select2_buf128",
        unit: "ns/select",
        counts: "one receiver selects over 2 channels with buffers of 128 and a sender each",
        notes: &[QUEUE_128],
    },
    Row {
        name: "select8_buf128",
        unit: "ns/select",
        counts: "one receiver selects over 8 channels with buffers of 128 and a sender each",
        notes: &[QUEUE_128],
    },
    Row {
        name: "select2_unbuf",
        unit: "ns/select",
        counts: "one receiver selects over 2 unbuffered channels with a sender each",
        notes: &[CAPACITY_1, QUEUE_1, FEWER],
    },
    Row {
        name: "select8_unbuf",
        unit: "ns/select",
        counts: "one receiver selects over 8 unbuffered channels with a sender each",
        notes: &[CAPACITY_1, QUEUE_1, FEWER],
    },
    Row {
        name: "select_default1",
        unit: "ns/select",
        counts: "a select of one empty channel, with a default",
        notes: &[TRY_RECV_TOKIO, TRY_RECV_MAY],
    },
    Row {
        name: "select_default2",
        unit: "ns/select",
        counts: "a select of two empty channels, with a default",
        notes: &[
            (peer::TOKIO, "A biased `select!` whose last arm is always ready."),
            (peer::MAY, "A `cqueue` has no default."),
        ],
    },
    Row {
        name: "select_done_buf128",
        unit: "ns/select",
        counts: "one receiver selects over a channel with a buffer of 128 and a sender, and one that only ever closes",
        notes: &[CANCELLATION, QUEUE_128],
    },
    Row {
        name: "select_done_unbuf",
        unit: "ns/select",
        counts: "one receiver selects over an unbuffered channel with a sender, and one that only ever closes",
        notes: &[CANCELLATION_1, QUEUE_1, FEWER],
    },
    Row {
        name: "ring",
        unit: "ns/hop",
        counts: "1000 goroutines hand one token around, through unbuffered channels",
        notes: &[CAPACITY_1, UNBOUNDED, FEWER],
    },
    Row {
        name: "sieve_2000",
        unit: "ms",
        counts: "the first 2000 primes, by a chain of as many goroutines and unbuffered channels",
        notes: &[CAPACITY_1, SEMAPHORE_1, NOT_ON_THREADS],
    },
    Row {
        name: "skynet_10k",
        unit: "ms",
        counts: "a tree of goroutines with 10 children each and 10 000 leaves, which sums what they send",
        notes: &[CAPACITY_1, UNBOUNDED, NOT_ON_THREADS],
    },
    Row {
        name: "skynet_1m",
        unit: "ms",
        counts: "the same with a million leaves",
        notes: &[CAPACITY_1, NO_MILLION_OF_MAY, NOT_ON_THREADS],
    },
    Row {
        name: "mutex_8",
        unit: "ns/lock",
        counts: "8 goroutines that lock a mutex, add 1, unlock",
        notes: &[ASYNC_LOCK, PARKING_LOT],
    },
    Row {
        name: "rwlock_1pct",
        unit: "ns/operation",
        counts: "8 goroutines that read under a read-write lock, and every hundredth time write",
        notes: &[ASYNC_LOCK, PARKING_LOT],
    },
    Row {
        name: "sleep_20k.p50",
        unit: "us late",
        counts: "20 000 goroutines that sleep once for 1 to 1000 ms: how late half of them wake at most",
        notes: &[ROUNDS_UP, OUTSIDE_OF_WORKERS, NO_SLEEPERS_ON_THREADS],
    },
    Row {
        name: "sleep_20k.p99",
        unit: "us late",
        counts: "the same: how late 99 of 100 wake at most",
        notes: &[ROUNDS_UP, OUTSIDE_OF_WORKERS, NO_SLEEPERS_ON_THREADS],
    },
    Row {
        name: "sleep_1m.wall",
        unit: "ms",
        counts: "a million of them: from the first spawn to the last end",
        notes: &[ROUNDS_UP, NO_MILLION_OF_MAY, NO_SLEEPERS_ON_THREADS],
    },
    Row {
        name: "sleep_1m.p99",
        unit: "us late",
        counts: "the same: how late 99 of 100 wake at most",
        notes: &[ROUNDS_UP, NO_MILLION_OF_MAY, NO_SLEEPERS_ON_THREADS],
    },
    Row {
        name: "timer_new_stop",
        unit: "ns/timer",
        counts: "a timer an hour away is made and stopped, while 10 000 others wait; nobody waits for it, so that neither \
                 greenthread nor Go puts it among them",
        notes: &[
            (peer::TOKIO, "A `Sleep` that is polled once, which does put it among the others, and dropped."),
            NO_TIMERS_OF_MAY,
            NO_TIMERS_ON_THREADS,
        ],
    },
    Row {
        name: "after_func_stop",
        unit: "ns/timer",
        counts: "a function that is to run in an hour, and is stopped, while 10 000 others wait",
        notes: &[(peer::TOKIO, "Not run: it has none but a task that sleeps."), NO_TIMERS_OF_MAY, NO_TIMERS_ON_THREADS],
    },
    Row {
        name: "timer_select",
        unit: "ns/round trip",
        counts: "`chan_unbuf_pingpong`, but that the value comes back into a select with `after` an hour: a timer is made, \
                 waited for and given up each time",
        notes: &[
            (peer::TOKIO, "`timeout` around `recv`, and channels of capacity 1."),
            (peer::MAY, "`recv_timeout`, of an unbounded channel."),
            FEWER,
        ],
    },
    Row {
        name: "ctx_timeout_cancel",
        unit: "ns/context",
        counts: "a context with a timeout of an hour is made and cancelled",
        notes: &[
            (peer::TOKIO, "A `CancellationToken`, and a `Sleep` that is polled once."),
            NO_CONTEXTS_OF_MAY,
            NO_CONTEXTS_ON_THREADS,
        ],
    },
    Row {
        name: "ctx_tree_10k",
        unit: "us",
        counts: "a context is cancelled that has 100 children with 100 children each, which nobody has asked for `done`",
        notes: &[(peer::TOKIO, "A tree of `CancellationToken`s."), NO_CONTEXTS_OF_MAY, NO_CONTEXTS_ON_THREADS],
    },
    Row {
        name: "ctx_tree_10k_done",
        unit: "us",
        counts: "the same, but that each of the 10 000 was asked for `done`",
        notes: &[
            (peer::TOKIO, "Not run: a `CancellationToken` has nothing that is made when it is asked for."),
            NO_CONTEXTS_OF_MAY,
            NO_CONTEXTS_ON_THREADS,
        ],
    },
    Row {
        name: "echo_64c.request",
        unit: "ns/request",
        counts: "64 bytes there and back over TCP, on each of 64 connections one after the other; the client is a process of its own, the same for all",
        notes: ECHO,
    },
    Row { name: "echo_64c.p99", unit: "us", counts: "the same: how long 99 of 100 requests take at most", notes: ECHO },
    Row { name: "echo_64c.cpu", unit: "us/request", counts: "the same: CPU time of the server", notes: ECHO },
    Row { name: "echo_512c.request", unit: "ns/request", counts: "the same with 512 connections", notes: ECHO },
    Row {
        name: "echo_512c.p99",
        unit: "us",
        counts: "the same: how long 99 of 100 requests take at most",
        notes: ECHO,
    },
    Row { name: "echo_512c.cpu", unit: "us/request", counts: "the same: CPU time of the server", notes: ECHO },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_different_and_notes_are_about_peers() {
        for (n, row) in ROWS.iter().enumerate() {
            assert!(ROWS[..n].iter().all(|other| other.name != row.name), "{} stands there twice", row.name);
            for (of, _) in row.notes {
                assert!(peer::PEERS.iter().any(|peer| peer.name == *of), "{}: who is {of}?", row.name);
            }
        }
    }

    #[test]
    fn a_row_may_be_one_of_a_workloads_figures() {
        let row = |name| Row { name, unit: "us", counts: "", notes: &[("go", "late")] };
        assert_eq!(row("sleep.p99").workload(), "sleep");
        assert_eq!(row("sleep").workload(), "sleep");
        assert_eq!((row("sleep").note("go"), row("sleep").note("may")), (Some("late"), None));
    }
}
