//! `OverflowPolicy`: what happens when a buffer is full.

use std::time::Duration;

/// What happens to a new value when a buffer is full.
///
/// A [`Queue`](super::Queue) and the buffer of a [`Subscription`](super::Subscription) accept every
/// policy. [`Queue::push`](super::Queue::push) returns the value that was dropped; a subscription
/// counts it as [missed](super::Subscription::missed).
///
/// ```
/// use greenthread::patterns::{OverflowPolicy, Queue};
///
/// let latest = Queue::new(1, OverflowPolicy::DropOldest);
/// latest.try_push("old").unwrap();
/// latest.try_push("new").unwrap();
/// assert_eq!(latest.receiver().try_recv(), Ok("new"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OverflowPolicy {
    /// The producer waits for room, as in a send to a channel (back-pressure).
    Block,
    /// The producer waits for room for at most this long; then the new value is dropped.
    BlockTimeout(Duration),
    /// The new value is dropped, and the buffer stays as it is. Suitable for samples if losing some
    /// of them does no harm.
    DropNewest,
    /// The oldest value in the buffer is dropped to make room. Suitable if only the latest values
    /// matter.
    ///
    /// A buffer of capacity zero holds nothing that could make room. There, the oldest value is the
    /// new value itself, and it is dropped.
    DropOldest,
}
