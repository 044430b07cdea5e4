//! Which thread polls for I/O: one M that has nothing else to do.
//!
//! # Vocabulary
//! An *I/O waiter* is a goroutine or thread that waits for a descriptor. The *poller* is the M that
//! blocks in the system's poll; there is at most one, and it has no P. To poll *in passing* is to
//! poll without blocking. An M is *idle* when it is in one of the scheduler's lists and sleeps
//! until another thread leaves it a *token*.
//!
//! # Requirements
//! * N1: while there are I/O waiters, an M is the poller, or some P is in use. An M with a P polls
//!   in passing, every few dispatches and before it releases the P. Sysmon, which is awake while
//!   any P is in use, polls if no M has done so for a while.
//! * N2: without I/O waiters no thread polls, and with all Ps idle no thread polls in passing: idle
//!   costs nothing.
//! * N3: the poller is an idle M like any other: a thread that leaves it a token (with a P, or
//!   because of an earlier timer) wakes it exactly once.
//!
//! # N1
//! An M that goes idle **releases the role if it has it, fences, checks the number of waiters**,
//! and [claims](PollerRole::claim) the role if there are any and the role is free. A goroutine that
//! parks for I/O counts itself first, and its M continues with the next goroutine or goes idle. So
//! the last M to go idle sees all goroutines that have parked on Ms with a P. Three cases do not
//! pass through this check: a foreign thread, a goroutine that blocks its M in place or is locked
//! to it, and a P that is released without its M going idle, as around a blocking call. In these
//! cases the thread **counts, fences, and checks the role** ([`PollerRole::is_wanted`]). If the
//! role is free, it leaves a token for an idle M, or starts an M. Either the thread finds that no M
//! is the poller, or the poller sees the count after leaving the role. If the thread sees no
//! poller, the lock of the lists decides: an M that is not yet in a list will see the count, and an
//! M that is in a list will find the token.
//!
//! An M that leaves the role has a P, or goes idle again immediately. In the latter case it does
//! not claim the role while all Ps are in use: the Ms that have the Ps poll, and a batch of
//! goroutines polled by an M without a P would have to wait in the global queue. A thread that
//! makes a P idle without handing it to an M checks the role afterwards, as above.
//!
//! # N3
//! A token wakes a thread that sleeps on its parker, but the poller sleeps elsewhere. So each M has
//! a [`Doorbell`]. The poller **arms it, fences, and looks for a token** before it blocks. A thread
//! that leaves a token **fences and checks the bell**. At least one of them sees what the other
//! did. Ringing disarms the bell, so only one of many threads that leave tokens pays for the system
//! call.
//!
//! The system keeps a ring until some poll returns. A late ring, for an M that has left the role,
//! ends the next poller's poll spuriously. A ring cannot be lost as long as no other thread polls
//! while the bell is armed. The right to poll, which comes with the role, ensures this: the poller
//! takes it before arming the bell, and releases it after disarming the bell.
//!
//! # Rejected
//! * Handing the role over to another idle M whenever the poller gets work. A quiet server would
//!   wake two threads for each request. If the M that left the role computes for a long time,
//!   sysmon's poll wakes another M a few milliseconds later, and that M then becomes the poller.
//! * Several pollers: each event would wake one of them at random, and all would have to be
//!   informed about timers.
//! * A dedicated thread or timer queue for polling: for each event, one more thread would have to
//!   be woken and then wake the M.
//!
//! # Invariants
//! * I1: an I/O waiter is counted from before it publishes itself until it runs again.
//! * I2: the role is held from a `claim` that returned `true` to the `release` of the same M.
//!
//! # Orderings
//! * P1: count (or make a P idle), fence, check the role <-> release the role, fence, check the
//!   count (and look for an idle P): in `is_wanted` and in the next `claim`.
//! * P2: arm the bell, fence, look for a token <-> leave a token, fence, check the bell.
//! * P3: the release store in `arm` -> the acquire exchange in `ring`: whoever rings sees what the
//!   owner set up before, such as the place where it sleeps. The fences of P2 do not ensure this:
//!   the owner's fence follows the store.
//!
//! # See also
//! `netpollBreak`, `netpollWaiters`, and `sched.lastpoll` in Go. The model is
//! `scheduler/models/tests/poller.rs`.

