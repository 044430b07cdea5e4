//! Selects by one goroutine: over channels that each have a sender of their own, beside a "done" that never comes, and
//! with a default when nothing is ready.
//!
//! Timed: a select that ends (the send that makes it end is in the figure, because it runs on the same Ps; with a
//! buffer of 128 most find a value at once, without one they park or find a parked sender). Not timed: making the
//! channels and spawning. With 2 Ps a value may cross to another thread: read these figures together with those of 1 P.
//!
//! The rivals' equivalents: Go's `select`; crossbeam-channel's `select!` between threads. The `peers` program runs
//! them, with the same functions as here.

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use greenthread::{channel, spawn};
use greenthread_benches::{PROCS, on_procs};

#[path = "../peers/crossbeam_api/select.rs"]
mod select;

/// Does so many selects.
type Shape = fn(u64) -> Duration;

const SHAPES: [(&str, Shape); 8] = [
    ("two_buffered", |n| select::two(128, n)),
    ("eight_buffered", |n| select::eight(128, n)),
    ("two_unbuffered", |n| select::two(0, n)),
    ("eight_unbuffered", |n| select::eight(0, n)),
    ("default_of_one", select::default_one),
    ("default_of_two", select::default_two),
    ("done_buffered", |n| select::done(128, n)),
    ("done_unbuffered", |n| select::done(0, n)),
];

fn selects(c: &mut Criterion) {
    let mut group = c.benchmark_group("select");
    for procs in PROCS {
        for (name, shape) in SHAPES {
            group.bench_function(BenchmarkId::new(name, format!("procs={procs}")), |b| {
                b.iter_custom(|iters| on_procs(procs, move || shape(iters)));
            });
        }
    }
}

criterion_group!(benches, selects);
criterion_main!(benches);
