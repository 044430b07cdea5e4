//! Decides which of several peers completes an operation that waits in several places at once.
//!
//! # Protocol
//! A `select!` over three channels, or a receive with a timeout, waits in several places. Each
//! place is a *case* of the operation. Two peers may reach two cases at the same moment, each under
//! the lock of its own queue. Exactly one of them may complete the operation; the other peer's
//! value must stay where it is. The operation therefore keeps one [`Claim`] word on the waiter's
//! stack, and every wait node carries a [`Case`] that points to this word. A peer works in two
//! phases:
//!
//! 1. *Reserve.* Under the lock of the queue in which it found the node, the peer unlinks the node
//!    and calls [`Case::reserve`]. The first peer changes the word from open to *taken by case n*.
//!    A later peer has lost: it drops the node and continues with the next one in its queue.
//! 2. *Move.* Only after winning, and still under that lock, the peer moves the value into or out
//!    of the waiter's stack frame (typed, since it knows the type of its own queue), copies the
//!    waker out, unlocks, and wakes the waiter.
//!
//! After the wake, the waiter takes the lock of every queue in which it is still linked and removes
//! its nodes. Only then may it leave the frame. [`Claim::winner`] tells which case was completed. A
//! thread that stops waiting by itself, at a deadline, takes its own claim. If it loses, a peer is
//! between reserving and waking, and the waiter must block until that wake arrives.
//!
//! A plain operation waits in one queue only. The peer that unlinks its node under the queue's lock
//! has no rival, so its case is [`Case::only`], and reserving it costs no atomic operation.
//!
//! # Shut claims
//! ```text
//!     shut ----- open, by the waiter when it has parked ----> open
//!       |                                                       |
//!       | take_early: no wake, `open` fails                     | take, take_early: one wake
//!       +-------------------> taken by case n <-----------------+
//! ```
//!
//! Some peers can find the waiter before it has parked. One is its deadline: a goroutine's timer
//! goes into a heap, which takes a mutex and allocates. Neither may happen under the spin locks of
//! the queues. But once these locks are released, a peer may have completed the operation, the
//! goroutine may have continued, and the frame that contains the timer may be gone. So the timer is
//! armed *before* the first lock is taken, and may fire too early, when there is no parked waiter
//! to wake. Another such peer is one that learned of the waiter by means other than a queue, and
//! has left a value in the waiter's frame.
//!
//! Such a wait begins with a shut claim ([`Claim::shut`]). Once the goroutine's registers are
//! saved, the commit step calls [`Claim::open`] and then releases the locks. [`Claim::take_early`]
//! takes a claim in either state, and returns the state in which it found the claim. If it was
//! *open*, the taker owes the wake. If it was *shut*, the taker owes nothing, because `open` will
//! fail and the waiter will continue by itself. Peers that hold a queue's lock never meet a shut
//! claim, since the waiter holds all these locks until it has opened the claim; so [`Claim::take`],
//! which is on the common path, need not handle this state. For the same reason `open` comes before
//! the locks are released. If it came after, a peer under a lock could find the claim shut, and the
//! frame might be gone.
//!
//! A waiter that finds under its locks that it need not wait leaves its claim shut. Until the timer
//! is disarmed, it may still take the claim, which has no effect.
//!
//! # Rejected
//! * *Try all, register everywhere, try all again* without a claim. This needs a way to withdraw a
//!   registration, can complete an operation late, and means that `default` is not based on one
//!   snapshot of all cases.
//! * Moving the value first and undoing the move after a lost race: a value that was seen cannot be
//!   unseen. (A peer that takes early does write first. Its value lies in a place of its own, and
//!   counts only if the peer wins.)
//! * A timer that takes the queues' locks like any other peer: it fires under the lock of its heap,
//!   which is ordered after the queues' locks, and it would have to know all the queues.
//! * A timer that fires too early and then waits for the claim to open, or is armed again: both
//!   variants poll, the first one under the heap's lock.
//! * No shut state, but a separate "not parked yet" word next to an open claim: the taker would
//!   have to change two words at once.
//!
//! # Invariants
//! * I1: the word goes from shut to open, and from either to taken, and never back: an operation is
//!   taken at most once.
//! * I2: the claim outlives every node that points to it: node and claim are in one frame, and the
//!   owner leaves the frame only after its nodes were unlinked, each under its queue's lock. A
//!   timer is disarmed before the owner leaves the frame.
//! * I3: a peer that takes an open claim owes the waiter one wake, and the owner stays in its frame
//!   until that wake. A peer that takes a shut claim owes nothing, and does not touch the frame
//!   afterwards.
//! * I4: a claim that was shut is opened once, by its owner's commit step, while the owner holds
//!   the lock of every queue in which it is linked.
//!
//! # Orderings
//! * P1: the release in `take_early` of a shut claim -> the acquire in the `open` that fails: what
//!   the peer left in the frame is visible to the waiter, although no wake-up synchronizes the two.
//! * P2: the release in `open` -> the acquire in `take_early` of an open claim: the waiter has
//!   parked, and the M that will run it sees its registers and its state. Peers that find the
//!   waiter in a queue see both through the queue's lock, which is released later.
//!
//! All other accesses are relaxed: the word decides and publishes nothing. The queue's lock has
//! published the data that the winner reads in the frame (P1 of `lock`), and the wake publishes the
//! data that the winner writes there.

