//! Goroutines that do almost nothing, and goroutines that only yield.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use go_lib::sync::WaitGroup;
use go_lib::{go, gosched};
use peer_harness::Workload;

use crate::on_goroutine;

pub(crate) const WORKLOADS: &[Workload] = &[
    Workload::each("spawn_join_10k", 100_000, |n| on_goroutine(move || spawn_join(n, 10_000))),
    Workload::each("spawn_join_1m", 300_000, |n| on_goroutine(move || spawn_join(n, n))),
    Workload::each("yield_2", 1_000_000, |n| on_goroutine(move || yields(n, 2))),
    Workload::each("yield_1000", 1_000_000, |n| on_goroutine(move || yields(n, 1000))),
];

/// Spawns and joins `count` goroutines, `batch` of them at a time.
fn spawn_join(count: u64, batch: u64) -> Duration {
    let ran = Arc::new(AtomicU64::new(0));
    let start = Instant::now();
    let mut left = count;
    while left > 0 {
        let these = left.min(batch);
        run_all(these, || {
            let ran = Arc::clone(&ran);
            move || {
                ran.fetch_add(1, Ordering::Relaxed);
            }
        });
        left -= these;
    }
    let elapsed = start.elapsed();
    assert_eq!(ran.load(Ordering::Relaxed), count);
    elapsed
}

/// Yields `total` times, in `count` goroutines together.
fn yields(total: u64, count: u64) -> Duration {
    let mut shares = (0..count).map(|id| total / count + u64::from(id < total % count));
    let start = Instant::now();
    run_all(count, || {
        let mine = shares.next().expect("there is one for each");
        move || (0..mine).for_each(|_| gosched())
    });
    start.elapsed()
}

/// Spawns `count` closures from `work`, and waits for all of them.
fn run_all<F: FnOnce() + Send + 'static>(count: u64, mut work: impl FnMut() -> F) {
    let running = Arc::new(WaitGroup::new());
    running.add(count as i64);
    for _ in 0..count {
        let (work, running) = (work(), Arc::clone(&running));
        go!(move || {
            work();
            running.done();
        });
    }
    running.wait();
}
