//! `Mutex<T>`: the data, the guard, and what the lock needs of the world.
//!
//! The algorithm is in `greenthread_scheduler::protocol::sync::raw_mutex`.
//!
//! # Invariants
//! * I1: `data` is touched only by whoever holds `raw`, or owns the whole mutex.
//! * I2: a guard exists only while `raw` is locked on its behalf; dropping it unlocks once.

use std::cell::UnsafeCell;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

use greenthread_ctx::{Context, Error};
use greenthread_scheduler::WaitReason;
use greenthread_scheduler::protocol::sync::env::Limit;
use greenthread_scheduler::protocol::sync::raw_mutex::RawMutex;

use super::blocking_wait::{BlockingWait, CaseWaker, Reason, UntilDeadline, within};
use super::guard::impl_guard;

/// A lock around a value, for goroutines and threads.
///
/// The interface is that of `parking_lot`: [`lock`](Self::lock) returns the guard itself, since there is no poisoning;
/// a panic while the guard lives just unlocks. The fairness is that of Go's `sync.Mutex`: whoever comes first gets the
/// lock, which is fast; a waiter that has lost for 1 ms gets it handed over.
///
/// The guard may be kept while the goroutine blocks in something else, and may be dropped on another thread than the
/// one it was made on. That of [`lock_arc`](Self::lock_arc) need not be kept where the mutex is borrowed.
///
/// ```
/// use greenthread::sync::Mutex;
///
/// static HITS: Mutex<Vec<u32>> = Mutex::new(Vec::new());
///
/// HITS.lock().push(1);
/// assert_eq!(*HITS.lock(), [1]);
/// ```
#[derive(Default)]
pub struct Mutex<T: ?Sized> {
    raw: RawMutex<BlockingWait<Locking>>,
    data: UnsafeCell<T>,
}

// SAFETY: the value goes with the mutex.
unsafe impl<T: ?Sized + Send> Send for Mutex<T> {}
// SAFETY: one thread at a time gets at the value (I1), so sharing the mutex sends the value from one to the next.
unsafe impl<T: ?Sized + Send> Sync for Mutex<T> {}

impl<T> Mutex<T> {
    /// An unlocked mutex around `value`.
    ///
    /// ```
    /// use greenthread::sync::Mutex;
    ///
    /// static TOTAL: Mutex<u64> = Mutex::new(0);
    ///
    /// *TOTAL.lock() += 5;
    /// assert_eq!(*TOTAL.lock(), 5);
    /// ```
    #[inline]
    pub const fn new(value: T) -> Self {
        Self { raw: RawMutex::new(), data: UnsafeCell::new(value) }
    }

    /// The value. Does not block: who owns the mutex is alone with it.
    ///
    /// ```
    /// let mutex = greenthread::sync::Mutex::new(vec![1, 2]);
    /// mutex.lock().push(3);
    /// assert_eq!(mutex.into_inner(), [1, 2, 3]);
    /// ```
    #[inline]
    pub fn into_inner(self) -> T {
        self.data.into_inner()
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Takes the lock; blocks while another has it (Go's `Lock`).
    ///
    /// Locking again while the own guard lives blocks for ever, as in Go.
    ///
    /// ```
    /// use greenthread::{scope, sync::Mutex};
    ///
    /// let sum = Mutex::new(0);
    /// scope(|s| {
    ///     for n in 1..=10 {
    ///         let sum = &sum;
    ///         s.spawn(move || *sum.lock() += n);
    ///     }
    /// });
    /// assert_eq!(*sum.lock(), 55);
    /// ```
    #[inline]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.raw.lock();
        MutexGuard::new(self)
    }

    /// Takes the lock if that is possible at once (Go's `TryLock`). Never blocks.
    ///
    /// `None` if another has the lock, or is about to get it because it has waited for too long.
    ///
    /// ```
    /// let mutex = greenthread::sync::Mutex::new(1);
    /// let guard = mutex.lock();
    /// assert!(mutex.try_lock().is_none());
    /// drop(guard);
    /// assert!(mutex.try_lock().is_some());
    /// ```
    #[inline]
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.raw.try_lock().then(|| MutexGuard::new(self))
    }

