//! `Condvar`: wait until somebody says that something may have changed.
//!
//! # Protocol
//! Who waits links its node under `lock`, unlocks the mutex, and parks; woken, it locks the mutex again. The node is in the
//! queue before the mutex is free, so whoever changes the condition under the mutex, and then notifies, finds it.
//!
//! So a notification may find one who has not parked yet. Its [`Claim`] settles that: it is shut until the goroutine has
//! parked, and one that was taken early is not woken but goes on by itself. The deadline of a wait is one more who takes the claim: a
//! notification that meets a wait whose deadline was faster goes to the next in the queue, and none is lost.
//!
//! A notification is one wake-up of one wait, and nothing else ends a wait: there are no spurious wake-ups.
//! `notify_all` wakes those who waited when it began, known by their tickets. It does so in batches, so that the lock is
//! held for a short time only; those who come meanwhile, perhaps again, stay.
//!
//! # Rejected
//! * Unlocking the mutex in the commit step, when the goroutine has parked: no claim would be needed. But the
//!   goroutine could be notified, lock the mutex and free it while the commit step is still in `unlock`.
//! * Moving those who are notified to the queue of the mutex: it spares them a useless wake-up, and ties the mutex to what waits
//!   for it. Waits with several mutexes would be an error then, as in `std`.
//!
//! # Invariants
//! * I1: `queue` is touched only under `lock`.
//! * I2: the frame of one who waits stays until its claim was taken: by a notifier, who does not touch it any more
//!   if the claim was shut, and else wakes it; or by the deadline, and then it has taken its node out under `lock`.
//!
//! `occupied` is relaxed and read without the lock. A notifier that has changed the condition under the mutex comes either before
//! the wait, whose condition is fulfilled then, or after its unlock, which makes the store visible.

use std::cell::UnsafeCell;
use std::fmt;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use greenthread_scheduler::WaitReason;
use greenthread_scheduler::protocol::claim::{Claim, Found};
use greenthread_scheduler::protocol::lock::RawLock;
use greenthread_scheduler::protocol::wait_list::{WaitList, WaitNode};
use greenthread_scheduler::wait::{Blocker, WakeBatch, Waker};

use super::mutex::MutexGuard;

/// The cases of a wait.
const NOTIFIED: usize = 0;
const DEADLINE: usize = 1;

/// A place to wait for a change of what a [`Mutex`](super::Mutex) protects (Go's `sync.Cond`), for goroutines and
/// threads. The interface is that of `parking_lot`: the guard is lent, not given away.
///
/// Nobody wakes without a notification, and none is lost on a wait that began before it. Waiters are woken in the
/// order in which they came. They lock the mutex again before they return, and another may have been faster, so the condition is
/// to be looked at again: [`wait_while`](Self::wait_while) does.
///
/// Unlike in `std` it may be used with several mutexes.
///
/// ```
/// use greenthread::sync::{Condvar, Mutex};
/// use greenthread::scope;
///
/// let (queue, filled) = (Mutex::new(Vec::new()), Condvar::new());
/// scope(|s| {
///     s.spawn(|| {
///         queue.lock().push(7);
///         filled.notify_one();
///     });
///     let mut guard = queue.lock();
///     filled.wait_while(&mut guard, |queue| queue.is_empty());
///     assert_eq!(guard.pop(), Some(7));
/// });
/// ```
#[derive(Default)]
pub struct Condvar {
    lock: RawLock,
    queue: UnsafeCell<Queue>,
    /// Whether somebody waits. Changed under `lock`.
    occupied: AtomicBool,
}

#[derive(Default)]
struct Queue {
    list: WaitList<Waiter>,
    /// How many waits have begun.
    tickets: u64,
}

#[derive(Clone, Copy)]
struct Waiter {
    ticket: u64,
    claim: NonNull<Claim>,
    waker: Waker,
}

// SAFETY: `queue` is the one part that is not an atomic, and is touched only under `lock` (I1); the claims in it are atomic
// words, valid by I2, and wakers may go to other threads.
unsafe impl Send for Condvar {}
// SAFETY: as above.
unsafe impl Sync for Condvar {}

