//! Waits that end at a deadline if no peer has arrived before it.
//!
//! # Protocol
//! The deadline is one more case of the operation ([`crate::protocol::claim`]): whichever takes the
//! claim first, a peer or the clock, completes the operation. For a goroutine:
//!
//! 1. [`Blocker::with_deadline`] arms a timer in the waiter's frame while no lock is held. From
//!    here on the timer may fire.
//! 2. The waiter takes its locks, checks again that it must wait, links its nodes, and calls
//!    [`Timed::block`]. The commit step, on the system stack, opens the claim and then releases the
//!    locks.
//! 3. The timer takes the claim with `take_early`. If it finds the claim shut, the goroutine has
//!    not parked and will not: its commit step releases the locks, and the goroutine continues. If
//!    the timer finds the claim open, the goroutine becomes runnable on the P that fired the timer.
//! 4. Whichever side has won, the timer is disarmed at the end. Disarming takes the lock of the
//!    heap, under which timers fire. So a timer that has lost, or has just won, no longer uses the
//!    frame.
//!
//! A foreign thread arms nothing: it sleeps until the deadline and then takes its own claim. If a
//! peer has taken the claim first, that peer is about to wake the thread, and the thread waits for
//! the wake.
//!
//! # The commit step may be overtaken
//! Between the opening of the claim and the last unlock, the timer may fire and the goroutine may
//! run on another thread. The same happens in a wait on several queues, when a peer arrives as soon
//! as the first queue is unlocked. So before the waiter leaves its frame, it takes every lock that
//! its commit step releases. It must do that anyway, to remove its nodes. The commit step, for its
//! part, does not touch the frame after its last unlock.
//!
//! *Rejected:* opening the claim after the locks are released, so that nothing can overtake the
//! commit step. A peer under a lock may then meet a claim that is still shut, and must not wake the
//! waiter. The waiter would then continue while that peer writes into its frame.
//!
//! # Invariants
//! * I1: a claim is opened when its goroutine has parked, so the side that takes it open owns the
//!   goroutine (I1 of `gmp::g`).
//! * I2: the alarm and its timer stay in the frame until the timer is disarmed. The timer fires
//!   under the lock of its heap.

use std::time::Instant;

use crate::gmp::reason::WaitReason;
use crate::gmp::{GRef, Inside};
use crate::machine::sys::parker::Parker;
use crate::protocol::claim::{Claim, TakenFrom};
use crate::time::arming;
use crate::time::clock;
use crate::time::p_timers::Timer;
use crate::wait::blocker::Blocker;
use crate::wait::park;
use crate::wait::ready;

/// Everything that a goroutine's timer needs to complete the wait.
struct Alarm<'a> {
    g: GRef,
    claim: &'a Claim,
    index: usize,
}

/// Disarms a timer on drop, regardless of how the wait ends.
struct DisarmOnDrop<'a>(&'a Timer);

impl Drop for DisarmOnDrop<'_> {
    fn drop(&mut self) {
        self.0.disarm();
    }
}

/// A wait whose deadline is set.
///
/// It ends in [`block`](Self::block), or is dropped unused if there is nothing to wait for.
#[derive(Debug)]
pub struct Timed<'a> {
    blocker: &'a Blocker,
    deadline: Instant,
    claim: &'a Claim,
    index: usize,
}

