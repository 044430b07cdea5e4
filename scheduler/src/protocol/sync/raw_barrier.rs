//! A barrier: a fixed number of threads meet, and then all continue.
//!
//! # Vocabulary
//! A *round* is over when as many waiters have *arrived* as the barrier's *size*. The last waiter
//! to arrive in a round is its *leader*.
//!
//! # Protocol
//! Everything is done under a lock. An arriving waiter links itself and blocks. The leader takes
//! the whole queue, which resets the barrier before any waiter continues, and wakes the waiters
//! after unlocking. A waiter that arrives again before others have left joins the next round and is
//! not counted in this one.
//!
//! A waiter whose wait is *ended* by its limit (a context) takes its arrival back under the lock.
//! The round then needs another waiter in its place, as if the waiter had never arrived. If the
//! leader was faster, the round is over and includes this arrival. The leader cannot reserve such a
//! waiter and drops its node, and the missing node tells the waiter that its round is over. So all
//! waiters of a round get the same answer: that they have met.
//!
//! # Rejected
//! * Breaking the barrier for all when one waiter leaves, as Java's `CyclicBarrier` does: every
//!   waiter would have to handle this, and one of them would have to reset the barrier. Users that
//!   need such behavior give all waiters one context, which ends all their waits.
//! * A mutex and a condition variable, as in `std`: each woken waiter would take the mutex once
//!   more, only to find that its round is over.
//! * Waking under the lock: a wake-up is too long for its critical section.
//!
//! # Invariants
//! * I1: `arrivals` is touched only under `lock`. When the lock is free, the queue is as long as
//!   `waiting` says, and shorter than the size.
//! * I2: a waiter stays in its frame until its only wake-up, by the leader that reserved it, or
//!   until it has withdrawn.
//! * I3: a caller of `wait` borrows the barrier until the end of the call, so it outlives all
//!   unlocks.
//!
//! It has no orderings of its own: what was done before an arrival is visible to the leader through
//! the lock (P1 of `lock`), and to the others through the leader's wake-ups.
//!
//! # See also
//! The models in `scheduler/models/tests/barrier.rs`.

use std::cell::{Cell, OnceCell};
use std::fmt;
use std::ptr::NonNull;

use super::env::{Limit, Unlimited, Wait, WaitOutcome};
use super::wait_list::{WaitList, WaitNode};
use crate::primitive::{UnsafeCell, const_fn};
use crate::protocol::lock::RawLock;

/// A barrier.
pub struct RawBarrier<W: Wait> {
    size: usize,
    lock: RawLock,
    arrivals: UnsafeCell<Arrivals<W::Waker>>,
}

struct Arrivals<K> {
    waiting: usize,
    queue: WaitList<K>,
}

// SAFETY: `arrivals` is the only part that is not an atomic, and is touched only under `lock` (I1);
// the wakers in it cross threads, hence the bound.
unsafe impl<W: Wait<Waker: Send>> Send for RawBarrier<W> {}
// SAFETY: `arrivals` is touched only under `lock` (I1), as for `Send`.
unsafe impl<W: Wait<Waker: Send>> Sync for RawBarrier<W> {}

impl<W: Wait> fmt::Debug for RawBarrier<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawBarrier").field("size", &self.size).finish_non_exhaustive()
    }
}

impl<W: Wait> RawBarrier<W> {
    const_fn! {
        /// Creates a barrier for `size` waiters.
        ///
        /// With a size of 0 or 1, no caller blocks.
        pub fn new(size: usize) -> Self {
            let arrivals = Arrivals { waiting: 0, queue: WaitList::new() };
            Self { size, lock: RawLock::new(), arrivals: UnsafeCell::new(arrivals) }
        }
    }

    /// Returns the number of waiters in a round.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Arrives, and blocks until all have arrived.
    ///
    /// Returns `true` to the leader, which does not block and wakes the others in the order of
    /// their arrival.
    pub fn wait(&self) -> bool {
        self.arrive(&Unlimited::<W>::new()).expect("raw_barrier: nothing ends this wait")
    }

    /// Waits like [`wait`](Self::wait), but returns `None` without having arrived if `limit` is
    /// reached before the round is over, or was reached before the call.
    pub fn wait_within(&self, limit: &impl Limit<Waker = W::Waker>) -> Option<bool> {
        while !limit.has_come() {
            let arrived = self.arrive(limit);
            if arrived.is_some() {
                return arrived;
            }
        }
        None
    }

    /// Arrives, and waits for the others.
    ///
    /// Returns `None` if the wait was ended before the round was over.
    fn arrive(&self, limit: &impl Limit<Waker = W::Waker>) -> Option<bool> {
        let (node, left, mut leaving) = (OnceCell::new(), Cell::new(false), WaitList::new());
        let enter = |waker| {
            let node = NonNull::from(node.get_or_init(|| WaitNode::new(waker)));
            self.lock.lock();
            let waits = self.arrivals.with_mut(|arrivals| {
                // SAFETY: locked above (I1).
                let Arrivals { waiting, queue } = unsafe { &mut *arrivals };
                if *waiting + 1 < self.size {
                    *waiting += 1;
                    // SAFETY: the node is new, and stays here (I2).
                    unsafe { queue.push_back(node) };
                    return true;
                }
                *waiting = 0;
                // SAFETY: locked above (I1).
                leaving = unsafe { queue.reserve_all(|waker| waker) };
                false
            });
            if !waits {
                // SAFETY: locked above.
                unsafe { self.lock.unlock() };
                return None;
            }
            // SAFETY: locked above; a waker finds this wait through its node in the queue.
            Some(|| unsafe { self.lock.unlock() })
        };
        let withdraw = || left.set(node.get().is_some_and(|node| self.withdraw(node)));
        // SAFETY: the leader reserves the waiters that it wakes; the commit step is one unlock.
        let woken = unsafe { limit.wait(enter, withdraw) };
        // SAFETY: reserved under the lock that their owners' commit steps released, by this call
        // alone (I2).
        unsafe { leaving.wake_all(|waker| waker) };
        (!left.get()).then_some(woken == WaitOutcome::NotNeeded)
    }

    /// Takes back the arrival of a wait that was ended.
    ///
    /// Returns `false` if the round was already over.
    fn withdraw(&self, node: &WaitNode<W::Waker>) -> bool {
        self.lock.lock();
        let removed = self.arrivals.with_mut(|arrivals| {
            // SAFETY: locked above (I1).
            let Arrivals { waiting, queue } = unsafe { &mut *arrivals };
            // SAFETY: the node is in the queue or in none.
            let removed = unsafe { queue.remove(NonNull::from(node)) };
            *waiting -= usize::from(removed);
            removed
        });
        // SAFETY: locked above.
        unsafe { self.lock.unlock() };
        removed
    }
}
