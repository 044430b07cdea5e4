//! `bridge`: reads a stream of streams as a single stream.

use greenthread_ctx::Context;

use super::stage::{StageGuard, StopReason};
use super::{Input, Pipeline};

/// Returns the values of the first channel or pipeline that comes from `input`, then those of the
/// second, and so on.
///
/// The pattern has the same name in "Concurrency in Go".
///
/// When an inner pipeline panics, or stops with an error, the bridge ends too, and
/// [`wait`](Pipeline::wait) reports it. When the bridge is dropped or ends early, it stops the
/// inner pipeline that it is reading, and those that are waiting to be read.
///
/// The goroutines of an inner pipeline have ended before the next one is read, and before the
/// bridge ends. The bridge does not wait for the goroutines of pipelines that it has not reached.
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
    Pipeline::start(ctx, 0, input.upstream, move |stage, tx| {
        stage.for_each(&input.values, |inner| {
            let inner = inner.into_parts();
            let end = stage.forward(&inner.values, tx);
            drop(inner.values);
            // Done even if the bridge ends early, so that a panic of the inner pipeline is not
            // lost.
            let inner = inner.upstream.map_or(Ok(()), StageGuard::abandon);
            end?;
            inner.map_err(StopReason::Ended)
        })
    })
}