impl Blocker {
    /// Calls `wait` with a deadline set.
    ///
    /// From now on until `wait` returns, the claim may be taken for case `index` once `deadline` is
    /// reached, even if it has already passed.
    ///
    /// This call itself does not block. If the goroutine has lost its P, other goroutines may run
    /// first. The call takes a mutex and may allocate, so the caller holds no
    /// [`RawLock`](crate::protocol::lock::RawLock). `wait` takes its locks and checks that it must
    /// wait; if so, it ends in [`Timed::block`].
    ///
    /// ```
    /// use greenthread_scheduler::WaitReason;
    /// use greenthread_scheduler::protocol::claim::Claim;
    /// use greenthread_scheduler::protocol::lock::RawLock;
    /// use greenthread_scheduler::wait::Blocker;
    /// use std::time::{Duration, Instant};
    ///
    /// let (lock, claim, blocker) = (RawLock::new(), Claim::shut(), Blocker::new());
    /// let wait = |timed: greenthread_scheduler::deadline::Timed<'_>| {
    ///     lock.lock();
    ///     // Here a node with the claim would be linked.
    ///     // SAFETY: locked above; the lock outlives both threads.
    ///     unsafe { timed.block(WaitReason::Select, || lock.unlock()) };
    /// };
    /// let deadline = Instant::now() + Duration::from_millis(1);
    /// // SAFETY: the claim is new and shut, and nobody else opens it.
    /// unsafe { blocker.with_deadline(deadline, &claim, 3, wait) };
    /// assert_eq!(claim.winner(), Some(3));
    /// ```
    ///
    /// # Safety
    /// `claim` belongs only to this wait, was shut when it was made, and is opened only by
    /// [`Timed::block`].
    pub unsafe fn with_deadline<R>(
        &self,
        deadline: Instant,
        claim: &Claim,
        index: usize,
        wait: impl FnOnce(Timed<'_>) -> R,
    ) -> R {
        let timed = Timed { blocker: self, deadline, claim, index };
        let Some(g) = self.g else { return wait(timed) };
        let alarm = Alarm { g, claim, index };
        let timer = Timer::new(expire, (&raw const alarm).cast());
        let _armed = DisarmOnDrop(&timer);
        // SAFETY: I2: `_armed` is dropped before the timer and the alarm, which are not moved.
        unsafe { arming::arm(&timer, clock::at(deadline)) }.unwrap_or_else(park::reacquire_p);
        wait(timed)
    }

    /// Blocks until a waker arrives, or until `deadline`, when the claim is taken for case `index`.
    ///
    /// `commit` runs once in every case. When this returns, there are two possibilities. Either
    /// `claim.winner()` is `index`, and the caller was not woken and will not be. Or a peer has
    /// taken the claim, and if it took it open, its wake has arrived.
    ///
    /// The timer is armed in here, so the caller holds no
    /// [`RawLock`](crate::protocol::lock::RawLock). A caller that must hold a lock when it blocks
    /// uses [`with_deadline`](Self::with_deadline).
    ///
    /// ```
    /// use greenthread_scheduler::{WaitReason, protocol::claim::Claim, wait::Blocker};
    /// use std::time::{Duration, Instant};
    ///
    /// let (blocker, claim) = (Blocker::new(), Claim::shut());
    /// let deadline = Instant::now() + Duration::from_millis(1);
    /// // SAFETY: the claim is new and shut, nobody else opens it, and there is nothing to commit.
    /// unsafe { blocker.block_until(WaitReason::Select, deadline, &claim, 7, || ()) };
    /// assert_eq!(claim.winner(), Some(7), "nobody else knows of it");
    /// ```
    ///
    /// # Safety
    /// The contracts of [`with_deadline`](Self::with_deadline) and [`Timed::block`].
    pub unsafe fn block_until(
        &self,
        reason: WaitReason,
        deadline: Instant,
        claim: &Claim,
        index: usize,
        commit: impl FnOnce(),
    ) {
        // SAFETY: the caller upholds the contracts of `with_deadline` and `Timed::block`.
        unsafe { self.with_deadline(deadline, claim, index, |timed| timed.block(reason, commit)) };
    }
}

impl Timed<'_> {
    /// Blocks until a waker arrives or until the deadline.
    ///
    /// `commit` runs once in every case. The result is the same as for [`Blocker::block_until`].
    ///
    /// # Safety
    /// * The caller is the goroutine or thread that made the blocker.
    /// * `commit` does not panic or block. It may still be running on another thread when this
    ///   returns. Everything it touches stays valid until it has released its last lock: the caller
    ///   takes each of these locks once before it leaves the frame.
    /// * A peer that may take the claim by any means other than `take_early` does so under one of
    ///   these locks.
    #[inline]
    pub unsafe fn block(self, reason: WaitReason, commit: impl FnOnce()) {
        let Self { blocker, deadline, claim, index } = self;
        // Captured by value: once the claim is open, this frame may no longer exist.
        let enter = move || {
            let opened = claim.open();
            commit();
            opened
        };
        if blocker.g.is_some() {
            // SAFETY: the caller made the blocker; `enter` follows the rules for `commit` because
            // the caller's `commit` does.
            unsafe { blocker.block_if(reason, enter) };
        } else if enter() && !woken_before(deadline, &blocker.parker) && !claim.take(index) {
            blocker.parker.park();
        }
    }
}

/// Blocks until the wake or until `deadline`, and returns `true` if the wake arrived in time.
fn woken_before(deadline: Instant, parker: &Parker) -> bool {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        if parker.park_timeout(left) {
            return true;
        }
    }
}

/// Completes the wait at its deadline, unless a peer has already completed it.
///
/// # Safety
/// The contract of [`crate::time::p_timers::Fire`]; `arg` is the [`Alarm`] whose timer is firing.
unsafe fn expire(arg: *const (), context: *mut ()) {
    // SAFETY: I2: the alarm stays in place while its timer fires.
    let alarm = unsafe { &*arg.cast::<Alarm<'_>>() };
    if alarm.claim.take_early(alarm.index) == Some(TakenFrom::Open) {
        // SAFETY: the context is the one that `Fire` passes. I1 makes this function the owner of
        // the goroutine.
        ready::ready_on(unsafe { Inside::from_context(context) }, alarm.g);
    }
}
