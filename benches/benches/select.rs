//! Selects by one goroutine: over channels with one sender each, beside a "done" channel that never
//! becomes ready, and with a default when nothing is ready.
//!
//! Timed: a select that ends. The send that ends it is part of the figure, because it runs on the
//! same Ps. With a buffer of 128, most selects find a value at once; without a buffer, they park or
//! find a parked sender. Not timed: creating the channels and spawning. With 2 Ps a value may cross
//! to another thread: read these figures together with those of 1 P.
//!
//! The rivals' equivalents are Go's `select`, and crossbeam-channel's `select!` between threads.
//! The `peers` program runs them, with the same functions as here.

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use greenthread::{channel, spawn};
use greenthread_benches::{PROCS, on_procs};

#[path = "../peers/crossbeam_api/select.rs"]
mod select;

/// Does a given number of selects.
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
