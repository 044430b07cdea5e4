//! `RwLock<T>`: the data and the ways to lock it.
//!
//! The algorithm is in `greenthread_scheduler::protocol::sync::raw_rwlock`.
//!
//! # Invariants
//! * I1: `data` is read only by holders of `raw`, of any kind, and changed only by a holder that
//!   writes. The owner of the whole lock may do both.
//! * I2: a guard exists only while `raw` is locked on its behalf; dropping it unlocks once.

use std::cell::UnsafeCell;
use std::fmt;
use std::panic::UnwindSafe;
use std::time::{Duration, Instant};

use greenthread_ctx::{Context, Error};
use greenthread_scheduler::WaitReason;
use greenthread_scheduler::protocol::sync::env::Limit;
use greenthread_scheduler::protocol::sync::raw_rwlock::RawRwLock;

use super::blocking_wait::{BlockingWait, CaseWaker, Reason, UntilDeadline, within};

mod arc;
mod guards;

pub use arc::{ArcRwLockReadGuard, ArcRwLockWriteGuard};
pub use guards::{RwLockReadGuard, RwLockUpgradableReadGuard, RwLockWriteGuard};

/// A lock around a value, for many readers or one writer (Go's `sync.RWMutex`), for goroutines and
/// threads.
///
/// The interface matches `parking_lot`: [`read`](Self::read) and [`write`](Self::write) return the
/// guards themselves, since the lock is never poisoned. A panic while a guard lives just releases
/// the lock.
///
/// The lock is as fair as Go's: a waiting writer blocks new readers, and the readers that wait when
/// a writer unlocks go before the next writer. So neither side starves the other. Writers are
/// served in the order in which they began to wait. Since a waiting writer blocks new readers, a
/// goroutine that holds a read guard must not take another read guard: if a writer begins to wait
/// in between, the goroutine and the writer wait for each other forever.
///
/// One of the readers may be *upgradable* ([`upgradable_read`](Self::upgradable_read)): it can
/// become the writer without a gap in which another caller could write. A writer can become a
/// reader in the same way ([`downgrade`](RwLockWriteGuard::downgrade)).
///
/// The guards may be kept while the goroutine blocks in something else, and may be dropped on a
/// thread other than the one that locked. Guards of [`read_arc`](Self::read_arc) and
/// [`write_arc`](Self::write_arc) do not borrow the lock.
///
/// An attempt (`try_read` and similar) fails only if another caller holds the lock, or is about to
/// get it, at some moment during the call. A failed attempt never makes another attempt fail.
///
/// ```
/// use greenthread::sync::RwLock;
///
/// static NAMES: RwLock<Vec<&str>> = RwLock::new(Vec::new());
///
/// NAMES.write().push("gopher");
/// let (one, other) = (NAMES.read(), NAMES.read());
/// assert_eq!((one.len(), other[0]), (1, "gopher"));
/// ```
#[derive(Default)]
pub struct RwLock<T: ?Sized> {
    raw: RawRwLock<BlockingWait<Reading>, BlockingWait<Writing>>,
    data: UnsafeCell<T>,
}

// SAFETY: moving the lock moves the value, which is `Send`.
unsafe impl<T: ?Sized + Send> Send for RwLock<T> {}
// SAFETY: readers share the value, hence `Sync`. By I1 a writer has exclusive access and may move
// the value out, so the value may move between threads, hence `Send`.
unsafe impl<T: ?Sized + Send + Sync> Sync for RwLock<T> {}

// Not `RefUnwindSafe`: the lock is never poisoned, so others may see what a panic left behind.
impl<T: ?Sized + UnwindSafe> UnwindSafe for RwLock<T> {}

impl<T> RwLock<T> {
    /// Creates an unlocked lock around `value`.
    ///
    /// ```
    /// use greenthread::sync::RwLock;
    ///
    /// static ROUTES: RwLock<Vec<&str>> = RwLock::new(Vec::new());
    ///
    /// ROUTES.write().push("/index");
    /// ```
    #[inline]
    pub const fn new(value: T) -> Self {
        Self { raw: RawRwLock::new(), data: UnsafeCell::new(value) }
    }

    /// Returns the value.
    ///
    /// Does not block: the owner of the lock has exclusive access.
    ///
    /// ```
    /// let lock = greenthread::sync::RwLock::new(1);
    /// *lock.write() += 1;
    /// assert_eq!(lock.into_inner(), 2);
    /// ```
    #[inline]
    pub fn into_inner(self) -> T {
        self.data.into_inner()
    }
}

