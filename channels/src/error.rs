//! The errors, one type per operation. An operation that fails to send returns the value in its
//! error.
//!
//! Names, methods, conversions and messages are the same as in crossbeam-channel, except that its
//! [`TryReadyError`] and [`ReadyTimeoutError`] have no message.

use std::error::Error;
use std::fmt;

/// The error of [`Sender::send`](crate::Sender::send): the channel is closed.
///
/// It holds the value that was not sent.
///
/// ```
/// use greenthread::channel::{SendError, bounded};
///
/// let (tx, rx) = bounded(0);
/// drop(rx);
/// let SendError(unsent) = tx.send(7).unwrap_err();
/// assert_eq!(unsent, 7);
/// ```
#[derive(PartialEq, Eq, Clone, Copy)]
pub struct SendError<T>(pub T);

/// The error of [`Sender::try_send`](crate::Sender::try_send).
///
/// It holds the value that was not sent.
///
/// ```
/// use greenthread::channel::{TrySendError, bounded};
///
/// let (tx, _rx) = bounded(0);
/// match tx.try_send(7) {
///     Err(TrySendError::Full(unsent)) => assert_eq!(unsent, 7),
///     _ => unreachable!("nobody receives"),
/// }
/// ```
#[derive(PartialEq, Eq, Clone, Copy)]
pub enum TrySendError<T> {
    /// The channel has no room or, with capacity zero, no receiver was waiting.
    Full(T),
    /// The channel is closed.
    Disconnected(T),
}

/// The error of [`Sender::send_timeout`](crate::Sender::send_timeout) and
/// [`Sender::send_deadline`](crate::Sender::send_deadline).
///
/// It holds the value that was not sent.
///
/// ```
/// use greenthread::channel::SendTimeoutError;
///
/// let late = SendTimeoutError::Timeout(7);
/// assert_eq!(late.to_string(), "timed out waiting on send operation");
/// assert_eq!(SendTimeoutError::Disconnected(7).to_string(), "sending on a disconnected channel");
/// ```
#[derive(PartialEq, Eq, Clone, Copy)]
pub enum SendTimeoutError<T> {
    /// No room became free in time or, with capacity zero, no receiver arrived in time.
    Timeout(T),
    /// The channel is closed.
    Disconnected(T),
}

/// The error of [`Receiver::recv`](crate::Receiver::recv): the channel is closed and drained.
///
/// ```
/// use greenthread::channel::{RecvError, bounded};
///
/// let (tx, rx) = bounded::<u8>(0);
/// drop(tx);
/// assert_eq!(rx.recv(), Err(RecvError));
/// assert_eq!(RecvError.to_string(), "receiving on an empty and disconnected channel");
/// ```
#[derive(PartialEq, Eq, Clone, Copy, Debug)]
pub struct RecvError;

/// The error of [`Receiver::try_recv`](crate::Receiver::try_recv).
///
/// ```
/// use greenthread::channel::{TryRecvError, bounded};
///
/// let (tx, rx) = bounded::<u8>(1);
/// assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
/// drop(tx);
/// assert_eq!(rx.try_recv(), Err(TryRecvError::Disconnected));
/// ```
#[derive(PartialEq, Eq, Clone, Copy, Debug)]
pub enum TryRecvError {
    /// The channel holds no value or, with capacity zero, no sender was waiting.
    Empty,
    /// The channel is closed and drained.
    Disconnected,
}

/// The error of [`Receiver::recv_timeout`](crate::Receiver::recv_timeout) and
/// [`Receiver::recv_deadline`](crate::Receiver::recv_deadline).
///
/// ```
/// use greenthread::channel::RecvTimeoutError;
///
/// assert_eq!(RecvTimeoutError::Timeout.to_string(), "timed out waiting on receive operation");
/// assert_eq!(RecvTimeoutError::Disconnected.to_string(), "channel is empty and disconnected");
/// ```
#[derive(PartialEq, Eq, Clone, Copy, Debug)]
pub enum RecvTimeoutError {
    /// No value or, with capacity zero, no sender arrived in time.
    Timeout,
    /// The channel is closed and drained.
    Disconnected,
}

