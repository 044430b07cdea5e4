//! Spawn and join.
//!
//! Timed: a goroutine spawns 10 000 others that do nothing, and then joins each; the same with a
//! million. Figures are per batch and, as throughput, per goroutine. Most of these goroutines never
//! park, so most run on a stack that the one before has just left. Not timed: the first batch,
//! which creates the stacks and warms the allocator.
//!
//! The rivals' equivalents are Go's `go func() {}()` with a `sync.WaitGroup`, and tokio's `spawn`
//! and `JoinHandle::await`. The figure of the million depends on memory: compare only on memory
//! that was touched before, and interleave the rivals.

use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use greenthread_benches::{PROCS, on_procs};

fn spawn_and_join(n: u64) -> Duration {
    let start = Instant::now();
    let handles: Vec<_> = (0..n).map(|_| greenthread::spawn(|| {})).collect();
    for handle in handles {
        handle.join().expect("an empty goroutine does not panic");
    }
    start.elapsed()
}

fn spawn(c: &mut Criterion) {
    let mut group = c.benchmark_group("spawn");
    for batch in [10_000, 1_000_000] {
        group.throughput(Throughput::Elements(batch)).sample_size(if batch > 10_000 { 10 } else { 50 });
        for procs in PROCS {
            group.bench_function(BenchmarkId::new(format!("{batch}"), format!("procs={procs}")), |b| {
                on_procs(procs, move || spawn_and_join(batch));
                b.iter_custom(|iters| on_procs(procs, move || (0..iters).map(|_| spawn_and_join(batch)).sum()));
            });
        }
    }
}

criterion_group!(benches, spawn);
criterion_main!(benches);
