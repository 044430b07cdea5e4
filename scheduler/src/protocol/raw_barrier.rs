//! A number of threads meet, then all go on.
//!
//! # Vocabulary
//! A *round* is over when as many have *arrived* as the barrier has *size*. The last of a round is its *leader*.
//!
//! # Protocol
//! Everything is done under a lock. Whoever arrives links itself and blocks; the leader takes the whole queue, so the barrier is
//! as new before anybody goes on, and wakes it after unlocking. One who goes round faster than others leave meets the
//! next round and is not mixed up with this one.
//!
//! # Rejected
//! * A mutex and a condition variable, as in `std`: each one that is woken would take the mutex once more, to find that
//!   its round is over.
//! * Waking under the lock: a wake-up is no short critical section.
//!
//! # Invariants
//! * I1: `arrivals` is touched only under `lock`. When the lock is free, the queue is as long as `waiting` says, and shorter
//!   than the size.
//! * I2: who waits stays in its frame until the one wake-up by whoever took its node out.
//! * I3: whoever calls `wait` borrows the barrier to the end of the call, so it outlives all unlocks.
//!
//! There are no orderings of its own: what was done before an arrival comes to the leader through the lock (P1 of `lock`), and
//! to the others by its wake-ups.
//!
//! # See also
//! The models in `scheduler/models/tests/barrier.rs`.

use std::fmt;
use std::mem;
use std::ptr::NonNull;

use super::lock::RawLock;
use super::wait::Wait;
use super::wait_list::{WaitList, WaitNode};
use crate::primitive::{UnsafeCell, const_fn};

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

// SAFETY: `arrivals` is the one part that is not an atomic, and is touched only under `lock` (I1); the wakers in it cross
// threads, hence the bound.
unsafe impl<W: Wait<Waker: Send>> Send for RawBarrier<W> {}
// SAFETY: as above.
unsafe impl<W: Wait<Waker: Send>> Sync for RawBarrier<W> {}

impl<W: Wait> fmt::Debug for RawBarrier<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawBarrier").field("size", &self.size).finish_non_exhaustive()
    }
}

impl<W: Wait> RawBarrier<W> {
    const_fn! {
        /// A barrier for `size`. With 0 or 1 nobody blocks.
        pub fn new(size: usize) -> Self {
            let arrivals = Arrivals { waiting: 0, queue: WaitList::new() };
            Self { size, lock: RawLock::new(), arrivals: UnsafeCell::new(arrivals) }
        }
    }

    /// How many meet.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Arrives, and blocks until all have; true for the leader, who does not block, and wakes the others in the order in
    /// which they came.
    pub fn wait(&self) -> bool {
        let wait = W::new();
        let node = WaitNode::new(wait.waker());
        self.lock.lock();
        let leaving = self.arrivals.with_mut(|arrivals| {
            // SAFETY: locked above (I1).
            let Arrivals { waiting, queue } = unsafe { &mut *arrivals };
            if *waiting + 1 < self.size {
                *waiting += 1;
                // SAFETY: the node is new, and stays here until `block` returns (I2).
                unsafe { queue.push_back(NonNull::from(&node)) };
                return None;
            }
            *waiting = 0;
            Some(mem::take(queue))
        });
        let Some(leaving) = leaving else {
            // SAFETY: locked above; the node in the queue is the way by which this wait ends.
            wait.block(|| unsafe { self.lock.unlock() });
            return false;
        };
        // SAFETY: locked above.
        unsafe { self.lock.unlock() };
        // SAFETY: the nodes were found under the lock that their owners' `commit` released, and nobody else has them now (I2).
        unsafe { leaving.wake_all(|waker| waker) };
        true
    }
}
