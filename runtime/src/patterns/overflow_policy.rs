//! `OverflowPolicy`: what happens when a buffer is full.

use std::time::Duration;

/// What happens to a new value when a [`Queue`](super::Queue), or the buffer of a
/// [`Subscription`](super::Subscription), is full.
///
/// Both accept every policy.
///
/// ```
/// use greenthread::patterns::{OverflowPolicy, Queue};
///
/// let latest = Queue::new(1, OverflowPolicy::DropOldest);
/// latest.try_push("old").unwrap();
/// latest.try_push("new").unwrap();
/// assert_eq!(latest.receiver().try_recv(), Ok("new"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OverflowPolicy {
    /// The producer waits for room, as in a send to a channel (back-pressure).
    Block,
    /// The producer waits for room, but at most for this long; then it keeps the value.
    BlockTimeout(Duration),
    /// The new value is dropped, and the buffer keeps what it has: for samples of which some will
    /// do.
    DropNewest,
    /// The oldest value in the buffer is dropped to make room: for news, of which the latest count.
    ///
    /// A buffer of capacity zero holds nothing that could make room. Its oldest value is the new
    /// one, which is dropped.
    DropOldest,
}
