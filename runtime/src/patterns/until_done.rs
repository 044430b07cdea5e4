//! `until_done`: iterates over a channel until a context ends.

use std::fmt;
use std::iter::FusedIterator;

use greenthread_channels::Receiver;
use greenthread_ctx::Context;

use super::Input;
use super::stage::StageGuard;

/// Returns an iterator over the values of a channel or a pipeline that also ends when the context
/// ends.
///
/// It replaces Go's `for v := range orDone(ctx.Done(), c)` ("Concurrency in Go"), and needs no
/// goroutine.
///
/// Each step blocks until there is a value. After the last step, [`ctx.err()`](Context::err) tells
/// whether the context ended the iteration. A context that has ended takes precedence over values
/// that are ready. Dropping the iterator stops the pipeline.
///
/// # Panics
/// At the end of the values of a pipeline, if one of its stages panicked: with that stage's
/// payload.
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
///         cancel.cancel(); // the channel stays open
///     }
/// }
/// assert_eq!(sum, 3);
/// ```
pub fn until_done<I: Input>(ctx: &Context, input: I) -> UntilDone<I::Item> {
    let input = input.into_parts();
    UntilDone { ctx: ctx.clone(), values: input.values, upstream: input.upstream }
}

/// An iterator over the values of an [`Input`] that also ends when a context ends; see
/// [`until_done`].
#[must_use = "iterators are lazy"]
pub struct UntilDone<T> {
    ctx: Context,
    values: Receiver<T>,
    upstream: Option<StageGuard>,
}

impl<T> Iterator for UntilDone<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        let value = self.ctx.recv(&self.values).ok();
        if let (None, Some(upstream)) = (&value, &self.upstream) {
            // Panics if a stage panicked. An error is not reported here because it is not a value,
            // and the context reports its own end.
            let _ = upstream.outcome();
        }
        value
    }
}

/// A context that has ended stays ended, and a closed channel stays closed.
impl<T> FusedIterator for UntilDone<T> {}

impl<T> fmt::Debug for UntilDone<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UntilDone").field("ctx", &self.ctx).field("values", &self.values).finish_non_exhaustive()
    }
}
