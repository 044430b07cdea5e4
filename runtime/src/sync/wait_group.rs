//! `WaitGroup`: wait until a number of goroutines have finished.
//!
//! # Protocol
//! One word holds the counter (high half) and the number of waiters (low half). `add` and `done` are one exchange on
//! it as long as the counter does not reach 0 while somebody waits. Everything that concerns waiters is done under a
//! lock: a waiter counts and links itself; the `done` that ends the wait moves the word from (1, waiters) to (0, 0),
//! takes the whole queue along, and wakes it after unlocking.
//!
//! # Why there is no misuse to detect
//! Go's counter reaches 0 before its waiters are let go. In between, an `Add` can revive the group under them, or one
//! set of goroutines can be mixed up with the next: Go forbids it and panics where it notices ("Add called concurrently
//! with Wait", "reused before previous Wait has returned"). Here the counter and the queue are emptied in one step, so
//! every `wait` belongs to one set, and reuse is safe at any time. What remains is a counter below 0.
//!
//! # Rejected
//! * `fetch_add`, as in Go: a sum that turns out to be negative has to be taken back while others already see it.
//! * Waking under the lock: a wake-up is no short critical section.
//!
//! # Invariants
//! * I1: `queue` is touched only under `lock`, and the waiters in the word change only under it.
//! * I2: the queue is as long as the word says; if the counter is 0, both are empty.
//! * I3: a waiter stays in its frame until the one wake-up by whoever took its node out.
//!
//! # Orderings
//! * P1: the release in `change` by each `done` -> the acquire load in `wait`, or the acquire in the last `change`:
//!   what was done before `done` is visible after `wait`. The last `done`'s wake-up carries it to those who sleep.

use std::cell::UnsafeCell;
use std::fmt;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use greenthread_scheduler::WaitReason;
use greenthread_scheduler::protocol::lock::RawLock;
use greenthread_scheduler::protocol::wait_list::{WaitList, WaitNode};
use greenthread_scheduler::wait::{Blocker, Waker};

/// Waits for a set of goroutines (Go's `sync.WaitGroup`). A clone is a handle to the same group.
///
/// [`add`](Self::add) says how many there are, each calls [`done`](Self::done) at its end, and [`wait`](Self::wait)
/// blocks until all have. Call `add` before the goroutine is started, else `wait` may come first and find nobody to
/// wait for. [`go`](Self::go) does all of it.
///
/// What a goroutine did before its `done` is visible to whoever returns from the `wait` that it ends. When the counter
/// has reached 0 the group can be used again at once, for the next set.
///
/// ```
/// use greenthread::sync::{Mutex, WaitGroup};
/// use std::sync::Arc;
///
/// let sum = Arc::new(Mutex::new(0));
/// let wg = WaitGroup::new();
/// for n in 1..=10 {
///     let sum = Arc::clone(&sum);
///     wg.go(move || *sum.lock() += n);
/// }
/// wg.wait();
/// assert_eq!(*sum.lock(), 55);
/// ```
#[derive(Clone, Default)]
pub struct WaitGroup {
    group: Arc<Group>,
}

#[derive(Default)]
struct Group {
    word: AtomicU64,
    lock: RawLock,
    queue: UnsafeCell<WaitList<Waker>>,
}

// SAFETY: `queue` is the one part that is not an atomic, and is touched only under `lock` (I1).
unsafe impl Sync for Group {}

/// The word of a group, taken apart.
#[derive(Clone, Copy)]
struct Counts {
    counter: i32,
    waiters: u32,
}

impl Counts {
    fn of(word: u64) -> Self {
        Self { counter: (word >> 32) as i32, waiters: word as u32 }
    }

    fn word(self) -> u64 {
        u64::from(self.counter as u32) << 32 | u64::from(self.waiters)
    }

    /// Panics if the counter leaves its range; nothing has changed then.
    fn plus(self, n: isize) -> Self {
        let sum = (self.counter as isize).checked_add(n).and_then(|sum| i32::try_from(sum).ok());
        match sum {
            Some(counter) if counter >= 0 => Self { counter, ..self },
            None if n > 0 => panic!("sync: WaitGroup counter overflow"),
            _ => panic!("sync: negative WaitGroup counter"),
        }
    }

    /// Whether the counter is 0 and waiters are left, who must be let go in the same step.
    fn ends_a_wait(self) -> bool {
        self.counter == 0 && self.waiters > 0
    }
}

