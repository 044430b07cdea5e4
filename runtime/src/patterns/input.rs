//! What patterns take values from.

use greenthread_channels::Receiver;

use super::Pipeline;
use super::stage::Demand;

/// Where a pattern gets its values: a [`Receiver`], or a [`Pipeline`], which is stopped when the pattern ends early,
/// and whose panics and errors are the pattern's too.
///
/// ```
/// use greenthread::channel;
/// use greenthread::ctx::Context;
/// use greenthread::patterns::{Input, Pipeline, until_done};
///
/// fn total(ctx: &Context, numbers: impl Input<Item = u32>) -> u32 {
///     until_done(ctx, numbers).sum()
/// }
///
/// let ctx = Context::background();
/// let (tx, rx) = channel::bounded(3);
/// (1..=3).for_each(|n| tx.send(n).unwrap());
/// drop(tx);
/// assert_eq!(total(&ctx, rx), 6);
/// assert_eq!(total(&ctx, Pipeline::new(&ctx, 1..=4)), 10);
/// ```
pub trait Input: Sealed + Sized + Send + 'static {
    /// What comes out.
    type Item: Send + 'static;

    /// The values, and what keeps those going who send them.
    #[doc(hidden)]
    fn into_parts(self) -> Parts<Self::Item>;
}

/// Opaque to users.
pub struct Parts<T> {
    pub(super) values: Receiver<T>,
    pub(super) demand: Option<Demand>,
}

impl<T: Send + 'static> Input for Receiver<T> {
    type Item = T;

    fn into_parts(self) -> Parts<T> {
        Parts { values: self, demand: None }
    }
}

impl<T: Send + 'static> Input for Pipeline<T> {
    type Item = T;

    fn into_parts(self) -> Parts<T> {
        Parts { values: self.values, demand: Some(self.demand) }
    }
}

/// Others cannot implement `Input`.
pub trait Sealed {}

impl<T> Sealed for Receiver<T> {}

impl<T> Sealed for Pipeline<T> {}
