//! The guards that own a handle to the lock.
//!
//! The invariants are those of the parent module.

use std::mem::ManuallyDrop;
use std::ptr;
use std::sync::Arc;

use greenthread_ctx::{Context, Error};

use super::super::blocking_wait::within;
use super::super::guard::impl_guard;
use super::{Reading, RwLock, Writing};

impl<T: ?Sized> RwLock<T> {
    /// Takes the lock like [`read`](Self::read), and returns a guard that keeps the lock alive.
    ///
    /// Such a guard can go where a borrow cannot, for example to another goroutine. (In Go any
    /// goroutine may call `RUnlock`.)
    ///
    /// ```
    /// use greenthread::{spawn, sync::RwLock};
    /// use std::sync::Arc;
    ///
    /// let lock = Arc::new(RwLock::new(vec![1, 2]));
    /// let numbers = lock.read_arc();
    /// let sum = spawn(move || numbers.iter().sum::<i32>()); // reads, and unlocks
    /// assert_eq!(sum.join().unwrap(), 3);
    /// ```
    #[inline]
    pub fn read_arc(self: &Arc<Self>) -> ArcRwLockReadGuard<T> {
        self.raw.read();
        ArcRwLockReadGuard { lock: Arc::clone(self) }
    }

    /// Takes the lock like [`read_arc`](Self::read_arc), if that is possible at once.
    ///
    /// Never blocks. Returns `None` if a writer holds the lock or waits for it.
    ///
    /// ```
    /// use greenthread::sync::RwLock;
    /// use std::sync::Arc;
    ///
    /// let lock = Arc::new(RwLock::new(1));
    /// assert!(lock.try_read_arc().is_some());
    /// let _writer = lock.write();
    /// assert!(lock.try_read_arc().is_none());
    /// ```
    #[must_use]
    #[inline]
    pub fn try_read_arc(self: &Arc<Self>) -> Option<ArcRwLockReadGuard<T>> {
        self.raw.try_read().then(|| ArcRwLockReadGuard { lock: Arc::clone(self) })
    }

    /// Takes the lock like [`read_arc`](Self::read_arc), unless the context ends first.
    ///
    /// # Errors
    /// If the context ends first. If it had already ended before the call, the call fails even if
    /// the lock is free.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// use greenthread::sync::RwLock;
    /// use std::sync::Arc;
    ///
    /// let lock = Arc::new(RwLock::new(1));
    /// assert_eq!(*lock.read_arc_ctx(&Context::background()).unwrap(), 1);
    /// ```
    pub fn read_arc_ctx(self: &Arc<Self>, ctx: &Context) -> Result<ArcRwLockReadGuard<T>, Error> {
        within::<Reading, _>(ctx, |limit| {
            self.raw.read_within(limit).then(|| ArcRwLockReadGuard { lock: Arc::clone(self) })
        })
    }

    /// Takes the lock like [`write`](Self::write), and returns a guard that keeps the lock alive.
    ///
    /// Such a guard can go where a borrow cannot, for example to another goroutine. (In Go any
    /// goroutine may call `Unlock`.)
    ///
    /// ```
    /// use greenthread::{spawn, sync::RwLock};
    /// use std::sync::Arc;
    ///
    /// let lock = Arc::new(RwLock::new(vec![1, 2]));
    /// let mut numbers = lock.write_arc();
    /// spawn(move || numbers.push(3)).join().unwrap(); // writes, and unlocks
    /// assert_eq!(*lock.read(), [1, 2, 3]);
    /// ```
    #[inline]
    pub fn write_arc(self: &Arc<Self>) -> ArcRwLockWriteGuard<T> {
        self.raw.write();
        ArcRwLockWriteGuard { lock: Arc::clone(self) }
    }

