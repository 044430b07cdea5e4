//! Iterating until a context ends.

use std::fmt;
use std::iter::FusedIterator;

use greenthread_channels::Receiver;
use greenthread_ctx::Context;

use super::Input;
use super::stage::Demand;

/// The values of a channel or of a pipeline, until they or the context end: what `for v := range orDone(ctx.Done(), c)` is in Go,
/// without a goroutine.
///
/// Each step blocks until there is a value. Afterwards [`ctx.err()`](Context::err) tells whether it was the context; a
/// context that has ended wins over values that are there. Dropping the iterator stops the pipeline.
///
/// # Panics
/// At the end of the values of a pipeline of which a stage has panicked: with its payload.
///
/// ```
/// use greenthread::channel;
/// use greenthread::ctx::Context;
/// use greenthread::patterns::until_done;
///
/// let (ctx, cancel) = Context::background().with_cancel();
/// let (tx, rx) = channel::bounded(3);
/// (1..=3).for_each(|n| tx.send(n).unwrap());
/// let mut sum = 0;
/// for n in until_done(&ctx, rx) {
///     sum += n;
///     if n == 2 {
///         cancel.cancel(); // nobody closes the channel
///     }
/// }
/// assert_eq!(sum, 3);
/// ```
pub fn until_done<I: Input>(ctx: &Context, input: I) -> UntilDone<I::Item> {
    let input = input.into_parts();
    UntilDone { ctx: ctx.clone(), values: input.values, demand: input.demand }
}

/// The iterator of [`until_done`].
#[must_use = "iterators are lazy"]
pub struct UntilDone<T> {
    ctx: Context,
    values: Receiver<T>,
    demand: Option<Demand>,
}

impl<T> Iterator for UntilDone<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        let value = self.ctx.recv(&self.values).ok();
        if let (None, Some(demand)) = (&value, &self.demand) {
            // An error is not a value; the context tells its own end.
            let _ = demand.outcome();
        }
        value
    }
}

/// Neither a context that has ended nor a closed channel begins again.
impl<T> FusedIterator for UntilDone<T> {}

impl<T> fmt::Debug for UntilDone<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UntilDone").field("ctx", &self.ctx).field("values", &self.values).finish_non_exhaustive()
    }
}