    /// As [`lock`](Self::lock), but blocks for no longer than `timeout`; `None` if that was not enough. One that is too
    /// long for the clock is no limit.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let mutex = greenthread::sync::Mutex::new(1);
    /// let guard = mutex.lock_timeout(Duration::from_secs(5)).unwrap();
    /// assert!(mutex.lock_timeout(Duration::from_millis(1)).is_none());
    /// # drop(guard);
    /// ```
    pub fn lock_timeout(&self, timeout: Duration) -> Option<MutexGuard<'_, T>> {
        self.lock_within(&UntilDeadline::<Locking>::after(timeout))
    }

    /// As [`lock`](Self::lock), but blocks until `deadline` at the latest. One that has passed makes it
    /// [`try_lock`](Self::try_lock).
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    ///
    /// let mutex = greenthread::sync::Mutex::new(1);
    /// let _guard = mutex.lock();
    /// assert!(mutex.lock_deadline(Instant::now() + Duration::from_millis(1)).is_none());
    /// ```
    pub fn lock_deadline(&self, deadline: Instant) -> Option<MutexGuard<'_, T>> {
        self.lock_within(&UntilDeadline::<Locking>::new(deadline))
    }

    /// As [`lock`](Self::lock), unless the context ends first.
    ///
    /// # Errors
    /// If the context ends first, or has ended, also if the lock is free.
    ///
    /// ```
    /// use greenthread::ctx::{Context, Error};
    /// use greenthread::sync::Mutex;
    /// use std::time::Duration;
    ///
    /// let mutex = Mutex::new(1);
    /// let guard = mutex.lock_ctx(&Context::background()).unwrap();
    /// let (ctx, _cancel) = Context::background().with_timeout(Duration::from_millis(5));
    /// assert_eq!(mutex.lock_ctx(&ctx).unwrap_err(), Error::DeadlineExceeded);
    /// # drop(guard);
    /// ```
    pub fn lock_ctx(&self, ctx: &Context) -> Result<MutexGuard<'_, T>, Error> {
        within::<Locking, _>(ctx, |limit| self.lock_within(limit))
    }

    fn lock_within(&self, limit: &impl Limit<Waker = CaseWaker>) -> Option<MutexGuard<'_, T>> {
        self.raw.lock_within(limit).then(|| MutexGuard::new(self))
    }

    /// Takes the lock as [`lock`](Self::lock) does; the guard keeps the mutex alive, so it may go where a borrow cannot. In Go
    /// another goroutine may call `Unlock`.
    ///
    /// ```
    /// use greenthread::{spawn, sync::Mutex};
    /// use std::sync::Arc;
    ///
    /// let lines = Arc::new(Mutex::new(Vec::new()));
    /// let mut guard = lines.lock_arc();
    /// spawn(move || guard.push("first")).join().unwrap(); // writes, and unlocks
    /// assert_eq!(*lines.lock(), ["first"]);
    /// ```
    #[inline]
    pub fn lock_arc(self: &Arc<Self>) -> ArcMutexGuard<T> {
        self.raw.lock();
        ArcMutexGuard::new(self)
    }

    /// Takes the lock as [`lock_arc`](Self::lock_arc) does if that is possible at once. Never blocks.
    ///
    /// `None` if another has the lock, or is about to get it because it has waited for too long.
    ///
    /// ```
    /// use greenthread::sync::Mutex;
    /// use std::sync::Arc;
    ///
    /// let mutex = Arc::new(Mutex::new(1));
    /// let guard = mutex.try_lock_arc().unwrap();
    /// assert!(mutex.try_lock_arc().is_none());
    /// # drop(guard);
    /// ```
    #[inline]
    pub fn try_lock_arc(self: &Arc<Self>) -> Option<ArcMutexGuard<T>> {
        self.raw.try_lock().then(|| ArcMutexGuard::new(self))
    }

    /// Takes the lock as [`lock_arc`](Self::lock_arc) does, unless the context ends first.
    ///
    /// # Errors
    /// If the context ends first, or has ended, also if the lock is free.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// use greenthread::sync::Mutex;
    /// use std::sync::Arc;
    ///
    /// let mutex = Arc::new(Mutex::new(1));
    /// *mutex.lock_arc_ctx(&Context::background()).unwrap() += 1;
    /// assert_eq!(*mutex.lock(), 2);
    /// ```
    pub fn lock_arc_ctx(self: &Arc<Self>, ctx: &Context) -> Result<ArcMutexGuard<T>, Error> {
        within::<Locking, _>(ctx, |limit| self.raw.lock_within(limit).then(|| ArcMutexGuard::new(self)))
    }

    /// The value, without locking: `&mut self` says that nobody else is there.
    ///
    /// ```
    /// let mut mutex = greenthread::sync::Mutex::new(1);
    /// *mutex.get_mut() += 1;
    /// assert_eq!(mutex.into_inner(), 2);
    /// ```
    #[inline]
    pub fn get_mut(&mut self) -> &mut T {
        self.data.get_mut()
    }
}

