//! Tasks that do almost nothing.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use peer_harness::Workload;
use tokio::spawn;

use crate::on_worker;

pub(crate) const WORKLOADS: &[Workload] = &[
    Workload::each("spawn_join_10k", 1_000_000, |n| on_worker(spawn_join(10_000, n))),
    Workload::each("spawn_join_1m", 1_000_000, |n| on_worker(spawn_join(n, n))),
];

/// The tasks count themselves here.
///
/// It is static, so that a task has nothing to carry.
static RUN: AtomicU64 = AtomicU64::new(0);

/// Spawns `count` tasks, of which `batch` are spawned before the first of them is awaited.
async fn spawn_join(batch: u64, count: u64) -> Duration {
    let before = RUN.load(Ordering::Relaxed);
    let start = Instant::now();
    let mut left = count;
    while left > 0 {
        let batch = batch.min(left);
        let handles: Vec<_> = (0..batch).map(|_| spawn(async { _ = RUN.fetch_add(1, Ordering::Relaxed) })).collect();
        for handle in handles {
            handle.await.expect("counting does not panic");
        }
        left -= batch;
    }
    let elapsed = start.elapsed();
    assert_eq!(RUN.load(Ordering::Relaxed) - before, count);
    elapsed
}
