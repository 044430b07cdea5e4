//! Decides which of several peers completes an operation that waits in several places at once.
//!
//! # Protocol
//! A `select!` over three channels, or a receive with a timeout, waits in several queues. Each place is a *case* of the
//! operation. Two peers may reach two cases at the same moment, each under the lock of its own queue, and exactly one
//! may complete the operation: the other's value must stay where it is. So the operation keeps one [`Claim`] word in its
//! frame, every wait node carries a [`Case`] that points to it, and a peer works in two phases:
//!
//! 1. *Reserve.* Under the lock of the queue in which it found the node, the peer unlinks the node and calls
//!    [`Case::reserve`]. The first one to come turns the word from open to *taken by case n*. A peer that comes later has
//!    met a loser: it forgets the node and looks at the next one in its queue.
//! 2. *Move.* Only after winning, and still under that lock, the peer moves the value into or out of the waiter's frame
//!    (typed, for it knows the type of its own queue), copies the waker out, unlocks, and wakes.
//!
//! The waiter, once awake, takes the lock of every queue it is still linked in and removes its nodes; then it may leave
//! the frame. [`Claim::winner`] tells which case was completed. A waiter that wants to give up by itself (a deadline that
//! a timer did not deliver) takes its own claim; if it loses, a peer is between reserve and wake, and the waiter
//! must block until that wake comes.
//!
//! A plain operation waits in one queue only. Whoever unlinks its node under the queue's lock is alone already, so its
//! case is [`Case::only`] and reserving it costs no atomic operation.
//!
//! Rejected: *try all, register everywhere, try all again* without a claim. It needs a way to take a registration
//! back, can complete an operation late, and `default` is then no snapshot. Rejected: moving the value first and
//! undoing it on a lost race; a value that was seen cannot be unseen.
//!
//! # Invariants
//! * I1: the word leaves *open* at most once in the life of an operation, and never comes back.
//! * I2: the claim outlives every node that points to it, as node and claim are in one frame and the owner leaves it
//!   only after its nodes were unlinked, each under its queue's lock.
//! * I3: who reserves a case owes the operation one wake. The owner stays in its frame until that wake.
//!
//! # Orderings
//! All accesses are relaxed: the word decides and publishes nothing. What the winner reads in the frame was published by
//! the queue's lock (P1 of `lock`), and what it writes there is published by the wake.

use std::ptr::NonNull;

use crate::primitive::{AtomicUsize, Ordering};

const OPEN: usize = 0;

/// The word that decides who completes one blocked operation.
#[derive(Debug)]
pub struct Claim {
    // OPEN, or one more than the index of the case that won.
    word: AtomicUsize,
}

impl Default for Claim {
    fn default() -> Self {
        Self::new()
    }
}

impl Claim {
    /// A claim that nobody has taken.
    pub fn new() -> Self {
        Self { word: AtomicUsize::new(OPEN) }
    }

    /// Takes the claim for case `index`; true for the one caller who does.
    #[inline]
    pub fn take(&self, index: usize) -> bool {
        // ORDERING: relaxed, see the module's documentation.
        self.word.compare_exchange(OPEN, index + 1, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// The case that has taken the claim.
    #[inline]
    pub fn winner(&self) -> Option<usize> {
        // ORDERING: relaxed; a caller who was woken sees the word through the wake.
        self.word.load(Ordering::Relaxed).checked_sub(1)
    }
}

/// One of the places in which an operation waits. Part of the wait node.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    claim: Option<NonNull<Claim>>,
    index: usize,
}

// SAFETY: a case is a pointer to an atomic word, which I2 keeps valid for whoever may call `reserve`.
unsafe impl Send for Case {}

impl Case {
    /// The case of an operation that waits in one place only.
    #[inline]
    pub const fn only() -> Self {
        Self { claim: None, index: 0 }
    }

    /// Case `index` of the operation that `claim` belongs to.
    #[inline]
    pub const fn of(claim: NonNull<Claim>, index: usize) -> Self {
        Self { claim: Some(claim), index }
    }

    /// Phase one: whether the caller is the one to complete the operation. If so it owes it one wake (I3).
    ///
    /// # Safety
    /// The caller holds the lock of the queue in which it found the node with this case, and has unlinked the node under
    /// this same hold of the lock.
    #[inline]
    pub unsafe fn reserve(self) -> bool {
        match self.claim {
            None => true,
            // SAFETY: I2: the node was in a queue whose lock the caller still holds, so its owner has yet to pass through
            // that lock before it can leave the frame.
            Some(claim) => unsafe { claim.as_ref() }.take(self.index),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_case_wins_and_keeps_it() {
        let claim = Claim::new();
        assert_eq!(claim.winner(), None);
        let case = |index| Case::of(NonNull::from(&claim), index);
        // SAFETY: there is no queue, and the claim outlives the test's calls.
        unsafe {
            assert!(case(0).reserve());
            assert!(!case(1).reserve());
            assert!(!case(0).reserve());
        }
        assert_eq!(claim.winner(), Some(0));
    }

    #[test]
    fn a_lone_case_has_no_rival() {
        // SAFETY: there is no claim to be valid.
        assert!(unsafe { Case::only().reserve() });
    }
}
