//! One direction of a descriptor: whether it is ready, and which waiter to wake when it becomes
//! ready.
//!
//! # Vocabulary
//! A descriptor has two directions, reading and writing, each with its own word. A direction has
//! one *owner* at a time: the goroutine or thread that tries to read, or to write (the layer above
//! has a lock for that). The *poller* is whichever thread has received an *event* for the
//! descriptor from the system. A *cause* is anything else that ends a wait: the descriptor is
//! closed, its deadline has passed, or a context is done. Causes are kept elsewhere. Each has a
//! word of its own, written by its side and read by the owner.
//!
//! # Protocol
//! The system reports edges: a descriptor that becomes ready is reported once. So the word must
//! remember an event for which there is no waiter yet.
//!
//! ```text
//!               begin                park (commit step)
//!        NIL ------------> WAIT -------------------------> waiter
//!       ^   ^               |  |                            |  |
//!       |   +- take_waiter -+  |                            |  |
//!       |   +------------------|------ take_waiter: wake ---+  |
//!       |                      |                               |
//!       +- clear, begin, end - READY <-- set_ready, wakes a waiter; from any state
//! ```
//!
//! 1. The owner calls [`clear`](PollWord::clear), checks the causes, and tries its operation. Only
//!    if that would block:
//! 2. [`begin`](PollWord::begin) either takes an event that was reported since, and the owner tries
//!    again, or announces the wait.
//! 3. The owner checks all causes **again**.
//! 4. It parks. Once its registers are saved, the commit step calls [`park`](PollWord::park), which
//!    publishes the waiter. If the announcement is already gone, an event or a cause has arrived,
//!    and the owner continues immediately.
//! 5. However the wait ended, [`end`](PollWord::end) returns whether an event was reported. The
//!    owner tries again or checks the causes once more. A wait may end spuriously: a deadline was
//!    moved just after it had passed, or a cause of an earlier wait arrived late.
//!
//! An event sets `READY` from any state. A cause is written first, and then
//! [`take_waiter`](PollWord::take_waiter) takes the waiter or the announcement without setting
//! `READY`, because a deadline that passes makes nothing readable.
//!
//! # The race
//! The owner sees no cause and waits, but a cause arrives between these two steps. If the owner
//! announced its wait only after the other side had looked for a waiter, and checked the causes
//! before the other side had published one, the wait would never end. Both sides therefore
//! *publish, fence, look*: the owner publishes the announcement and looks at the causes, and the
//! other side publishes the cause and looks at the word. At least one of them sees what the other
//! published. An event has no such race, because event and announcement share one word.
//!
//! # Rejected
//! * Publishing the waiter in the commit step and checking the causes after that, without an
//!   announcement. Once published, the goroutine may be woken, run, and wait again on the same word
//!   while the commit step of its first wait is still running. If that step then sees a cause, it
//!   mistakes the second wait's waiter for its own, and the goroutine runs twice.
//! * A lock around the word and the causes: each event would take it, and a goroutine that holds it
//!   may be anywhere.
//! * A list of waiters for each direction. The layer above decides once which goroutine may read
//!   next; there is no need to decide again at each event.
//! * Setting `READY` on a close or a deadline as well: the next owner would try, wait, and find out
//!   one round later. It works, but a deadline that is reset would leave false reports behind.
//! * A claim (`protocol::claim`) for waits that a context may also end. An event that has taken the
//!   waiter would then have to look for the claim in the waiter's frame, which the other side may
//!   just have released. Here the other side also goes through the word, which stays valid.
//!
//! # Invariants
//! * I1: only the owner moves the word from NIL to WAIT and from WAIT to a waiter. So unless the
//!   owner is between `begin` and `end`, the word is NIL or READY.
//! * I2: a published waiter is taken once, by the exchange that removes it, and the taker owes it
//!   one wake.
//! * I3: the word outlives every thread that knows it, so a late `set_ready` or `take_waiter` is
//!   harmless: it causes a spurious wake-up.
//!
//! # Orderings
//! * P1: the release in `park` -> the acquire in `set_ready` and `take_waiter`: the waker sees a
//!   goroutine that has parked.
//! * P2: announce, SeqCst fence in `begin`, check the causes <-> publish a cause, SeqCst fence in
//!   `take_waiter`, check the word.
//! * P3: the release in `set_ready` and `take_waiter` -> the acquire in `clear`, `begin`, `park`,
//!   and `end`: an owner that continues without a wake sees what was done before, as it would after
//!   a wake.
//!
//! # See also
//! `netpollblock` and `netpollunblock` in Go's `netpoll.go`. The model is
//! `scheduler/models/tests/poll_word.rs`.

use std::ptr::{self, NonNull};

use crate::primitive::{AtomicPtr, Ordering, const_fn, fence};

/// Nothing was reported, and there is no waiter.
const NIL: *mut () = ptr::null_mut();
/// An event was reported and has not been taken.
const READY: *mut () = ptr::without_provenance_mut(1);
/// The owner is about to park.
const WAIT: *mut () = ptr::without_provenance_mut(2);
// Any other value is the address of a waiter, which is larger than these.

/// One direction of a descriptor.
#[derive(Debug)]
pub struct PollWord(AtomicPtr<()>);

impl Default for PollWord {
    fn default() -> Self {
        Self::new()
    }
}

impl PollWord {
    const_fn! {
        /// Creates a word with no event and no waiter.
        pub fn new() -> Self {
            Self(AtomicPtr::new(NIL))
        }
    }

