//! Runs something once: one caller runs it, the others wait until it is done.
//!
//! # Vocabulary
//! The *runner* is the caller that is allowed to run the function. It *finishes* with success, or
//! *poisons* the word because the function did not return.
//!
//! # Protocol
//! The word holds a phase and a bit, `QUEUED`, which says that there may be waiters.
//!
//! ```text
//!     new --- begin ---> running --- finish(true) ---> done
//!                         ^   |
//!       begin, if forced  |   | finish(false)
//!                         |   v
//!                       poisoned
//! ```
//!
//! Once the phase is done, checking costs one load. `begin` makes the caller the runner, or waits
//! while another caller is the runner. `finish` sets the next phase, clears `QUEUED`, and wakes all
//! waiters, which check again. Usually they find that the function has run. After a failure, each
//! of them decides for itself whether to fail too or to become the next runner.
//!
//! `wait` does not run the function: it waits even before there is a runner.
//!
//! # The races
//! * *Wait against finish.* A waiter sets `QUEUED` under the queue's lock, by an exchange that sees
//!   a phase in which it has to wait. The exchange in `finish` comes later in the order of the
//!   word, so it sees `QUEUED` and takes the queue's lock. It gets the lock only when the waiter is
//!   linked and asleep.
//! * *Finish against the next runner.* After a failure the next runner may begin, and have waiters
//!   of its own, before the first runner has reached the queue. The first runner then wakes waiters
//!   of the second, which check again and queue again. The second runner finds `QUEUED` set and
//!   perhaps an empty queue. No waiter is left asleep: each one in the queue has set `QUEUED` in a
//!   phase whose `finish` has yet to reach the queue.
//!
//! # Rejected
//! * Go's form, a mutex next to the word: this needs a second word, its waiters wake one after the
//!   other, and in a dump they seem to wait for a mutex.
//! * Waking under the queue's lock: a wake-up is too long for its critical section.
//! * A failure that releases exactly one waiter: the waiter would have to be handed the runner's
//!   role, and might not want it.
//!
//! # Invariants
//! * I1: `queue` is touched only under `queue_lock`. A node is in the queue only while `QUEUED` is
//!   set, or while a `finish` that saw it set is on its way to the queue.
//! * I2: there is at most one runner, and only the runner ends the phase `RUNNING`. The phase
//!   `DONE` never ends.
//! * I3: a waiter stays in its frame until its only wake-up, by the caller that removed its node.
//! * I4: the runner borrows the word until `finish` returns.
//!
//! # Orderings
//! * P1: the release in `finish` -> the acquire in `is_done`, `begin`, and `wait`: the runner's
//!   work is visible to every caller that sees the phase `DONE`, and to the next runner.
//!
//! # See also
//! `sync/once.go` in Go; the models in `scheduler/models/tests/once.rs`.

use std::fmt;
use std::mem;
use std::ptr::NonNull;

use super::env::Wait;
use super::wait_list::{WaitList, WaitNode};
use crate::primitive::{AtomicU32, Ordering, UnsafeCell, const_fn};
use crate::protocol::lock::RawLock;

const NEW: u32 = 0;
const POISONED: u32 = 1;
const RUNNING: u32 = 2;
const DONE: u32 = 3;
const PHASE: u32 = 3;
const QUEUED: u32 = 4;

/// The result of [`RawOnce::begin`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a runner has to finish"]
pub enum Begun {
    /// The caller is the runner: it runs the function and calls [`RawOnce::finish`].
    ///
    /// An earlier runner may have failed.
    Runner {
        /// `true` if an earlier runner has failed.
        poisoned: bool,
    },
    /// The function has run.
    Done,
    /// An earlier runner has failed, and the caller does not want to try again.
    Poisoned,
}

/// The word and the queue of one instance.
pub struct RawOnce<W: Wait> {
    state: AtomicU32,
    queue_lock: RawLock,
    queue: UnsafeCell<WaitList<W::Waker>>,
}

// SAFETY: `queue` is the only part that is not an atomic, and is touched only under `queue_lock`
// (I1); the wakers in it cross threads, hence the bound.
unsafe impl<W: Wait<Waker: Send>> Send for RawOnce<W> {}
// SAFETY: `queue` is touched only under `queue_lock` (I1), as for `Send`.
unsafe impl<W: Wait<Waker: Send>> Sync for RawOnce<W> {}