use std::ptr::NonNull;

use crate::primitive::{AtomicUsize, Ordering};

const OPEN: usize = 0;
const SHUT: usize = 1;
/// The smallest word that means "taken": taken by case 0.
const TAKEN: usize = 2;

/// The word that decides which peer completes one blocked operation.
#[derive(Debug)]
pub struct Claim {
    // OPEN, SHUT, or TAKEN plus the index of the case that won.
    word: AtomicUsize,
}

/// The state in which [`Claim::take_early`] found the claim that it took, which says whether the
/// waiter had parked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a claim that was open is owed a wake"]
pub enum TakenFrom {
    /// The waiter had not parked and will not: the taker wakes nothing and leaves the frame alone.
    Shut,
    /// The waiter had parked: the taker owes it one wake.
    Open,
}

impl Default for Claim {
    fn default() -> Self {
        Self::new()
    }
}

impl Claim {
    /// Creates an open claim.
    pub fn new() -> Self {
        Self { word: AtomicUsize::new(OPEN) }
    }

    /// Creates the claim of an operation that has not parked.
    ///
    /// Until it is opened, only [`take_early`](Self::take_early) can take it.
    pub fn shut() -> Self {
        Self { word: AtomicUsize::new(SHUT) }
    }

    /// Opens the claim; called by the waiter's commit step (I4).
    ///
    /// From now on the waiter relies on being woken. Returns `false` if the claim was already
    /// taken; in that case no wake will arrive.
    #[inline]
    #[must_use = "no wake comes if this fails"]
    pub fn open(&self) -> bool {
        // ORDERING P2: release pairs with the taking of an open claim. P1: acquire pairs with the
        // taking of a shut one.
        let was = self.word.compare_exchange(SHUT, OPEN, Ordering::Release, Ordering::Acquire);
        debug_assert!(was != Err(OPEN), "claim: opened twice, or made open");
        was.is_ok()
    }

    /// Takes an open claim for case `index`.
    ///
    /// Returns `true` to the one caller that succeeds. The claim must not be shut.
    #[inline]
    pub fn take(&self, index: usize) -> bool {
        // ORDERING: relaxed, see the module's documentation.
        let was = self.word.compare_exchange(OPEN, TAKEN + index, Ordering::Relaxed, Ordering::Relaxed);
        debug_assert!(was != Err(SHUT), "claim: a peer found a shut claim; case = {index}");
        was.is_ok()
    }

