//! Goroutines that do almost nothing.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::spawn;

/// The goroutines count themselves here.
///
/// It is static, so that a goroutine has nothing to carry.
static RUN: AtomicU64 = AtomicU64::new(0);

/// Spawns `count` goroutines, of which `batch` are spawned before the first of them is joined.
pub(crate) fn spawn_join(batch: u64, count: u64) -> Duration {
    let before = RUN.load(Ordering::Relaxed);
    let start = Instant::now();
    let mut left = count;
    while left > 0 {
        let batch = batch.min(left);
        let handles: Vec<_> = (0..batch).map(|_| spawn(|| _ = RUN.fetch_add(1, Ordering::Relaxed))).collect();
        for handle in handles {
            handle.join().expect("counting does not panic");
        }
        left -= batch;
    }
    let elapsed = start.elapsed();
    assert_eq!(RUN.load(Ordering::Relaxed) - before, count);
    elapsed
}
