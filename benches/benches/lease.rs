//! The lease alone: what each entry into the scheduler pays to learn if its P is still there.
//!
//! Timed: enter and exit without contention; an attempt to take a P whose owner is inside; and a
//! take followed by a renewal. Not timed: contention. Once a runtime has started in the process,
//! the figures are those of the `membarrier` fence. Before that, or where the kernel has no such
//! call, they are those of a full fence. Both are measured.

use std::hint::black_box;
use std::time::Instant;

use criterion::{Criterion, criterion_group, criterion_main};
use greenthread_benches::on_procs;
use greenthread_scheduler::protocol::lease::Lease;

fn lease(c: &mut Criterion, fence: &str) {
    let mut group = c.benchmark_group(format!("lease/{fence}"));
    let lease = Lease::new();
    lease.renew();
    group.bench_function("enter_exit", |b| {
        // A custom loop, since criterion keeps each result of `iter` in memory, which costs more
        // than the pair.
        b.iter_custom(|iters| {
            let start = Instant::now();
            let entered = (0..iters).filter(|_| {
                let entered = lease.enter();
                lease.exit();
                entered
            });
            assert_eq!(entered.count() as u64, iters);
            start.elapsed()
        });
    });
    group.bench_function("try_take_inside", |b| {
        lease.renew();
        b.iter(|| black_box(&lease).try_take(|| true));
    });
    group.bench_function("take_and_renew", |b| {
        b.iter(|| {
            lease.exit();
            assert!(black_box(&lease).try_take(|| true));
            lease.renew();
        });
    });
}

fn both_fences(c: &mut Criterion) {
    lease(c, "full_fence");
    // Any use starts the runtime, which decides which fence this process has.
    on_procs(1, || {});
    lease(c, "membarrier");
}

criterion_group!(benches, both_fences);
criterion_main!(benches);
