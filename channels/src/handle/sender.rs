//! The sending end.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::{Duration, Instant};

use super::{block_forever, block_until};
use crate::chan::Chan;
use crate::counter::{Counted, Senders};
use crate::error::{SendError, SendTimeoutError, TrySendError};
use crate::head::{Direction, Head};
use crate::primitive::WaitReason;
use crate::select::Arm;

/// The sending end of a channel.
///
/// Its clones send to the same channel. Dropping the last sender closes the channel.
///
/// ```
/// use greenthread::channel::unbounded;
/// use std::thread;
///
/// let (tx, rx) = unbounded();
/// let other = tx.clone();
/// thread::spawn(move || tx.send(1).unwrap());
/// thread::spawn(move || other.send(2).unwrap());
/// assert_eq!(rx.iter().sum::<i32>(), 3);
/// ```
pub struct Sender<T> {
    /// `None` is the nil channel.
    pub(super) counted: Option<Counted<T, Senders>>,
}

// SAFETY: a handle is a counted pointer to a `Chan`, which may be shared if `T: Send`.
unsafe impl<T: Send> Send for Sender<T> {}
// SAFETY: every operation takes `&self`, and a handle is a counted pointer to a `Chan`, which may
// be shared if `T: Send`.
unsafe impl<T: Send> Sync for Sender<T> {}

// A panic cannot leave a channel in an inconsistent state: no code of `T` runs while it changes.
impl<T> UnwindSafe for Sender<T> {}
impl<T> RefUnwindSafe for Sender<T> {}

impl<T> Sender<T> {
    #[inline]
    pub(crate) fn chan(&self) -> Option<&Chan<T>> {
        self.counted.as_ref().map(Counted::chan)
    }

    pub(crate) fn head(&self) -> Option<&Head> {
        self.chan().map(|chan| &chan.head)
    }

