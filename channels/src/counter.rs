//! Counts the handles of a channel: the last of a side disconnects, the last of all frees.
//!
//! # Protocol
//! Two counts, one per side. The handle that brings its side's count to zero disconnects the channel, and then swaps
//! `abandoned` to true; the second to do so knows that the other side is through with its disconnect too, and frees.
//! Rejected: one `Arc` per handle plus a count per side; every clone and drop would count twice.
//!
//! # Invariants
//! * I1: a count is the number of handles of that side; a side that has reached zero never rises again, as only a
//!   handle can be cloned.
//! * I2: the memory is freed by whoever finds `abandoned` set, when no handle and no call is left.
//!
//! # Orderings
//! * P1: a handle's release decrement -> the last handle's acquire decrement: all use of the channel by this side
//!   comes before its disconnect.
//! * P2: the first release swap of `abandoned` -> the second acquire swap: the first side's disconnect comes before the
//!   memory is freed.

use std::process;
use std::ptr::NonNull;

use crate::chan::Chan;
use crate::primitive::{AtomicBool, AtomicUsize, Ordering};

/// A channel with its counts.
pub(crate) struct Counter<T> {
    pub(crate) chan: Chan<T>,
    pub(crate) senders: AtomicUsize,
    pub(crate) receivers: AtomicUsize,
    abandoned: AtomicBool,
}

impl<T> Counter<T> {
    /// Puts a channel on the heap, with one handle on each side.
    pub(crate) fn new(chan: Chan<T>) -> NonNull<Self> {
        NonNull::from(Box::leak(Box::new(Self {
            chan,
            senders: AtomicUsize::new(1),
            receivers: AtomicUsize::new(1),
            abandoned: AtomicBool::new(false),
        })))
    }
}

/// Counts one more handle of the side that `count` belongs to; the caller has one.
#[inline]
pub(crate) fn acquire(count: &AtomicUsize) {
    // ORDERING: relaxed: the caller's handle keeps the count above zero.
    let before = count.fetch_add(1, Ordering::Relaxed);
    // Only by forgetting handles can so many exist, and a wrapped count would free a channel in use.
    if before > isize::MAX as usize {
        process::abort();
    }
}

/// Gives up a sender's handle. May wake waiting receivers.
///
/// # Safety
/// The caller has a sender's handle, and does not use it any more.
pub(crate) unsafe fn release_sender<T>(counter: NonNull<Counter<T>>) {
    // SAFETY: I2: the caller's handle keeps the memory.
    let this = unsafe { counter.as_ref() };
    // ORDERING P1.
    if this.senders.fetch_sub(1, Ordering::AcqRel) == 1 {
        this.chan.disconnect_senders();
        // SAFETY: the last sender's handle is gone, and its disconnect is done.
        unsafe { abandon(counter) };
    }
}

/// Gives up a receiver's handle. May wake waiting senders; may drop buffered values.
///
/// # Safety
/// The caller has a receiver's handle, and does not use it any more.
pub(crate) unsafe fn release_receiver<T>(counter: NonNull<Counter<T>>) {
    // SAFETY: I2: the caller's handle keeps the memory.
    let this = unsafe { counter.as_ref() };
    // ORDERING P1.
    if this.receivers.fetch_sub(1, Ordering::AcqRel) == 1 {
        let discarded = this.chan.disconnect_receivers();
        // SAFETY: the last receiver's handle is gone, and its disconnect is done.
        unsafe { abandon(counter) };
        // Last, as a value's destructor may panic, or drop the last sender of this very channel.
        drop(discarded);
    }
}

/// Frees the channel if the other side has been here before.
///
/// # Safety
/// Called once per side, by its last handle, when its disconnect is done.
unsafe fn abandon<T>(counter: NonNull<Counter<T>>) {
    // SAFETY: I2: only the second call frees, and this is one of the two.
    let second = unsafe { counter.as_ref() }.abandoned.swap(true, Ordering::AcqRel);
    // ORDERING P2: the swap is a release for the first side, and an acquire for the second.
    if second {
        // SAFETY: I2, and the memory came from a `Box`.
        drop(unsafe { Box::from_raw(counter.as_ptr()) });
    }
}