/// The error of [`Select::try_select`](crate::Select::try_select): all operations would block.
///
/// ```
/// use greenthread::channel::TrySelectError;
///
/// assert_eq!(TrySelectError.to_string(), "all operations in select would block");
/// ```
#[derive(PartialEq, Eq, Clone, Copy, Debug)]
pub struct TrySelectError;

/// The error of [`Select::select_timeout`](crate::Select::select_timeout) and
/// [`Select::select_deadline`](crate::Select::select_deadline): no operation became possible in
/// time.
///
/// ```
/// assert_eq!(greenthread::channel::SelectTimeoutError.to_string(), "timed out waiting on select");
/// ```
#[derive(PartialEq, Eq, Clone, Copy, Debug)]
pub struct SelectTimeoutError;

/// The error of [`Select::try_ready`](crate::Select::try_ready): no operation was ready.
///
/// It implements [`Error`], unlike in crossbeam-channel.
///
/// ```
/// use greenthread::channel::TryReadyError;
///
/// assert_eq!(TryReadyError.to_string(), "no operation in select is ready");
/// ```
#[derive(PartialEq, Eq, Clone, Copy, Debug)]
pub struct TryReadyError;

/// The error of [`Select::ready_timeout`](crate::Select::ready_timeout) and
/// [`Select::ready_deadline`](crate::Select::ready_deadline): no operation became ready in time.
///
/// It implements [`Error`], unlike in crossbeam-channel.
///
/// ```
/// use greenthread::channel::ReadyTimeoutError;
///
/// let text = "timed out waiting for an operation in select to become ready";
/// assert_eq!(ReadyTimeoutError.to_string(), text);
/// ```
#[derive(PartialEq, Eq, Clone, Copy, Debug)]
pub struct ReadyTimeoutError;

const SEND_DISCONNECTED: &str = "sending on a disconnected channel";
const RECV_DISCONNECTED: &str = "receiving on an empty and disconnected channel";

impl<T> SendError<T> {
    /// Returns the value that was not sent.
    ///
    /// ```
    /// let (tx, rx) = greenthread::channel::unbounded();
    /// drop(rx);
    /// assert_eq!(tx.send("foo").unwrap_err().into_inner(), "foo");
    /// ```
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> TrySendError<T> {
    /// Returns the value that was not sent.
    ///
    /// ```
    /// let (tx, _rx) = greenthread::channel::bounded(0);
    /// assert_eq!(tx.try_send("foo").unwrap_err().into_inner(), "foo");
    /// ```
    pub fn into_inner(self) -> T {
        match self {
            Self::Full(value) | Self::Disconnected(value) => value,
        }
    }

    /// Returns `true` if there was no room.
    ///
    /// ```
    /// let (tx, _rx) = greenthread::channel::bounded(0);
    /// assert!(tx.try_send(1).unwrap_err().is_full());
    /// ```
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full(_))
    }

    /// Returns `true` if the channel was closed.
    ///
    /// ```
    /// let (tx, rx) = greenthread::channel::bounded(0);
    /// drop(rx);
    /// assert!(tx.try_send(1).unwrap_err().is_disconnected());
    /// ```
    pub fn is_disconnected(&self) -> bool {
        matches!(self, Self::Disconnected(_))
    }
}

impl<T> SendTimeoutError<T> {
    /// Returns the value that was not sent.
    ///
    /// ```
    /// use greenthread::channel::SendTimeoutError;
    ///
    /// assert_eq!(SendTimeoutError::Timeout("foo").into_inner(), "foo");
    /// ```
    pub fn into_inner(self) -> T {
        match self {
            Self::Timeout(value) | Self::Disconnected(value) => value,
        }
    }

    /// Returns `true` if the operation timed out.
    ///
    /// ```
    /// use greenthread::channel::SendTimeoutError;
    ///
    /// assert!(SendTimeoutError::Timeout(1).is_timeout());
    /// assert!(!SendTimeoutError::Disconnected(1).is_timeout());
    /// ```
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::Timeout(_))
    }

    /// Returns `true` if the channel was closed.
    ///
    /// ```
    /// use greenthread::channel::SendTimeoutError;
    ///
    /// assert!(SendTimeoutError::Disconnected(1).is_disconnected());
    /// assert!(!SendTimeoutError::Timeout(1).is_disconnected());
    /// ```
    pub fn is_disconnected(&self) -> bool {
        matches!(self, Self::Disconnected(_))
    }
}

