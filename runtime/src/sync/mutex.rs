//! `Mutex<T>`: the data, the guards, and the lock's wait reason.
//!
//! The algorithm is in `greenthread_scheduler::protocol::sync::raw_mutex`.
//!
//! # Invariants
//! * I1: `data` is touched only by the holder of `raw`, or by the owner of the whole mutex.
//! * I2: a guard exists only while `raw` is locked on its behalf; dropping it unlocks once.

use std::cell::UnsafeCell;
use std::fmt;
use std::marker::PhantomData;
use std::panic::UnwindSafe;
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
/// The interface matches `parking_lot`: [`lock`](Self::lock) returns the guard itself, since the
/// lock is never poisoned. A panic while the guard lives just unlocks the mutex. The mutex is as
/// fair as Go's `sync.Mutex`: any running caller may take a free lock, which is fast, and a waiter
/// that has been losing for 1 ms gets the lock by hand-off.
///
/// The guard may be kept while the goroutine blocks in something else, and may be dropped on a
/// thread other than the one that locked. A guard of [`lock_arc`](Self::lock_arc) does not borrow
/// the mutex.
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

// SAFETY: moving the mutex moves the value, which is `Send`.
unsafe impl<T: ?Sized + Send> Send for Mutex<T> {}
// SAFETY: by I1 one thread at a time reaches the value, so sharing the mutex only sends the value
// from one thread to the next.
unsafe impl<T: ?Sized + Send> Sync for Mutex<T> {}

// Not `RefUnwindSafe`: the lock is never poisoned, so others may see what a panic left behind.
impl<T: ?Sized + UnwindSafe> UnwindSafe for Mutex<T> {}

impl<T> Mutex<T> {
    /// Creates an unlocked mutex around `value`.
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

    /// Consumes the mutex and returns the value.
    ///
    /// Does not block: the owner of the mutex has exclusive access.
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
    /// Takes the lock, blocking until it is free (Go's `Lock`).
    ///
    /// A caller that locks again while its own guard lives blocks forever, as in Go.
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

    /// Takes the lock if it is free (Go's `TryLock`).
    ///
    /// Never blocks. Returns `None` if the lock is held, or is about to be handed to a starving
    /// waiter.
    ///
    /// ```
    /// let mutex = greenthread::sync::Mutex::new(1);
    /// let guard = mutex.lock();
    /// assert!(mutex.try_lock().is_none());
    /// drop(guard);
    /// assert!(mutex.try_lock().is_some());
    /// ```
    #[must_use]
    #[inline]
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.raw.try_lock().then(|| MutexGuard::new(self))
    }

    /// Takes the lock like [`lock`](Self::lock), but blocks for at most `timeout`.
    ///
    /// Returns `None` if the lock did not become free in time. A timeout too long for the clock is
    /// not a limit.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let mutex = greenthread::sync::Mutex::new(1);
    /// let guard = mutex.lock_timeout(Duration::from_secs(5)).unwrap();
    /// assert!(mutex.lock_timeout(Duration::from_millis(1)).is_none());
    /// # drop(guard);
    /// ```
    #[must_use]
    pub fn lock_timeout(&self, timeout: Duration) -> Option<MutexGuard<'_, T>> {
        self.lock_within(&UntilDeadline::<Locking>::after(timeout))
    }

    /// Takes the lock like [`lock`](Self::lock), but blocks until `deadline` at the latest.
    ///
    /// Returns `None` if the lock did not become free in time. With a deadline that has passed,
    /// this is [`try_lock`](Self::try_lock).
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    ///
    /// let mutex = greenthread::sync::Mutex::new(1);
    /// let _guard = mutex.lock();
    /// assert!(mutex.lock_deadline(Instant::now() + Duration::from_millis(1)).is_none());
    /// ```
    #[must_use]
    pub fn lock_deadline(&self, deadline: Instant) -> Option<MutexGuard<'_, T>> {
        self.lock_within(&UntilDeadline::<Locking>::new(deadline))
    }

    /// Takes the lock like [`lock`](Self::lock), unless the context ends first.
    ///
    /// # Errors
    /// If the context ends before the lock is free. If it had already ended before the call, the
    /// call fails even if the lock is free.
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

    /// Takes the lock like [`lock`](Self::lock), and returns a guard that keeps the mutex alive.
    ///
    /// Such a guard can go where a borrow cannot, for example to another goroutine. (In Go any
    /// goroutine may call `Unlock`.)
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

    /// Takes the lock like [`lock_arc`](Self::lock_arc), if it is free.
    ///
    /// Never blocks. Returns `None` if the lock is held, or is about to be handed to a starving
    /// waiter.
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
    #[must_use]
    #[inline]
    pub fn try_lock_arc(self: &Arc<Self>) -> Option<ArcMutexGuard<T>> {
        self.raw.try_lock().then(|| ArcMutexGuard::new(self))
    }

    /// Takes the lock like [`lock_arc`](Self::lock_arc), unless the context ends first.
    ///
    /// # Errors
    /// If the context ends before the lock is free. If it had already ended before the call, the
    /// call fails even if the lock is free.
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

    /// Returns a mutable reference to the value, without locking.
    ///
    /// `&mut self` guarantees exclusive access.
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

/// Exclusive access to the value of a locked [`Mutex`]; dropping the guard unlocks.
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

// SAFETY: a shared guard gives access to `&T` only. (`Send` follows from the fields if `T: Send`: a
// thread other than the one that locked may unlock.)
unsafe impl<T: ?Sized + Sync> Sync for MutexGuard<'_, T> {}

impl<'a, T: ?Sized> MutexGuard<'a, T> {
    /// Creates the guard. The caller has just locked `lock`.
    #[inline]
    fn new(lock: &'a Mutex<T>) -> Self {
        Self { lock, _data: PhantomData }
    }

    /// Runs `f` while the mutex is unlocked. Locks it again even if `f` panics (I2).
    pub(super) fn unlocked<R>(&mut self, f: impl FnOnce() -> R) -> R {
        struct Relock<'a>(&'a RawMutex<BlockingWait<Locking>>);

        impl Drop for Relock<'_> {
            fn drop(&mut self) {
                self.0.lock();
            }
        }

        let raw = &self.lock.raw;
        // SAFETY: by I2 the mutex is locked; `&mut self` keeps the value out of reach until it is
        // locked again.
        unsafe { raw.unlock() };
        let _relock = Relock(raw);
        f()
    }
}

impl_guard!([T: ?Sized] mut MutexGuard<'_, T>, unlock);

/// Exclusive access to the value of a locked [`Mutex`], with a handle to the mutex; dropping the
/// guard unlocks.
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
    // A shared guard gives access to `&T`, so it may be shared between threads only if `T: Sync`.
    _data: PhantomData<T>,
}

impl<T: ?Sized> ArcMutexGuard<T> {
    /// Creates the guard. The caller has just locked `lock`.
    #[inline]
    fn new(lock: &Arc<Mutex<T>>) -> Self {
        Self { lock: Arc::clone(lock), _data: PhantomData }
    }
}

impl_guard!([T: ?Sized] mut ArcMutexGuard<T>, unlock);

/// The wait for a mutex.
struct Locking;

impl Reason for Locking {
    const REASON: WaitReason = WaitReason::MutexLock;
}
