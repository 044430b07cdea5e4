//! [`Context`]: deriving, querying and printing contexts.

use std::any::type_name;
use std::convert::Infallible;
use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use greenthread_channels::Receiver;

use crate::cancel::{Cancel, CancelCause, Stop};
use crate::end::{End, EndCell};
use crate::error::{Cause, Error};
use crate::tree::{self, Kind, Node, Signal};

/// The lifetime of a piece of work, and the values that the work carries along (Go's
/// `context.Context`).
///
/// See the [crate's page](crate). A clone refers to the same context, and costs one reference
/// count. All methods may be called from any goroutine or thread.
///
/// ```
/// use greenthread::ctx::Context;
/// use std::time::Duration;
///
/// fn answer(ctx: &Context) -> Option<u32> {
///     ctx.sleep(Duration::from_millis(1)).ok().map(|()| 42) // hard work
/// }
///
/// let (ctx, cancel) = Context::background().with_timeout(Duration::from_secs(60));
/// assert_eq!(answer(&ctx), Some(42));
/// cancel.cancel();
/// assert_eq!(answer(&ctx), None);
/// ```
#[derive(Clone)]
pub struct Context(pub(crate) Arc<Node>);

impl Context {
    /// Returns the root context, which never ends, and has no deadline and no values (Go's
    /// `context.Background()`).
    ///
    /// ```
    /// use greenthread::ctx::Context;
    ///
    /// assert_eq!(Context::background().err(), None);
    /// ```
    #[must_use]
    pub fn background() -> Self {
        static BACKGROUND: OnceLock<Context> = OnceLock::new();
        BACKGROUND.get_or_init(|| Self(Node::root(Kind::Background))).clone()
    }

    /// Returns a root context like [`background`](Self::background), for code that does not yet
    /// know which context to use.
    ///
    /// Go's package `context` has a function of the same name.
    ///
    /// ```
    /// assert_eq!(greenthread::ctx::Context::todo().err(), None);
    /// ```
    #[must_use]
    pub fn todo() -> Self {
        static UNDECIDED: OnceLock<Context> = OnceLock::new();
        UNDECIDED.get_or_init(|| Self(Node::root(Kind::Todo))).clone()
    }

    /// Derives a child that ends when it is canceled, or when this context ends (Go's
    /// `context.WithCancel`).
    ///
    /// ```
    /// use greenthread::ctx::{Context, Error};
    ///
    /// let (parent, cancel_parent) = Context::background().with_cancel();
    /// let (child, _cancel) = parent.with_cancel();
    /// cancel_parent.cancel();
    /// assert_eq!(child.err(), Some(Error::Canceled));
    /// ```
    pub fn with_cancel(&self) -> (Self, Cancel) {
        let child = self.cancelable_child();
        (child.clone(), Cancel::new(child.0))
    }

    /// Derives a child like [`with_cancel`](Self::with_cancel), with a handle that takes a cause
    /// (Go's `context.WithCancelCause`).
    ///
    /// ```
    /// use greenthread::ctx::Context;
    ///
    /// let (ctx, cancel) = Context::background().with_cancel_cause();
    /// cancel.cancel("out of memory");
    /// cancel.cancel("no effect: the first cause wins");
    /// assert_eq!(ctx.cause().unwrap().to_string(), "out of memory");
    /// ```
    pub fn with_cancel_cause(&self) -> (Self, CancelCause) {
        let child = self.cancelable_child();
        (child.clone(), CancelCause::new(child.0))
    }

    fn cancelable_child(&self) -> Self {
        Self(Node::with_signal(&self.0, Kind::Cancel(Signal::new(self.deadline()))))
    }

    /// Derives a child like [`with_cancel`](Self::with_cancel) that also ends at `deadline` (Go's
    /// `context.WithDeadline`).
    ///
    /// The child ends at once if the deadline has passed. If this context has an earlier deadline,
    /// the child inherits that deadline. The timer is removed when the child ends, or when the
    /// child and its [`Cancel`] are dropped.
    ///
    /// ```
    /// use greenthread::ctx::{Context, Error};
    /// use std::time::Instant;
    ///
    /// let (ctx, _cancel) = Context::background().with_deadline(Instant::now());
    /// assert_eq!(ctx.err(), Some(Error::DeadlineExceeded));
    /// ```
    pub fn with_deadline(&self, deadline: Instant) -> (Self, Cancel) {
        self.child_until(Some(deadline), None)
    }

