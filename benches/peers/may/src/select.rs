//! One receiver that selects: over channels with one sender each, or beside a "done" that never
//! comes.
//!
//! A `cqueue` does it, with one coroutine per channel that lives as long as the loop; may's
//! `select!` would spawn them again each time. A queue cannot report at once that it is empty, so
//! of the workloads with a default there is only that of one channel.

use std::time::{Duration, Instant};

use may::sync::mpsc;
use may::{cqueue, go};
use peer_harness::Workload;

use crate::bounded::{Receiver, bounded};
use crate::on_coroutine;

pub(crate) const WORKLOADS: &[Workload] = &[
    Workload::each("select2_buf128", 1_000_000, |n| on_coroutine(move || many(2, 128, n))),
    Workload::each("select8_buf128", 1_000_000, |n| on_coroutine(move || many(8, 128, n))),
    Workload::each("select2_unbuf", 500_000, |n| on_coroutine(move || many(2, 1, n))),
    Workload::each("select8_unbuf", 500_000, |n| on_coroutine(move || many(8, 1, n))),
    Workload::each("select_default1", 20_000_000, |n| on_coroutine(move || default_one(n))),
    Workload::each("select_done_buf128", 1_000_000, |n| on_coroutine(move || done(128, n))),
    Workload::each("select_done_unbuf", 500_000, |n| on_coroutine(move || done(1, n))),
];

/// Creates `count` channels with a sender for each, which together send `values`.
fn sources(count: u64, capacity: usize, values: u64) -> Vec<Receiver<u64>> {
    let sources = (0..count).map(|id| {
        let (tx, rx) = bounded(capacity);
        let mine = values / count + u64::from(id < values % count);
        go!(move || (0..mine).for_each(|n| tx.send(n).expect("the receiver takes all")));
        rx
    });
    sources.collect()
}

fn many(count: u64, capacity: usize, selects: u64) -> Duration {
    let sources = sources(count, capacity, selects);
    cqueue::scope(|queue| {
        for (token, source) in sources.into_iter().enumerate() {
            forward(queue, token, source);
        }
        poll(queue, selects)
    })
}

fn done(capacity: usize, selects: u64) -> Duration {
    let (_not_yet, done) = mpsc::channel::<()>();
    cqueue::scope(|queue| {
        for source in sources(1, capacity, selects) {
            forward(queue, 0, source);
        }
        go!(queue, 1, |event| {
            if done.recv().is_ok() {
                event.send(0);
            }
        });
        poll(queue, selects)
    })
}

/// Turns each value into an event, until the source ends.
fn forward(queue: &cqueue::Cqueue, token: usize, source: Receiver<u64>) {
    go!(queue, token, move |event| {
        while source.recv().is_ok() {
            event.send(0);
        }
    });
}

fn poll(queue: &cqueue::Cqueue, selects: u64) -> Duration {
    let start = Instant::now();
    for _ in 0..selects {
        queue.poll(None).expect("another value arrives");
    }
    start.elapsed()
}

fn default_one(selects: u64) -> Duration {
    let (_open, a) = mpsc::channel::<u64>();
    let start = Instant::now();
    for _ in 0..selects {
        assert!(a.try_recv().is_err(), "nothing is sent");
    }
    start.elapsed()
}
