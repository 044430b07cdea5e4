//! Fan-out and fan-in: one stream of values split among several pipelines, and several merged into
//! one.

use std::sync::Arc;

use greenthread_channels::bounded;
use greenthread_ctx::Context;

use super::input::Parts;
use super::stage::{StageGuard, StopReason};
use super::{Input, Pipeline};

/// Distributes the values of `input` to `n` goroutines, each with its own pipeline.
///
/// Each value goes to whichever goroutine is free. That goroutine passes it to `f` and sends the
/// result to its own pipeline. So the pipelines may run at different speeds, and can have different
/// stages after this one. If all results belong together, [`worker_pool`](super::worker_pool) is
/// simpler. (Go's blog describes the pattern in "Pipelines and cancellation".)
///
/// The pipelines end separately: a panic of `f` ends the pipeline in which it happens. The input is
/// stopped only when all pipelines have ended or have been dropped. Waiting for one pipeline does
/// not wait for the input while other pipelines are still reading it.
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
    assert!(n > 0, "patterns: fan_out to 0 pipelines would lose the values; use at least 1");
    let (Parts { values: input, upstream }, f) = (input.into_parts(), Arc::new(f));
    let mut branches = Vec::with_capacity(n);
    for _ in 0..n {
        let branch = StageGuard::new(ctx, &upstream);
        let (tx, values) = bounded(0);
        let (input, f) = (input.clone(), Arc::clone(&f));
        branch.go(upstream.clone(), tx, move |stage, tx| stage.forward_with(&input, tx, &*f));
        branches.push(Pipeline { ctx: ctx.clone(), values, stage: branch, capacity: 0 });
    }
    branches
}

/// Merges the values of all inputs in the order in which they arrive.
///
/// The merged pipeline ends when all inputs have ended; with no inputs, it ends at once. (This is
/// `merge` in "Pipelines and cancellation" on Go's blog.)
///
/// If one of the inputs is a pipeline that panics or stops with an error, the other inputs are
/// stopped, and [`wait`](Pipeline::wait) reports the failure.
///
/// Each input has a goroutine. This costs a page of stack per input, but the cost of a value does
/// not depend on the number of inputs. A `Select` over all inputs would have to register with every
/// input for each value.
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
    let merged = StageGuard::new(ctx, inputs.iter().filter_map(|input| input.upstream.as_ref()));
    let (tx, values) = bounded(0);
    for Parts { values: input, upstream } in inputs {
        let guard = upstream.clone();
        merged.go(upstream, tx.clone(), move |stage, tx| {
            stage.forward(&input, tx)?;
            guard.map_or(Ok(()), |upstream| upstream.outcome()).map_err(StopReason::Ended)
        });
    }
    Pipeline { ctx: ctx.clone(), values, stage: merged, capacity: 0 }
}
