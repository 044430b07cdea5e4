//! A source and four stages that add one to each value: as a `Pipeline`, and written by hand with
//! goroutines and channels, whose waits end with a context or not at all.
//!
//! Timed: the way of a value through all five channels, with its share of starting and ending the
//! goroutines. A stage that is written by hand and has no context never notices, while it waits for
//! input, that its output is not needed anymore. This is what the pipeline's figure pays for.

use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use greenthread::channel::{self, Receiver, Sender};
use greenthread::ctx::Context;
use greenthread::go;
use greenthread::patterns::Pipeline;
use greenthread_benches::{PROCS, on_procs};

const STAGES: usize = 4;

/// Sends a number of values through channels of a given capacity.
type Shape = fn(usize, u64) -> Duration;

const SHAPES: [(&str, Shape); 3] =
    [("pipeline", pipeline), ("by_hand_with_context", with_context), ("by_hand", by_hand)];

fn pipeline(capacity: usize, n: u64) -> Duration {
    timed(n, || {
        let mut values = Pipeline::with_capacity(&Context::background(), capacity, 0..n);
        for _ in 0..STAGES {
            values = values.map(|value| value + 1);
        }
        values.iter().sum()
    })
}

fn by_hand(capacity: usize, n: u64) -> Duration {
    let stage = |input: Receiver<u64>, tx: Sender<u64>| input.iter().try_for_each(|value| tx.send(value + 1)).is_ok();
    timed(n, || chain(capacity, move |tx| (0..n).for_each(|value| tx.send(value).unwrap()), stage).iter().sum())
}

fn with_context(capacity: usize, n: u64) -> Duration {
    let (ctx, _cancel) = Context::background().with_cancel();
    let (first, later) = (ctx.clone(), ctx.clone());
    let stage = move |input: Receiver<u64>, tx: Sender<u64>| {
        while let Ok(value) = later.recv(&input) {
            later.send(&tx, value + 1).unwrap();
        }
        true
    };
    let source = move |tx: Sender<u64>| (0..n).for_each(|value| first.send(&tx, value).unwrap());
    timed(n, || chain(capacity, source, stage).iter().sum())
}

/// Spawns a goroutine that sends, and goroutines that pass the values on.
fn chain(
    capacity: usize,
    source: impl FnOnce(Sender<u64>) + Send + 'static,
    stage: impl Fn(Receiver<u64>, Sender<u64>) -> bool + Clone + Send + 'static,
) -> Receiver<u64> {
    let (tx, mut values) = channel::bounded(capacity);
    go!(move || source(tx));
    for _ in 0..STAGES {
        let (tx, output) = channel::bounded(capacity);
        let (input, stage) = (values, stage.clone());
        go!(move || assert!(stage(input, tx)));
        values = output;
    }
    values
}

fn timed(n: u64, run: impl FnOnce() -> u64) -> Duration {
    let start = Instant::now();
    let sum = run();
    let elapsed = start.elapsed();
    assert_eq!(sum, n * n.saturating_sub(1) / 2 + n * STAGES as u64);
    elapsed
}

fn pipelines(c: &mut Criterion) {
    let mut group = c.benchmark_group("pipeline");
    for procs in PROCS {
        for (name, shape) in SHAPES {
            for capacity in [0, 16] {
                group.bench_function(BenchmarkId::new(name, format!("capacity={capacity},procs={procs}")), |b| {
                    b.iter_custom(|iters| on_procs(procs, move || shape(capacity, iters)));
                });
            }
        }
    }
}

criterion_group!(benches, pipelines);
criterion_main!(benches);
