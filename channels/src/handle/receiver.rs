//! The receiving end.

use std::fmt;
use std::mem::MaybeUninit;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::ptr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::iter::{IntoIter, Iter, TryIter};
use super::{block_forever, block_until};
use crate::alarm::AlarmChan;
use crate::chan::Chan;
use crate::counter::{Counted, Receivers};
use crate::error::{RecvError, RecvTimeoutError, TryRecvError};
use crate::head::{Direction, Head};
use crate::primitive::WaitReason;
use crate::select::{Arm, Goal, Limit, select_arms};
use crate::single_wait::WaitError;

/// The receiving end of a channel.
///
/// Its clones receive from the same channel, and each value goes to one of them. Dropping the last
/// receiver closes the channel and drops the buffered values.
///
/// ```
/// use greenthread::channel::unbounded;
///
/// let (tx, rx) = unbounded();
/// tx.send("hello").unwrap();
/// tx.send("bye").unwrap();
/// assert_eq!(rx.recv(), Ok("hello"));
/// assert_eq!(rx.clone().recv(), Ok("bye"));
/// ```
pub struct Receiver<T> {
    pub(super) flavor: Flavor<T>,
}

/// The kind of channel from which the values come.
pub(super) enum Flavor<T> {
    Chan(Counted<T, Receivers>),
    Alarm(Arc<AlarmChan<T>>),
    Nil,
}