impl Condvar {
    /// Nobody waits.
    #[inline]
    pub const fn new() -> Self {
        let queue = Queue { list: WaitList::new(), tickets: 0 };
        Self { lock: RawLock::new(), queue: UnsafeCell::new(queue), occupied: AtomicBool::new(false) }
    }

    /// Unlocks the mutex, blocks until a notification, and locks the mutex again (Go's `Wait`).
    ///
    /// The unlocking and the begin of the wait are one step for all who change the condition under the mutex.
    pub fn wait<T: ?Sized>(&self, guard: &mut MutexGuard<'_, T>) {
        self.block(guard, None);
    }

    /// Waits as long as `condition` holds. It is looked at with the mutex locked, also before the first wait.
    pub fn wait_while<T: ?Sized>(&self, guard: &mut MutexGuard<'_, T>, mut condition: impl FnMut(&mut T) -> bool) {
        while condition(&mut **guard) {
            self.wait(guard);
        }
    }

    /// As [`wait`](Self::wait), until `timeout` has passed at the latest. The lock is taken again in any case, which may
    /// take longer. One that exceeds what the clock can express is no limit.
    ///
    /// ```
    /// use greenthread::sync::{Condvar, Mutex};
    /// use std::time::Duration;
    ///
    /// let mutex = Mutex::new(());
    /// let result = Condvar::new().wait_timeout(&mut mutex.lock(), Duration::from_millis(1));
    /// assert!(result.timed_out(), "nobody notifies");
    /// ```
    pub fn wait_timeout<T: ?Sized>(&self, guard: &mut MutexGuard<'_, T>, timeout: Duration) -> WaitTimeoutResult {
        self.block(guard, Instant::now().checked_add(timeout))
    }

    /// As [`wait`](Self::wait), until `deadline` at the latest. The lock is taken again in any case, which may take longer.
    pub fn wait_until<T: ?Sized>(&self, guard: &mut MutexGuard<'_, T>, deadline: Instant) -> WaitTimeoutResult {
        self.block(guard, Some(deadline))
    }

    /// As [`wait_while`](Self::wait_while), until `timeout` has passed at the latest. It has timed out if `condition` still
    /// holds then.
    ///
    /// ```
    /// use greenthread::sync::{Condvar, Mutex};
    /// use std::time::Duration;
    ///
    /// let (mutex, condvar) = (Mutex::new(0), Condvar::new());
    /// let limit = Duration::from_millis(1);
    /// assert!(condvar.wait_timeout_while(&mut mutex.lock(), limit, |n| *n == 0).timed_out());
    /// assert!(!condvar.wait_timeout_while(&mut mutex.lock(), limit, |n| *n == 1).timed_out());
    /// ```
    pub fn wait_timeout_while<T: ?Sized>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        timeout: Duration,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> WaitTimeoutResult {
        let deadline = Instant::now().checked_add(timeout);
        while condition(&mut **guard) {
            if self.block(guard, deadline).timed_out() {
                return WaitTimeoutResult(condition(&mut **guard));
            }
        }
        WaitTimeoutResult(false)
    }

    /// Wakes the one who has waited longest, if somebody waits (Go's `Signal`). Never blocks; true if it woke one.
    ///
    /// The mutex need not be locked.
    pub fn notify_one(&self) -> bool {
        if !self.occupied.load(Ordering::Relaxed) {
            return false;
        }
        self.lock.lock();
        // SAFETY: locked above.
        let notified = unsafe { self.end_next(u64::MAX) };
        // SAFETY: locked above.
        unsafe { self.unlock() };
        if let Some(Notified::Parked(waker)) = notified {
            // SAFETY: its open claim was taken, so this is its one wake; the lock is released.
            unsafe { waker.wake() };
        }
        notified.is_some()
    }

