//! Iterators over what a receiver receives.

use std::fmt;
use std::iter::FusedIterator;

use super::Receiver;

/// The values to come of a borrowed receiver; made by [`Receiver::iter`]. `next` blocks.
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

/// The values that are there; made by [`Receiver::try_iter`]. `next` blocks no more than [`Receiver::try_recv`] does.
///
/// After a `None` there may be more: it is not fused.
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

/// The values to come of an owned receiver; made by its `into_iter`. `next` blocks.
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
