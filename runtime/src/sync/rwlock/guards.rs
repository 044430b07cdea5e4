//! The guards that borrow the lock, and the conversions between them.
//!
//! The invariants are those of the parent module.

use std::mem;
use std::time::{Duration, Instant};

use greenthread_ctx::{Context, Error};
use greenthread_scheduler::protocol::sync::env::Limit;

use super::super::blocking_wait::{CaseWaker, UntilDeadline, within};
use super::super::guard::impl_guard;
use super::{RwLock, Writing};

/// Shared access to the value of a locked [`RwLock`]; dropping the guard unlocks (Go's `RUnlock`).
///
/// ```
/// use greenthread::sync::{RwLock, RwLockReadGuard};
///
/// let lock = RwLock::new("shared");
/// let (one, other): (RwLockReadGuard<'_, &str>, _) = (lock.read(), lock.read());
/// assert_eq!(*one, *other);
/// ```
#[must_use = "the lock is unlocked at once if the guard is not kept"]
pub struct RwLockReadGuard<'a, T: ?Sized> {
    pub(super) lock: &'a RwLock<T>,
}

// SAFETY: the guard gives access to `&T` only, on any thread, and a thread other than the one that
// locked may unlock.
unsafe impl<T: ?Sized + Sync> Send for RwLockReadGuard<'_, T> {}
// SAFETY: a shared guard gives access to `&T` only.
unsafe impl<T: ?Sized + Sync> Sync for RwLockReadGuard<'_, T> {}

impl_guard!([T: ?Sized] RwLockReadGuard<'_, T>, unlock_read);

/// Exclusive access to the value of a locked [`RwLock`]; dropping the guard unlocks (Go's
/// `Unlock`).
///
/// ```
/// use greenthread::sync::{RwLock, RwLockWriteGuard};
///
/// let lock = RwLock::new(1);
/// let mut guard: RwLockWriteGuard<'_, i32> = lock.write();
/// *guard += 1;
/// drop(guard);
/// assert_eq!(*lock.read(), 2);
/// ```
#[must_use = "the lock is unlocked at once if the guard is not kept"]
pub struct RwLockWriteGuard<'a, T: ?Sized> {
    pub(super) lock: &'a RwLock<T>,
}

// SAFETY: the guard is like `&mut T`; a thread other than the one that locked may unlock.
unsafe impl<T: ?Sized + Send> Send for RwLockWriteGuard<'_, T> {}
// SAFETY: a shared guard gives access to `&T` only.
unsafe impl<T: ?Sized + Sync> Sync for RwLockWriteGuard<'_, T> {}

impl_guard!([T: ?Sized] mut RwLockWriteGuard<'_, T>, unlock_write);

impl<'a, T: ?Sized> RwLockWriteGuard<'a, T> {
    /// Turns the write lock into a read lock, without letting another writer in between.
    ///
    /// Never blocks. Waiting readers are admitted along with the caller. Go's `sync.RWMutex` cannot
    /// do this: a Go program unlocks and locks again.
    ///
    /// This is a function and not a method, since a method could hide a method of the value.
    ///
    /// ```
    /// use greenthread::sync::{RwLock, RwLockWriteGuard};
    ///
    /// let config = RwLock::new("old");
    /// let mut guard = config.write();
    /// *guard = "new";
    /// let guard = RwLockWriteGuard::downgrade(guard);
    /// assert_eq!((*guard, *config.read()), ("new", "new"));
    /// ```
    pub fn downgrade(guard: Self) -> RwLockReadGuard<'a, T> {
        let lock = guard.into_lock();
        // SAFETY: by I2 the lock is write-locked for this guard, which was consumed without
        // unlocking.
        unsafe { lock.raw.downgrade() };
        RwLockReadGuard { lock }
    }

    /// Turns the write lock into the upgradable read lock, without letting another writer in
    /// between.
    ///
    /// Never blocks. Waiting plain readers are admitted along with the caller. Go has no
    /// counterpart.
    ///
    /// ```
    /// use greenthread::sync::{RwLock, RwLockUpgradableReadGuard, RwLockWriteGuard};
    ///
    /// let lock = RwLock::new(1);
    /// let guard = RwLockWriteGuard::downgrade_to_upgradable(lock.write());
    /// assert_eq!(*guard + *lock.read(), 2);
    /// *RwLockUpgradableReadGuard::upgrade(guard) += 1;
    /// assert_eq!(*lock.read(), 2);
    /// ```
    pub fn downgrade_to_upgradable(guard: Self) -> RwLockUpgradableReadGuard<'a, T> {
        let lock = guard.into_lock();
        // SAFETY: by I2 the lock is write-locked for this guard, which was consumed without
        // unlocking.
        unsafe { lock.raw.downgrade_to_upgradable() };
        RwLockUpgradableReadGuard { lock }
    }

    /// Returns the lock, which stays locked.
    fn into_lock(self) -> &'a RwLock<T> {
        let lock = self.lock;
        mem::forget(self);
        lock
    }
}

