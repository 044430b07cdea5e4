//! Who polls for I/O: one M that has nothing else to do.
//!
//! # Vocabulary
//! An *I/O waiter* is a goroutine or thread that waits for a descriptor. The *poller* is the M that blocks in the
//! system's poll; there is one at most, and it has no P. To poll *in passing* is to look without blocking. An M *rests*
//! when it stands in a list of the scheduler and sleeps, until somebody leaves it a *token*.
//!
//! # What is wanted
//! * N1: while there are I/O waiters, an M is the poller, or some P is in use. Who has a P polls in passing, every few dispatches
//!   and before it gives the P up; the monitor, which is awake while any P is in use, polls if nobody else has for a while.
//! * N2: without I/O waiters nobody polls, and with all Ps idle nobody polls in passing: idle costs nothing.
//! * N3: the poller is an M at rest like any other: whoever leaves it a token (with a P, or because of an earlier
//!   timer) wakes it, once.
//!
//! # N1
//! An M that goes to rest **has given the role up if it had it, fences, looks at the number of waiters**, and
//! [claims](PollerRole::claim) the role if there are any and nobody has it. A goroutine that parks for I/O counts
//! itself first, and its M goes on to the next goroutine, or to rest. So the last M to go to rest sees all goroutines
//! that have parked on Ms with a P. Some do not pass by there: a foreign thread; a goroutine that blocks its M in
//! place, or is locked to it; a P that is given up without its M going to rest, as around a blocking call. These
//! **count, fence, look at the role** ([`PollerRole::is_wanted`]), and if nobody has it, leave a token at an M that
//! rests, or start one. Either they see no poller, or that one sees their count when it has left the role. And if they
//! see none, the lock of the lists decides: who is not in a list yet will see their count, who is finds the token.
//!
//! Who leaves the role has a P, or goes to rest again at once. There it does not claim the role while all Ps are in
//! use: who has them polls, and the batch of an M without a P would have to wait in the global queue. Who makes a P
//! idle for nobody looks at the role afterwards, as said.
//!
//! # N3
//! A token wakes a thread that sleeps on it; the poller sleeps elsewhere. So each M has a [`Doorbell`]. The poller
//! **hangs it out, fences, looks for a token** before it blocks; whoever leaves a token **fences, and looks at the
//! bell**. At least one sees the other. Ringing takes the bell in, so that of many who leave tokens one pays for the
//! system call.
//!
//! The system keeps a ring until some poll returns. One that comes late, when its M has left the role, ends the next
//! one's poll for nothing; it cannot be lost, as long as nobody else polls while the bell hangs out: the role comes
//! with the right to poll, which is taken before and given back after.
//!
//! # Rejected
//! * Handing the role over to another M at rest whenever the poller gets work. A quiet server would wake two threads
//!   for each request. If the M that left computes for long, the monitor's look, a few milliseconds later, wakes
//!   another M, which then becomes the poller.
//! * Several pollers: each event wakes one of them at random, and all would have to be told of timers.
//! * A timer queue or a thread of its own for polling: one more thread to wake for each event, and to wake the M from.
//!
//! # Invariants
//! * I1: an I/O waiter is counted from before it publishes itself until it runs again.
//! * I2: the role is held from a `claim` that said true to the `release` of the same M.
//!
//! # Orderings
//! * P1: count (or make a P idle), fence, look at the role <-> give the role up, fence, look at the count (and for an
//!   idle P): in `is_wanted` and in the next `claim`.
//! * P2: bell out, fence, look for a token <-> token left, fence, look at the bell.
//!
//! # See also
//! `netpollBreak`, `netpollWaiters` and `sched.lastpoll` in Go. The model is `scheduler/models/tests/poller.rs`.

use crate::primitive::{AtomicBool, AtomicUsize, Ordering, const_fn, fence};

/// Who polls, and whether anybody need do so.
#[derive(Debug)]
pub struct PollerRole {
    waiters: AtomicUsize,
    held: AtomicBool,
}

impl Default for PollerRole {
    fn default() -> Self {
        Self::new()
    }
}

impl PollerRole {
    const_fn! {
        /// Nobody waits, nobody polls.
        pub fn new() -> Self {
            Self { waiters: AtomicUsize::new(0), held: AtomicBool::new(false) }
        }
    }

    /// How many wait for I/O.
    #[inline]
    pub fn waiters(&self) -> usize {
        self.waiters.load(Ordering::Relaxed)
    }

    /// The caller is about to wait for I/O (I1).
    #[inline]
    pub fn add_waiter(&self) {
        self.waiters.fetch_add(1, Ordering::Relaxed);
    }

    /// The caller has waited.
    #[inline]
    pub fn remove_waiter(&self) {
        let before = self.waiters.fetch_sub(1, Ordering::Relaxed);
        debug_assert!(before > 0, "poller: more waits ended than began");
    }

    /// Whether it is worth polling in passing: somebody waits, and nobody blocks in the poll.
    #[inline]
    pub fn is_worth_a_look(&self) -> bool {
        self.waiters() > 0 && !self.held.load(Ordering::Relaxed)
    }

    /// After a wait was counted, or a P given up, by one who does not go to rest: whether an M must be told to poll.
    pub fn is_wanted(&self) -> bool {
        // ORDERING P1.
        fence(Ordering::SeqCst);
        self.is_worth_a_look()
    }

    /// An M that stands in a list and is about to sleep: whether it is the poller now. Not while all Ps are in use.
    #[must_use = "the role is to be released"]
    pub fn claim(&self, any_idle: impl FnOnce() -> bool) -> bool {
        // ORDERING P1.
        fence(Ordering::SeqCst);
        // The exchange alone decides: no data goes with the role.
        self.waiters() > 0 && any_idle() && !self.held.swap(true, Ordering::Relaxed)
    }

    /// The poller has polled.
    pub fn release(&self) {
        self.held.store(false, Ordering::Relaxed);
    }
}

/// Hangs out while its owner blocks in the poll, and does not see tokens.
#[derive(Debug)]
pub struct Doorbell(AtomicBool);

impl Default for Doorbell {
    fn default() -> Self {
        Self::new()
    }
}

impl Doorbell {
    /// Taken in.
    pub fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    /// Owner, which has the right to poll: rings will end its poll. It looks for a token before it blocks.
    pub fn hang_out(&self) {
        self.0.store(true, Ordering::Relaxed);
        // ORDERING P2.
        fence(Ordering::SeqCst);
    }

    /// Owner, when the poll is over.
    pub fn take_in(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    /// Who has left a token: whether the poll must be ended, which the caller then does.
    #[must_use = "the poll must be ended"]
    pub fn ring(&self) -> bool {
        // ORDERING P2.
        fence(Ordering::SeqCst);
        self.0.load(Ordering::Relaxed) && self.0.swap(false, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_has_the_role_while_somebody_waits() {
        let role = PollerRole::new();
        assert!(!role.claim(|| true) && !role.is_wanted());
        role.add_waiter();
        assert!(role.is_wanted());
        assert!(!role.claim(|| false), "all Ps are in use");
        assert!(role.claim(|| true));
        assert!(!role.claim(|| true) && !role.is_wanted());
        role.release();
        assert!(role.is_worth_a_look());
        role.remove_waiter();
        assert!(!role.is_worth_a_look() && !role.claim(|| true));
    }

    #[test]
    fn a_bell_rings_once() {
        let bell = Doorbell::new();
        assert!(!bell.ring());
        bell.hang_out();
        assert!(bell.ring());
        assert!(!bell.ring());
        bell.hang_out();
        bell.take_in();
        assert!(!bell.ring());
    }
}
