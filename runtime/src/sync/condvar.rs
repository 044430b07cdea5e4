//! `Condvar`: waits for a notification that a condition may have changed.
//!
//! The algorithm is in `greenthread_scheduler::protocol::sync::raw_condvar`.
//!
//! # Invariants
//! * I1: the frame of a waiter stays until its claim has been taken. If a notifier took the claim
//!   and the claim was open, the notifier's wake-up has arrived. If the deadline or the end of the
//!   context took the claim, the waiter has removed its node.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::ptr::NonNull;
use std::time::{Duration, Instant};

use greenthread_ctx::{Context, Error};
use greenthread_scheduler::WaitReason;
use greenthread_scheduler::protocol::claim::Claim;
use greenthread_scheduler::protocol::sync::raw_condvar::{NOTIFIED, Node, RawCondvar, Waiter};
use greenthread_scheduler::wait::{Blocker, Waker};

use super::blocking_wait::block_until_ctx_ends;
use super::mutex::MutexGuard;

/// The case for which the deadline, or the end of the context, takes the claim of a wait.
const ENDED: usize = NOTIFIED + 1;

/// The number of waiters that are woken at a time; between two batches, the queue is free for
/// others.
const BATCH: usize = 32;

/// A place to wait for a change to the data that a [`Mutex`](super::Mutex) protects (Go's
/// `sync.Cond`), for goroutines and threads.
///
/// The interface matches `parking_lot`: the guard is borrowed, not consumed.
///
/// There are no spurious wake-ups, and a notification is never lost if a wait began before it.
/// Waiters are woken in the order in which they arrived. A waiter locks the mutex again before it
/// returns, and another caller may have been faster, so the waiter must check the condition again.
/// [`wait_while`](Self::wait_while) does this.
///
/// Unlike the `Condvar` of `std`, this one may be used with several mutexes.
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
    raw: RawCondvar<Waker>,
}

impl Condvar {
    /// Creates a condition variable that has no waiters.
    ///
    /// ```
    /// use greenthread::sync::Condvar;
    ///
    /// static CHANGED: Condvar = Condvar::new();
    /// assert!(!CHANGED.notify_one(), "no waiter yet");
    /// ```
    #[inline]
    pub const fn new() -> Self {
        Self { raw: RawCondvar::new() }
    }

    /// Unlocks the mutex, blocks until a notification, and locks the mutex again (Go's `Wait`).
    ///
    /// For all callers that change the condition under the mutex, the unlock and the start of the
    /// wait are one step.
    ///
    /// ```
    /// use greenthread::{go, sync::{Condvar, Mutex}};
    ///
    /// static READY: Mutex<bool> = Mutex::new(false);
    /// static CHANGED: Condvar = Condvar::new();
    ///
    /// go!(|| {
    ///     *READY.lock() = true;
    ///     CHANGED.notify_one();
    /// });
    /// let mut ready = READY.lock();
    /// while !*ready {
    ///     CHANGED.wait(&mut ready);
    /// }
    /// ```
    pub fn wait<T: ?Sized>(&self, guard: &mut MutexGuard<'_, T>) {
        self.block(guard, |blocker, claim| {
            // SAFETY: the blocker belongs to this call; nothing in its frame is touched once the
            // claim is open.
            unsafe { blocker.block_if(WaitReason::CondvarWait, || claim.open()) };
        });
    }

    /// Waits as long as `condition` holds.
    ///
    /// The condition is checked with the mutex locked. The first check comes before the first wait.
    ///
    /// ```
    /// use greenthread::{scope, sync::{Condvar, Mutex}};
    ///
    /// let (running, ended) = (Mutex::new(3), Condvar::new());
    /// scope(|s| {
    ///     for _ in 0..3 {
    ///         s.spawn(|| {
    ///             *running.lock() -= 1;
    ///             ended.notify_all();
    ///         });
    ///     }
    ///     ended.wait_while(&mut running.lock(), |running| *running > 0);
    /// });
    /// ```
    pub fn wait_while<T: ?Sized>(&self, guard: &mut MutexGuard<'_, T>, mut condition: impl FnMut(&mut T) -> bool) {
        while condition(&mut **guard) {
            self.wait(guard);
        }
    }

