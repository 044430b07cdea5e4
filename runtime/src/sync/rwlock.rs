//! `RwLock<T>`: the data and the guards.
//!
//! The algorithm is in `greenthread_scheduler::protocol::sync::raw_rwlock`.
//!
//! # Invariants
//! * I1: `data` is read only by whoever holds `raw` for reading, upgradable or not, or for writing, and changed only by
//!   whoever holds it for writing, or owns the whole lock.
//! * I2: a guard exists only while `raw` is locked on its behalf; dropping it unlocks once.

use std::cell::UnsafeCell;
use std::fmt;
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

/// A lock around a value, for many readers or one writer (Go's `sync.RWMutex`), for goroutines and threads.
///
/// The interface is that of `parking_lot`: [`read`](Self::read) and [`write`](Self::write) return the guards themselves,
/// since there is no poisoning; a panic while a guard lives just unlocks.
///
/// The fairness is that of Go: a writer that waits blocks new readers, and readers that wait when a writer unlocks go
/// before the next writer. So neither side starves the other. Writers come in the order in which they began to wait. It
/// follows that a goroutine that reads already must not read again: if a writer comes in between, each waits for the
/// other for ever.
///
/// One of the readers may be *upgradable* ([`upgradable_read`](Self::upgradable_read)): it can become the writer without a
/// gap in which another writes. A writer can become a reader in the same way
/// ([`downgrade`](RwLockWriteGuard::downgrade)).
///
/// The guards may be kept while the goroutine blocks in something else, and may be dropped on another thread than the
/// one they were made on. Those of [`read_arc`](Self::read_arc) and [`write_arc`](Self::write_arc) need not be kept
/// where the lock is borrowed.
///
/// Attempts (`try_read` and the like) fail only if somebody has the lock, or is about to have it, at some moment of the call:
/// another's attempt that fails is in nobody's way.
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

// SAFETY: the value goes with the lock.
unsafe impl<T: ?Sized + Send> Send for RwLock<T> {}
// SAFETY: readers share the value, hence `Sync`; a writer may take it out (I1), so it goes from one thread to another.
unsafe impl<T: ?Sized + Send + Sync> Sync for RwLock<T> {}

impl<T> RwLock<T> {
    /// An unlocked lock around `value`.
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

    /// The value. Does not block: who owns the lock is alone with it.
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
    /// Takes the lock together with other readers; blocks while a writer has it or waits for it (Go's `RLock`).
    ///
    /// Reading again while the own guard lives blocks for ever if a writer waits, and while the own write guard lives
    /// in any case, as in Go.
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

