//! Fan-out, and fan-in: one sequence of values to several pipelines, and back.

use std::sync::Arc;

use greenthread_channels::bounded;
use greenthread_ctx::Context;

use super::input::Parts;
use super::stage::{Demand, Stop};
use super::{Input, Pipeline};

/// Distributes the values to `n` goroutines (Go's blog, "Pipelines and cancellation"). Each is given to `f` by one of
/// them, whichever is free, and comes out of its pipeline; so the pipelines may be of different speed, and have
/// different stages after this. If there is one result to be made of all values, [`worker_pool`](super::worker_pool) is
/// simpler.
///
/// The pipelines end one by one: a panic of `f` ends the one in which it happens. The input is stopped when all have
/// ended or are dropped, not before. Waiting for one pipeline does not wait for the input while others read it.
///
/// # Panics
/// If `n` is zero.
///
/// ```
/// use greenthread::ctx::Context;
/// use greenthread::patterns::{Pipeline, fan_in, fan_out};
///
/// let ctx = Context::background();
/// let numbers = Pipeline::new(&ctx, 1..=100u64);
/// let squares = fan_out(&ctx, 3, numbers, |n| n * n);
/// let mut sum = 0;
/// fan_in(&ctx, squares).for_each(|square| sum += square).unwrap();
/// assert_eq!(sum, 338_350);
/// ```
#[track_caller]
pub fn fan_out<T: Send + 'static, U: Send + 'static>(
    ctx: &Context,
    n: usize,
    input: impl Input<Item = T>,
    f: impl Fn(T) -> U + Send + Sync + 'static,
) -> Vec<Pipeline<U>> {
    assert!(n > 0, "patterns: fan_out to no pipeline would lose the values; ask for at least one");
    let (Parts { values: input, demand }, f) = (input.into_parts(), Arc::new(f));
    let mut branches = Vec::with_capacity(n);
    for _ in 0..n {
        let branch = Demand::new(ctx, &demand);
        let (tx, values) = bounded(0);
        let (input, f) = (input.clone(), Arc::clone(&f));
        branch.go(demand.clone(), tx, move |stage, tx| stage.forward_with(&input, tx, &*f));
        branches.push(Pipeline { ctx: ctx.clone(), values, demand: branch, capacity: 0 });
    }
    branches
}

/// Merges the values of all inputs, as they come (`merge` in Go's blog, "Pipelines and cancellation"). It ends when all
/// inputs have: at once, if there are none.
///
/// If one of the inputs is a pipeline that panics, or gives up with an error, the others are stopped, and
/// [`wait`](Pipeline::wait) has it.
///
/// Each input has a goroutine, which costs a page of stack and makes each value cost the same however many inputs there
/// are. A `Select` over all of them would register with each for each value.
///
/// ```
/// use greenthread::channel;
/// use greenthread::ctx::Context;
/// use greenthread::patterns::fan_in;
///
/// let words = ["a goroutine", "a channel"].map(|word| {
///     let (tx, rx) = channel::bounded(1);
///     tx.send(word).unwrap();
///     rx
/// });
/// let mut merged = fan_in(&Context::background(), words).collect::<Vec<_>>().unwrap();
/// merged.sort();
/// assert_eq!(merged, ["a channel", "a goroutine"]);
/// ```
#[track_caller]
pub fn fan_in<T: Send + 'static>(ctx: &Context, inputs: impl IntoIterator<Item = impl Input<Item = T>>) -> Pipeline<T> {
    let inputs: Vec<_> = inputs.into_iter().map(Input::into_parts).collect();
    let merged = Demand::new(ctx, inputs.iter().filter_map(|input| input.demand.as_ref()));
    let (tx, values) = bounded(0);
    for Parts { values: input, demand } in inputs {
        let upstream = demand.clone();
        merged.go(demand, tx.clone(), move |stage, tx| {
            stage.forward(&input, tx)?;
            upstream.map_or(Ok(()), |upstream| upstream.outcome()).map_err(Stop::Ended)
        });
    }
    Pipeline { ctx: ctx.clone(), values, demand: merged, capacity: 0 }
}