impl<T> From<T> for Mutex<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.try_lock() {
            Some(guard) => f.debug_struct("Mutex").field("data", &&*guard).finish(),
            None => f.debug_struct("Mutex").field("data", &format_args!("<locked>")).finish(),
        }
    }
}

/// The right to use the value of a locked [`Mutex`]; dropping it unlocks.
///
/// ```
/// use greenthread::sync::{Mutex, MutexGuard};
///
/// let mutex = Mutex::new(vec![1, 2]);
/// let mut guard: MutexGuard<'_, Vec<i32>> = mutex.lock();
/// guard.push(3);
/// drop(guard); // others may lock it now
/// assert_eq!(mutex.lock().len(), 3);
/// ```
#[must_use = "the mutex is unlocked at once if the guard is not kept"]
pub struct MutexGuard<'a, T: ?Sized> {
    lock: &'a Mutex<T>,
    _data: PhantomData<&'a mut T>,
}

// SAFETY: a shared guard gives `&T` and nothing more. (`Send` follows from the fields, if `T: Send`: the lock may be
// released by another thread than the one that took it.)
unsafe impl<T: ?Sized + Sync> Sync for MutexGuard<'_, T> {}

impl<'a, T: ?Sized> MutexGuard<'a, T> {
    /// The caller has just locked `lock`.
    #[inline]
    fn new(lock: &'a Mutex<T>) -> Self {
        Self { lock, _data: PhantomData }
    }

    /// Runs `f` while the mutex is unlocked. It is locked again in any case, also if `f` panics (I2).
    pub(super) fn unlocked<R>(&mut self, f: impl FnOnce() -> R) -> R {
        struct Relock<'a>(&'a RawMutex<BlockingWait<Locking>>);

        impl Drop for Relock<'_> {
            fn drop(&mut self) {
                self.0.lock();
            }
        }

        let raw = &self.lock.raw;
        // SAFETY: I2: it is locked; `&mut self` keeps the value out of reach until it is locked again.
        unsafe { raw.unlock() };
        let _relock = Relock(raw);
        f()
    }
}

impl_guard!([T: ?Sized] mut MutexGuard<'_, T>, unlock);

/// The right to use the value of a locked [`Mutex`], with a handle to the mutex; dropping it unlocks.
///
/// ```
/// use greenthread::sync::{ArcMutexGuard, Mutex};
/// use std::sync::Arc;
///
/// struct Session {
///     connection: ArcMutexGuard<String>, // borrows nothing
/// }
///
/// let connection = Arc::new(Mutex::new("open".to_owned()));
/// let session = Session { connection: connection.lock_arc() };
/// assert!(connection.try_lock().is_none());
/// assert_eq!(*session.connection, "open");
/// ```
#[must_use = "the mutex is unlocked at once if the guard is not kept"]
pub struct ArcMutexGuard<T: ?Sized> {
    lock: Arc<Mutex<T>>,
    // A shared guard gives `&T`, so it is shared between threads only if `T` is.
    _data: PhantomData<T>,
}

impl<T: ?Sized> ArcMutexGuard<T> {
    /// The caller has just locked `lock`.
    #[inline]
    fn new(lock: &Arc<Mutex<T>>) -> Self {
        Self { lock: Arc::clone(lock), _data: PhantomData }
    }
}

impl_guard!([T: ?Sized] mut ArcMutexGuard<T>, unlock);

/// Waits for a mutex.
struct Locking;

impl Reason for Locking {
    const REASON: WaitReason = WaitReason::MutexLock;
}
