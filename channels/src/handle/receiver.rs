//! The receiving end.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::ptr::NonNull;

use super::block_for_ever;
use super::iter::{IntoIter, Iter, TryIter};
use crate::chan::Chan;
use crate::counter::{self, Counter};
use crate::error::{RecvError, TryRecvError};
use crate::primitive::WaitReason;

/// The receiving end of a channel. Clones share its values: each goes to one of them. The last one dropped closes the
/// channel and drops what is buffered.
///
/// ```
/// use greenthread_channels::unbounded;
///
/// let (tx, rx) = unbounded();
/// tx.send("hello").unwrap();
/// tx.send("bye").unwrap();
/// assert_eq!(rx.recv(), Ok("hello"));
/// assert_eq!(rx.clone().recv(), Ok("bye"));
/// ```
pub struct Receiver<T> {
    /// None: the nil channel.
    pub(super) counter: Option<NonNull<Counter<T>>>,
}

// SAFETY: a handle is a counted pointer to a `Chan`, which is for sharing if `T: Send`.
unsafe impl<T: Send> Send for Receiver<T> {}
// SAFETY: as above; every operation takes `&self`.
unsafe impl<T: Send> Sync for Receiver<T> {}

// A panic cannot leave a channel half-changed: no code of `T` runs while one is changed.
impl<T> UnwindSafe for Receiver<T> {}
impl<T> RefUnwindSafe for Receiver<T> {}

impl<T> Receiver<T> {
    #[inline]
    fn chan(&self) -> Option<&Chan<T>> {
        // SAFETY: this handle is counted, so the counter is alive.
        self.counter.map(|counter| unsafe { &(*counter.as_ptr()).chan })
    }

    /// Receives a value (Go's `v, ok := <-ch`). Blocks until there is one.
    ///
    /// On a nil channel it blocks for ever.
    ///
    /// # Errors
    /// If the channel is closed, or gets closed while this call waits, and nothing is left in it.
    ///
    /// ```
    /// use greenthread_channels::{RecvError, unbounded};
    ///
    /// let (tx, rx) = unbounded();
    /// tx.send(5).unwrap();
    /// drop(tx);
    /// assert_eq!(rx.recv(), Ok(5));
    /// assert_eq!(rx.recv(), Err(RecvError));
    /// ```
    #[inline]
    pub fn recv(&self) -> Result<T, RecvError> {
        match self.chan() {
            Some(chan) => chan.recv(),
            None => block_for_ever(WaitReason::ChanReceiveNil),
        }
    }

    /// Receives a value if there is one at once (Go's `select` with a `default`). Never blocks.
    ///
    /// # Errors
    /// If nothing is there, or with capacity zero no waiting sender; and if the channel is closed and nothing is left.
    ///
    /// ```
    /// use greenthread_channels::{TryRecvError, unbounded};
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
        match self.chan() {
            Some(chan) => chan.try_recv(),
            None => Err(TryRecvError::Empty),
        }
    }

    /// The values to come, until the channel is closed and drained (Go's `for v := range ch`). `next` blocks.
    ///
    /// ```
    /// let (tx, rx) = greenthread_channels::unbounded();
    /// tx.send(1).unwrap();
    /// tx.send(2).unwrap();
    /// drop(tx);
    /// assert_eq!(rx.iter().collect::<Vec<_>>(), [1, 2]);
    /// ```
    pub fn iter(&self) -> Iter<'_, T> {
        Iter { receiver: self }
    }

    /// The values that are there. `next` never blocks.
    ///
    /// ```
    /// let (tx, rx) = greenthread_channels::unbounded();
    /// tx.send(1).unwrap();
    /// tx.send(2).unwrap();
    /// assert_eq!(rx.try_iter().collect::<Vec<_>>(), [1, 2]);
    /// ```
    pub fn try_iter(&self) -> TryIter<'_, T> {
        TryIter { receiver: self }
    }

    /// The number of buffered values (Go's `len(ch)`). Never blocks.
    ///
    /// ```
    /// let (tx, rx) = greenthread_channels::unbounded();
    /// tx.send(1).unwrap();
    /// assert_eq!(rx.len(), 1);
    /// ```
    #[inline]
    pub fn len(&self) -> usize {
        self.chan().map_or(0, Chan::len)
    }

    /// Whether no value is buffered. With capacity zero that is always so. Never blocks.
    ///
    /// ```
    /// let (tx, rx) = greenthread_channels::unbounded();
    /// assert!(rx.is_empty());
    /// tx.send(1).unwrap();
    /// assert!(!rx.is_empty());
    /// ```
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the buffer has no room. With capacity zero that is always so. Never blocks.
    ///
    /// ```
    /// let (tx, rx) = greenthread_channels::bounded(1);
    /// assert!(!rx.is_full());
    /// tx.send(1).unwrap();
    /// assert!(rx.is_full());
    /// ```
    #[inline]
    pub fn is_full(&self) -> bool {
        self.capacity() == Some(self.len())
    }

    /// The capacity (Go's `cap(ch)`), or none if the channel is unbounded. Never blocks.
    ///
    /// ```
    /// use greenthread_channels::{bounded, unbounded};
    ///
    /// assert_eq!(bounded::<i32>(5).1.capacity(), Some(5));
    /// assert_eq!(unbounded::<i32>().1.capacity(), None);
    /// ```
    #[inline]
    pub fn capacity(&self) -> Option<usize> {
        self.chan().map_or(Some(0), Chan::capacity)
    }

    /// Whether both receive from the same channel (Go's `ch1 == ch2`). Any two nil channels are the same. Never blocks.
    ///
    /// ```
    /// use greenthread_channels::{never, unbounded};
    ///
    /// let (_, a) = unbounded::<i32>();
    /// assert!(a.same_channel(&a.clone()));
    /// assert!(!a.same_channel(&never()));
    /// ```
    pub fn same_channel(&self, other: &Receiver<T>) -> bool {
        self.counter == other.counter
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        if let Some(counter) = self.counter {
            // SAFETY: this handle is counted, so the counter is alive.
            counter::acquire(unsafe { &(*counter.as_ptr()).receivers });
        }
        Self { counter: self.counter }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        if let Some(counter) = self.counter {
            // SAFETY: this is a receiver's handle, and it is gone after this.
            unsafe { counter::release_receiver(counter) };
        }
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
