//! The lease alone: what each entry into the scheduler pays to learn whether its P is still there.
//!
//! Timed: enter and exit with nobody else about; an attempt to take a P whose owner is inside; a take and the renewal.
//! Not timed: contention. The figures stand for the `membarrier` fence once a runtime has started in the process, and
//! for a full fence before that (or where the kernel has no such call): both are measured.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use greenthread_scheduler::protocol::lease::Lease;

fn lease(c: &mut Criterion, fence: &str) {
    let mut group = c.benchmark_group(format!("lease/{fence}"));
    let lease = Lease::new();
    lease.renew();
    group.bench_function("enter_exit", |b| {
        b.iter(|| {
            let lease = black_box(&lease);
            let entered = lease.enter();
            lease.exit();
            entered
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

fn full_fence(c: &mut Criterion) {
    lease(c, "full_fence");
}

criterion_group!(benches, full_fence);
criterion_main!(benches);
