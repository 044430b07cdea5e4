//! Iterators over the values of a receiver.

use std::fmt;
use std::iter::FusedIterator;

use super::Receiver;

/// A blocking iterator over the values of a borrowed receiver, created by [`Receiver::iter`].
///
/// It ends when the channel is closed and drained.
///
/// ```
/// let (tx, rx) = greenthread::channel::unbounded();
/// tx.send(1).unwrap();
/// drop(tx);
/// for value in &rx {
///     assert_eq!(value, 1);
/// }
/// ```
pub struct Iter<'a, T> {
    pub(super) receiver: &'a Receiver<T>,
}

/// A non-blocking iterator over the values that are available, created by [`Receiver::try_iter`].
///
/// `next` blocks only in the one case in which [`Receiver::try_recv`] blocks.
///
/// The iterator is not fused: after it has returned `None`, it may return more values.
///
/// ```
/// let (tx, rx) = greenthread::channel::unbounded();
/// let mut values = rx.try_iter();
/// assert_eq!(values.next(), None);
/// tx.send(1).unwrap();
/// assert_eq!(values.next(), Some(1));
/// ```
pub struct TryIter<'a, T> {
    pub(super) receiver: &'a Receiver<T>,
}

/// A blocking iterator over the values of an owned receiver, created by its `into_iter`.
///
/// It ends when the channel is closed and drained.
///
/// ```
/// let (tx, rx) = greenthread::channel::unbounded();
/// tx.send(1).unwrap();
/// drop(tx);
/// assert_eq!(rx.into_iter().collect::<Vec<_>>(), [1]);
/// ```
pub struct IntoIter<T> {
    pub(super) receiver: Receiver<T>,
}

impl<T> Iterator for Iter<'_, T> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        self.receiver.recv().ok()
    }
}

impl<T> Iterator for TryIter<'_, T> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        self.receiver.try_recv().ok()
    }
}

impl<T> Iterator for IntoIter<T> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        self.receiver.recv().ok()
    }
}

impl<T> FusedIterator for Iter<'_, T> {}
impl<T> FusedIterator for IntoIter<T> {}

impl<T> fmt::Debug for Iter<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("Iter { .. }")
    }
}

impl<T> fmt::Debug for TryIter<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("TryIter { .. }")
    }
}

impl<T> fmt::Debug for IntoIter<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("IntoIter { .. }")
    }
}
