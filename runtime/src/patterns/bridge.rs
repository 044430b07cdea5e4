//! `bridge`: a sequence of sequences as one.

use greenthread_ctx::Context;

use super::stage::Stop;
use super::{Input, Pipeline};

/// The values of the first channel or pipeline that comes from `input`, then those of the second, and so on (`bridge` in "Concurrency in Go").
///
/// When an inner pipeline has panicked, or given up with an error, the bridge ends too, and [`wait`](Pipeline::wait) has it. When the bridge is dropped or ends early, the inner
/// pipeline that it reads stops, and so do those that wait to be read; `wait` does not wait for the goroutines of inner ones.
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
        while let Some(inner) = stage.recv(&input.values)? {
            let inner = inner.into_parts();
            stage.forward(&inner.values, tx)?;
            inner.demand.map_or(Ok(()), |inner| inner.outcome()).map_err(Stop::Ended)?;
        }
        Ok(())
    })
}
