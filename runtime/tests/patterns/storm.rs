//! Pipelines of any shape that end in any way, against a model: a consumer that reaches the end has
//! all values, and a panic is never lost.

use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::common::drops::{Census, Counted};
use crate::common::{Rng, storm, text, until, until_alone};
use greenthread::channel;
use greenthread::ctx::{Cause, Context, Error};
use greenthread::patterns::{
    Pipeline, bridge, dynamic_worker_pool, fan_in, fan_out, parallel_map, tee, until_done, worker_pool,
};
use greenthread::{go, spawn, yield_now};

/// A number that counts as a value.
#[derive(Clone)]
struct Token {
    n: usize,
    _counted: Arc<Counted>,
}

/// What should come out of a pipeline.
#[derive(Clone)]
struct Model {
    values: Vec<usize>,
    ordered: bool,
}

impl Model {
    fn check(&self, mut seen: Vec<usize>) {
        let mut values = self.values.clone();
        if !self.ordered {
            seen.sort_unstable();
            values.sort_unstable();
        }
        assert_eq!(seen, values);
    }
}

/// A stage that fails at a certain number.
#[derive(Clone)]
struct Trap {
    n: usize,
    kind: Kind,
    sprung: Arc<AtomicBool>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    None,
    Panic,
    Error,
}

impl Trap {
    fn random(random: &mut Rng) -> Self {
        let kind = [Kind::None, Kind::None, Kind::Panic, Kind::Error][random.index(4)];
        Self { n: random.index(80), kind, sprung: Arc::default() }
    }

    fn set(self, values: Pipeline<Token>) -> Pipeline<Token> {
        let n = self.n;
        let spring = move |token: Token| {
            if token.n != self.n || self.kind == Kind::None {
                return Ok(token);
            }
            self.sprung.store(true, Ordering::Relaxed);
            match self.kind {
                Kind::Error => Err("expected".to_owned()),
                _ => panic::resume_unwind(Box::new("expected")),
            }
        };
        if n.is_multiple_of(2) { values.try_map(spring) } else { values.try_map_ordered(1 + n % 4, spring) }
    }
}

/// Adds a random pattern with one input and one output.
fn grow(ctx: &Context, values: Pipeline<Token>, model: &mut Model, random: &mut Rng) -> Pipeline<Token> {
    let values = values.capacity(random.index(3));
    let workers = 1 + random.index(4);
    match random.below(15) {
        0 => {
            model.values.retain(|n| n % 3 > 0);
            values.filter(|token| token.n % 3 > 0)
        }
        1 => {
            model.values = model.values.iter().flat_map(|&n| vec![n; n % 3]).collect();
            values.flat_map(|token| vec![token.clone(); token.n % 3])
        }
        2 => values.batch(workers, Duration::from_micros(random.below(50))).flat_map(|batch| batch),
        3 => values.map_ordered(workers, |token| token),
        4 if model.ordered => {
            let n = random.index(60);
            model.values.truncate(n);
            values.take(n)
        }
        5 => {
            let inner = ctx.clone();
            let batches = values.batch(workers, Duration::from_micros(20));
            bridge(ctx, batches.map(move |batch| Pipeline::new(&inner, batch)))
        }
        6 => {
            let (left, right) = tee(ctx, values);
            let (goes, stays) = if random.one_in(2) { (left, right) } else { (right, left) };
            drop(goes);
            stays
        }
        7 => Pipeline::from_input(ctx, values),
        disorderly => {
            model.ordered = false;
            match disorderly {
                8 => values.map_parallel(workers, |token| token),
                9 => dynamic_worker_pool(ctx, 1..=workers, Duration::from_micros(20), values, |_, token| token),
                10 => fan_in(ctx, fan_out(ctx, workers, values, |token| token)),
                11..14 => diamond(ctx, values, model, random),
                _ => worker_pool(ctx, workers, values, |_, token| token),
            }
        }
    }
}

/// Splits the values in two, and merges them again.
fn diamond(ctx: &Context, values: Pipeline<Token>, model: &mut Model, random: &mut Rng) -> Pipeline<Token> {
    let (left, right) = tee(ctx, values);
    let mut other = model.clone();
    let left = grow(ctx, left, model, random);
    let right = grow(ctx, right, &mut other, random);
    model.values.append(&mut other.values);
    fan_in(ctx, [left, right])
}

