//! `Semaphore`: permits, and the ways in which a wait for them can end.
//!
//! The algorithm is in `greenthread_scheduler::protocol::raw_semaphore`.
//!
//! # Invariants
//! * I1: a node stays in its frame until its grant's wake has come, or until it was withdrawn. What the commit step touches is unlocked
//!   by it last, and who ends the wait in another way has passed through that lock since.

use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::ptr::NonNull;
use std::time::{Duration, Instant};

use greenthread_channels::Receiver;
use greenthread_channels::closing::{Closing, Watch};
use greenthread_scheduler::WaitReason;
use greenthread_scheduler::protocol::claim::{Case, Claim};
use greenthread_scheduler::protocol::raw_semaphore::{MAX_SIZE, Node, RawSemaphore, Waiter, Wake};
use greenthread_scheduler::wait::{Blocker, Waker};

/// The cases of a wait that may end without a grant.
const GRANT: usize = 0;
const END: usize = 1;

const REASON: WaitReason = WaitReason::SemaphoreAcquire;

#[derive(Clone, Copy)]
struct Wakes(Waker);

impl Wake for Wakes {
    unsafe fn wake(self) {
        // SAFETY: the contract of this function is that of `Waker::wake`.
        unsafe { self.0.wake() };
    }
}

/// A weighted semaphore (`semaphore.Weighted` of golang.org/x/sync): a number of permits, of which each caller takes as many as
/// its work weighs.
///
/// Strictly first come, first served: while somebody waits, later callers queue up behind, also those for whom there would be enough. So
/// a large request is not starved by small ones. Permits are handed over: who is served does not compete again.
///
/// What was done before permits are released is visible to who acquires them.
///
/// ```
/// use greenthread::sync::{Semaphore, WaitGroup};
/// use std::sync::atomic::{AtomicUsize, Ordering};
///
/// static AT_ONCE: Semaphore = Semaphore::new(3);
/// static RUNNING: AtomicUsize = AtomicUsize::new(0);
///
/// let wg = WaitGroup::new();
/// for _ in 0..20 {
///     wg.go(|| {
///         let _permit = AT_ONCE.acquire(1);
///         assert!(RUNNING.fetch_add(1, Ordering::Relaxed) < 3);
///         greenthread::yield_now();
///         RUNNING.fetch_sub(1, Ordering::Relaxed);
///     });
/// }
/// wg.wait();
/// ```
pub struct Semaphore {
    raw: RawSemaphore<Wakes>,
}

/// The channel that was to end the wait is closed: an error of [`Semaphore::acquire_or_done`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Canceled;

impl fmt::Display for Canceled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("acquire canceled")
    }
}

impl Error for Canceled {}

impl Semaphore {
    /// The largest number of permits.
    pub const MAX_PERMITS: usize = MAX_SIZE;

    /// A semaphore with `permits` permits, all free (Go's `NewWeighted`).
    ///
    /// # Panics
    /// If `permits` is more than [`MAX_PERMITS`](Self::MAX_PERMITS).
    pub const fn new(permits: usize) -> Self {
        assert!(permits <= Self::MAX_PERMITS, "sync: a semaphore has at most Semaphore::MAX_PERMITS permits");
        Self { raw: RawSemaphore::new(permits) }
    }

