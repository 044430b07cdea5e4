//! Arming timers on the caller's P, and sleeping, which needs only a timer.

use std::time::Duration;

use crate::api::blocking::blocking;
use crate::gmp::reason::WaitReason;
use crate::gmp::scheduler::sched;
use crate::gmp::{GRef, Inside};
use crate::sched::current;
use crate::sched::entry::{self, NoP};
use crate::sched::handoff;
use crate::time::clock;
use crate::time::p_timers::{PTimers, Timer};
use crate::wait::park;
use crate::wait::ready;

/// Blocks for at least `duration`.
///
/// See `greenthread::time::sleep`.
pub fn sleep(duration: Duration) {
    if duration.is_zero() {
        return;
    }
    let Some(g) = current::g() else { return std::thread::sleep(duration) };
    if std::thread::panicking() {
        return blocking(|| std::thread::sleep(duration));
    }
    let when = clock::after(duration);
    let timer = Timer::new(wake_sleeper, g.as_ptr().cast_const().cast());
    // Armed on the system stack, after the goroutine is parked, so the timer cannot fire too early.
    park::park(g, WaitReason::Sleep, || {
        // SAFETY: the timer is in the sleeper's frame, which stays until the timer has fired, and
        // nothing else ends the wait. On the system stack, the worker's loop handles a lost P.
        let _ = arm_here(|timers| unsafe { timer.arm_to_stay(timers, when) });
        true
    });
}

/// Readies a sleeper.
///
/// # Safety
/// The contract of [`crate::time::p_timers::Fire`]; `arg` is a goroutine that parked in `sleep`.
unsafe fn wake_sleeper(arg: *const (), context: *mut ()) {
    // SAFETY: the sleeper is parked, so the goroutine is alive, and this is its only waker; the
    // context is the one that `Fire` passes.
    unsafe {
        if let Some(g) = GRef::from_ptr(arg.cast_mut().cast()) {
            ready::ready_on(Inside::from_context(context), g);
        }
    }
}

/// Arms `timer` on the P of this thread, or on some other P if the thread has none.
///
/// Takes a mutex, and may allocate and wake an M.
///
/// # Errors
/// If the thread has no P. The timer is still armed, and the caller [reacquires a
/// P](park::reacquire_p) when it holds no lock.
///
/// # Safety
/// The contract of [`Timer::arm`].
pub(crate) unsafe fn arm(timer: &Timer, when: u64) -> Result<(), NoP> {
    // SAFETY: the caller upholds the contract of `Timer::arm`. Without a P, the timer may already
    // have fired, and may no longer exist, when this returns.
    arm_here(|timers| unsafe { timer.arm(timers, when) })
}

/// Calls `arm` with the timers of a P whose M will check them before it sleeps.
#[inline]
fn arm_here(arm: impl Fn(&PTimers)) -> Result<(), NoP> {
    let armed = entry::with_p(|_, p| arm(&p.timers));
    if armed.is_err() {
        let p = sched().first_p();
        arm(&p.timers);
        handoff::wake_watcher_of(p);
    }
    armed
}
