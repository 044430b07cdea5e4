//! `bridge`: a sequence of sequences as one.

use greenthread_ctx::Context;

use super::stage::{Demand, Stop};
use super::{Input, Pipeline};

/// The values of the first channel or pipeline that comes from `input`, then those of the second, and so on (`bridge`
/// in "Concurrency in Go").
///
/// When an inner pipeline has panicked, or given up with an error, the bridge ends too, and [`wait`](Pipeline::wait)
/// has it. When the bridge is dropped or ends early, the inner pipeline that it reads stops, and so do those that wait
/// to be read.
///
/// The goroutines of an inner pipeline have ended before the next is read, and before the bridge ends; it does not wait
/// for those of pipelines that it has not come to.
///
/// ```
/// use greenthread::ctx::Context;
/// use greenthread::patterns::{Pipeline, bridge};
///
/// let ctx = Context::background();
/// let tens = Pipeline::new(&ctx, [10, 20, 30]);
/// let inner = ctx.clone();
/// let sequences = tens.map(move |n| Pipeline::new(&inner, n..n + 2));
/// assert_eq!(bridge(&ctx, sequences).collect::<Vec<_>>().unwrap(), [10, 11, 20, 21, 30, 31]);
/// ```
#[track_caller]
pub fn bridge<T: Send + 'static>(ctx: &Context, input: impl Input<Item = impl Input<Item = T>>) -> Pipeline<T> {
    let input = input.into_parts();
    Pipeline::start(ctx, 0, input.demand, move |stage, tx| {
        stage.each(&input.values, |inner| {
            let inner = inner.into_parts();
            let end = stage.forward(&inner.values, tx);
            drop(inner.values);
            // Also if the bridge ends early: a panic in there is not lost.
            let inner = inner.demand.map_or(Ok(()), Demand::give_up);
            end?;
            inner.map_err(Stop::Ended)
        })
    })
}
