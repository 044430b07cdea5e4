//! Yield: give the CPU to the next goroutine.
//!
//! Timed: goroutines that only call `yield_now`, 2 of them (the switch alone, with all data in the
//! first-level cache) and 1000 (with the cache misses of other stacks). Figures are per yield, over
//! all goroutines. Not timed: spawning, which is complete before the first timed yield.
//!
//! The rivals' equivalents are Go's `runtime.Gosched` and tokio's `task::yield_now`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use greenthread_benches::{PROCS, on_procs};

fn yields(goroutines: u64, total: u64) -> Duration {
    let go = Arc::new(AtomicBool::new(false));
    let each = total.div_ceil(goroutines);
    let handles: Vec<_> = (0..goroutines)
        .map(|_| {
            let go = Arc::clone(&go);
            greenthread::spawn(move || {
                while !go.load(Ordering::Acquire) {
                    greenthread::yield_now();
                }
                for _ in 0..each {
                    greenthread::yield_now();
                }
            })
        })
        .collect();
    // One round, so that each goroutine has a stack.
    greenthread::yield_now();
    let start = Instant::now();
    go.store(true, Ordering::Release);
    for handle in handles {
        handle.join().expect("yielding does not panic");
    }
    // `each * goroutines` yields were timed; criterion divides by `total`.
    start.elapsed().mul_f64(total as f64 / (each * goroutines) as f64)
}

fn yield_now(c: &mut Criterion) {
    let mut group = c.benchmark_group("yield_now");
    for goroutines in [2, 1000] {
        for procs in PROCS {
            group.bench_function(BenchmarkId::new(format!("{goroutines}"), format!("procs={procs}")), |b| {
                b.iter_custom(|iters| on_procs(procs, move || yields(goroutines, iters)));
            });
        }
    }
}

criterion_group!(benches, yield_now);
criterion_main!(benches);
