//! Goroutines that stay on one OS thread.
//!
//! A locked goroutine belongs to its M ([`crate::homeward`]). It is queued like any other; an M that picks it up hands its
//! own P to the locked M and sleeps. A locked M whose goroutine is parked passes its P on and sleeps. So a wake-up costs
//! two switches of threads, which is what Go pays too.

use std::marker::PhantomData;

use crate::current;
use crate::gmp::{GRef, M};
use crate::park;

/// Keeps the goroutine on its OS thread until it is dropped: Go's `runtime.UnlockOSThread`. It cannot be sent to another
/// goroutine. See `greenthread::lock_os_thread`.
///
/// ```
/// use greenthread::{OsThreadGuard, lock_os_thread};
///
/// // A library that insists on its thread is used through this alone.
/// struct Display {
///     _here: OsThreadGuard,
/// }
///
/// let display = Display { _here: lock_os_thread() };
/// # drop(display);
/// ```
#[derive(Debug)]
#[must_use = "the goroutine is free to move again as soon as this is dropped"]
pub struct OsThreadGuard {
    locked: bool,
    _here: PhantomData<*mut ()>,
}

/// Locks the calling goroutine to its OS thread. See `greenthread::lock_os_thread`.
pub fn lock_os_thread() -> OsThreadGuard {
    let locked = match current::m().and_then(|m| Some((m, m.current()?))) {
        Some((m, g)) => {
            lock(m, g);
            true
        }
        None => false,
    };
    OsThreadGuard { locked, _here: PhantomData }
}

/// Locks `g`, which runs or is about to run on `m`, to it.
pub(crate) fn lock(m: &'static M, g: GRef) {
    g.os_locks.set(g.os_locks.get() + 1);
    park::set_home(g, Some(m));
    if g.os_locks.get() == 1 {
        m.locked.set(m.locked.get() + 1);
    }
}

impl Drop for OsThreadGuard {
    fn drop(&mut self) {
        if !self.locked {
            return;
        }
        if let Some((m, g)) = current::m().and_then(|m| Some((m, m.current()?))) {
            g.os_locks.set(g.os_locks.get() - 1);
            if g.os_locks.get() == 0 {
                park::set_home(g, None);
                m.locked.set(m.locked.get() - 1);
            }
        }
    }
}
