//! Calls that are known to block the thread.

use crate::sched::affinity::ties;
use crate::sched::current;
use crate::sched::entry;
use crate::wait::park;

/// Runs `f`, which may block the OS thread, with the P handed to another M at once.
///
/// See `greenthread::blocking`.
pub fn blocking<R>(f: impl FnOnce() -> R) -> R {
    let Some(mut m) = current::m() else { return f() };
    if m.is_tied()
        && let Some(g) = m.current()
    {
        ties::note_will_keep(g);
        park::requeue();
        m = current::m().expect("blocking: a goroutine runs on an M");
    }
    if entry::enter(m) {
        park::pass_p_on(m);
    }
    let _reacquire = ReacquireP;
    f()
}

/// Reacquires a P when the call ends, even if it panics.
struct ReacquireP;

impl Drop for ReacquireP {
    fn drop(&mut self) {
        // The goroutine may have parked in the call, and resumed with a P on another M.
        if let Err(missing) = entry::with_p(|_, _| ()) {
            park::reacquire_p(missing);
        }
    }
}
