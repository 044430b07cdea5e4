//! A counter of unfinished tasks, with waiters that block until it becomes 0.
//!
//! # Vocabulary
//! The *counter* is the number of tasks that have yet to finish. A *waiter* blocks until the
//! counter is 0. The change that makes it 0 *ends* the waits. A *set* consists of all tasks that
//! are added and finished between one 0 and the next.
//!
//! # Protocol
//! One word holds the counter (high half) and the number of waiters (low half). `add` is one
//! exchange of the word unless the counter reaches 0 while there are waiters. Everything that
//! concerns waiters is done under a lock. A waiter counts and links itself. The `add` that ends the
//! waits moves the word from (1, waiters) to (0, 0), takes the whole queue, and wakes the waiters
//! after unlocking.
//!
//! A waiter whose wait is *ended* by its limit (a context) removes its node from the queue and
//! itself from the word, under the lock. If the node is no longer in the queue, the waiter's set
//! was already finished, and the wait ends like any other.
//!
//! # Why there is no misuse to detect
//! Go's counter reaches 0 before its waiters are released. In between, an `Add` can revive the
//! group under them, or one set of goroutines can be mixed up with the next. Go forbids this and
//! panics where it notices ("Add called concurrently with Wait", "reused before previous Wait has
//! returned"). Here the counter and the queue are emptied in one step, so every `wait` belongs to
//! one set, and reuse is always safe. The only remaining error is a counter that leaves its range.
//!
//! # The races
//! * *Wait against the last done.* The waiter counts itself by an exchange that sees a counter
//!   above 0. If the last `done` comes first in the order of the word, that exchange fails, and the
//!   waiter finds 0. If it comes later, it sees the waiter and takes the lock. It gets the lock
//!   only when the waiter is linked and asleep.
//! * *Done against done.* Both see waiters and a counter of 2. The exchange of the slower one
//!   fails, and that `done` then finds that it is the last.
//! * *Add against the last done.* The last `done` checks again under the lock, and each of its
//!   exchanges expects the counter that it has seen. If others have added in between, it starts
//!   over as an `add` that ends nothing.
//! * *End against the last done.* The claim decides, under the lock. The last `done` drops the
//!   nodes whose waits have ended, and empties the word; a waiter that finds its node still in the
//!   queue was faster, and the word still counts it.
//!
//! # Rejected
//! * `fetch_add`, as in Go: a sum that turns out to be negative would have to be undone after
//!   others have already seen it.
//! * Waking under the lock: a wake-up is too long for its critical section.
//! * The queue's length in place of the number in the word: `add` would have to take the lock to
//!   know whether there are waiters.
//!
//! # Invariants
//! * I1: `queue` is touched only under `lock`, and the waiters in the word change only under it.
//! * I2: when the lock is free, the queue is as long as the word says; if the counter is 0, both
//!   are empty.
//! * I3: a waiter stays in its frame until its only wake-up, by the caller that reserved it, or
//!   until it has withdrawn.
//! * I4: a caller of any method borrows the group until the end of the call, so it outlives all
//!   unlocks.
//!
//! # Orderings
//! * P1: the release in `change` by each `done` -> the acquire load in `wait`, or the acquire in
//!   the last `change`: what was done before `done` is visible after `wait`. The wake-up by the
//!   last `done` passes this visibility on to sleeping waiters. Changes in between are
//!   read-modify-writes, so they continue the release sequence.
//!
//! # See also
//! `sync/waitgroup.go` in Go; the models in `scheduler/models/tests/wait_group.rs`.

use std::cell::{Cell, OnceCell};
use std::fmt;
use std::ptr::NonNull;

use super::env::{Limit, Unlimited, Wait};
use super::wait_list::{WaitList, WaitNode};
use crate::primitive::{AtomicU64, Ordering, UnsafeCell, const_fn};
use crate::protocol::lock::RawLock;