/// Returns a pipeline of some stages with a trap among them.
fn some_pipeline(ctx: &Context, census: &Census, trap: &Trap, random: &mut Rng) -> (Pipeline<Token>, Model) {
    let n = random.index(60);
    let (counted, mut model) = (census.clone(), Model { values: (0..n).collect(), ordered: true });
    let mut values = Pipeline::new(ctx, (0..n).map(move |n| Token { n, _counted: Arc::new(counted.value()) }));
    let (stages, place) = (random.below(5), random.below(5));
    for stage in 0..=stages {
        if stage == place.min(stages) {
            values = trap.clone().set(values);
        } else {
            values = grow(ctx, values, &mut model, random);
        }
    }
    (values, model)
}

/// Returns how waiting for a pipeline ended: the text of its error, or of its panic.
fn caught<T>(f: impl FnOnce() -> Result<T, Cause>) -> Result<T, (Kind, String)> {
    match panic::catch_unwind(AssertUnwindSafe(f)) {
        Ok(end) => end.map_err(|error| (Kind::Error, error.to_string())),
        Err(payload) => Err((Kind::Panic, text(&*payload).to_owned())),
    }
}

#[test]
fn complete_pipelines_deliver_every_value() {
    storm(|random| {
        let (census, trap) = (Census::default(), Trap::random(random));
        let (ctx, cancel) = Context::background().with_cancel();
        let (values, model) = some_pipeline(&ctx, &census, &trap, random);
        let canceled = random.one_in(3);
        if canceled {
            let yields = random.below(60);
            go!(move || {
                (0..yields).for_each(|_| yield_now());
                cancel.cancel();
            });
        } else {
            cancel.disarm();
        }
        let end = caught(|| values.map(|token| token.n).collect::<Vec<_>>());
        let sprung = trap.sprung.load(Ordering::Relaxed);
        match end {
            Ok(seen) => {
                assert!(!(sprung && trap.kind == Kind::Panic), "a panic was lost");
                model.check(seen);
            }
            Err((kind, text)) if text == "expected" => assert!(sprung && kind == trap.kind),
            Err((_, text)) => {
                assert!(canceled && text == "context canceled", "{text}");
                assert!(!(sprung && trap.kind == Kind::Panic), "a panic was lost");
            }
        }
        until_alone();
        assert_eq!(census.alive(), 0);
    });
}

#[test]
fn abandoned_pipelines_leave_nothing() {
    storm(|random| {
        let (census, trap) = (Census::default(), Trap::random(random));
        let (ctx, cancel) = Context::background().with_cancel();
        let (values, model) = some_pipeline(&ctx, &census, &trap, random);
        let some = random.index(60);
        let check = |n: usize| assert!(model.values.contains(&n));
        match random.below(5) {
            0 => {
                values.receiver().iter().take(some).for_each(|token| check(token.n));
                drop(values);
            }
            1 => {
                let (tx, rx) = channel::bounded(random.index(3));
                // A slow consumer, whose channel is suddenly closed.
                let consumer = spawn(move || {
                    for token in rx.iter().take(some) {
                        yield_now();
                        drop::<Token>(token);
                    }
                });
                while let Ok(token) = values.recv() {
                    if tx.send(token).is_err() {
                        break;
                    }
                }
                drop(tx);
                drop(values);
                consumer.join().unwrap();
            }
            2 => {
                let f = |_: &Context, token: Token| if token.n == some { Err(Error::DeadlineExceeded) } else { Ok(()) };
                let _ = parallel_map(&ctx, 3, values.receiver().clone(), f);
                drop(values);
            }
            3 => {
                let consume = || until_done(&ctx, values).take(some).for_each(|token| check(token.n));
                drop(panic::catch_unwind(AssertUnwindSafe(consume)));
            }
            _ => {
                values.receiver().iter().take(some).for_each(drop);
                values.cancel();
                if random.one_in(2) {
                    cancel.cancel();
                }
                let end = caught(|| values.wait());
                let lost = end != Err((Kind::Panic, "expected".to_owned())) && trap.kind == Kind::Panic;
                assert!(!(lost && trap.sprung.load(Ordering::Relaxed)), "a panic was lost");
            }
        }
        until(|| greenthread::num_goroutine() == 1 && census.alive() == 0);
    });
}