    /// Waits like [`wait`](Self::wait), but for at most `timeout`.
    ///
    /// The mutex is always locked again before this returns, which may take longer. A timeout too
    /// long for the clock is not a limit.
    ///
    /// ```
    /// use greenthread::sync::{Condvar, Mutex};
    /// use std::time::Duration;
    ///
    /// let mutex = Mutex::new(());
    /// let result = Condvar::new().wait_timeout(&mut mutex.lock(), Duration::from_millis(1));
    /// assert!(result.timed_out(), "no one notifies");
    /// ```
    pub fn wait_timeout<T: ?Sized>(&self, guard: &mut MutexGuard<'_, T>, timeout: Duration) -> WaitTimeoutResult {
        self.wait_at_most(guard, Instant::now().checked_add(timeout))
    }

    /// Waits like [`wait`](Self::wait), but until `deadline` at the latest.
    ///
    /// The mutex is always locked again before this returns, which may take longer.
    ///
    /// ```
    /// use greenthread::sync::{Condvar, Mutex};
    /// use std::time::Instant;
    ///
    /// let mutex = Mutex::new(());
    /// let result = Condvar::new().wait_deadline(&mut mutex.lock(), Instant::now());
    /// assert!(result.timed_out(), "no one notifies");
    /// ```
    pub fn wait_deadline<T: ?Sized>(&self, guard: &mut MutexGuard<'_, T>, deadline: Instant) -> WaitTimeoutResult {
        self.wait_at_most(guard, Some(deadline))
    }