    /// Takes `n` permits; blocks until they are free and all who came before are served (Go's `Acquire`, without a context).
    ///
    /// # Panics
    /// If `n` is more than the semaphore has in all. Go blocks until the context ends; nothing would end this wait.
    ///
    /// ```
    /// let semaphore = greenthread::sync::Semaphore::new(3);
    /// let two = semaphore.acquire(2);
    /// assert_eq!(semaphore.available_permits(), 1);
    /// drop(two);
    /// assert_eq!(semaphore.available_permits(), 3);
    /// ```
    #[inline]
    pub fn acquire(&self, n: usize) -> Permit<'_> {
        if !self.raw.try_acquire(n) {
            self.wait(n);
        }
        Permit { semaphore: self, n }
    }

    /// Takes `n` permits if they are free and nobody waits (Go's `TryAcquire`). Never blocks.
    ///
    /// ```
    /// let semaphore = greenthread::sync::Semaphore::new(1);
    /// let permit = semaphore.try_acquire(1).unwrap();
    /// assert!(semaphore.try_acquire(1).is_none());
    /// drop(permit);
    /// assert!(semaphore.try_acquire(2).is_none());
    /// ```
    #[inline]
    pub fn try_acquire(&self, n: usize) -> Option<Permit<'_>> {
        self.raw.try_acquire(n).then(|| Permit { semaphore: self, n })
    }

    /// As [`acquire`](Self::acquire), but blocks for no longer than `timeout`; none if that was not enough.
    ///
    /// For more permits than the semaphore has in all it waits in vain, and keeps nobody else from being served meanwhile.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let semaphore = greenthread::sync::Semaphore::new(2);
    /// let one = semaphore.acquire_timeout(1, Duration::from_secs(5)).unwrap();
    /// assert!(semaphore.acquire_timeout(2, Duration::from_millis(1)).is_none());
    /// # drop(one);
    /// ```
    pub fn acquire_timeout(&self, n: usize, timeout: Duration) -> Option<Permit<'_>> {
        // A time that no clock will show is as good as none, but for those who wait in vain.
        let far = Duration::from_secs(u64::from(u32::MAX));
        let now = Instant::now();
        self.acquire_deadline(n, now.checked_add(timeout).unwrap_or_else(|| now + far))
    }

    /// As [`acquire_timeout`](Self::acquire_timeout), but blocks until `deadline` at the latest. A deadline that has passed is that of
    /// [`try_acquire`](Self::try_acquire).
    ///
    /// ```
    /// use std::time::Instant;
    ///
    /// let semaphore = greenthread::sync::Semaphore::new(1);
    /// assert!(semaphore.acquire_deadline(1, Instant::now()).is_some());
    /// ```
    pub fn acquire_deadline(&self, n: usize, deadline: Instant) -> Option<Permit<'_>> {
        let taken = self.raw.try_acquire(n) || deadline > Instant::now() && self.wait_until(n, deadline);
        taken.then(|| Permit { semaphore: self, n })
    }

    /// As [`acquire`](Self::acquire), but gives up when `done` is closed (Go's `Acquire`; `done` is what a context's `done()`
    /// returns, or any other channel that is closed to say that something has ended).
    ///
    /// For more permits than the semaphore has in all it waits in vain until then, and keeps nobody else from being served meanwhile.
    ///
    /// Nothing can be sent on `done`; who tries to in a `select!` makes those who wait here queue up again, behind the others.
    ///
    /// # Errors
    /// If `done` is closed, before the call or while it waits, also if permits are free.
    ///
    /// ```
    /// use greenthread::channel;
    /// use greenthread::sync::{Canceled, Semaphore};
    ///
    /// let semaphore = Semaphore::new(1);
    /// let (tx, done) = channel::bounded(0);
    /// let permit = semaphore.acquire_or_done(1, &done).unwrap();
    /// greenthread::go!(move || tx.close());
    /// assert_eq!(semaphore.acquire_or_done(1, &done).err(), Some(Canceled));
    /// # drop(permit);
    /// ```
    pub fn acquire_or_done(&self, n: usize, done: &Receiver<Infallible>) -> Result<Permit<'_>, Canceled> {
        let closing = Closing::of(done);
        while !closing.is_closed() {
            if n > self.raw.size() {
                let Err(_) = done.recv();
            } else if self.raw.try_acquire(n) || self.wait_or_closed(n, closing) {
                // A close that came first wins, as in Go: dropping the permit gives it back.
                let permit = Permit { semaphore: self, n };
                return if closing.is_closed() { Err(Canceled) } else { Ok(permit) };
            }
        }
        Err(Canceled)
    }

    /// Gives `n` permits back (Go's `Release`), those of a permit that was [forgotten](Permit::forget). Wakes those who have enough now.
    /// Never blocks.
    ///
    /// # Panics
    /// With "sync: semaphore released more than held" if so many are not held. Nothing has changed then.
    ///
    /// ```
    /// let semaphore = greenthread::sync::Semaphore::new(2);
    /// semaphore.acquire(2).forget();
    /// semaphore.release(1);
    /// assert_eq!(semaphore.available_permits(), 1);
    /// ```
    #[inline]
    pub fn release(&self, n: usize) {
        assert!(self.raw.release(n).is_ok(), "sync: semaphore released more than held");
    }

    /// How many permits are free at the moment. Who waits may be about to get them.
    pub fn available_permits(&self) -> usize {
        self.raw.peek().0
    }

    #[cold]
    fn wait(&self, n: usize) {
        let size = self.raw.size();
        assert!(n <= size, "sync: acquire of {n} from a semaphore of size {size} would block for ever; ask for less");
        let blocker = Blocker::new();
        let node = Node::new(Waiter::new(n, Case::only(), Wakes(blocker.waker())));
        // SAFETY: the node is new (I1), and no lock is held.
        if unsafe { self.raw.join(NonNull::from(&node)) } {
            return;
        }
        // SAFETY: `join` has kept the lock; the node in the queue is the way by which this wait ends.
        blocker.block(REASON, || unsafe { self.raw.unlock() });
    }

    /// Waits until `deadline`; whether the permits were taken.
    #[cold]
    fn wait_until(&self, n: usize, deadline: Instant) -> bool {
        let (blocker, claim) = (Blocker::new(), Claim::shut());
        if n > self.raw.size() {
            // SAFETY: the claim is new and shut, and there is nothing to commit.
            unsafe { blocker.block_until(REASON, deadline, &claim, END, || ()) };
            return false;
        }
        let case = Case::of(NonNull::from(&claim), GRANT);
        let node = Node::new(Waiter::new(n, case, Wakes(blocker.waker())));
        let raw = &self.raw;
        let wait = |timed: greenthread_scheduler::deadline::Timed<'_>| {
            // SAFETY: the node is new (I1), and no lock is held.
            if unsafe { raw.join(NonNull::from(&node)) } {
                return true;
            }
            // SAFETY: `join` has kept the lock. Who grants holds it after the commit step, and so does `withdraw`.
            unsafe { timed.block(REASON, move || raw.unlock()) };
            let granted = claim.winner() == Some(GRANT);
            if !granted {
                // SAFETY: the node has joined, and the deadline has the claim.
                unsafe { raw.withdraw(NonNull::from(&node)) };
            }
            granted
        };
        // SAFETY: the claim is new and shut, and nobody else opens it.
        unsafe { blocker.with_deadline(deadline, &claim, END, wait) }
    }

    /// Waits until the channel is closed; whether the permits were taken. If not, the wait may also have ended for nothing.
    #[cold]
    fn wait_or_closed(&self, n: usize, closing: Closing<'_>) -> bool {
        let (blocker, claim) = (Blocker::new(), Claim::new());
        let case = |index| Case::of(NonNull::from(&claim), index);
        let node = Node::new(Waiter::new(n, case(GRANT), Wakes(blocker.waker())));
        let watch = Watch::new(case(END), blocker.waker());
        let raw = &self.raw;
        // SAFETY: the node is new (I1), and no lock is held.
        if unsafe { raw.join(NonNull::from(&node)) } {
            return true;
        }
        // SAFETY: the claim is open, and its other node is found under the semaphore's lock, which `join` has kept.
        if !unsafe { closing.join(&watch) } {
            // SAFETY: the lock is held, under which nobody has found the node.
            unsafe { raw.withdraw_and_unlock(NonNull::from(&node)) };
            return false;
        }
        // SAFETY: both locks are held. Whoever wins, the channel's is passed through in `leave`, or its closer has had it since.
        let commit = move || unsafe {
            raw.unlock();
            closing.unlock();
        };
        blocker.block(REASON, commit);
        let granted = claim.winner() == Some(GRANT);
        // SAFETY: joined, blocked and woken; no lock is held.
        unsafe { closing.leave(&watch, !granted) };
        if !granted {
            // SAFETY: the node has joined, and the channel has the claim.
            unsafe { raw.withdraw(NonNull::from(&node)) };
        }
        granted
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (available, waited_for) = self.raw.peek();
        let mut all = f.debug_struct("Semaphore");
        all.field("permits", &self.raw.size()).field("available", &available).field("waited_for", &waited_for).finish()
    }
}

/// Permits of a [`Semaphore`]; dropping it gives them back. May be dropped on another thread than it was acquired on.
#[must_use = "the permits are given back at once if this is not kept"]
#[derive(Debug)]
pub struct Permit<'a> {
    semaphore: &'a Semaphore,
    n: usize,
}

impl Permit<'_> {
    /// Keeps the permits from being given back, until somebody calls [`Semaphore::release`] for them.
    pub fn forget(mut self) {
        self.n = 0;
    }
}

impl Drop for Permit<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.n > 0 {
            self.semaphore.release(self.n);
        }
    }
}