    /// Derives a child like [`with_deadline`](Self::with_deadline), with a deadline that is
    /// `timeout` from now (Go's `context.WithTimeout`).
    ///
    /// A timeout that is too long for the clock never expires.
    ///
    /// ```
    /// use greenthread::ctx::{Context, Error};
    /// use std::time::Duration;
    ///
    /// let (ctx, _cancel) = Context::background().with_timeout(Duration::from_millis(1));
    /// ctx.done().recv().unwrap_err();
    /// assert_eq!(ctx.err(), Some(Error::DeadlineExceeded));
    /// ```
    pub fn with_timeout(&self, timeout: Duration) -> (Self, Cancel) {
        self.child_until(Instant::now().checked_add(timeout), None)
    }

    /// Derives a child like [`with_timeout`](Self::with_timeout), with a [`cause`](Self::cause) for
    /// the deadline (Go's `context.WithTimeoutCause`).
    ///
    /// ```
    /// use greenthread::ctx::{Context, Error};
    /// use std::time::Duration;
    ///
    /// let (ctx, _cancel) = Context::background().with_timeout_cause(Duration::ZERO, "no answer");
    /// assert_eq!(ctx.err(), Some(Error::DeadlineExceeded));
    /// assert_eq!(ctx.cause().unwrap().to_string(), "no answer");
    /// ```
    pub fn with_timeout_cause(
        &self,
        timeout: Duration,
        cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> (Self, Cancel) {
        self.child_until(Instant::now().checked_add(timeout), Some(cause.into().into()))
    }

    fn child_until(&self, deadline: Option<Instant>, cause: Option<Cause>) -> (Self, Cancel) {
        let Some(own) = deadline.filter(|own| self.deadline().is_none_or(|earlier| *own < earlier)) else {
            return self.with_cancel();
        };
        let child = Self(Node::with_signal(&self.0, Kind::Deadline(Signal::new(Some(own)))));
        let left = own.saturating_duration_since(Instant::now());
        child.0.end_after(left, End { error: Error::DeadlineExceeded, cause });
        (child.clone(), Cancel::new(child.0))
    }

    /// Derives a child with a value that the child and its descendants look up by type (Go's
    /// `context.WithValue`).
    ///
    /// The child ends when this context does. The type takes the place of Go's key, so define a
    /// type of your own for each value. Then no other value can hide it.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    ///
    /// #[derive(Debug, PartialEq)]
    /// struct RequestId(u64);
    ///
    /// let ctx = Context::background().with_value(RequestId(7));
    /// let below = ctx.with_value("something else");
    /// assert_eq!(below.value::<RequestId>(), Some(&RequestId(7)));
    /// assert_eq!(below.value::<u64>(), None);
    /// ```
    #[must_use]
    pub fn with_value<T: Send + Sync + 'static>(&self, value: T) -> Self {
        Self(Node::plain(&self.0, Kind::Value { value: Box::new(value), name: type_name::<T>() }))
    }

    /// Derives a child that has the same values, but does not end when this context ends or its
    /// deadline passes (Go's `context.WithoutCancel`).
    ///
    /// ```
    /// use greenthread::ctx::Context;
    ///
    /// let (ctx, cancel) = Context::background().with_value(5).with_cancel();
    /// let clean_up = ctx.without_cancel();
    /// cancel.cancel();
    /// assert_eq!((clean_up.err(), clean_up.value::<i32>()), (None, Some(&5)));
    /// ```
    #[must_use]
    pub fn without_cancel(&self) -> Self {
        Self(Node::plain(&self.0, Kind::WithoutCancel))
    }

    /// Runs `f` in a new goroutine when this context ends, or at once if it has ended (Go's
    /// `context.AfterFunc`).
    ///
    /// Does not block. `f` keeps the context alive: it runs even if all other handles are dropped.
    /// If the context cannot end (like [`background`](Self::background)), `f` is dropped.
    ///
    /// ```
    /// use greenthread::channel::bounded;
    /// use greenthread::ctx::Context;
    ///
    /// let (ctx, cancel) = Context::background().with_cancel();
    /// let (tx, rx) = bounded(1);
    /// let stop = ctx.after_func(move || tx.send("ended").unwrap());
    /// cancel.cancel();
    /// assert_eq!(rx.recv(), Ok("ended"));
    /// assert!(!stop.stop(), "it was started");
    /// ```
    pub fn after_func(&self, f: impl FnOnce() + Send + 'static) -> Stop {
        let Some(node) = self.0.ending() else { return Stop { place: None, stopped: AtomicBool::new(false) } };
        let key = node.on_end(Box::new(f));
        Stop { stopped: AtomicBool::new(key.is_none()), place: key.map(|key| (Arc::clone(node), key)) }
    }