    /// Takes the lock like [`write_arc`](Self::write_arc), if it is free.
    ///
    /// Never blocks. Returns `None` if another caller holds the lock or waits for it.
    ///
    /// ```
    /// use greenthread::sync::RwLock;
    /// use std::sync::Arc;
    ///
    /// let lock = Arc::new(RwLock::new(1));
    /// let guard = lock.try_write_arc().unwrap();
    /// assert!(lock.try_write_arc().is_none());
    /// # drop(guard);
    /// ```
    #[must_use]
    #[inline]
    pub fn try_write_arc(self: &Arc<Self>) -> Option<ArcRwLockWriteGuard<T>> {
        self.raw.try_write().then(|| ArcRwLockWriteGuard { lock: Arc::clone(self) })
    }

    /// Takes the lock like [`write_arc`](Self::write_arc), unless the context ends first.
    ///
    /// # Errors
    /// If the context ends first. If it had already ended before the call, the call fails even if
    /// the lock is free.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// use greenthread::sync::RwLock;
    /// use std::sync::Arc;
    ///
    /// let lock = Arc::new(RwLock::new(1));
    /// *lock.write_arc_ctx(&Context::background()).unwrap() += 1;
    /// assert_eq!(*lock.read(), 2);
    /// ```
    pub fn write_arc_ctx(self: &Arc<Self>, ctx: &Context) -> Result<ArcRwLockWriteGuard<T>, Error> {
        within::<Writing, _>(ctx, |limit| {
            self.raw.write_within(limit).then(|| ArcRwLockWriteGuard { lock: Arc::clone(self) })
        })
    }
}

/// Shared access to the value of a locked [`RwLock`], with a handle to the lock; dropping the guard
/// unlocks.
///
/// ```
/// use greenthread::sync::{ArcRwLockReadGuard, RwLock};
/// use std::sync::Arc;
///
/// fn snapshot() -> ArcRwLockReadGuard<Vec<i32>> {
///     Arc::new(RwLock::new(vec![1, 2])).read_arc() // the lock lives on in the guard
/// }
///
/// assert_eq!(*snapshot(), [1, 2]);
/// ```
#[must_use = "the lock is unlocked at once if the guard is not kept"]
pub struct ArcRwLockReadGuard<T: ?Sized> {
    lock: Arc<RwLock<T>>,
}

impl_guard!([T: ?Sized] ArcRwLockReadGuard<T>, unlock_read);

/// Exclusive access to the value of a locked [`RwLock`], with a handle to the lock; dropping the
/// guard unlocks.
///
/// ```
/// use greenthread::sync::{ArcRwLockWriteGuard, RwLock};
/// use std::sync::Arc;
///
/// let lock = Arc::new(RwLock::new(1));
/// let mut guard: ArcRwLockWriteGuard<i32> = lock.write_arc();
/// *guard += 1;
/// drop(guard);
/// assert_eq!(*lock.read(), 2);
/// ```
#[must_use = "the lock is unlocked at once if the guard is not kept"]
pub struct ArcRwLockWriteGuard<T: ?Sized> {
    lock: Arc<RwLock<T>>,
}

impl_guard!([T: ?Sized] mut ArcRwLockWriteGuard<T>, unlock_write);

impl<T: ?Sized> ArcRwLockWriteGuard<T> {
    /// Turns the write lock into a read lock, without letting another writer in between.
    ///
    /// Never blocks. Like [`RwLockWriteGuard::downgrade`](super::RwLockWriteGuard::downgrade), but
    /// for a guard that owns its lock.
    ///
    /// ```
    /// use greenthread::sync::{ArcRwLockWriteGuard, RwLock};
    /// use std::sync::Arc;
    ///
    /// let lock = Arc::new(RwLock::new(1));
    /// let guard = ArcRwLockWriteGuard::downgrade(lock.write_arc());
    /// assert_eq!(*guard + *lock.read(), 2);
    /// ```
    pub fn downgrade(guard: Self) -> ArcRwLockReadGuard<T> {
        let guard = ManuallyDrop::new(guard);
        // SAFETY: the guard is in a `ManuallyDrop` and never dropped, so this moves its only
        // handle.
        let lock = unsafe { ptr::read(&guard.lock) };
        // SAFETY: by I2 the lock is write-locked for this guard, which was consumed without
        // unlocking.
        unsafe { lock.raw.downgrade() };
        ArcRwLockReadGuard { lock }
    }
}
