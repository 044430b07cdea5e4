//! Counts the handles of a channel. The last handle of a side disconnects the channel, and the last
//! handle of all frees it.
//!
//! # Protocol
//! There are two counts, one per side. The handle that brings its side's count to zero disconnects
//! the channel, and then swaps `abandoned` to `true`. The second side to do so knows that the other
//! side has also finished its disconnect, and frees the channel.
//!
//! Rejected: one `Arc` per handle plus a count per side, because every clone and drop would count
//! twice.
//!
//! # Invariants
//! * I1: a count is the number of handles of that side. A side that has reached zero never rises
//!   again, because only a handle can be cloned.
//! * I2: the memory is freed by the side that finds `abandoned` set, when neither a handle nor a
//!   call is left.
//!
//! # Orderings
//! * P1: a handle's release decrement -> the last handle's acquire decrement: every use of the
//!   channel by this side happens before the side's disconnect.
//! * P2: the first release swap of `abandoned` -> the second acquire swap: the first side's
//!   disconnect happens before the memory is freed.

use std::marker::PhantomData;
use std::process;
use std::ptr::NonNull;

use crate::buffer::Buffer;
use crate::chan::Chan;
use crate::primitive::{AtomicBool, AtomicUsize, Ordering, prefetch_value};

/// A channel with its counts.
pub(crate) struct Counter<T> {
    chan: Chan<T>,
    senders: AtomicUsize,
    receivers: AtomicUsize,
    abandoned: AtomicBool,
}

/// A counted pointer to a channel, as held by each handle of one side.
pub(crate) struct Counted<T, S: Side> {
    counter: NonNull<Counter<T>>,
    side: PhantomData<S>,
}

/// One of the two sides of a channel.
pub(crate) trait Side {
    /// Returns the number of handles of this side.
    fn count<T>(counter: &Counter<T>) -> &AtomicUsize;

    /// Closes the channel because the last handle of this side is gone.
    ///
    /// Returns the buffered values if no receiver is left for them.
    fn disconnect<T>(chan: &Chan<T>) -> Option<Buffer<T>>;
}

/// The side of the senders.
pub(crate) enum Senders {}

/// The side of the receivers.
pub(crate) enum Receivers {}

impl Side for Senders {
    #[inline]
    fn count<T>(counter: &Counter<T>) -> &AtomicUsize {
        &counter.senders
    }

    fn disconnect<T>(chan: &Chan<T>) -> Option<Buffer<T>> {
        chan.disconnect_senders();
        None
    }
}

impl Side for Receivers {
    #[inline]
    fn count<T>(counter: &Counter<T>) -> &AtomicUsize {
        &counter.receivers
    }

    fn disconnect<T>(chan: &Chan<T>) -> Option<Buffer<T>> {
        Some(chan.disconnect_receivers())
    }
}

/// Moves a channel to the heap, with one handle on each side.
pub(crate) fn counted<T>(chan: Chan<T>) -> (Counted<T, Senders>, Counted<T, Receivers>) {
    let counter = NonNull::from(Box::leak(Box::new(Counter {
        chan,
        senders: AtomicUsize::new(1),
        receivers: AtomicUsize::new(1),
        abandoned: AtomicBool::new(false),
    })));
    (Counted { counter, side: PhantomData }, Counted { counter, side: PhantomData })
}

impl<T, S: Side> Counted<T, S> {
    #[inline]
    fn counter(&self) -> &Counter<T> {
        // SAFETY: I2: this handle is counted, so the memory is not freed yet.
        unsafe { self.counter.as_ref() }
    }

    #[inline]
    pub(crate) fn chan(&self) -> &Chan<T> {
        &self.counter().chan
    }

    /// Begins to load the channel into the cache.
    #[inline]
    pub(crate) fn prefetch(&self) {
        prefetch_value(self.counter);
    }

    /// Returns `true` if both are handles of the same channel.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.counter == other.counter
    }
}

impl<T, S: Side> Clone for Counted<T, S> {
    #[inline]
    fn clone(&self) -> Self {
        // ORDERING: relaxed: this handle keeps the count above zero.
        let before = S::count(self.counter()).fetch_add(1, Ordering::Relaxed);
        // This many handles can exist only if most were forgotten. A count that wraps would free a
        // channel in use.
        if before > isize::MAX as usize {
            process::abort();
        }
        Self { counter: self.counter, side: PhantomData }
    }
}

impl<T, S: Side> Drop for Counted<T, S> {
    fn drop(&mut self) {
        // ORDERING P1: release for the handles of this side, acquire for the last of them.
        if S::count(self.counter()).fetch_sub(1, Ordering::AcqRel) != 1 {
            return;
        }
        let discarded = S::disconnect(self.chan());
        // ORDERING P2: release for the first side, acquire for the second.
        if self.counter().abandoned.swap(true, Ordering::AcqRel) {
            // SAFETY: I2: both sides have disconnected, and the memory came from a `Box`.
            drop(unsafe { Box::from_raw(self.counter.as_ptr()) });
        }
        // Last, because a value's destructor may panic, or drop the last sender of this channel.
        drop(discarded);
    }
}