    /// Creates an arm of a select that sends to this channel.
    #[inline]
    pub(crate) fn arm(&self) -> Arm<'_> {
        self.arm_to(Direction::Send)
    }

    /// Creates an arm of a select that waits for the close, as a receiver would.
    pub(crate) fn arm_for_close(&self) -> Arm<'_> {
        self.arm_to(Direction::Recv)
    }

    #[inline]
    fn arm_to(&self, direction: Direction) -> Arm<'_> {
        self.chan().map_or_else(|| Arm::nil::<T>(direction), |chan| Arm::chan(direction, chan))
    }

    /// Sends a value, blocking until there is room for it or a receiver has taken it (Go's
    /// `ch <- v`).
    ///
    /// On a nil channel this blocks forever.
    ///
    /// The value is moved through several stack frames, here and at the receiver, and a goroutine's
    /// stack reserves 384 KiB. Put values of more than 4 KiB into a `Box` or a `Vec`. (In optimized
    /// builds, values several times as large fit.)
    ///
    /// # Errors
    /// If the channel is closed, or if it closes while this call waits. The error returns the
    /// value. (Go panics.)
    ///
    /// ```
    /// use greenthread::channel::{SendError, bounded};
    ///
    /// let (tx, rx) = bounded(1);
    /// assert_eq!(tx.send(1), Ok(()));
    /// drop(rx);
    /// assert_eq!(tx.send(2), Err(SendError(2)));
    /// ```
    #[inline]
    pub fn send(&self, msg: T) -> Result<(), SendError<T>> {
        match self.chan() {
            Some(chan) => chan.send(msg),
            None => block_forever(WaitReason::ChanSendNil),
        }
    }

    /// Sends a value, blocking for at most `timeout` until there is room for it or a receiver has
    /// taken it.
    ///
    /// # Errors
    /// If the channel is closed, or neither room nor a receiver for the value was found in time.
    /// The error returns the value.
    ///
    /// ```
    /// use greenthread::channel::{SendTimeoutError, bounded};
    /// use std::time::Duration;
    ///
    /// let (tx, rx) = bounded(1);
    /// let soon = Duration::from_millis(1);
    /// assert_eq!(tx.send_timeout(1, soon), Ok(()));
    /// assert_eq!(tx.send_timeout(2, soon), Err(SendTimeoutError::Timeout(2)));
    /// drop(rx);
    /// assert_eq!(tx.send_timeout(3, soon), Err(SendTimeoutError::Disconnected(3)));
    /// ```
    pub fn send_timeout(&self, msg: T, timeout: Duration) -> Result<(), SendTimeoutError<T>> {
        match Instant::now().checked_add(timeout) {
            Some(deadline) => self.send_deadline(msg, deadline),
            None => self.send(msg).map_err(SendTimeoutError::from),
        }
    }

    /// Sends a value, blocking until `deadline` at the latest.
    ///
    /// # Errors
    /// If the channel is closed, or neither room nor a receiver for the value was found in time.
    /// The error returns the value.
    ///
    /// ```
    /// use greenthread::channel::{SendTimeoutError, bounded};
    /// use std::time::Instant;
    ///
    /// let (tx, _rx) = bounded(0);
    /// assert_eq!(tx.send_deadline(1, Instant::now()), Err(SendTimeoutError::Timeout(1)));
    /// ```
    pub fn send_deadline(&self, msg: T, deadline: Instant) -> Result<(), SendTimeoutError<T>> {
        match self.chan() {
            Some(chan) => chan.send_until(msg, Some(deadline)),
            None => {
                block_until(WaitReason::ChanSendNil, deadline);
                Err(SendTimeoutError::Timeout(msg))
            }
        }
    }

    /// Sends a value if that is possible now (Go's `select` with a `default`).
    ///
    /// Never blocks.
    ///
    /// # Errors
    /// If there is no room (with capacity zero, no waiting receiver), or if the channel is closed.
    /// The error returns the value.
    ///
    /// ```
    /// use greenthread::channel::{TrySendError, bounded};
    ///
    /// let (tx, _rx) = bounded(1);
    /// assert_eq!(tx.try_send(1), Ok(()));
    /// assert_eq!(tx.try_send(2), Err(TrySendError::Full(2)));
    /// ```
    #[inline]
    pub fn try_send(&self, msg: T) -> Result<(), TrySendError<T>> {
        match self.chan() {
            Some(chan) => chan.try_send(msg),
            None => Err(TrySendError::Full(msg)),
        }
    }

    /// Closes the channel for all senders (Go's `close(ch)`).
    ///
    /// Wakes all waiting operations. Never blocks.
    ///
    /// Values that were sent before the close can still be received. A waiting sender gets its
    /// value back.
    ///
    /// # Panics
    /// With "close of closed channel" if `close` was called before, by any clone, and with "close
    /// of nil channel" on a nil channel. The call does not panic if all receivers are gone, because
    /// a sender cannot know that in advance.
    ///
    /// ```
    /// use greenthread::channel::{SendError, bounded};
    ///
    /// let (tx, rx) = bounded(10);
    /// tx.send(1).unwrap();
    /// tx.close();
    /// assert_eq!(tx.send(2), Err(SendError(2)));
    /// assert_eq!(rx.iter().collect::<Vec<_>>(), [1]);
    /// ```
    pub fn close(&self) {
        match self.head() {
            Some(head) => head.close(),
            None => panic!("close of nil channel"),
        }
    }

    /// Returns `true` if the channel is closed, by [`close`](Self::close) or because all receivers
    /// are gone.
    ///
    /// Never blocks.
    ///
    /// A closed channel stays closed. An open channel may close before the caller has checked the
    /// result.
    ///
    /// ```
    /// let (tx, rx) = greenthread::channel::unbounded::<i32>();
    /// assert!(!tx.is_closed());
    /// drop(rx);
    /// assert!(tx.is_closed());
    /// ```
    #[inline]
    pub fn is_closed(&self) -> bool {
        self.head().is_some_and(Head::is_closed)
    }

    /// Returns the number of buffered values (Go's `len(ch)`).
    ///
    /// Never blocks.
    ///
    /// ```
    /// let (tx, _rx) = greenthread::channel::unbounded();
    /// tx.send(1).unwrap();
    /// assert_eq!(tx.len(), 1);
    /// ```
    #[inline]
    pub fn len(&self) -> usize {
        self.head().map_or(0, Head::len)
    }

    /// Returns `true` if no value is buffered.
    ///
    /// With capacity zero this is always `true`. Never blocks.
    ///
    /// ```
    /// let (tx, _rx) = greenthread::channel::unbounded();
    /// assert!(tx.is_empty());
    /// tx.send(1).unwrap();
    /// assert!(!tx.is_empty());
    /// ```
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns `true` if the buffer holds as many values as it can.
    ///
    /// With capacity zero this is always `true`. Never blocks.
    ///
    /// A slot that is reserved for a `select!` does not count while the `select!` is still
    /// evaluating its message, although no other operation may use the slot.
    ///
    /// ```
    /// let (tx, _rx) = greenthread::channel::bounded(1);
    /// assert!(!tx.is_full());
    /// tx.send(1).unwrap();
    /// assert!(tx.is_full());
    /// ```
    #[inline]
    pub fn is_full(&self) -> bool {
        self.capacity() == Some(self.len())
    }

    /// Returns the capacity (Go's `cap(ch)`), or `None` if the channel is unbounded.
    ///
    /// Never blocks.
    ///
    /// ```
    /// use greenthread::channel::{bounded, unbounded};
    ///
    /// assert_eq!(bounded::<i32>(5).0.capacity(), Some(5));
    /// assert_eq!(unbounded::<i32>().0.capacity(), None);
    /// ```
    #[inline]
    pub fn capacity(&self) -> Option<usize> {
        self.head().map_or(Some(0), Head::capacity)
    }

    /// Returns `true` if both send to the same channel (Go's `ch1 == ch2`).
    ///
    /// Any two nil channels are the same. Never blocks.
    ///
    /// ```
    /// use greenthread::channel::unbounded;
    ///
    /// let (a, _) = unbounded::<i32>();
    /// let (b, _) = unbounded::<i32>();
    /// assert!(a.same_channel(&a.clone()));
    /// assert!(!a.same_channel(&b));
    /// ```
    pub fn same_channel(&self, other: &Sender<T>) -> bool {
        match (&self.counted, &other.counted) {
            (Some(one), Some(two)) => one.is_same(two),
            (None, None) => true,
            _ => false,
        }
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self { counted: self.counted.clone() }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("Sender { .. }")
    }
}