    /// Clears a reported event (owner, before it tries its operation).
    ///
    /// Returns `true` if there was one.
    #[inline]
    pub fn clear(&self) -> bool {
        // An event that arrives after the load is either kept or no newer than the attempt.
        self.0.load(Ordering::Relaxed) == READY
            // ORDERING P3: acquire.
            && self.0.compare_exchange(READY, NIL, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// Announces the wait and returns `true`, or takes an event that was reported in the meantime
    /// and returns `false` (owner, after an attempt that would block).
    ///
    /// After `true` the owner checks the causes, perhaps [parks](Self::park), and calls
    /// [`end`](Self::end).
    ///
    /// # Panics
    /// If the direction already has a waiting owner.
    #[inline]
    pub fn begin(&self) -> bool {
        // ORDERING P3: acquire.
        if let Err(was) = self.0.compare_exchange(NIL, WAIT, Ordering::Acquire, Ordering::Acquire) {
            assert!(
                was == READY,
                "netpoll: two operations wait for the same direction of one descriptor; guard each direction with a lock"
            );
            self.clear();
            return false;
        }
        // ORDERING P2: between the announcement and the owner's check of the causes.
        fence(Ordering::SeqCst);
        true
    }

    /// Publishes `waiter` (owner, in its commit step).
    ///
    /// Returns `false` if the announcement is gone. In that case no wake will arrive.
    ///
    /// `waiter` is the address of something larger than two bytes.
    #[inline]
    #[must_use = "nobody wakes the waiter if this fails"]
    pub fn park(&self, waiter: NonNull<()>) -> bool {
        debug_assert!(waiter.addr().get() > WAIT.addr(), "poll_word: a waiter with the address of a state");
        // ORDERING P1: release. P3: acquire.
        self.0.compare_exchange(WAIT, waiter.as_ptr(), Ordering::Release, Ordering::Acquire).is_ok()
    }

    /// Ends the wait (owner), even if it was abandoned before parking.
    ///
    /// Returns `true` if an event was reported; the event is taken.
    #[inline]
    pub fn end(&self) -> bool {
        // ORDERING P3: acquire.
        let was = self.0.swap(NIL, Ordering::Acquire);
        debug_assert!(was <= WAIT, "poll_word: the owner goes on beside a waiter");
        was == READY
    }

    /// Records an event (poller).
    ///
    /// Returns the waiter, which the caller wakes.
    #[inline]
    #[must_use = "the waiter is owed a wake"]
    pub fn set_ready(&self) -> Option<NonNull<()>> {
        // ORDERING P1: acquire. P3: release.
        Self::waiter(self.0.swap(READY, Ordering::AcqRel))
    }

    /// Ends the current wait, if any, after a cause was published.
    ///
    /// Returns the waiter, which the caller wakes.
    #[must_use = "the waiter is owed a wake"]
    pub fn take_waiter(&self) -> Option<NonNull<()>> {
        // ORDERING P2: between the cause and the check of the word.
        fence(Ordering::SeqCst);
        let mut word = self.0.load(Ordering::Relaxed);
        while word != NIL && word != READY {
            // ORDERING P1: acquire. P3: release.
            match self.0.compare_exchange_weak(word, NIL, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return Self::waiter(word),
                Err(now) => word = now,
            }
        }
        None
    }

    fn waiter(word: *mut ()) -> Option<NonNull<()>> {
        NonNull::new(word).filter(|waiter| waiter.as_ptr() > WAIT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiter() -> NonNull<()> {
        NonNull::<u64>::dangling().cast()
    }

    #[test]
    fn an_event_before_the_wait_is_kept_once() {
        let word = PollWord::new();
        assert_eq!(word.set_ready(), None);
        assert_eq!(word.set_ready(), None);
        assert!(!word.begin(), "it was ready");
        assert!(word.begin());
        assert!(word.park(waiter()));
        assert_eq!(word.set_ready(), Some(waiter()));
        assert!(word.end());
        assert!(!word.clear());
        assert!(word.begin() && !word.end());
    }

    #[test]
    fn clear_forgets_events_only() {
        let word = PollWord::new();
        assert!(!word.clear());
        assert_eq!(word.set_ready(), None);
        assert!(word.clear());
        assert!(word.begin());
        assert!(!word.clear());
        assert!(word.park(waiter()), "the announcement stays");
    }

    #[test]
    fn a_cause_takes_the_waiter_and_leaves_nothing() {
        let word = PollWord::new();
        assert_eq!(word.take_waiter(), None);
        assert!(word.begin());
        assert_eq!(word.take_waiter(), None);
        assert!(!word.park(waiter()), "the announcement was taken");
        assert!(!word.end());
        assert!(word.begin() && word.park(waiter()));
        assert_eq!(word.take_waiter(), Some(waiter()));
        assert_eq!(word.take_waiter(), None);
        assert!(!word.end());
    }

    #[test]
    fn a_cause_leaves_an_event_where_it_is() {
        let word = PollWord::new();
        assert_eq!(word.set_ready(), None);
        assert_eq!(word.take_waiter(), None);
        assert!(!word.begin());
    }

    #[test]
    #[should_panic(expected = "two operations wait for the same direction")]
    fn two_owners_are_one_too_many() {
        let word = PollWord::new();
        assert!(word.begin());
        word.begin();
    }
}
