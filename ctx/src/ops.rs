//! Blocking operations that return when the context ends.

use std::convert::Infallible;
use std::time::Duration;

use greenthread_channels::{Receiver, Sender, TryRecvError, TrySendError, after, select_biased};

use crate::context::Context;
use crate::error::{Error, RecvError, SendError};

/// Blocking operations that give up when the context ends. If the context has already ended, these
/// operations fail at once, even if they would not have to wait.
///
/// The types of `greenthread::sync` have similar methods, with the suffix `_ctx`.
impl Context {
    /// Receives a value like [`Receiver::recv`], unless the context ends first.
    ///
    /// Blocks until one of the two happens. If a `select!` has chosen to send to this call, the
    /// call waits until that `select!` has evaluated its message, even past the end of the context,
    /// and receives the value.
    ///
    /// In Go: `select { case v, ok := <-ch: case <-ctx.Done(): }`, which chooses at random if both
    /// are possible.
    ///
    /// # Errors
    /// If the context ends first or had already ended, or if the channel is closed and empty.
    ///
    /// ```
    /// use greenthread::channel::bounded;
    /// use greenthread::ctx::{Context, Error, RecvError};
    /// use std::time::Duration;
    ///
    /// let (tx, rx) = bounded(1);
    /// tx.send(5).unwrap();
    /// assert_eq!(Context::background().recv(&rx), Ok(5));
    /// let (ctx, _cancel) = Context::background().with_timeout(Duration::from_millis(5));
    /// assert_eq!(ctx.recv(&rx), Err(RecvError::Ended(Error::DeadlineExceeded)));
    /// ```
    pub fn recv<T>(&self, rx: &Receiver<T>) -> Result<T, RecvError> {
        // An operation that does not have to wait is cheaper without a select.
        if let Some(error) = self.err() {
            return Err(error.into());
        }
        match rx.try_recv() {
            Ok(value) => return Ok(value),
            Err(TryRecvError::Disconnected) => return Err(RecvError::Disconnected),
            Err(TryRecvError::Empty) => {}
        }
        select_biased! {
            recv(self.done()) -> end => Err(self.ended(end).into()),
            recv(rx) -> value => value.map_err(|_| RecvError::Disconnected),
        }
    }

    /// Sends a value like [`Sender::send`], unless the context ends first.
    ///
    /// Blocks until one of the two happens.
    ///
    /// In Go: `select { case ch <- v: case <-ctx.Done(): }`, which chooses at random if both are
    /// possible.
    ///
    /// # Errors
    /// If the context ends first or had already ended, or if the channel is closed. The error holds
    /// the value.
    ///
    /// ```
    /// use greenthread::channel::bounded;
    /// use greenthread::ctx::{Context, Error, SendError};
    ///
    /// let (tx, rx) = bounded(1);
    /// let (ctx, cancel) = Context::background().with_cancel();
    /// ctx.send(&tx, 5).unwrap();
    /// assert_eq!(rx.recv(), Ok(5));
    /// cancel.cancel();
    /// assert_eq!(ctx.send(&tx, 6), Err(SendError::Ended(Error::Canceled, 6)));
    /// ```
    pub fn send<T>(&self, tx: &Sender<T>, value: T) -> Result<(), SendError<T>> {
        if let Some(error) = self.err() {
            return Err(SendError::Ended(error, value));
        }
        let value = match tx.try_send(value) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Disconnected(value)) => return Err(SendError::Disconnected(value)),
            Err(TrySendError::Full(value)) => value,
        };
        select_biased! {
            recv(self.done()) -> end => Err(SendError::Ended(self.ended(end), value)),
            send(tx, value) -> sent => sent.map_err(|error| SendError::Disconnected(error.0)),
        }
    }

    /// Blocks for `duration`, unless the context ends first.
    ///
    /// In Go: `select { case <-time.After(d): case <-ctx.Done(): }`.
    ///
    /// # Errors
    /// If the context ends first, or had ended before the call.
    ///
    /// ```
    /// use greenthread::ctx::{Context, Error};
    /// use std::time::Duration;
    ///
    /// assert_eq!(Context::background().sleep(Duration::from_millis(1)), Ok(()));
    /// let (ctx, _cancel) = Context::background().with_timeout(Duration::from_millis(5));
    /// assert_eq!(ctx.sleep(Duration::from_secs(3600)), Err(Error::DeadlineExceeded));
    /// ```
    pub fn sleep(&self, duration: Duration) -> Result<(), Error> {
        let time = after(duration);
        select_biased! {
            recv(self.done()) -> end => Err(self.ended(end)),
            recv(time) -> _ => Ok(()),
        }
    }

    /// Returns the reason why the context ended, to a caller that received `end` from the context's
    /// `done` channel.
    #[doc(hidden)]
    pub fn ended(&self, end: Result<Infallible, greenthread_channels::RecvError>) -> Error {
        match end {
            Ok(never) => match never {},
            Err(_) => self.err().expect("ctx: done is closed after the reason was set"),
        }
    }
}
