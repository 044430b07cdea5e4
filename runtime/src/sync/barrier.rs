//! `Barrier`: a number of goroutines meet, then all go on.
//!
//! # Protocol
//! Everything is done under a lock. Whoever comes links itself and blocks; the last one takes the whole queue, so the barrier is
//! as new before anybody goes on, and wakes it after unlocking. One who goes round faster than others leave meets the
//! next generation and is not mixed up with this one.
//!
//! # Rejected
//! * A mutex and a condition variable, as in `std`: each one that is woken would take the mutex once more, to find that
//!   its generation is over.
//!
//! # Invariants
//! * I1: `arrivals` is touched only under `lock`.
//! * I2: who waits stays in its frame until the one wake-up by whoever took its node out.

use std::cell::UnsafeCell;
use std::fmt;
use std::mem;
use std::ptr::NonNull;

use greenthread_scheduler::WaitReason;
use greenthread_scheduler::protocol::lock::RawLock;
use greenthread_scheduler::protocol::wait_list::{WaitList, WaitNode};
use greenthread_scheduler::wait::{Blocker, Waker};

/// Lets a number of goroutines or threads wait for each other. The interface is that of [`std::sync::Barrier`]; Go has
/// none, and uses a `sync.WaitGroup` on which each one calls `Done` and then `Wait`.
///
/// It can be used again at once, for the next round. What somebody did before its `wait` is visible to all after theirs.
///
/// ```
/// use greenthread::{scope, sync::Barrier};
///
/// let barrier = Barrier::new(3);
/// let leaders = scope(|s| {
///     let all: Vec<_> = (0..3).map(|_| s.spawn(|| barrier.wait().is_leader())).collect();
///     all.into_iter().map(|one| u32::from(one.join().unwrap())).sum::<u32>()
/// });
/// assert_eq!(leaders, 1);
/// ```
pub struct Barrier {
    size: usize,
    lock: RawLock,
    arrivals: UnsafeCell<Arrivals>,
}

struct Arrivals {
    waiting: usize,
    queue: WaitList<Waker>,
}

// SAFETY: `arrivals` is touched only under `lock` (I1), and wakers may go to other threads.
unsafe impl Send for Barrier {}
// SAFETY: as above.
unsafe impl Sync for Barrier {}

impl Barrier {
    /// A barrier for `n`. With 0 or 1 nobody blocks.
    #[inline]
    pub const fn new(n: usize) -> Self {
        let arrivals = Arrivals { waiting: 0, queue: WaitList::new() };
        Self { size: n, lock: RawLock::new(), arrivals: UnsafeCell::new(arrivals) }
    }

    /// Blocks until `n` have come. The last one is the leader; it does not block, and wakes the others in the order in which
    /// they came.
    pub fn wait(&self) -> BarrierWaitResult {
        let blocker = Blocker::new();
        let node = WaitNode::new(blocker.waker());
        self.lock.lock();
        // SAFETY: locked above (I1).
        let arrivals = unsafe { &mut *self.arrivals.get() };
        if arrivals.waiting + 1 < self.size {
            arrivals.waiting += 1;
            // SAFETY: the node is new, and stays here until `block` returns (I2).
            unsafe { arrivals.queue.push_back(NonNull::from(&node)) };
            // SAFETY: locked above; the node in the queue is the way by which this wait ends.
            blocker.block(WaitReason::BarrierWait, || unsafe { self.lock.unlock() });
            return BarrierWaitResult(false);
        }
        arrivals.waiting = 0;
        let mut leaving = mem::take(&mut arrivals.queue);
        // SAFETY: locked above.
        unsafe { self.lock.unlock() };
        while let Some(node) = leaving.pop_front() {
            // SAFETY: the waiter stays in its frame until its wake-up (I2), and so do those that are still in the list.
            let waker = unsafe { node.as_ref() }.value;
            // SAFETY: the node was found under the lock that its owner's commit released, and nobody else has it.
            unsafe { waker.wake() };
        }
        BarrierWaitResult(true)
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Barrier").field("size", &self.size).finish_non_exhaustive()
    }
}

/// Whether one was the leader of its round.
#[derive(Debug)]
pub struct BarrierWaitResult(bool);

impl BarrierWaitResult {
    /// True for exactly one in each round: the last one to come.
    #[must_use]
    pub fn is_leader(&self) -> bool {
        self.0
    }
}