    /// Wakes all who wait now, the one who has waited longest first (Go's `Broadcast`). Never blocks; says how many.
    ///
    /// The mutex need not be locked.
    pub fn notify_all(&self) -> usize {
        if !self.occupied.load(Ordering::Relaxed) {
            return 0;
        }
        let (mut woken, mut limit) = (0, None);
        loop {
            let mut batch = WakeBatch::new();
            self.lock.lock();
            // SAFETY: locked above (I1).
            let limit = *limit.get_or_insert_with(|| unsafe { (*self.queue.get()).tickets });
            let mut finished = false;
            while !finished && !batch.is_full() {
                // SAFETY: locked above.
                match unsafe { self.end_next(limit) } {
                    None => finished = true,
                    Some(notified) => {
                        woken += 1;
                        if let Notified::Parked(waker) = notified {
                            batch.push(waker);
                        }
                    }
                }
            }
            // SAFETY: locked above.
            unsafe { self.unlock() };
            // SAFETY: their open claims were taken, so this is the one wake of each; the lock is released.
            unsafe { batch.wake_all() };
            if finished {
                return woken;
            }
        }
    }

    fn block<T: ?Sized>(&self, guard: &mut MutexGuard<'_, T>, deadline: Option<Instant>) -> WaitTimeoutResult {
        let (blocker, claim) = (Blocker::new(), Claim::shut());
        let waiter = Waiter { ticket: 0, claim: NonNull::from(&claim), waker: blocker.waker() };
        let mut node = WaitNode::new(waiter);
        self.lock.lock();
        // SAFETY: locked above (I1).
        let queue = unsafe { &mut *self.queue.get() };
        node.value.ticket = queue.tickets;
        queue.tickets += 1;
        // SAFETY: the node is new, and stays here until it was taken out (I2).
        unsafe { queue.list.push_back(NonNull::from(&node)) };
        // SAFETY: locked above.
        unsafe { self.unlock() };
        guard.unlocked(|| {
            match deadline {
                None => blocker.block_if(WaitReason::CondvarWait, || claim.open()),
                // SAFETY: the claim is shut, and nobody else opens it; there is nothing to commit, and notifiers take early.
                Some(at) => unsafe { blocker.block_until(WaitReason::CondvarWait, at, &claim, DEADLINE, || ()) },
            }
            let timed_out = claim.winner() == Some(DEADLINE);
            if timed_out {
                self.lock.lock();
                // SAFETY: locked above (I1); the node is in the list, or in none if a notifier has met it.
                unsafe {
                    (*self.queue.get()).list.remove(NonNull::from(&node));
                    self.unlock();
                }
            }
            WaitTimeoutResult(timed_out)
        })
    }

    /// Ends the oldest wait whose ticket is below `limit`; `None` if there is none.
    ///
    /// # Safety
    /// The caller holds the lock.
    unsafe fn end_next(&self, limit: u64) -> Option<Notified> {
        // SAFETY: the caller's contract (I1).
        let list = unsafe { &mut (*self.queue.get()).list };
        loop {
            // SAFETY: the node is in the list, so its frame is there (I2).
            let Waiter { ticket, claim, waker } = unsafe { list.front()?.as_ref() }.value;
            if ticket >= limit {
                return None;
            }
            list.pop_front();
            // SAFETY: nobody but the caller can notify it any more. If its deadline is faster, it has yet to come through the
            // lock (I2).
            match unsafe { claim.as_ref() }.take_early(NOTIFIED) {
                Some(Found::Open) => return Some(Notified::Parked(waker)),
                Some(Found::Shut) => return Some(Notified::Awake),
                None => {}
            }
        }
    }

    /// # Safety
    /// The caller holds the lock.
    unsafe fn unlock(&self) {
        // SAFETY: the caller's contract (I1).
        let occupied = unsafe { !(*self.queue.get()).list.is_empty() };
        self.occupied.store(occupied, Ordering::Relaxed);
        // SAFETY: the caller's contract.
        unsafe { self.lock.unlock() };
    }
}

/// How one who was notified goes on.
enum Notified {
    /// It had not parked, and goes on by itself.
    Awake,
    /// It has parked, and is owed this wake.
    Parked(Waker),
}

impl fmt::Debug for Condvar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condvar").finish_non_exhaustive()
    }
}

/// Whether a wait with a limit ended by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    /// True if the time was over before a notification came.
    #[must_use]
    pub fn timed_out(&self) -> bool {
        self.0
    }
}