impl<T: ?Sized> RwLock<T> {
    /// Takes the lock for reading, blocking while a writer holds it or waits for it (Go's `RLock`).
    ///
    /// If the caller already holds a read guard, this blocks forever if a writer waits. If the
    /// caller holds the write guard, this always blocks forever. Go does the same.
    ///
    /// ```
    /// let lock = greenthread::sync::RwLock::new(vec![1, 2]);
    /// let numbers = lock.read();
    /// assert_eq!(numbers.iter().sum::<i32>(), 3);
    /// ```
    #[inline]
    pub fn read(&self) -> RwLockReadGuard<'_, T> {
        self.raw.read();
        RwLockReadGuard { lock: self }
    }

    /// Takes the lock for reading if that is possible at once (Go's `TryRLock`).
    ///
    /// Never blocks. Returns `None` if a writer holds the lock or waits for it.
    ///
    /// ```
    /// let lock = greenthread::sync::RwLock::new(1);
    /// let reader = lock.read();
    /// assert!(lock.try_read().is_some() && lock.try_write().is_none());
    /// drop(reader);
    /// let _writer = lock.write();
    /// assert!(lock.try_read().is_none());
    /// ```
    #[must_use]
    #[inline]
    pub fn try_read(&self) -> Option<RwLockReadGuard<'_, T>> {
        self.raw.try_read().then(|| RwLockReadGuard { lock: self })
    }

    /// Takes the lock like [`read`](Self::read), but blocks for at most `timeout`.
    ///
    /// Returns `None` if the lock could not be taken in time. A timeout too long for the clock is
    /// not a limit.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let lock = greenthread::sync::RwLock::new(1);
    /// let guard = lock.read_timeout(Duration::from_secs(5)).unwrap();
    /// assert!(lock.write_timeout(Duration::from_millis(1)).is_none());
    /// # drop(guard);
    /// ```
    #[must_use]
    pub fn read_timeout(&self, timeout: Duration) -> Option<RwLockReadGuard<'_, T>> {
        self.read_within(&UntilDeadline::<Reading>::after(timeout))
    }

    /// Takes the lock like [`read`](Self::read), but blocks until `deadline` at the latest.
    ///
    /// Returns `None` if the lock could not be taken in time. With a deadline that has passed, this
    /// is [`try_read`](Self::try_read).
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    ///
    /// let lock = greenthread::sync::RwLock::new(1);
    /// let _writer = lock.write();
    /// assert!(lock.read_deadline(Instant::now() + Duration::from_millis(1)).is_none());
    /// ```
    #[must_use]
    pub fn read_deadline(&self, deadline: Instant) -> Option<RwLockReadGuard<'_, T>> {
        self.read_within(&UntilDeadline::<Reading>::new(deadline))
    }

    /// Takes the lock like [`read`](Self::read), unless the context ends first.
    ///
    /// # Errors
    /// If the context ends first. If it had already ended before the call, the call fails even if
    /// the lock is free.
    ///
    /// ```
    /// use greenthread::ctx::{Context, Error};
    /// use greenthread::sync::RwLock;
    ///
    /// let lock = RwLock::new(1);
    /// let (ctx, cancel) = Context::background().with_cancel();
    /// assert_eq!(*lock.read_ctx(&ctx).unwrap(), 1);
    /// let writer = lock.write();
    /// greenthread::go!(move || cancel.cancel());
    /// assert_eq!(lock.read_ctx(&ctx).unwrap_err(), Error::Canceled);
    /// # drop(writer);
    /// ```
    pub fn read_ctx(&self, ctx: &Context) -> Result<RwLockReadGuard<'_, T>, Error> {
        within::<Reading, _>(ctx, |limit| self.read_within(limit))
    }

    fn read_within(&self, limit: &impl Limit<Waker = CaseWaker>) -> Option<RwLockReadGuard<'_, T>> {
        self.raw.read_within(limit).then(|| RwLockReadGuard { lock: self })
    }

    /// Takes the lock for writing, blocking while others hold it (Go's `Lock`).
    ///
    /// If the caller already holds a guard of this lock, this blocks forever, as in Go.
    ///
    /// ```
    /// let lock = greenthread::sync::RwLock::new(vec![1, 2]);
    /// lock.write().push(3);
    /// assert_eq!(*lock.read(), [1, 2, 3]);
    /// ```
    #[inline]
    pub fn write(&self) -> RwLockWriteGuard<'_, T> {
        self.raw.write();
        RwLockWriteGuard { lock: self }
    }

    /// Takes the lock for writing if it is free (Go's `TryLock`).
    ///
    /// Never blocks. Returns `None` if another caller holds the lock or waits for it.
    ///
    /// ```
    /// let lock = greenthread::sync::RwLock::new(1);
    /// let reader = lock.read();
    /// assert!(lock.try_write().is_none());
    /// drop(reader);
    /// assert!(lock.try_write().is_some());
    /// ```
    #[must_use]
    #[inline]
    pub fn try_write(&self) -> Option<RwLockWriteGuard<'_, T>> {
        self.raw.try_write().then(|| RwLockWriteGuard { lock: self })
    }

    /// Takes the lock like [`write`](Self::write), but blocks for at most `timeout`.
    ///
    /// Returns `None` if the lock could not be taken in time. A timeout too long for the clock is
    /// not a limit.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let lock = greenthread::sync::RwLock::new(1);
    /// let guard = lock.write_timeout(Duration::from_secs(5)).unwrap();
    /// assert!(lock.read_timeout(Duration::from_millis(1)).is_none());
    /// # drop(guard);
    /// ```
    #[must_use]
    pub fn write_timeout(&self, timeout: Duration) -> Option<RwLockWriteGuard<'_, T>> {
        self.write_within(&UntilDeadline::<Writing>::after(timeout))
    }

    /// Takes the lock like [`write`](Self::write), but blocks until `deadline` at the latest.
    ///
    /// Returns `None` if the lock could not be taken in time. With a deadline that has passed, this
    /// is [`try_write`](Self::try_write).
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    ///
    /// let lock = greenthread::sync::RwLock::new(1);
    /// let _reader = lock.read();
    /// assert!(lock.write_deadline(Instant::now() + Duration::from_millis(1)).is_none());
    /// ```
    #[must_use]
    pub fn write_deadline(&self, deadline: Instant) -> Option<RwLockWriteGuard<'_, T>> {
        self.write_within(&UntilDeadline::<Writing>::new(deadline))
    }

    /// Takes the lock like [`write`](Self::write), unless the context ends first.
    ///
    /// # Errors
    /// If the context ends first. If it had already ended before the call, the call fails even if
    /// the lock is free.
    ///
    /// ```
    /// use greenthread::ctx::{Context, Error};
    /// use greenthread::sync::RwLock;
    ///
    /// let lock = RwLock::new(1);
    /// let (ctx, cancel) = Context::background().with_cancel();
    /// assert_eq!(*lock.write_ctx(&ctx).unwrap(), 1);
    /// let writer = lock.write();
    /// greenthread::go!(move || cancel.cancel());
    /// assert_eq!(lock.write_ctx(&ctx).unwrap_err(), Error::Canceled);
    /// # drop(writer);
    /// ```
    pub fn write_ctx(&self, ctx: &Context) -> Result<RwLockWriteGuard<'_, T>, Error> {
        within::<Writing, _>(ctx, |limit| self.write_within(limit))
    }

    fn write_within(&self, limit: &impl Limit<Waker = CaseWaker>) -> Option<RwLockWriteGuard<'_, T>> {
        self.raw.write_within(limit).then(|| RwLockWriteGuard { lock: self })
    }

    /// Takes the lock for reading, with the right to become the writer later.
    ///
    /// Blocks while a writer holds the lock or waits for it, or while another reader is upgradable.
    /// At most one reader is upgradable at a time. Plain readers can still take and release the
    /// lock, even while others wait to become upgradable. If both writers and upgradable readers
    /// wait, they take turns. Go has no counterpart.
    ///
    /// ```
    /// use greenthread::sync::{RwLock, RwLockUpgradableReadGuard};
    ///
    /// let lock = RwLock::new(vec![1]);
    /// let guard = lock.upgradable_read();
    /// assert_eq!(guard.len(), lock.read().len(), "beside a plain reader");
    /// RwLockUpgradableReadGuard::upgrade(guard).push(2);
    /// assert_eq!(*lock.read(), [1, 2]);
    /// ```
    #[inline]
    pub fn upgradable_read(&self) -> RwLockUpgradableReadGuard<'_, T> {
        self.raw.upgradable_read();
        RwLockUpgradableReadGuard { lock: self }
    }

    /// Takes the lock like [`upgradable_read`](Self::upgradable_read), if that is possible at once.
    ///
    /// Never blocks. Returns `None` if another reader is upgradable or waits to be, or if a writer
    /// holds the lock or waits for it.
    ///
    /// ```
    /// let lock = greenthread::sync::RwLock::new(1);
    /// let guard = lock.try_upgradable_read().unwrap();
    /// assert!(lock.try_upgradable_read().is_none() && lock.try_read().is_some());
    /// # drop(guard);
    /// ```
    #[must_use]
    #[inline]
    pub fn try_upgradable_read(&self) -> Option<RwLockUpgradableReadGuard<'_, T>> {
        self.raw.try_upgradable_read().then(|| RwLockUpgradableReadGuard { lock: self })
    }

    /// Takes the lock like [`upgradable_read`](Self::upgradable_read), but blocks for at most
    /// `timeout`.
    ///
    /// Returns `None` if the lock could not be taken in time. A timeout too long for the clock is
    /// not a limit.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let lock = greenthread::sync::RwLock::new(1);
    /// let guard = lock.upgradable_read_timeout(Duration::from_secs(5)).unwrap();
    /// assert!(lock.upgradable_read_timeout(Duration::from_millis(1)).is_none());
    /// # drop(guard);
    /// ```
    #[must_use]
    pub fn upgradable_read_timeout(&self, timeout: Duration) -> Option<RwLockUpgradableReadGuard<'_, T>> {
        self.upgradable_read_within(&UntilDeadline::<Reading>::after(timeout))
    }

    /// Takes the lock like [`upgradable_read`](Self::upgradable_read), but blocks until `deadline`
    /// at the latest.
    ///
    /// Returns `None` if the lock could not be taken in time. With a deadline that has passed, this
    /// is [`try_upgradable_read`](Self::try_upgradable_read).
    ///
    /// ```
    /// use std::time::Instant;
    ///
    /// let lock = greenthread::sync::RwLock::new(1);
    /// assert!(lock.upgradable_read_deadline(Instant::now()).is_some());
    /// ```
    #[must_use]
    pub fn upgradable_read_deadline(&self, deadline: Instant) -> Option<RwLockUpgradableReadGuard<'_, T>> {
        self.upgradable_read_within(&UntilDeadline::<Reading>::new(deadline))
    }

    /// Takes the lock like [`upgradable_read`](Self::upgradable_read), unless the context ends
    /// first.
    ///
    /// # Errors
    /// If the context ends first. If it had already ended before the call, the call fails even if
    /// the lock is free.
    ///
    /// ```
    /// use greenthread::ctx::{Context, Error};
    /// use greenthread::sync::RwLock;
    ///
    /// let lock = RwLock::new(1);
    /// let (ctx, cancel) = Context::background().with_cancel();
    /// let guard = lock.upgradable_read_ctx(&ctx).unwrap();
    /// greenthread::go!(move || cancel.cancel());
    /// assert_eq!(lock.upgradable_read_ctx(&ctx).unwrap_err(), Error::Canceled);
    /// # drop(guard);
    /// ```
    pub fn upgradable_read_ctx(&self, ctx: &Context) -> Result<RwLockUpgradableReadGuard<'_, T>, Error> {
        within::<Reading, _>(ctx, |limit| self.upgradable_read_within(limit))
    }

    fn upgradable_read_within(
        &self,
        limit: &impl Limit<Waker = CaseWaker>,
    ) -> Option<RwLockUpgradableReadGuard<'_, T>> {
        self.raw.upgradable_read_within(limit).then(|| RwLockUpgradableReadGuard { lock: self })
    }

    /// Returns a mutable reference to the value, without locking.
    ///
    /// `&mut self` guarantees exclusive access.
    ///
    /// ```
    /// let mut lock = greenthread::sync::RwLock::new(1);
    /// *lock.get_mut() += 1;
    /// assert_eq!(*lock.read(), 2);
    /// ```
    #[inline]
    pub fn get_mut(&mut self) -> &mut T {
        self.data.get_mut()
    }
}

impl<T> From<T> for RwLock<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.try_read() {
            Some(guard) => f.debug_struct("RwLock").field("data", &&*guard).finish(),
            None => f.debug_struct("RwLock").field("data", &format_args!("<locked>")).finish(),
        }
    }
}

/// The wait of a reader.
struct Reading;

impl Reason for Reading {
    const REASON: WaitReason = WaitReason::RwLockRead;
}

/// The wait of a writer.
struct Writing;

impl Reason for Writing {
    const REASON: WaitReason = WaitReason::RwLockWrite;
}
