//! The sources that patterns take values from.

use greenthread_channels::Receiver;

use super::Pipeline;
use super::stage::StageGuard;

/// A source of values for a pattern: a [`Receiver`] or a [`Pipeline`].
///
/// When the pattern ends early, it stops its input pipeline. The panics and errors of that pipeline
/// become the panics and errors of the pattern.
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
    /// The type of the values.
    type Item: Send + 'static;

    /// Returns the receiver of the values, and a guard that keeps their producer running.
    #[doc(hidden)]
    fn into_parts(self) -> Parts<Self::Item>;
}

/// The parts of an [`Input`], opaque to users.
pub struct Parts<T> {
    pub(super) values: Receiver<T>,
    pub(super) upstream: Option<StageGuard>,
}

impl<T: Send + 'static> Input for Receiver<T> {
    type Item = T;

    fn into_parts(self) -> Parts<T> {
        Parts { values: self, upstream: None }
    }
}

impl<T: Send + 'static> Input for Pipeline<T> {
    type Item = T;

    fn into_parts(self) -> Parts<T> {
        Parts { values: self.values, upstream: Some(self.stage) }
    }
}

/// Keeps other crates from implementing [`Input`].
pub trait Sealed {}

impl<T> Sealed for Receiver<T> {}

impl<T> Sealed for Pipeline<T> {}