/// The reason why [`RawWaitGroup::add`] changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutOfRange {
    /// The counter would fall below 0.
    Negative,
    /// The counter would exceed `i32::MAX`.
    Overflow,
}

/// The two halves of a group's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// The number of tasks that have yet to finish.
    pub counter: i32,
    /// The number of waiters.
    pub waiters: u32,
}

impl Counts {
    fn of(word: u64) -> Self {
        Self { counter: (word >> 32) as i32, waiters: word as u32 }
    }

    fn word(self) -> u64 {
        u64::from(self.counter as u32) << 32 | u64::from(self.waiters)
    }

    fn plus(self, n: isize) -> Result<Self, OutOfRange> {
        let sum = (self.counter as isize).checked_add(n).and_then(|sum| i32::try_from(sum).ok());
        match sum {
            Some(counter) if counter >= 0 => Ok(Self { counter, ..self }),
            None if n > 0 => Err(OutOfRange::Overflow),
            _ => Err(OutOfRange::Negative),
        }
    }

    /// Returns `true` if the counter is 0 and waiters are left. They must be released in the same
    /// step.
    fn ends_waits(self) -> bool {
        self.counter == 0 && self.waiters > 0
    }
}

/// A wait group: the word and the queue.
pub struct RawWaitGroup<W: Wait> {
    word: AtomicU64,
    lock: RawLock,
    queue: UnsafeCell<WaitList<W::Waker>>,
}

// SAFETY: `queue` is the only part that is not an atomic, and is touched only under `lock` (I1);
// the wakers in it cross threads, hence the bound.
unsafe impl<W: Wait<Waker: Send>> Send for RawWaitGroup<W> {}
// SAFETY: `queue` is touched only under `lock` (I1), as for `Send`.
unsafe impl<W: Wait<Waker: Send>> Sync for RawWaitGroup<W> {}

impl<W: Wait> fmt::Debug for RawWaitGroup<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawWaitGroup").field("counts", &self.peek()).finish_non_exhaustive()
    }
}

impl<W: Wait> Default for RawWaitGroup<W> {
    fn default() -> Self {
        Self::new()
    }
}

impl<W: Wait> RawWaitGroup<W> {
    const_fn! {
        /// Creates an empty group.
        pub fn new() -> Self {
            Self { word: AtomicU64::new(0), lock: RawLock::new(), queue: UnsafeCell::new(WaitList::new()) }
        }
    }

    /// Returns the current counter and number of waiters.
    pub fn peek(&self) -> Counts {
        Counts::of(self.word.load(Ordering::Relaxed))
    }