impl WaitGroup {
    /// A group of nobody: `wait` returns at once.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `n`, which may be negative, to the goroutines to wait for. At 0 it wakes the waiters. Never blocks.
    ///
    /// # Panics
    /// With "sync: negative WaitGroup counter" if the number falls below 0, with "sync: WaitGroup counter overflow" if
    /// it exceeds `i32::MAX`. The group is then as it was before.
    #[inline]
    pub fn add(&self, n: isize) {
        self.group.add(n);
    }

    /// One goroutine has finished: `add(-1)`.
    ///
    /// # Panics
    /// With "sync: negative WaitGroup counter" if there was nobody left to finish.
    #[inline]
    pub fn done(&self) {
        self.group.add(-1);
    }

    /// Blocks until the counter is 0. Any number of goroutines and threads may wait.
    pub fn wait(&self) {
        self.group.wait();
    }

    /// Runs `f` as a goroutine of this group: `add(1)` now, `done()` when it ends. Does not block.
    ///
    /// `done` is called also if `f` panics: unlike in Go, a panic ends only its goroutine and not the process, so
    /// `wait` has to return.
    #[track_caller]
    pub fn go<F>(&self, f: F)
    where
        F: FnOnce() + Send + 'static,
    {
        struct Done(WaitGroup);

        impl Drop for Done {
            fn drop(&mut self) {
                self.0.done();
            }
        }

        self.add(1);
        let done = Done(self.clone());
        greenthread_scheduler::go(move || {
            let _done = done;
            f();
        });
    }
}

impl fmt::Debug for WaitGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { counter, waiters } = Counts::of(self.group.word.load(Ordering::Relaxed));
        f.debug_struct("WaitGroup").field("counter", &counter).field("waiters", &waiters).finish()
    }
}

impl Group {
    #[inline]
    fn add(&self, n: isize) {
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            let after = Counts::of(word).plus(n);
            if after.ends_a_wait() {
                return self.add_under_lock(n);
            }
            match self.change(word, after) {
                Ok(()) => return,
                Err(now) => word = now,
            }
        }
    }

    /// As `add`, when waiters may have to be let go.
    #[cold]
    fn add_under_lock(&self, n: isize) {
        self.lock.lock();
        let mut word = self.word.load(Ordering::Relaxed);
        let mut leaving = loop {
            let before = Counts::of(word);
            let after = match before.counter as isize + n {
                0 => Counts { counter: 0, waiters: 0 },
                // Others have called `add` meanwhile.
                _ => {
                    // SAFETY: locked above.
                    unsafe { self.lock.unlock() };
                    return self.add(n);
                }
            };
            match self.change(word, after) {
                // SAFETY: the queue is ours under the lock (I1).
                Ok(()) => break std::mem::take(unsafe { &mut *self.queue.get() }),
                Err(now) => word = now,
            }
        };
        // SAFETY: locked above.
        unsafe { self.lock.unlock() };
        while let Some(node) = leaving.pop_front() {
            // SAFETY: the waiter stays in its frame until its wake-up (I3), and so do those that are still in the list.
            let waker = unsafe { node.as_ref() }.value;
            // SAFETY: the node was found under the lock that its owner's commit released, and nobody else has it.
            unsafe { waker.wake() };
        }
    }

    /// One exchange of the word.
    #[inline]
    fn change(&self, before: u64, after: Counts) -> Result<(), u64> {
        // ORDERING P1: release publishes what was done before `done`; acquire gathers it in the last one.
        self.word.compare_exchange_weak(before, after.word(), Ordering::AcqRel, Ordering::Relaxed).map(|_| ())
    }

    fn wait(&self) {
        // ORDERING P1: acquire pairs with the release in `change`.
        if Counts::of(self.word.load(Ordering::Acquire)).counter == 0 {
            return;
        }
        let blocker = Blocker::new();
        let node = WaitNode::new(blocker.waker());
        self.lock.lock();
        // ORDERING P1: as above.
        let mut word = self.word.load(Ordering::Acquire);
        loop {
            let Counts { counter, waiters } = Counts::of(word);
            if counter == 0 {
                // SAFETY: locked above.
                return unsafe { self.lock.unlock() };
            }
            match self.change(word, Counts { counter, waiters: waiters + 1 }) {
                Ok(()) => break,
                // ORDERING P1: as above; a failed exchange reads relaxed.
                Err(_) => word = self.word.load(Ordering::Acquire),
            }
        }
        // SAFETY: the queue is ours under the lock (I1); the node is new, and stays here until `block` returns (I3).
        unsafe { (*self.queue.get()).push_back(NonNull::from(&node)) };
        // SAFETY: locked above; the node in the queue is the way by which this wait ends.
        blocker.block(WaitReason::WaitGroupWait, || unsafe { self.lock.unlock() });
    }
}