    /// Returns a channel that is closed when the context ends, for `recv` arms of a `select!` (Go's
    /// `ctx.Done()`).
    ///
    /// Nothing is ever sent on it. The first call creates the channel, so a context on which `done`
    /// is never called has none. A context that cannot end returns a nil channel. A clone of the
    /// receiver does not keep the context alive: if the context is dropped before it ends, the
    /// channel is closed.
    ///
    /// ```
    /// use greenthread::channel::select;
    /// use greenthread::ctx::Context;
    /// use std::time::Duration;
    ///
    /// let (ctx, cancel) = Context::background().with_cancel();
    /// cancel.cancel();
    /// select! {
    ///     recv(ctx.done()) -> _ => assert!(ctx.err().is_some()),
    ///     default(Duration::from_secs(10)) => unreachable!(),
    /// }
    /// ```
    pub fn done(&self) -> &Receiver<Infallible> {
        match self.0.nearest_signal() {
            Some(signal) => signal.done(),
            None => tree::never_done(),
        }
    }

    /// Returns the reason why the context ended, or `None` if it has not (Go's `ctx.Err()`).
    ///
    /// Once this method has returned a reason, the reason never changes, and [`done`](Self::done)
    /// is closed. The call blocks for no longer than the canceler takes to close that channel.
    ///
    /// ```
    /// use greenthread::ctx::{Context, Error};
    ///
    /// let (ctx, cancel) = Context::background().with_cancel();
    /// assert_eq!(ctx.err(), None);
    /// cancel.cancel();
    /// assert_eq!(ctx.err(), Some(Error::Canceled));
    /// ```
    pub fn err(&self) -> Option<Error> {
        self.end()?.error()
    }

    /// Returns the cause that was given when the context ended, or `None` if it has not (Go's
    /// `context.Cause(ctx)`).
    ///
    /// If no cause was given, this is the same as [`err`](Self::err).
    ///
    /// ```
    /// use greenthread::ctx::{Context, Error};
    ///
    /// let (ctx, cancel) = Context::background().with_cancel();
    /// assert!(ctx.cause().is_none());
    /// cancel.cancel();
    /// assert_eq!(ctx.cause().unwrap().downcast_ref(), Some(&Error::Canceled));
    /// ```
    pub fn cause(&self) -> Option<Cause> {
        let End { error, cause } = self.end()?.get()?;
        Some(cause.unwrap_or_else(|| Arc::new(error)))
    }

    fn end(&self) -> Option<&EndCell> {
        self.0.nearest_signal()?.end()
    }

    /// Returns the time by which the context will have ended, if it has a deadline (Go's
    /// `ctx.Deadline()`).
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// use std::time::{Duration, Instant};
    ///
    /// let soon = Instant::now() + Duration::from_secs(1);
    /// let (ctx, _cancel) = Context::background().with_deadline(soon);
    /// let (child, _cancel) = ctx.with_timeout(Duration::from_secs(3600));
    /// assert_eq!(child.deadline(), Some(soon));
    /// ```
    pub fn deadline(&self) -> Option<Instant> {
        self.0.nearest_signal()?.deadline()
    }

    /// Returns the nearest value of type `T`, in this context or its ancestors (Go's
    /// `ctx.Value(key)`).
    ///
    /// The lookup takes time in proportion to the number of ancestors that it passes.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    ///
    /// let ctx = Context::background().with_value(1_u8);
    /// assert_eq!(ctx.with_value(2_u8).value(), Some(&2_u8));
    /// assert_eq!(ctx.value(), Some(&1_u8));
    /// ```
    pub fn value<T: Send + Sync + 'static>(&self) -> Option<&T> {
        self.0.ancestors().find_map(|node| match node.kind() {
            Kind::Value { value, .. } => value.downcast_ref(),
            _ => None,
        })
    }
}

/// Prints how the context was derived, as in Go:
/// `context.Background.WithCancel.WithValue(main::RequestId)`.
impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut path: Vec<&Node> = self.0.ancestors().collect();
        path.reverse();
        for node in path {
            match node.kind() {
                Kind::Background => f.write_str("context.Background")?,
                Kind::Todo => f.write_str(concat!("context.TO", "DO"))?,
                Kind::Value { name, .. } => write!(f, ".WithValue({name})")?,
                Kind::WithoutCancel => f.write_str(".WithoutCancel")?,
                Kind::Cancel(_) => f.write_str(".WithCancel")?,
                Kind::Deadline(signal) => write_deadline(f, signal.deadline())?,
            }
        }
        Ok(())
    }
}

/// Prints the time that is left, in brackets as in Go. An `Instant` has no date to print.
fn write_deadline(f: &mut fmt::Formatter<'_>, deadline: Option<Instant>) -> fmt::Result {
    let (now, deadline) = (Instant::now(), deadline.expect("ctx: this kind has a deadline"));
    match deadline.checked_duration_since(now) {
        Some(left) => write!(f, ".WithDeadline([{left:?}])"),
        None => write!(f, ".WithDeadline([-{:?}])", now - deadline),
    }
}

/// Prints the same text as `Display`.
impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