    /// Waits like [`wait_while`](Self::wait_while), but for at most `timeout`.
    ///
    /// The result reports a timeout if `condition` still holds at that time.
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
            if self.wait_at_most(guard, deadline).timed_out() {
                return WaitTimeoutResult(condition(&mut **guard));
            }
        }
        WaitTimeoutResult(false)
    }

    fn wait_at_most<T: ?Sized>(&self, guard: &mut MutexGuard<'_, T>, deadline: Option<Instant>) -> WaitTimeoutResult {
        let Some(deadline) = deadline else {
            self.wait(guard);
            return WaitTimeoutResult(false);
        };
        let notified = self.block(guard, |blocker, claim| {
            // SAFETY: the claim is shut, and nothing else opens it; there is nothing to commit, and
            // notifiers take the claim early.
            unsafe { blocker.block_until(WaitReason::CondvarWait, deadline, claim, ENDED, || ()) };
        });
        WaitTimeoutResult(!notified)
    }

    /// Waits like [`wait`](Self::wait), unless the context ends first.
    ///
    /// The mutex is always locked again before this returns, which may take longer. A notification
    /// that arrives before the context ends is not lost: the wait then returns `Ok`, even if the
    /// context has ended by the time the mutex is locked again. (A Go program uses a channel
    /// instead of a `sync.Cond`, and a `select` on that channel and on `ctx.Done()`.)
    ///
    /// # Errors
    /// If the context ends first. If it had ended before the call, the mutex is not unlocked.
    ///
    /// ```
    /// use greenthread::ctx::{Context, Error};
    /// use greenthread::sync::{Condvar, Mutex};
    ///
    /// let (mutex, changed) = (Mutex::new(()), Condvar::new());
    /// let (ctx, cancel) = Context::background().with_cancel();
    /// greenthread::go!(move || cancel.cancel());
    /// let result = changed.wait_ctx(&ctx, &mut mutex.lock());
    /// assert_eq!(result, Err(Error::Canceled), "no one notifies");
    /// ```
    pub fn wait_ctx<T: ?Sized>(&self, ctx: &Context, guard: &mut MutexGuard<'_, T>) -> Result<(), Error> {
        loop {
            if let Some(error) = ctx.err() {
                return Err(error);
            }
            let notified = self.block(guard, |blocker, claim| {
                // SAFETY: the claim is shut, stays in `block`'s frame (I1), and nothing else opens
                // it; notifiers take it early.
                unsafe { block_until_ctx_ends(ctx, WaitReason::CondvarWait, blocker, claim, ENDED) };
            });
            if notified {
                return Ok(());
            }
        }
    }

    /// Waits like [`wait_while`](Self::wait_while), unless the context ends first.
    ///
    /// # Errors
    /// If the context had ended before the call (`condition` is not checked then), or if it ends
    /// while `condition` still holds.
    ///
    /// ```
    /// use greenthread::ctx::{Context, Error};
    /// use greenthread::sync::{Condvar, Mutex};
    ///
    /// let (jobs, filled) = (Mutex::new(vec!["sweep"]), Condvar::new());
    /// let (ctx, cancel) = Context::background().with_cancel();
    /// let mut jobs = jobs.lock();
    /// assert_eq!(filled.wait_while_ctx(&ctx, &mut jobs, |jobs| jobs.is_empty()), Ok(()));
    /// jobs.clear();
    /// greenthread::go!(move || cancel.cancel());
    /// let result = filled.wait_while_ctx(&ctx, &mut jobs, |jobs| jobs.is_empty());
    /// assert_eq!(result, Err(Error::Canceled));
    /// ```
    pub fn wait_while_ctx<T: ?Sized>(
        &self,
        ctx: &Context,
        guard: &mut MutexGuard<'_, T>,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> Result<(), Error> {
        if let Some(error) = ctx.err() {
            return Err(error);
        }
        // From here on the condition comes first: a notification that has arrived must not be lost.
        while condition(&mut **guard) {
            if let Err(error) = self.wait_ctx(ctx, guard) {
                return if condition(&mut **guard) { Err(error) } else { Ok(()) };
            }
        }
        Ok(())
    }

    /// Wakes the longest-waiting waiter, if there is one (Go's `Signal`).
    ///
    /// Returns `true` if it woke a waiter. Never blocks. The mutex need not be locked.
    ///
    /// ```
    /// use greenthread::{scope, sync::{Condvar, Mutex}};
    ///
    /// let (turns, changed) = (Mutex::new(0), Condvar::new());
    /// scope(|s| {
    ///     s.spawn(|| changed.wait_while(&mut turns.lock(), |turns| *turns == 0));
    ///     *turns.lock() += 1;
    ///     changed.notify_one();
    /// });
    /// ```
    pub fn notify_one(&self) -> bool {
        self.raw.notify_one()
    }

    /// Wakes all current waiters, in the order in which they arrived (Go's `Broadcast`).
    ///
    /// Returns their number. Never blocks. The mutex need not be locked.
    ///
    /// ```
    /// use greenthread::{scope, sync::{Condvar, Mutex}};
    ///
    /// let (open, changed) = (Mutex::new(false), Condvar::new());
    /// scope(|s| {
    ///     for _ in 0..3 {
    ///         s.spawn(|| changed.wait_while(&mut open.lock(), |open| !*open));
    ///     }
    ///     *open.lock() = true;
    ///     assert!(changed.notify_all() <= 3);
    /// });
    /// ```
    pub fn notify_all(&self) -> usize {
        self.raw.notify_all(BATCH)
    }

    /// Unlocks the mutex, waits in `wait`, and locks the mutex again. Returns `true` if the wait
    /// was notified.
    ///
    /// `wait` returns when the claim is taken.
    fn block<T: ?Sized>(&self, guard: &mut MutexGuard<'_, T>, wait: impl FnOnce(&Blocker, &Claim)) -> bool {
        let (blocker, claim) = (Blocker::new(), Claim::shut());
        let node = Node::new(Waiter::new(NonNull::from(&claim), blocker.waker()));
        // SAFETY: the node is new and its claim shut; both stay in this frame until the claim is
        // taken (I1).
        unsafe { self.raw.join(NonNull::from(&node)) };
        guard.unlocked(|| {
            wait(&blocker, &claim);
            let notified = claim.winner() == Some(NOTIFIED);
            if !notified {
                // SAFETY: the node has joined, and its claim was taken for the other case.
                unsafe { self.raw.withdraw(NonNull::from(&node)) };
            }
            notified
        })
    }
}

// A panic leaves nothing half done, since the type holds no user data.
impl UnwindSafe for Condvar {}
impl RefUnwindSafe for Condvar {}

impl fmt::Debug for Condvar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condvar").finish_non_exhaustive()
    }
}

/// The result of a wait with a limit, which tells whether the wait timed out.
///
/// ```
/// use greenthread::sync::{Condvar, Mutex, WaitTimeoutResult};
/// use std::time::Duration;
///
/// let mutex = Mutex::new(());
/// let result: WaitTimeoutResult = Condvar::new().wait_timeout(&mut mutex.lock(), Duration::ZERO);
/// assert!(result.timed_out());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    /// Returns `true` if the time ran out before a notification arrived.
    ///
    /// ```
    /// use greenthread::sync::{Condvar, Mutex};
    /// use std::time::Duration;
    ///
    /// let (jobs, filled) = (Mutex::new(vec!["sweep"]), Condvar::new());
    /// let limit = Duration::from_millis(1);
    /// let result = filled.wait_timeout_while(&mut jobs.lock(), limit, |jobs| jobs.is_empty());
    /// assert!(!result.timed_out(), "there was a job");
    /// ```
    #[must_use]
    pub fn timed_out(&self) -> bool {
        self.0
    }
}
