//! A slot for one goroutine: the owner of a P fills it, and any thread may empty it.
//!
//! # Orderings
//! * P1: the release store in [`Slot::fill`] -> the acquire exchange in [`Slot::take`] and
//!   [`Slot::steal`]: the goroutine's fields are visible to the M that takes it.

use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use super::{G, GRef};

/// A place for one goroutine.
#[derive(Default)]
pub(crate) struct Slot(AtomicPtr<G>);

impl Slot {
    /// Returns the goroutine in the slot, and leaves it there.
    ///
    /// Any thread may take the goroutine before the caller uses the result.
    #[inline]
    pub(crate) fn peek(&self) -> *mut G {
        self.0.load(Ordering::Relaxed)
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.peek().is_null()
    }

    /// Puts `g` into the slot. Returns `false` if the slot is full.
    ///
    /// Only the owner of the P calls this, with a goroutine that it owns.
    #[inline]
    pub(super) fn fill(&self, g: GRef) -> bool {
        // Only the owner fills the slot, so null stays null until the owner does: a plain store
        // suffices.
        let empty = self.is_empty();
        if empty {
            // ORDERING P1: release publishes the goroutine.
            self.0.store(g.as_ptr(), Ordering::Release);
        }
        empty
    }

    /// Empties the slot.
    #[inline]
    pub(crate) fn take(&self) -> Option<GRef> {
        if self.is_empty() {
            return None;
        }
        // ORDERING P1: acquire pairs with `fill`.
        let g = self.0.swap(ptr::null_mut(), Ordering::Acquire);
        // SAFETY: `fill` stored it there, and only this exchange has taken it.
        unsafe { GRef::from_ptr(g) }
    }

    /// Empties the slot if `expected` is still in it.
    pub(crate) fn steal(&self, expected: *mut G) -> Option<GRef> {
        // ORDERING P1: acquire pairs with `fill`.
        let taken = self.0.compare_exchange(expected, ptr::null_mut(), Ordering::Acquire, Ordering::Relaxed).is_ok();
        // SAFETY: `fill` stored it there, and only this exchange has taken it.
        if taken { unsafe { GRef::from_ptr(expected) } } else { None }
    }
}