    /// Adds `n`, which may be negative, to the counter, and wakes the waiters if the counter
    /// becomes 0.
    ///
    /// Never blocks.
    ///
    /// # Errors
    /// If the counter would leave its range. In that case nothing changes.
    #[inline]
    pub fn add(&self, n: isize) -> Result<(), OutOfRange> {
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            let after = Counts::of(word).plus(n)?;
            if after.ends_waits() {
                return self.add_under_lock(n);
            }
            match self.change(word, after) {
                Ok(()) => return Ok(()),
                Err(now) => word = now,
            }
        }
    }

    /// Adds `n` when waiters may have to be released.
    #[cold]
    fn add_under_lock(&self, n: isize) -> Result<(), OutOfRange> {
        self.lock.lock();
        let mut word = self.word.load(Ordering::Relaxed);
        while Counts::of(word).counter as isize + n == 0 {
            match self.change(word, Counts { counter: 0, waiters: 0 }) {
                Ok(()) => {
                    // SAFETY: the queue is ours under the lock (I1).
                    let leaving = self.queue.with_mut(|queue| unsafe { (*queue).reserve_all(|waker| waker) });
                    // SAFETY: locked above.
                    unsafe { self.lock.unlock() };
                    // SAFETY: reserved under the lock that their owners' commit steps released, by
                    // this call alone (I3).
                    unsafe { leaving.wake_all(|waker| waker) };
                    return Ok(());
                }
                Err(now) => word = now,
            }
        }
        // Others have added in between. SAFETY: locked above.
        unsafe { self.lock.unlock() };
        self.add(n)
    }

    /// Performs one exchange of the word.
    #[inline]
    fn change(&self, before: u64, after: Counts) -> Result<(), u64> {
        // ORDERING P1: release publishes what was done before `done`; acquire gathers it in the
        // last `done`.
        self.word.compare_exchange_weak(before, after.word(), Ordering::AcqRel, Ordering::Relaxed).map(|_| ())
    }

    /// Blocks until the counter is 0.
    pub fn wait(&self) {
        if !self.is_zero() {
            self.queue_up(&Unlimited::<W>::new());
        }
    }

    /// Waits like [`wait`](Self::wait), unless `limit` is reached first.
    ///
    /// Returns `true` if the counter was 0.
    pub fn wait_within(&self, limit: &impl Limit<Waker = W::Waker>) -> bool {
        let mut over = self.is_zero();
        while !over && !limit.has_come() {
            over = self.queue_up(limit);
        }
        over
    }

    fn is_zero(&self) -> bool {
        // ORDERING P1: acquire pairs with the release in `change`.
        Counts::of(self.word.load(Ordering::Acquire)).counter == 0
    }

    /// Waits in the queue if the counter is not 0.
    ///
    /// Returns `false` if the wait was ended before the counter became 0.
    fn queue_up(&self, limit: &impl Limit<Waker = W::Waker>) -> bool {
        let (node, withdrawn) = (OnceCell::new(), Cell::new(false));
        let enter = |waker| {
            let node = NonNull::from(node.get_or_init(|| WaitNode::new(waker)));
            self.lock.lock();
            if !self.count_waiter() {
                // SAFETY: locked above.
                unsafe { self.lock.unlock() };
                return None;
            }
            // SAFETY: the queue is ours under the lock (I1); the node is new, and stays (I3).
            self.queue.with_mut(|queue| unsafe { (*queue).push_back(node) });
            // SAFETY: locked above; a waker finds this wait through its node in the queue.
            Some(|| unsafe { self.lock.unlock() })
        };
        let withdraw = || withdrawn.set(node.get().is_some_and(|node| self.withdraw(node)));
        // SAFETY: the change that ends waits reserves the waiters that it wakes; the commit step is
        // one unlock.
        unsafe { limit.wait(enter, withdraw) };
        !withdrawn.get()
    }

    /// Counts one more waiter and returns `true`, or returns `false` if the counter is 0.
    ///
    /// Called under the lock.
    fn count_waiter(&self) -> bool {
        // ORDERING P1: acquire pairs with the release in `change`.
        let mut word = self.word.load(Ordering::Acquire);
        loop {
            let Counts { counter, waiters } = Counts::of(word);
            if counter == 0 {
                return false;
            }
            match self.change(word, Counts { counter, waiters: waiters + 1 }) {
                Ok(()) => return true,
                // ORDERING P1: acquire pairs with the release in `change`; a failed exchange reads
                // relaxed.
                Err(_) => word = self.word.load(Ordering::Acquire),
            }
        }
    }

    /// Removes from the queue the node of a wait that was ended.
    ///
    /// Returns `false` if the waiter's set was already finished.
    fn withdraw(&self, node: &WaitNode<W::Waker>) -> bool {
        self.lock.lock();
        // SAFETY: the queue is ours under the lock (I1); the node is in it or in none.
        let removed = self.queue.with_mut(|queue| unsafe { (*queue).remove(NonNull::from(node)) });
        if removed {
            // The waiters are the low half of the word, and this one is counted.
            self.word.fetch_sub(1, Ordering::Relaxed);
        }
        // SAFETY: locked above.
        unsafe { self.lock.unlock() };
        removed
    }
}