/// Shared access to the value of a locked [`RwLock`], with the right to become its writer; dropping
/// the guard unlocks.
///
/// There is at most one upgradable reader at a time, along with any number of plain readers. So
/// what the upgradable reader sees is still true after [`upgrade`](Self::upgrade): nothing can
/// write in between. Go's `sync.RWMutex` has no counterpart.
///
/// ```
/// use greenthread::sync::{RwLock, RwLockUpgradableReadGuard};
/// use std::collections::HashMap;
///
/// fn id_of(names: &RwLock<HashMap<String, usize>>, name: &str) -> usize {
///     let names: RwLockUpgradableReadGuard<'_, _> = names.upgradable_read();
///     if let Some(id) = names.get(name) {
///         return *id; // as in most cases: readers were not disturbed
///     }
///     let id = names.len();
///     RwLockUpgradableReadGuard::upgrade(names).insert(name.to_owned(), id);
///     id
/// }
///
/// let names = RwLock::new(HashMap::new());
/// assert_eq!((id_of(&names, "a"), id_of(&names, "b"), id_of(&names, "a")), (0, 1, 0));
/// ```
#[must_use = "the lock is unlocked at once if the guard is not kept"]
pub struct RwLockUpgradableReadGuard<'a, T: ?Sized> {
    pub(super) lock: &'a RwLock<T>,
}

