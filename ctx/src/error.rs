//! The two reasons for which a context ends, and the errors of operations that wait under a
//! context.

use std::error;
use std::fmt;
use std::io;
use std::sync::Arc;

/// The cause that was recorded when a context ended: see [`Context::cause`](crate::Context::cause).
///
/// ```
/// use greenthread::ctx::{Cause, Context};
///
/// let (ctx, cancel) = Context::background().with_cancel_cause();
/// cancel.cancel("out of paper");
/// let cause: Cause = ctx.cause().unwrap();
/// assert_eq!(cause.to_string(), "out of paper");
/// ```
pub type Cause = Arc<dyn error::Error + Send + Sync>;

/// The reason why a context ended (Go's `context.Canceled` and `context.DeadlineExceeded`, with
/// their texts).
///
/// ```
/// use greenthread::ctx::Error;
///
/// assert_eq!(Error::Canceled.to_string(), "context canceled");
/// assert_eq!(std::io::Error::from(Error::DeadlineExceeded).kind(), std::io::ErrorKind::TimedOut);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Error {
    /// The context was canceled.
    Canceled,
    /// The deadline of the context has passed.
    DeadlineExceeded,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Canceled => "context canceled",
            Self::DeadlineExceeded => "context deadline exceeded",
        })
    }
}

impl error::Error for Error {}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        // Not `Interrupted`, because std's own loops take that kind as a request to try again.
        let kind = match error {
            Error::Canceled => io::ErrorKind::Other,
            Error::DeadlineExceeded => io::ErrorKind::TimedOut,
        };
        Self::new(kind, error)
    }
}

/// The reason why [`Context::recv`](crate::Context::recv) received nothing.
///
/// ```
/// use greenthread::channel::bounded;
/// use greenthread::ctx::{Context, RecvError};
///
/// let (tx, rx) = bounded::<()>(0);
/// drop(tx);
/// assert_eq!(Context::background().recv(&rx), Err(RecvError::Disconnected));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RecvError {
    /// The context ended first.
    Ended(Error),
    /// The channel is closed and empty.
    Disconnected,
}

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended(error) => error.fmt(f),
            Self::Disconnected => f.write_str("receiving on an empty and disconnected channel"),
        }
    }
}

impl error::Error for RecvError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Ended(error) => Some(error),
            Self::Disconnected => None,
        }
    }
}

impl From<Error> for RecvError {
    fn from(error: Error) -> Self {
        Self::Ended(error)
    }
}

/// The reason why [`Context::send`](crate::Context::send) did not send the value, together with the
/// value.
///
/// ```
/// use greenthread::channel::bounded;
/// use greenthread::ctx::{Context, SendError};
///
/// let (tx, rx) = bounded(0);
/// drop(rx);
/// assert_eq!(Context::background().send(&tx, 5), Err(SendError::Disconnected(5)));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SendError<T> {
    /// The context ended first.
    Ended(Error, T),
    /// The channel is closed.
    Disconnected(T),
}

impl<T> SendError<T> {
    /// Returns the value that was not sent.
    ///
    /// ```
    /// use greenthread::channel::bounded;
    /// use greenthread::ctx::Context;
    ///
    /// let (ctx, cancel) = Context::background().with_cancel();
    /// cancel.cancel();
    /// let (tx, _rx) = bounded(1);
    /// assert_eq!(ctx.send(&tx, 5).unwrap_err().into_inner(), 5);
    /// ```
    pub fn into_inner(self) -> T {
        match self {
            Self::Ended(_, value) | Self::Disconnected(value) => value,
        }
    }
}

impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended(error, _) => write!(f, "Ended({error:?}, ..)"),
            Self::Disconnected(_) => f.write_str("Disconnected(..)"),
        }
    }
}

impl<T> fmt::Display for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended(error, _) => error.fmt(f),
            Self::Disconnected(_) => f.write_str("sending on a disconnected channel"),
        }
    }
}

impl<T> error::Error for SendError<T> {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Ended(error, _) => Some(error),
            Self::Disconnected(_) => None,
        }
    }
}
