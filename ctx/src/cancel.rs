//! The handles that end a context, and the handle that stops a function.

use std::error;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::end::End;
use crate::error::{Cause, Error};
use crate::tree::{self, Node};

/// A handle that cancels a context and all contexts derived from it (Go's `CancelFunc`).
///
/// Dropping the handle also cancels the context, like Go's `defer cancel()`. Use
/// [`disarm`](Self::disarm) to drop it without canceling. The handle keeps the context alive. It
/// may be sent to other threads and shared with them. Canceling again has no effect.
///
/// ```
/// use greenthread::ctx::{Context, Error};
///
/// let (ctx, cancel) = Context::background().with_cancel();
/// assert_eq!(ctx.err(), None);
/// drop(cancel);
/// assert_eq!(ctx.err(), Some(Error::Canceled));
/// ```
#[must_use = "dropping it cancels the context at once"]
pub struct Cancel(Option<Arc<Node>>);

impl Cancel {
    pub(crate) fn new(node: Arc<Node>) -> Self {
        Self(Some(node))
    }

    /// Cancels the context and all contexts below it.
    ///
    /// When this call returns, all of them have ended. No context above is affected. The time that
    /// the call takes grows with the number of contexts below.
    ///
    /// ```
    /// use greenthread::ctx::{Context, Error};
    ///
    /// let (ctx, cancel) = Context::background().with_cancel();
    /// let (below, _cancel) = ctx.with_cancel();
    /// cancel.cancel();
    /// assert_eq!(below.err(), Some(Error::Canceled), "it has ended before `cancel` returns");
    /// ```
    pub fn cancel(&self) {
        self.cancel_with(None);
    }

    fn cancel_with(&self, cause: Option<Cause>) {
        if let Some(node) = &self.0 {
            tree::cancel(node, &End { error: Error::Canceled, cause });
        }
    }

    /// Drops the handle without canceling the context.
    ///
    /// The context can then end only by its deadline, or with its parent.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    ///
    /// let (ctx, cancel) = Context::background().with_cancel();
    /// cancel.disarm();
    /// assert_eq!(ctx.err(), None);
    /// ```
    pub fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for Cancel {
    fn drop(&mut self) {
        self.cancel();
    }
}

impl fmt::Debug for Cancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("Cancel { .. }")
    }
}

/// A handle that cancels a context like [`Cancel`], with a cause (Go's `CancelCauseFunc`).
///
/// ```
/// use greenthread::ctx::{Context, Error};
///
/// let (ctx, cancel) = Context::background().with_cancel_cause();
/// cancel.cancel("the client has left");
/// assert_eq!(ctx.err(), Some(Error::Canceled));
/// assert_eq!(ctx.cause().unwrap().to_string(), "the client has left");
/// ```
#[must_use = "dropping it cancels the context at once"]
pub struct CancelCause(Cancel);

impl CancelCause {
    pub(crate) fn new(node: Arc<Node>) -> Self {
        Self(Cancel::new(node))
    }

    /// Cancels the context like [`Cancel::cancel`], with a cause.
    ///
    /// The first cancellation wins: this call has no effect if the context has already ended.
    ///
    /// ```
    /// use greenthread::ctx::{Context, Error};
    ///
    /// let (ctx, cancel) = Context::background().with_cancel_cause();
    /// cancel.cancel(std::io::Error::other("disk full"));
    /// assert_eq!(ctx.err(), Some(Error::Canceled));
    /// assert!(ctx.cause().unwrap().is::<std::io::Error>());
    /// ```
    pub fn cancel(&self, cause: impl Into<Box<dyn error::Error + Send + Sync>>) {
        self.0.cancel_with(Some(cause.into().into()));
    }

    /// Drops the handle without canceling the context, like [`Cancel::disarm`].
    ///
    /// ```
    /// use greenthread::ctx::Context;
    ///
    /// let (ctx, cancel) = Context::background().with_cancel_cause();
    /// cancel.disarm();
    /// assert_eq!(ctx.err(), None);
    /// ```
    pub fn disarm(self) {
        self.0.disarm();
    }
}

impl fmt::Debug for CancelCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("CancelCause { .. }")
    }
}

/// A handle for stopping a function that waits for the end of a context (the result of Go's
/// `context.AfterFunc`).
///
/// Dropping it does not stop the function.
///
/// ```
/// use greenthread::ctx::{Context, Stop};
///
/// let (ctx, _cancel) = Context::background().with_cancel();
/// let clean_up: Stop = ctx.after_func(|| println!("giving up"));
/// // The work is done: nothing to give up.
/// assert!(clean_up.stop());
/// ```
pub struct Stop {
    /// The place where the function waits; `None` if the function will never run, or was started at
    /// once.
    pub(crate) place: Option<(Arc<Node>, u64)>,
    /// Used if `place` is `None`: `true` if the function was stopped or started.
    pub(crate) stopped: AtomicBool,
}

impl Stop {
    /// Stops the function, and returns `true` if the function was not started and never will be.
    ///
    /// In that case, the function is dropped before this call returns. Returns `false` if the
    /// function was already stopped or started. A started function may still be running, because
    /// this call does not wait for it. Never parks.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    ///
    /// let (ctx, cancel) = Context::background().with_cancel();
    /// let stop = ctx.after_func(|| unreachable!());
    /// assert!(stop.stop());
    /// assert!(!stop.stop(), "it is stopped already");
    /// cancel.cancel();
    /// ```
    pub fn stop(&self) -> bool {
        match &self.place {
            // Decided under the node's lock. A flag would be set before the function is removed: a
            // concurrent call would report that the function was stopped, although it could still
            // be started.
            Some((node, key)) => node.remove_func(*key),
            None => !self.stopped.swap(true, Ordering::Relaxed),
        }
    }
}

impl fmt::Debug for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("Stop { .. }")
    }
}
