//! Goroutines that stay on one OS thread.
//!
//! A locked goroutine is bound to its M ([`crate::sched::affinity::delivery`]). It is queued like
//! any other goroutine. An M that takes it from a queue hands its own P to the locked M and sleeps.
//! A locked M whose goroutine is parked passes its P on and sleeps. So a wake-up costs two switches
//! of threads, as in Go.
//!
//! A pinned goroutine is locked to an M that was started for it alone. [`crate::sched::threads`]
//! describes what happens to an M whose goroutine ends while it is locked.
//!
//! # Which goroutine a guard belongs to
//! An [`OsThreadGuard`] is not `Send`. This keeps it on a thread, but not with a goroutine: two
//! goroutines of one thread can hand it over through a thread-local. If another goroutine dropped
//! it, the drop would unlock that goroutine, or none, and the M would wait forever for a goroutine
//! that is not there. So the guard remembers the id of its goroutine, and a drop by any other
//! goroutine aborts. A panic could be caught, and would leave the first goroutine locked without
//! its knowledge. When a thread ends and the destructors of its thread-locals run, the goroutines
//! that were locked to it have already ended, and so have their locks.

use std::fmt;
use std::marker::PhantomData;
use std::panic::{Location, RefUnwindSafe, UnwindSafe};

use crate::diag::fatal;
use crate::gmp::{GRef, M};
use crate::sched::current;
use crate::wait::park;

/// A guard that keeps the goroutine on its OS thread until it is dropped.
///
/// Dropping it corresponds to Go's `runtime.UnlockOSThread`.
///
/// See `greenthread::lock_os_thread`.
///
/// It is not `Send`. A thread-local can still hand it to another goroutine that runs on the thread.
///
/// # Aborts
/// If a goroutine other than the one that created the guard drops it. The message names the
/// goroutine that created it.
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
#[must_use = "the goroutine is free to move again as soon as this is dropped"]
pub struct OsThreadGuard {
    /// `None` on a thread that does not run a goroutine.
    holder: Option<Holder>,
    _here: PhantomData<*mut ()>,
}

/// The goroutine that a guard keeps on a thread, and the M of that thread.
struct Holder {
    id: u64,
    site: &'static Location<'static>,
    m: &'static M,
}

// A panic leaves nothing half done: the guard is only ever dropped.
impl UnwindSafe for OsThreadGuard {}
impl RefUnwindSafe for OsThreadGuard {}

impl fmt::Debug for OsThreadGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OsThreadGuard").field("goroutine", &self.holder.as_ref().map(|holder| holder.id)).finish()
    }
}

/// Locks the calling goroutine to its OS thread.
///
/// See `greenthread::lock_os_thread`.
pub fn lock_os_thread() -> OsThreadGuard {
    let holder = current::m().and_then(|m| Some((m, m.current()?))).map(|(m, g)| {
        lock(m, g);
        Holder { id: g.id, site: g.site, m }
    });
    OsThreadGuard { holder, _here: PhantomData }
}

/// Locks `g`, which runs or is about to run on `m`, to `m`.
pub(crate) fn lock(m: &'static M, g: GRef) {
    g.os_locks.set(g.os_locks.get() + 1);
    park::bind(g, Some(m));
    if g.os_locks.get() == 1 {
        m.locked_gs.set(m.locked_gs.get() + 1);
    }
}

impl Drop for OsThreadGuard {
    fn drop(&mut self) {
        let (Some(Holder { id, site, m }), Some(here)) = (self.holder.take(), current::m()) else { return };
        let Some(g) = here.current().filter(|g| g.id == id) else {
            fatal::abort(format_args!(
                "an OsThreadGuard of goroutine {id}, spawned at {site}, was dropped by another one: drop it in the \
                 goroutine that called lock_os_thread"
            ))
        };
        debug_assert_eq!(here.id, m.id, "os_thread: a locked goroutine runs on its own M");
        g.os_locks.set(g.os_locks.get() - 1);
        if g.os_locks.get() == 0 {
            park::bind(g, None);
            m.locked_gs.set(m.locked_gs.get() - 1);
        }
    }
}