/// A borrowed [`Flavor`].
enum FlavorRef<'a, T> {
    Chan(&'a Chan<T>),
    Alarm(&'a AlarmChan<T>),
    Nil,
}

// SAFETY: a handle is a counted pointer to a `Chan`, which may be shared if `T: Send`, or to an
// alarm, which may always be shared.
unsafe impl<T: Send> Send for Receiver<T> {}
// SAFETY: every operation takes `&self`, and a handle is a counted pointer to a channel that may be
// shared if `T: Send`.
unsafe impl<T: Send> Sync for Receiver<T> {}

// A panic cannot leave a channel in an inconsistent state: no code of `T` runs while it changes.
impl<T> UnwindSafe for Receiver<T> {}
impl<T> RefUnwindSafe for Receiver<T> {}

impl<T> Receiver<T> {
    /// Creates a receiver that is fed by the clock.
    pub(crate) fn from_alarm(chan: Arc<AlarmChan<T>>) -> Self {
        Self { flavor: Flavor::Alarm(chan) }
    }

    #[inline]
    fn as_ref(&self) -> FlavorRef<'_, T> {
        match &self.flavor {
            Flavor::Chan(counted) => FlavorRef::Chan(counted.chan()),
            Flavor::Alarm(chan) => FlavorRef::Alarm(chan),
            Flavor::Nil => FlavorRef::Nil,
        }
    }

    /// Begins to load the channel into the cache, because it is about to be used.
    #[doc(hidden)]
    #[inline]
    pub fn prefetch(&self) {
        if let Flavor::Chan(counted) = &self.flavor {
            counted.prefetch();
        }
    }

    /// Returns the channel for callers that only observe its close, or `None` if it never closes.
    #[inline]
    pub(crate) fn head(&self) -> Option<&Head> {
        match self.as_ref() {
            FlavorRef::Chan(chan) => Some(&chan.head),
            FlavorRef::Alarm(_) | FlavorRef::Nil => None,
        }
    }

    /// Creates an arm of a select that receives from this channel.
    #[inline]
    pub(crate) fn arm(&self) -> Arm<'_> {
        match self.as_ref() {
            FlavorRef::Chan(chan) => Arm::chan(Direction::Recv, chan),
            FlavorRef::Alarm(chan) => Arm::alarm(chan),
            FlavorRef::Nil => Arm::nil::<T>(Direction::Recv),
        }
    }

    /// Receives a value, blocking until there is one (Go's `v, ok := <-ch`).
    ///
    /// On a nil channel this blocks forever.
    ///
    /// # Errors
    /// If the channel is closed and drained, or if it closes while this call waits.
    ///
    /// ```
    /// use greenthread::channel::{RecvError, unbounded};
    ///
    /// let (tx, rx) = unbounded();
    /// tx.send(5).unwrap();
    /// drop(tx);
    /// assert_eq!(rx.recv(), Ok(5));
    /// assert_eq!(rx.recv(), Err(RecvError));
    /// ```
    #[inline]
    pub fn recv(&self) -> Result<T, RecvError> {
        match self.as_ref() {
            FlavorRef::Chan(chan) => chan.recv(),
            FlavorRef::Alarm(chan) => recv_alarm(chan, Limit::Never).ok_or(RecvError),
            FlavorRef::Nil => block_forever(WaitReason::ChanReceiveNil),
        }
    }

    /// Receives a value, blocking for at most `timeout` until there is one.
    ///
    /// If the value comes from a `select!` that is still evaluating its message, this call also
    /// waits for that evaluation, however long it takes.
    ///
    /// # Errors
    /// If the channel is closed and drained, or if no value arrived in time.
    ///
    /// ```
    /// use greenthread::channel::{RecvTimeoutError, unbounded};
    /// use std::time::Duration;
    ///
    /// let (tx, rx) = unbounded();
    /// let soon = Duration::from_millis(1);
    /// assert_eq!(rx.recv_timeout(soon), Err(RecvTimeoutError::Timeout));
    /// tx.send(5).unwrap();
    /// drop(tx);
    /// assert_eq!(rx.recv_timeout(soon), Ok(5));
    /// assert_eq!(rx.recv_timeout(soon), Err(RecvTimeoutError::Disconnected));
    /// ```
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        match Instant::now().checked_add(timeout) {
            Some(deadline) => self.recv_deadline(deadline),
            None => self.recv().map_err(RecvTimeoutError::from),
        }
    }

    /// Receives a value, blocking until `deadline` at the latest.
    ///
    /// It may wait past the deadline in the same case as [`recv_timeout`](Self::recv_timeout).
    ///
    /// # Errors
    /// If the channel is closed and drained, or if no value arrived in time.
    ///
    /// ```
    /// use greenthread::channel::{RecvTimeoutError, unbounded};
    /// use std::time::Instant;
    ///
    /// let (_tx, rx) = unbounded::<u8>();
    /// assert_eq!(rx.recv_deadline(Instant::now()), Err(RecvTimeoutError::Timeout));
    /// ```
    pub fn recv_deadline(&self, deadline: Instant) -> Result<T, RecvTimeoutError> {
        match self.as_ref() {
            FlavorRef::Chan(chan) => chan.recv_until(Some(deadline)).map_err(|error| match error {
                WaitError::Closed => RecvTimeoutError::Disconnected,
                WaitError::Deadline => RecvTimeoutError::Timeout,
            }),
            FlavorRef::Alarm(chan) => recv_alarm(chan, Limit::At(deadline)).ok_or(RecvTimeoutError::Timeout),
            FlavorRef::Nil => {
                block_until(WaitReason::ChanReceiveNil, deadline);
                Err(RecvTimeoutError::Timeout)
            }
        }
    }

    /// Receives a value if one is available now (Go's `select` with a `default`).
    ///
    /// It blocks in one case only: if a `select!` has chosen to send to this call, the call waits
    /// until that `select!` has evaluated its message.
    ///
    /// # Errors
    /// If no value is available (with capacity zero, no waiting sender), or if the channel is
    /// closed and drained.
    ///
    /// ```
    /// use greenthread::channel::{TryRecvError, unbounded};
    ///
    /// let (tx, rx) = unbounded();
    /// assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    /// tx.send(5).unwrap();
    /// drop(tx);
    /// assert_eq!(rx.try_recv(), Ok(5));
    /// assert_eq!(rx.try_recv(), Err(TryRecvError::Disconnected));
    /// ```
    #[inline]
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        match self.as_ref() {
            FlavorRef::Chan(chan) => chan.try_recv(),
            FlavorRef::Alarm(chan) => chan.try_recv().ok_or(TryRecvError::Empty),
            FlavorRef::Nil => Err(TryRecvError::Empty),
        }
    }

    /// Returns a blocking iterator over the values (Go's `for v := range ch`).
    ///
    /// It ends when the channel is closed and drained.
    ///
    /// ```
    /// let (tx, rx) = greenthread::channel::unbounded();
    /// tx.send(1).unwrap();
    /// tx.send(2).unwrap();
    /// drop(tx);
    /// assert_eq!(rx.iter().collect::<Vec<_>>(), [1, 2]);
    /// ```
    pub fn iter(&self) -> Iter<'_, T> {
        Iter { receiver: self }
    }

    /// Returns an iterator over the values that are available now.
    ///
    /// Its `next` calls [`try_recv`](Self::try_recv), and blocks only in the one case in which
    /// `try_recv` blocks.
    ///
    /// ```
    /// let (tx, rx) = greenthread::channel::unbounded();
    /// tx.send(1).unwrap();
    /// tx.send(2).unwrap();
    /// assert_eq!(rx.try_iter().collect::<Vec<_>>(), [1, 2]);
    /// ```
    pub fn try_iter(&self) -> TryIter<'_, T> {
        TryIter { receiver: self }
    }

    /// Returns the number of buffered values (Go's `len(ch)`).
    ///
    /// Never blocks.
    ///
    /// ```
    /// let (tx, rx) = greenthread::channel::unbounded();
    /// tx.send(1).unwrap();
    /// assert_eq!(rx.len(), 1);
    /// ```
    #[inline]
    pub fn len(&self) -> usize {
        match self.as_ref() {
            FlavorRef::Alarm(chan) => usize::from(chan.alarm.is_due(Instant::now())),
            FlavorRef::Chan(chan) => chan.head.len(),
            FlavorRef::Nil => 0,
        }
    }

    /// Returns `true` if no value is buffered.
    ///
    /// With capacity zero this is always `true`. Never blocks.
    ///
    /// ```
    /// let (tx, rx) = greenthread::channel::unbounded();
    /// assert!(rx.is_empty());
    /// tx.send(1).unwrap();
    /// assert!(!rx.is_empty());
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
    /// let (tx, rx) = greenthread::channel::bounded(1);
    /// assert!(!rx.is_full());
    /// tx.send(1).unwrap();
    /// assert!(rx.is_full());
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
    /// assert_eq!(bounded::<i32>(5).1.capacity(), Some(5));
    /// assert_eq!(unbounded::<i32>().1.capacity(), None);
    /// ```
    #[inline]
    pub fn capacity(&self) -> Option<usize> {
        match self.as_ref() {
            FlavorRef::Alarm(_) => Some(1),
            FlavorRef::Chan(chan) => chan.head.capacity(),
            FlavorRef::Nil => Some(0),
        }
    }

    /// Returns `true` if both receive from the same channel (Go's `ch1 == ch2`).
    ///
    /// Any two nil channels are the same. Never blocks.
    ///
    /// ```
    /// use greenthread::channel::{never, unbounded};
    ///
    /// let (_, a) = unbounded::<i32>();
    /// assert!(a.same_channel(&a.clone()));
    /// assert!(!a.same_channel(&never()));
    /// ```
    pub fn same_channel(&self, other: &Receiver<T>) -> bool {
        match (self.as_ref(), other.as_ref()) {
            (FlavorRef::Chan(one), FlavorRef::Chan(two)) => ptr::eq(one, two),
            (FlavorRef::Alarm(one), FlavorRef::Alarm(two)) => ptr::eq(one, two),
            (FlavorRef::Nil, FlavorRef::Nil) => true,
            _ => false,
        }
    }
}

/// Waits for the message of an alarm.
fn recv_alarm<T>(chan: &AlarmChan<T>, limit: Limit) -> Option<T> {
    let mut slot = MaybeUninit::<T>::uninit();
    let mut arm = Arm::alarm(chan);
    arm.set_slot(slot.as_mut_ptr().cast());
    // SAFETY: the slot is set, has the arm's type, and stays in this frame. The arm is in the list
    // once.
    unsafe { select_arms(&mut [&arm], Goal::Perform, limit, true) }?;
    // SAFETY: an alarm never closes, so the only arm has received a value.
    Some(unsafe { slot.assume_init() })
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        let flavor = match &self.flavor {
            Flavor::Chan(counted) => Flavor::Chan(counted.clone()),
            Flavor::Alarm(chan) => Flavor::Alarm(Arc::clone(chan)),
            Flavor::Nil => Flavor::Nil,
        };
        Self { flavor }
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("Receiver { .. }")
    }
}

impl<'a, T> IntoIterator for &'a Receiver<T> {
    type Item = T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<T> IntoIterator for Receiver<T> {
    type Item = T;
    type IntoIter = IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        IntoIter { receiver: self }
    }
}