    /// Takes the lock together with other readers if that is possible at once (Go's `TryRLock`). Never blocks.
    ///
    /// `None` if a writer has the lock or waits for it.
    ///
    /// ```
    /// let lock = greenthread::sync::RwLock::new(1);
    /// let reader = lock.read();
    /// assert!(lock.try_read().is_some() && lock.try_write().is_none());
    /// drop(reader);
    /// let _writer = lock.write();
    /// assert!(lock.try_read().is_none());
    /// ```
    #[inline]
    pub fn try_read(&self) -> Option<RwLockReadGuard<'_, T>> {
        self.raw.try_read().then(|| RwLockReadGuard { lock: self })
    }

    /// As [`read`](Self::read), but blocks for no longer than `timeout`; `None` if that was not enough. One that is too
    /// long for the clock is no limit.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let lock = greenthread::sync::RwLock::new(1);
    /// let guard = lock.read_timeout(Duration::from_secs(5)).unwrap();
    /// assert!(lock.write_timeout(Duration::from_millis(1)).is_none());
    /// # drop(guard);
    /// ```
    pub fn read_timeout(&self, timeout: Duration) -> Option<RwLockReadGuard<'_, T>> {
        self.read_within(&UntilDeadline::<Reading>::after(timeout))
    }

    /// As [`read`](Self::read), but blocks until `deadline` at the latest. One that has passed makes it
    /// [`try_read`](Self::try_read).
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    ///
    /// let lock = greenthread::sync::RwLock::new(1);
    /// let _writer = lock.write();
    /// assert!(lock.read_deadline(Instant::now() + Duration::from_millis(1)).is_none());
    /// ```
    pub fn read_deadline(&self, deadline: Instant) -> Option<RwLockReadGuard<'_, T>> {
        self.read_within(&UntilDeadline::<Reading>::new(deadline))
    }

    /// As [`read`](Self::read), unless the context ends first.
    ///
    /// # Errors
    /// If the context ends first, or has ended, also if the lock is free.
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

    /// Takes the lock alone; blocks while others have it (Go's `Lock`).
    ///
    /// Writing while an own guard lives blocks for ever, as in Go.
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

    /// Takes the lock alone if that is possible at once (Go's `TryLock`). Never blocks.
    ///
    /// `None` if somebody has the lock or waits for it.
    ///
    /// ```
    /// let lock = greenthread::sync::RwLock::new(1);
    /// let reader = lock.read();
    /// assert!(lock.try_write().is_none());
    /// drop(reader);
    /// assert!(lock.try_write().is_some());
    /// ```
    #[inline]
    pub fn try_write(&self) -> Option<RwLockWriteGuard<'_, T>> {
        self.raw.try_write().then(|| RwLockWriteGuard { lock: self })
    }

    /// As [`write`](Self::write), but blocks for no longer than `timeout`; `None` if that was not enough. One that is
    /// too long for the clock is no limit.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let lock = greenthread::sync::RwLock::new(1);
    /// let guard = lock.write_timeout(Duration::from_secs(5)).unwrap();
    /// assert!(lock.read_timeout(Duration::from_millis(1)).is_none());
    /// # drop(guard);
    /// ```
    pub fn write_timeout(&self, timeout: Duration) -> Option<RwLockWriteGuard<'_, T>> {
        self.write_within(&UntilDeadline::<Writing>::after(timeout))
    }

    /// As [`write`](Self::write), but blocks until `deadline` at the latest. One that has passed makes it
    /// [`try_write`](Self::try_write).
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    ///
    /// let lock = greenthread::sync::RwLock::new(1);
    /// let _reader = lock.read();
    /// assert!(lock.write_deadline(Instant::now() + Duration::from_millis(1)).is_none());
    /// ```
    pub fn write_deadline(&self, deadline: Instant) -> Option<RwLockWriteGuard<'_, T>> {
        self.write_within(&UntilDeadline::<Writing>::new(deadline))
    }

    /// As [`write`](Self::write), unless the context ends first.
    ///
    /// # Errors
    /// If the context ends first, or has ended, also if the lock is free.
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

    /// Takes the lock together with plain readers, and with the right to become the writer later; blocks while a writer
    /// has it or waits for it, or another is the upgradable reader. Go has nothing like it.
    ///
    /// At most one reader is upgradable at a time. Plain readers come and go beside it, also while others wait to be upgradable.
    /// If both writers and upgradable readers wait, they take turns.
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

    /// Takes the lock as [`upgradable_read`](Self::upgradable_read) does if that is possible at once. Never blocks.
    ///
    /// `None` if another is the upgradable reader or waits to be it, or if a writer has the lock or waits for it.
    ///
    /// ```
    /// let lock = greenthread::sync::RwLock::new(1);
    /// let guard = lock.try_upgradable_read().unwrap();
    /// assert!(lock.try_upgradable_read().is_none() && lock.try_read().is_some());
    /// # drop(guard);
    /// ```
    #[inline]
    pub fn try_upgradable_read(&self) -> Option<RwLockUpgradableReadGuard<'_, T>> {
        self.raw.try_upgradable_read().then(|| RwLockUpgradableReadGuard { lock: self })
    }

    /// Takes the lock as [`upgradable_read`](Self::upgradable_read) does, but blocks for no longer than `timeout`; `None` if that
    /// was not enough. A timeout that is too long for the clock is no limit.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let lock = greenthread::sync::RwLock::new(1);
    /// let guard = lock.upgradable_read_timeout(Duration::from_secs(5)).unwrap();
    /// assert!(lock.upgradable_read_timeout(Duration::from_millis(1)).is_none());
    /// # drop(guard);
    /// ```
    pub fn upgradable_read_timeout(&self, timeout: Duration) -> Option<RwLockUpgradableReadGuard<'_, T>> {
        self.upgradable_read_within(&UntilDeadline::<Reading>::after(timeout))
    }

    /// Takes the lock as [`upgradable_read`](Self::upgradable_read) does, but blocks until `deadline` at the latest. A deadline
    /// that has passed makes it [`try_upgradable_read`](Self::try_upgradable_read).
    ///
    /// ```
    /// use std::time::Instant;
    ///
    /// let lock = greenthread::sync::RwLock::new(1);
    /// assert!(lock.upgradable_read_deadline(Instant::now()).is_some());
    /// ```
    pub fn upgradable_read_deadline(&self, deadline: Instant) -> Option<RwLockUpgradableReadGuard<'_, T>> {
        self.upgradable_read_within(&UntilDeadline::<Reading>::new(deadline))
    }

    /// Takes the lock as [`upgradable_read`](Self::upgradable_read) does, unless the context ends first.
    ///
    /// # Errors
    /// If the context ends first, or has ended, also if the lock is free.
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

    /// The value, without locking: `&mut self` says that nobody else is there.
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

/// Waits to read.
struct Reading;

impl Reason for Reading {
    const REASON: WaitReason = WaitReason::RwLockRead;
}

/// Waits to write.
struct Writing;

impl Reason for Writing {
    const REASON: WaitReason = WaitReason::RwLockWrite;
}