use crate::primitive::{AtomicBool, AtomicUsize, Ordering, const_fn, fence};

/// The poller's role: whether it is held, and whether it is needed.
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
        /// Creates a free role without waiters.
        pub fn new() -> Self {
            Self { waiters: AtomicUsize::new(0), held: AtomicBool::new(false) }
        }
    }

    /// Returns the number of I/O waiters.
    #[inline]
    pub fn waiters(&self) -> usize {
        self.waiters.load(Ordering::Relaxed)
    }

    /// Counts a caller that is about to wait for I/O (I1).
    #[inline]
    pub fn add_waiter(&self) {
        self.waiters.fetch_add(1, Ordering::Relaxed);
    }

    /// Uncounts a caller whose wait has ended.
    #[inline]
    pub fn remove_waiter(&self) {
        let before = self.waiters.fetch_sub(1, Ordering::Relaxed);
        debug_assert!(before > 0, "poller: more waits ended than began");
    }

    /// Returns `true` if polling in passing is useful: there are waiters, and no M blocks in the
    /// poll.
    #[inline]
    pub fn is_worth_a_look(&self) -> bool {
        self.waiters() > 0 && !self.held.load(Ordering::Relaxed)
    }

    /// Returns `true` if an M must be told to poll.
    ///
    /// For callers that have counted a wait or released a P, and do not go idle.
    pub fn is_wanted(&self) -> bool {
        // ORDERING P1: between counting (or making a P idle) and checking the role.
        fence(Ordering::SeqCst);
        self.is_worth_a_look()
    }

    /// Claims the role for an M that is in a list and about to sleep.
    ///
    /// Returns `true` if the M is the poller now. Returns `false` while all Ps are in use.
    #[must_use = "the role is to be released"]
    pub fn claim(&self, any_idle: impl FnOnce() -> bool) -> bool {
        // ORDERING P1: between releasing the role and checking the count.
        fence(Ordering::SeqCst);
        // The exchange alone decides: no data is passed with the role.
        self.waiters() > 0 && any_idle() && !self.held.swap(true, Ordering::Relaxed)
    }

    /// Releases the role; called by the poller after its poll.
    pub fn release(&self) {
        self.held.store(false, Ordering::Relaxed);
    }
}

/// A bell that is armed while its owner blocks in the poll and does not see tokens.
#[derive(Debug)]
pub struct Doorbell(AtomicBool);

impl Default for Doorbell {
    fn default() -> Self {
        Self::new()
    }
}

impl Doorbell {
    /// Creates a disarmed bell.
    pub fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    /// Arms the bell (owner, which has the right to poll), so that a ring ends the owner's poll.
    ///
    /// The owner looks for a token before it blocks.
    pub fn arm(&self) {
        // ORDERING P3: release publishes the place where the owner sleeps.
        self.0.store(true, Ordering::Release);
        // ORDERING P2: between arming the bell and looking for a token.
        fence(Ordering::SeqCst);
    }

    /// Disarms the bell (owner, after the poll).
    pub fn disarm(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    /// Returns `true` if the caller, having left a token, must end the owner's poll.
    #[must_use = "the poll must be ended"]
    pub fn ring(&self) -> bool {
        // ORDERING P2: between leaving the token and checking the bell.
        fence(Ordering::SeqCst);
        // ORDERING P3: acquire pairs with the store in `arm`.
        self.0.load(Ordering::Relaxed) && self.0.swap(false, Ordering::Acquire)
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
        bell.arm();
        assert!(bell.ring());
        assert!(!bell.ring());
        bell.arm();
        bell.disarm();
        assert!(!bell.ring());
    }
}