impl_guard!([T: ?Sized] RwLockUpgradableReadGuard<'_, T>, unlock_upgradable);

impl<'a, T: ?Sized> RwLockUpgradableReadGuard<'a, T> {
    /// Turns the upgradable read lock into the write lock, blocking until the other readers have
    /// left.
    ///
    /// No other writer gets the lock in between, not even one that is already waiting. New readers
    /// wait during the upgrade. If one of the current readers waits for the caller, the two wait
    /// for each other forever.
    ///
    /// ```
    /// use greenthread::sync::{RwLock, RwLockUpgradableReadGuard};
    ///
    /// let queue = RwLock::new(vec![1]);
    /// let guard = queue.upgradable_read();
    /// if guard.is_empty() {
    ///     unreachable!("this is seen beside other readers");
    /// }
    /// assert_eq!(RwLockUpgradableReadGuard::upgrade(guard).pop(), Some(1));
    /// ```
    pub fn upgrade(guard: Self) -> RwLockWriteGuard<'a, T> {
        let lock = guard.into_lock();
        // SAFETY: by I2 the lock is held by the upgradable reader of this guard, which was consumed
        // without unlocking.
        unsafe { lock.raw.upgrade() };
        RwLockWriteGuard { lock }
    }

    /// Turns the upgradable read lock into the write lock if that is possible at once.
    ///
    /// Never blocks.
    ///
    /// # Errors
    /// Returns the guard if there are other readers, or if a caller is just taking the lock in
    /// [`read`](RwLock::read). A waiting writer does not count.
    ///
    /// ```
    /// use greenthread::sync::{RwLock, RwLockUpgradableReadGuard};
    ///
    /// let lock = RwLock::new(1);
    /// let (guard, reader) = (lock.upgradable_read(), lock.read());
    /// let guard = RwLockUpgradableReadGuard::try_upgrade(guard).unwrap_err();
    /// drop(reader);
    /// *RwLockUpgradableReadGuard::try_upgrade(guard).unwrap() += 1;
    /// assert_eq!(*lock.read(), 2);
    /// ```
    pub fn try_upgrade(guard: Self) -> Result<RwLockWriteGuard<'a, T>, Self> {
        // SAFETY: by I2 the lock is held by the upgradable reader of this guard; on success the
        // guard is consumed without unlocking.
        if unsafe { guard.lock.raw.try_upgrade() } { Ok(guard.upgraded()) } else { Err(guard) }
    }

    /// Turns the upgradable read lock into the write lock like [`upgrade`](Self::upgrade), but
    /// blocks for at most `timeout`.
    ///
    /// A timeout too long for the clock is not a limit.
    ///
    /// # Errors
    /// Returns the guard if the other readers did not leave in time. After that, new readers are
    /// admitted again.
    ///
    /// ```
    /// use greenthread::sync::{RwLock, RwLockUpgradableReadGuard};
    /// use std::time::Duration;
    ///
    /// let lock = RwLock::new(1);
    /// let (guard, _reader) = (lock.upgradable_read(), lock.read());
    /// let upgraded = RwLockUpgradableReadGuard::upgrade_timeout(guard, Duration::from_millis(1));
    /// ```
    pub fn upgrade_timeout(guard: Self, timeout: Duration) -> Result<RwLockWriteGuard<'a, T>, Self> {
        guard.upgrade_within(&UntilDeadline::<Writing>::after(timeout))
    }

    /// Turns the upgradable read lock into the write lock like [`upgrade`](Self::upgrade), but
    /// blocks until `deadline` at the latest.
    ///
    /// With a deadline that has passed, this is [`try_upgrade`](Self::try_upgrade).
    ///
    /// # Errors
    /// Returns the guard if the other readers did not leave in time. After that, new readers are
    /// admitted again.
    ///
    /// ```
    /// use greenthread::sync::{RwLock, RwLockUpgradableReadGuard};
    /// use std::time::Instant;
    ///
    /// let lock = RwLock::new(1);
    /// let guard = lock.upgradable_read();
    /// assert!(RwLockUpgradableReadGuard::upgrade_deadline(guard, Instant::now()).is_ok());
    /// ```
    pub fn upgrade_deadline(guard: Self, deadline: Instant) -> Result<RwLockWriteGuard<'a, T>, Self> {
        guard.upgrade_within(&UntilDeadline::<Writing>::new(deadline))
    }

    /// Turns the upgradable read lock into the write lock like [`upgrade`](Self::upgrade), unless
    /// the context ends first.
    ///
    /// # Errors
    /// Returns the reason and the guard if the context ends first. If it had already ended before
    /// the call, the call fails even if there are no other readers.
    ///
    /// ```
    /// use greenthread::ctx::{Context, Error};
    /// use greenthread::sync::{RwLock, RwLockUpgradableReadGuard};
    ///
    /// let lock = RwLock::new(1);
    /// let (guard, reader) = (lock.upgradable_read(), lock.read());
    /// let (ctx, cancel) = Context::background().with_cancel();
    /// greenthread::go!(move || cancel.cancel());
    /// let (error, guard) = RwLockUpgradableReadGuard::upgrade_ctx(guard, &ctx).unwrap_err();
    /// assert_eq!((error, *guard + *reader), (Error::Canceled, 2));
    /// ```
    pub fn upgrade_ctx(guard: Self, ctx: &Context) -> Result<RwLockWriteGuard<'a, T>, (Error, Self)> {
        let mut upgraded = false;
        let ended = within::<Writing, _>(ctx, |limit| {
            // SAFETY: by I2 the lock is held by the upgradable reader of this guard; the code below
            // acts on the result.
            upgraded = unsafe { guard.lock.raw.upgrade_within(limit) };
            upgraded.then_some(())
        });
        match ended {
            Ok(()) => Ok(guard.upgraded()),
            Err(error) => {
                if upgraded {
                    // SAFETY: the lock was upgraded above, so it is write-locked; the guard stands
                    // for the upgradable reader again (I2).
                    unsafe { guard.lock.raw.downgrade_to_upgradable() };
                }
                Err((error, guard))
            }
        }
    }

    /// Turns the upgradable read lock into a plain read lock, so that another reader can be
    /// upgradable.
    ///
    /// Never blocks.
    ///
    /// ```
    /// use greenthread::sync::{RwLock, RwLockUpgradableReadGuard};
    ///
    /// let lock = RwLock::new(1);
    /// let guard = lock.upgradable_read();
    /// assert!(lock.try_upgradable_read().is_none());
    /// let _plain = RwLockUpgradableReadGuard::downgrade(guard);
    /// assert!(lock.try_upgradable_read().is_some());
    /// ```
    pub fn downgrade(guard: Self) -> RwLockReadGuard<'a, T> {
        let lock = guard.into_lock();
        // SAFETY: by I2 the lock is held by the upgradable reader of this guard, which was consumed
        // without unlocking.
        unsafe { lock.raw.downgrade_upgradable() };
        RwLockReadGuard { lock }
    }

    fn upgrade_within(self, limit: &impl Limit<Waker = CaseWaker>) -> Result<RwLockWriteGuard<'a, T>, Self> {
        // SAFETY: by I2 the lock is held by the upgradable reader of this guard; on success the
        // guard is consumed without unlocking.
        if unsafe { self.lock.raw.upgrade_within(limit) } { Ok(self.upgraded()) } else { Err(self) }
    }

    /// Returns the guard of the writer that the caller has become.
    fn upgraded(self) -> RwLockWriteGuard<'a, T> {
        RwLockWriteGuard { lock: self.into_lock() }
    }

    /// Returns the lock, which stays locked.
    fn into_lock(self) -> &'a RwLock<T> {
        let lock = self.lock;
        mem::forget(self);
        lock
    }
}
