//! One receiver that selects: over channels with one sender each, or beside a "done" that never
//! comes, or with a default and nothing to receive. A channel of capacity 1 stands in for an
//! unbuffered one.

use std::array;
use std::future::ready;
use std::time::{Duration, Instant};

use peer_harness::Workload;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::{select, spawn};
use tokio_util::sync::CancellationToken;

use crate::on_worker;

pub(crate) const WORKLOADS: &[Workload] = &[
    Workload::each("select2_buf128", 1_000_000, |n| on_worker(two(128, n))),
    Workload::each("select8_buf128", 1_000_000, |n| on_worker(eight(128, n))),
    Workload::each("select2_unbuf", 500_000, |n| on_worker(two(1, n))),
    Workload::each("select8_unbuf", 500_000, |n| on_worker(eight(1, n))),
    Workload::each("select_default1", 20_000_000, |n| on_worker(default_one(n))),
    Workload::each("select_default2", 3_000_000, |n| on_worker(default_two(n))),
    Workload::each("select_done_buf128", 1_000_000, |n| on_worker(done(128, n))),
    Workload::each("select_done_unbuf", 500_000, |n| on_worker(done(1, n))),
];

/// Creates `N` channels with a sender for each, which together send `values`.
///
/// The caller also gets the sending ends, because a closed channel is always ready.
fn sources<const N: usize>(capacity: usize, values: u64) -> ([Sender<u64>; N], [Receiver<u64>; N]) {
    let mut senders = Vec::with_capacity(N);
    let receivers = array::from_fn(|id| {
        let (tx, rx) = mpsc::channel(capacity);
        senders.push(tx.clone());
        let (id, count) = (id as u64, N as u64);
        let mine = values / count + u64::from(id < values % count);
        spawn(async move {
            for n in 0..mine {
                tx.send(n).await.expect("the receiver takes all");
            }
        });
        rx
    });
    (senders.try_into().expect("there are N"), receivers)
}

async fn two(capacity: usize, selects: u64) -> Duration {
    let (_open, [mut a, mut b]) = sources(capacity, selects);
    let start = Instant::now();
    for _ in 0..selects {
        let value = select! {
            value = a.recv() => value,
            value = b.recv() => value,
        };
        value.expect("the channel is open");
    }
    start.elapsed()
}

async fn eight(capacity: usize, selects: u64) -> Duration {
    let (_open, [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h]) = sources(capacity, selects);
    let start = Instant::now();
    for _ in 0..selects {
        let value = select! {
            value = a.recv() => value,
            value = b.recv() => value,
            value = c.recv() => value,
            value = d.recv() => value,
            value = e.recv() => value,
            value = f.recv() => value,
            value = g.recv() => value,
            value = h.recv() => value,
        };
        value.expect("the channel is open");
    }
    start.elapsed()
}

async fn default_one(selects: u64) -> Duration {
    let (_open, mut a) = mpsc::channel::<u64>(1);
    let start = Instant::now();
    for _ in 0..selects {
        assert!(a.try_recv().is_err(), "nothing is sent");
    }
    start.elapsed()
}

async fn default_two(selects: u64) -> Duration {
    let ((_open_a, mut a), (_open_b, mut b)) = (mpsc::channel::<u64>(1), mpsc::channel::<u64>(1));
    let start = Instant::now();
    for _ in 0..selects {
        select! {
            biased;
            _ = a.recv() => unreachable!("nothing is sent"),
            _ = b.recv() => unreachable!("nothing is sent"),
            () = ready(()) => {}
        }
    }
    start.elapsed()
}

async fn done(capacity: usize, selects: u64) -> Duration {
    let (_open, [mut data]) = sources(capacity, selects);
    let done = CancellationToken::new();
    let start = Instant::now();
    for _ in 0..selects {
        select! {
            value = data.recv() => { value.expect("the channel is open"); }
            () = done.cancelled() => unreachable!("it never comes"),
        }
    }
    start.elapsed()
}