impl<W: Wait> fmt::Debug for RawOnce<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawOnce").field("state", &self.state).finish_non_exhaustive()
    }
}

impl<W: Wait> Default for RawOnce<W> {
    fn default() -> Self {
        Self::new()
    }
}

impl<W: Wait> RawOnce<W> {
    const_fn! {
        /// Creates the state in which the function has not run.
        pub fn new() -> Self {
            Self { state: AtomicU32::new(NEW), queue_lock: RawLock::new(), queue: UnsafeCell::new(WaitList::new()) }
        }
    }

    /// Returns `true` if the function has run.
    ///
    /// Never blocks.
    #[inline]
    pub fn is_done(&self) -> bool {
        // ORDERING P1: acquire pairs with `finish`.
        self.state.load(Ordering::Acquire) & PHASE == DONE
    }

    /// Becomes the runner, or blocks while there is one.
    ///
    /// With `force`, the caller becomes the runner even after a failure.
    #[cold]
    pub fn begin(&self, force: bool) -> Begun {
        // ORDERING P1: acquire pairs with `finish`.
        let mut state = self.state.load(Ordering::Acquire);
        loop {
            match state & PHASE {
                DONE => return Begun::Done,
                POISONED if !force => return Begun::Poisoned,
                RUNNING => {
                    self.wait_while(|phase| phase == RUNNING);
                    // ORDERING P1: acquire pairs with `finish`.
                    state = self.state.load(Ordering::Acquire);
                }
                phase => {
                    let running = state & QUEUED | RUNNING;
                    // ORDERING P1: acquire pairs with `finish`.
                    match self.state.compare_exchange_weak(state, running, Ordering::Acquire, Ordering::Acquire) {
                        Ok(_) => return Begun::Runner { poisoned: phase == POISONED },
                        Err(now) => state = now,
                    }
                }
            }
        }
    }

    /// Ends the run and wakes all waiters.
    ///
    /// `success` says whether the function returned.
    ///
    /// # Safety
    /// The caller is the runner, and calls this once.
    pub unsafe fn finish(&self, success: bool) {
        // ORDERING P1: release publishes what the runner did.
        let before = self.state.swap(if success { DONE } else { POISONED }, Ordering::Release);
        if before & QUEUED == 0 {
            return;
        }
        self.queue_lock.lock();
        // SAFETY: the queue is ours under its lock (I1).
        let leaving = self.queue.with_mut(|queue| mem::take(unsafe { &mut *queue }));
        // SAFETY: locked above.
        unsafe { self.queue_lock.unlock() };
        // SAFETY: the nodes were found under the lock that their owners' `commit` released, and
        // only this call has them now (I3).
        unsafe { leaving.wake_all(|waker| waker) };
    }

    /// Blocks until the function has run, whichever caller runs it, and returns `true`; or returns
    /// `false` when a runner has failed, unless `force` says to keep waiting for another runner.
    pub fn wait(&self, force: bool) -> bool {
        loop {
            // ORDERING P1: acquire pairs with `finish`.
            match self.state.load(Ordering::Acquire) & PHASE {
                DONE => return true,
                POISONED if !force => return false,
                _ => self.wait_while(|phase| phase != DONE && (force || phase != POISONED)),
            }
        }
    }

    /// Waits for a `finish` if `waits` returns `true` for the phase.
    ///
    /// Whatever ends the wait, the caller checks again.
    fn wait_while(&self, waits: impl Fn(u32) -> bool) {
        let wait = W::new();
        let node = WaitNode::new(wait.waker());
        self.queue_lock.lock();
        let mut state = self.state.load(Ordering::Relaxed);
        loop {
            if !waits(state & PHASE) {
                // SAFETY: locked above.
                return unsafe { self.queue_lock.unlock() };
            }
            match self.state.compare_exchange_weak(state, state | QUEUED, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => break,
                Err(now) => state = now,
            }
        }
        // SAFETY: the queue is ours under its lock (I1); the node is new, and stays until `block`
        // returns (I3).
        self.queue.with_mut(|queue| unsafe { (*queue).push_back(NonNull::from(&node)) });
        // SAFETY: locked above; a waker finds this wait through its node in the queue.
        let commit = || unsafe { self.queue_lock.unlock() };
        // SAFETY: this caller has created `wait`; the commit step is that one store.
        unsafe { wait.block(commit) };
    }
}
