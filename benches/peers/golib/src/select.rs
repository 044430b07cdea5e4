//! One receiver that selects: over channels with one sender each, or beside a "done" that never
//! comes, or with a default and nothing to receive.

use std::time::{Duration, Instant};

use go_lib::chan::{Receiver, Sender, chan};
use go_lib::{go, select};
use peer_harness::Workload;

use crate::on_goroutine;

pub(crate) const WORKLOADS: &[Workload] = &[
    Workload::each("select2_buf128", 1_000_000, |n| on_goroutine(move || two(128, n))),
    Workload::each("select2_unbuf", 500_000, |n| on_goroutine(move || two(0, n))),
    Workload::each("select_default1", 3_000_000, |n| on_goroutine(move || default_one(n))),
    Workload::each("select_default2", 3_000_000, |n| on_goroutine(move || default_two(n))),
    Workload::each("select_done_buf128", 1_000_000, |n| on_goroutine(move || done(128, n))),
    Workload::each("select_done_unbuf", 500_000, |n| on_goroutine(move || done(0, n))),
];

/// Creates a channel with a sender that sends `values`.
///
/// The caller also gets the sending end, because a closed channel is always ready.
fn source(capacity: usize, values: u64) -> (Sender<u64>, Receiver<u64>) {
    let (tx, rx) = chan(capacity);
    let open = tx.clone();
    go!(move || (0..values).for_each(|n| tx.send(n)));
    (open, rx)
}

/// Receives over two channels.
fn two(capacity: usize, selects: u64) -> Duration {
    let (_open_a, a) = source(capacity, selects.div_ceil(2));
    let (_open_b, b) = source(capacity, selects / 2);
    let start = Instant::now();
    for _ in 0..selects {
        select! {
            recv(a) -> value => { value.expect("the channel is open"); }
            recv(b) -> value => { value.expect("the channel is open"); }
        }
    }
    start.elapsed()
}

/// Polls one empty channel.
fn default_one(selects: u64) -> Duration {
    let (_open, a) = chan::<u64>(1);
    let start = Instant::now();
    for _ in 0..selects {
        select! {
            recv(a) -> _value => { unreachable!("nothing is sent") }
            default => {}
        }
    }
    start.elapsed()
}

/// Polls two empty channels.
fn default_two(selects: u64) -> Duration {
    let ((_open_a, a), (_open_b, b)) = (chan::<u64>(1), chan::<u64>(1));
    let start = Instant::now();
    for _ in 0..selects {
        select! {
            recv(a) -> _value => { unreachable!("nothing is sent") }
            recv(b) -> _value => { unreachable!("nothing is sent") }
            default => {}
        }
    }
    start.elapsed()
}

/// Receives from one channel, each time beside another channel that says when to stop.
fn done(capacity: usize, selects: u64) -> Duration {
    let (_open, data) = source(capacity, selects);
    let (_not_yet, done) = chan::<()>(0);
    let start = Instant::now();
    for _ in 0..selects {
        select! {
            recv(data) -> value => { value.expect("the channel is open"); }
            recv(done) -> _value => { unreachable!("it never comes") }
        }
    }
    start.elapsed()
}