    /// Takes the claim for case `index`, shut or open.
    ///
    /// Returns `None` if another peer was first.
    #[inline]
    pub fn take_early(&self, index: usize) -> Option<TakenFrom> {
        let taken = TAKEN + index;
        // I1: a claim that is no longer shut is open or taken, so two attempts suffice. ORDERING
        // P1: release pairs with the `open` that fails.
        if self.word.compare_exchange(SHUT, taken, Ordering::Release, Ordering::Relaxed).is_ok() {
            return Some(TakenFrom::Shut);
        }
        // ORDERING P2: acquire pairs with `open`.
        let was = self.word.compare_exchange(OPEN, taken, Ordering::Acquire, Ordering::Relaxed);
        was.is_ok().then_some(TakenFrom::Open)
    }

    /// Returns the case for which the claim was taken.
    #[inline]
    pub fn winner(&self) -> Option<usize> {
        // ORDERING: relaxed; a caller that was woken sees the word through the wake, and a caller
        // whose `open` failed has already seen it.
        self.word.load(Ordering::Relaxed).checked_sub(TAKEN)
    }
}

/// One of the places in which an operation waits; part of a wait node.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    claim: Option<NonNull<Claim>>,
    index: usize,
}

// SAFETY: a case is a pointer to an atomic word, which I2 keeps valid for every peer that may call
// `reserve`.
unsafe impl Send for Case {}

impl Case {
    /// Creates the case of an operation that waits in one place only.
    #[inline]
    pub const fn only() -> Self {
        Self { claim: None, index: 0 }
    }

    /// Creates case `index` of the operation that `claim` belongs to.
    #[inline]
    pub const fn of(claim: NonNull<Claim>, index: usize) -> Self {
        Self { claim: Some(claim), index }
    }

    /// Reserves the operation (phase one).
    ///
    /// Returns `true` if the caller is the peer that completes the operation. The caller then owes
    /// the waiter one wake (I3).
    ///
    /// # Safety
    /// The caller holds the lock of the queue in which it found the node with this case, and has
    /// unlinked the node under this same hold of the lock.
    #[inline]
    pub unsafe fn reserve(self) -> bool {
        match self.claim {
            None => true,
            // SAFETY: I2: the node was in a queue whose lock the caller still holds, so its owner
            // has yet to pass through that lock before it can leave the frame.
            Some(claim) => unsafe { claim.as_ref() }.take(self.index),
        }
    }
}

impl Case {
    /// Returns `true` if no peer has completed the operation yet.
    ///
    /// # Safety
    /// The caller holds the lock of the queue in which it found the node with this case.
    #[inline]
    pub unsafe fn is_open(self) -> bool {
        // SAFETY: I2: the node is in a queue whose lock the caller holds, so its owner is still in
        // its frame.
        self.claim.is_none_or(|claim| unsafe { claim.as_ref() }.winner().is_none())
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
    fn a_shut_claim_is_taken_without_a_wake() {
        let claim = Claim::shut();
        assert_eq!(claim.winner(), None);
        assert_eq!(claim.take_early(0), Some(TakenFrom::Shut));
        assert_eq!(claim.take_early(1), None);
        assert!(!claim.open(), "the claim is taken");
        assert!(!claim.take(1));
        assert_eq!(claim.winner(), Some(0));
    }

    #[test]
    fn an_opened_claim_is_owed_a_wake() {
        let claim = Claim::shut();
        assert!(claim.open());
        assert_eq!(claim.winner(), None);
        assert_eq!(claim.take_early(3), Some(TakenFrom::Open));
        assert_eq!(claim.take_early(3), None);
        assert!(!claim.take(1));
        assert_eq!(claim.winner(), Some(3));
        let claim = Claim::shut();
        assert!(claim.open() && claim.take(1));
        assert_eq!(claim.take_early(3), None);
        assert_eq!(claim.winner(), Some(1));
    }

    #[test]
    fn a_lone_case_has_no_rival() {
        // SAFETY: there is no claim that could be invalid.
        assert!(unsafe { Case::only().reserve() });
    }
}