impl TryRecvError {
    /// Returns `true` if there was nothing to receive.
    ///
    /// ```
    /// let (_tx, rx) = greenthread::channel::unbounded::<()>();
    /// assert!(rx.try_recv().unwrap_err().is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Empty)
    }

    /// Returns `true` if the channel was closed and drained.
    ///
    /// ```
    /// let (tx, rx) = greenthread::channel::unbounded::<()>();
    /// drop(tx);
    /// assert!(rx.try_recv().unwrap_err().is_disconnected());
    /// ```
    pub fn is_disconnected(&self) -> bool {
        matches!(self, Self::Disconnected)
    }
}

impl RecvTimeoutError {
    /// Returns `true` if the operation timed out.
    ///
    /// ```
    /// use greenthread::channel::RecvTimeoutError;
    ///
    /// assert!(RecvTimeoutError::Timeout.is_timeout());
    /// assert!(!RecvTimeoutError::Disconnected.is_timeout());
    /// ```
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::Timeout)
    }

    /// Returns `true` if the channel was closed and drained.
    ///
    /// ```
    /// use greenthread::channel::RecvTimeoutError;
    ///
    /// assert!(RecvTimeoutError::Disconnected.is_disconnected());
    /// assert!(!RecvTimeoutError::Timeout.is_disconnected());
    /// ```
    pub fn is_disconnected(&self) -> bool {
        matches!(self, Self::Disconnected)
    }
}

// Written by hand, so that errors can be printed and unwrapped for every `T`. The quotes are
// crossbeam-channel's.
impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt("SendError(..)", f)
    }
}

impl<T> fmt::Debug for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Full(_) => "Full(..)",
            Self::Disconnected(_) => "Disconnected(..)",
        };
        fmt::Debug::fmt(text, f)
    }
}

// crossbeam-channel prints both variants alike.
impl<T> fmt::Debug for SendTimeoutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt("SendTimeoutError(..)", f)
    }
}

impl<T> fmt::Display for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(SEND_DISCONNECTED)
    }
}

impl<T> fmt::Display for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Full(_) => "sending on a full channel",
            Self::Disconnected(_) => SEND_DISCONNECTED,
        })
    }
}

impl<T> fmt::Display for SendTimeoutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Timeout(_) => "timed out waiting on send operation",
            Self::Disconnected(_) => SEND_DISCONNECTED,
        })
    }
}

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(RECV_DISCONNECTED)
    }
}

impl fmt::Display for TryRecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Empty => "receiving on an empty channel",
            Self::Disconnected => RECV_DISCONNECTED,
        })
    }
}

impl fmt::Display for RecvTimeoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Timeout => "timed out waiting on receive operation",
            Self::Disconnected => "channel is empty and disconnected",
        })
    }
}

impl fmt::Display for TrySelectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("all operations in select would block")
    }
}

impl fmt::Display for SelectTimeoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("timed out waiting on select")
    }
}

// crossbeam-channel has no message for this error and the next one.
impl fmt::Display for TryReadyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("no operation in select is ready")
    }
}

impl fmt::Display for ReadyTimeoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("timed out waiting for an operation in select to become ready")
    }
}

impl<T: Send> Error for SendError<T> {}
impl<T: Send> Error for TrySendError<T> {}
impl<T: Send> Error for SendTimeoutError<T> {}
impl Error for RecvError {}
impl Error for TryRecvError {}
impl Error for RecvTimeoutError {}
impl Error for TrySelectError {}
impl Error for SelectTimeoutError {}
impl Error for TryReadyError {}
impl Error for ReadyTimeoutError {}

impl<T> From<SendError<T>> for TrySendError<T> {
    fn from(error: SendError<T>) -> Self {
        Self::Disconnected(error.0)
    }
}

impl<T> From<SendError<T>> for SendTimeoutError<T> {
    fn from(error: SendError<T>) -> Self {
        Self::Disconnected(error.0)
    }
}

impl From<RecvError> for TryRecvError {
    fn from(_: RecvError) -> Self {
        Self::Disconnected
    }
}

impl From<RecvError> for RecvTimeoutError {
    fn from(_: RecvError) -> Self {
        Self::Disconnected
    }
}
