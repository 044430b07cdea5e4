//! A mutex and a condition variable for OS threads, without poisoning.
//!
//! They are std's, and block the thread. If goroutines share data under a lock that may be held for
//! a long time, they need the locks of `greenthread::sync`, which park the goroutine.
//!
//! # Why no poisoning
//! Poisoning warns the next holder that a panic has cut a critical section short, and that the data
//! may be only half updated. Here the warning carries no information:
//!
//! * A critical section of the scheduler never calls user code. A panic in such a section is a bug
//!   in the scheduler, and a panic on a scheduler thread ends the process (`AbortOnPanic` in
//!   `diag::fatal`), so the lock never has another holder.
//! * A critical section in a higher crate that calls user code leaves the data consistent at each
//!   such call. Panics of goroutines are reported where the goroutine is joined, and nowhere else.
//!
//! So every caller would just have to take the data out of the error and continue.

use std::sync::{self, LockResult, PoisonError, TryLockError};
use std::time::Duration;

pub use std::sync::MutexGuard;

/// A mutual exclusion lock that blocks the thread, and that a panic does not poison.
#[derive(Debug, Default)]
pub struct Mutex<T>(sync::Mutex<T>);

impl<T> Mutex<T> {
    /// Creates an unlocked mutex.
    pub const fn new(value: T) -> Self {
        Self(sync::Mutex::new(value))
    }

    /// Locks the mutex, blocking the thread until that is possible.
    #[inline]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        unpoisoned(self.0.lock())
    }

    /// Locks the mutex, or returns `None` if it is locked.
    #[inline]
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        match self.0.try_lock() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(error)) => Some(error.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Returns the value without locking, since the borrow is unique.
    pub fn get_mut(&mut self) -> &mut T {
        unpoisoned(self.0.get_mut())
    }

    /// Takes the value out.
    pub fn into_inner(self) -> T {
        unpoisoned(self.0.into_inner())
    }
}

/// A condition variable for the [`Mutex`] of this module.
#[derive(Debug, Default)]
pub struct Condvar(sync::Condvar);

impl Condvar {
    /// Waits while `condition` holds.
    pub fn wait_while<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        condition: impl FnMut(&mut T) -> bool,
    ) -> MutexGuard<'a, T> {
        unpoisoned(self.0.wait_while(guard, condition))
    }

    /// Waits while `condition` holds, for at most `timeout`.
    pub fn wait_timeout_while<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        timeout: Duration,
        condition: impl FnMut(&mut T) -> bool,
    ) -> MutexGuard<'a, T> {
        unpoisoned(self.0.wait_timeout_while(guard, timeout, condition)).0
    }

    /// Wakes one of the waiting threads.
    pub fn notify_one(&self) {
        self.0.notify_one();
    }
}

fn unpoisoned<T>(result: LockResult<T>) -> T {
    result.unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{self, AssertUnwindSafe};

    #[test]
    fn panic_leaves_the_lock_usable() {
        let mut mutex = Mutex::new(1);
        let panics = panic::catch_unwind(AssertUnwindSafe(|| {
            let _guard = mutex.lock();
            panic::resume_unwind(Box::new(()));
        }));
        assert!(panics.is_err());
        *mutex.lock() += 1;
        assert_eq!(mutex.try_lock().as_deref(), Some(&2));
        *mutex.get_mut() += 1;
        assert_eq!(mutex.into_inner(), 3);
    }

    #[test]
    fn locked_mutex_is_not_locked_again() {
        let mutex = Mutex::new(());
        let guard = mutex.lock();
        assert!(mutex.try_lock().is_none());
        drop(guard);
        assert!(mutex.try_lock().is_some());
    }
}
