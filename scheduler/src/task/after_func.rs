//! Goroutines that start at a given time: Go's `time.AfterFunc`.
//!
//! # Protocol
//! No goroutine waits. The goroutine that is to start is created at once, in a block of its own
//! that also holds the timer, and is not queued: it has no stack, no M has seen it, and it is not
//! counted. Then the timer is armed, and the lock of its heap decides which thread gets the
//! goroutine:
//!
//! * If the timer *fires*, the M that checks the clock counts and queues the goroutine. From then
//!   on it is like any other.
//! * If the timer is *stopped*, the thread that removed it from its heap drops the closure, and the
//!   goroutine has ended without having run.
//!
//! The block stays until the goroutine has ended and the [`AfterFunc`] is gone. The word of
//! [`crate::protocol::join`] decides when that is. So a late `stop` finds a timer that has fired,
//! and not the memory of another goroutine. A handle that is dropped early leaves the block and the
//! timer to the goroutine.
//!
//! Rejected: a goroutine that sleeps and then calls the closure. It occupies a page of stack during
//! the sleep, and stopping it means waking it up. Rejected: the timer in an allocation of its own,
//! shared by the handle and the closure. It works, but costs an `Arc` each time.
//!
//! # Invariants
//! * I1: the goroutine is owned by its armed timer; firing and disarming, under the lock of the
//!   heap, hand it on once.
//! * I2: the block, and with it the timer, stays until both the goroutine has ended and the handle
//!   is gone; an armed timer's goroutine has not ended.

use std::alloc::Layout;
use std::fmt;
use std::panic::{Location, RefUnwindSafe, UnwindSafe};
use std::ptr::NonNull;
use std::sync::atomic::Ordering;
use std::thread;

use crate::gmp::block;
use crate::gmp::scheduler::sched;
use crate::gmp::{GRef, Inside, Vtable};
use crate::protocol::join::JoinWord;
use crate::sched::entry;
use crate::task::body::{InPlace, Kept, Task, fits};
use crate::task::handle::JoinHandle;
use crate::time::arming;
use crate::time::p_timers::Timer;
use crate::wait::park;
use crate::wait::ready;

/// A block with a goroutine like any other, followed by the timer that starts it.
#[repr(C)]
struct Delayed<C> {
    task: DelayedTask<C>,
    timer: Timer,
}

type DelayedTask<C> = Task<C, InPlace<thread::Result<()>>>;

impl<C: Kept<Item: FnOnce()>> Delayed<C> {
    const VTABLE: Vtable =
        Vtable { is_urgent: true, size: size_of::<Self>(), align: align_of::<Self>(), ..DelayedTask::<C>::VTABLE };
}

/// A call that is scheduled for later, like the `time.Timer` that Go's `time.AfterFunc` returns.
///
/// Any goroutine or thread may stop it, and several may try at once. Dropping it does not stop it.
///
/// ```
/// use greenthread::time::{AfterFunc, after_func};
/// use std::time::Duration;
///
/// let hour = Duration::from_secs(3600);
/// let calls: Vec<AfterFunc> = (0..3).map(|_| after_func(hour, || unreachable!())).collect();
/// assert!(calls.iter().all(AfterFunc::stop));
/// ```
pub struct AfterFunc {
    handle: JoinHandle<()>,
    timer: NonNull<Timer>,
}

// SAFETY: the timer is accessed under the lock of its heap, and stays while the handle does (I2).
unsafe impl Send for AfterFunc {}
// SAFETY: the timer stays (I2). Many threads may call `stop` at once, and one of them gets the
// goroutine (I1).
unsafe impl Sync for AfterFunc {}

// A panic leaves nothing half done, since only the goroutine accesses the closure.
impl UnwindSafe for AfterFunc {}
impl RefUnwindSafe for AfterFunc {}

impl fmt::Debug for AfterFunc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AfterFunc").field("id", &self.handle.id()).finish_non_exhaustive()
    }
}

impl AfterFunc {
    pub(crate) fn start<F>(when: u64, f: F, site: &'static Location<'static>) -> Self
    where
        F: FnOnce() + Send + 'static,
    {
        if fits::<F, ()>(size_of::<Timer>()) {
            Self::start_kept(when, InPlace::keep(f), site)
        } else {
            Self::start_kept::<Box<F>>(when, Box::keep(f), site)
        }
    }

    fn start_kept<C: Kept<Item: FnOnce()>>(when: u64, closure: C, site: &'static Location<'static>) -> Self {
        let layout = Layout::new::<Delayed<C>>();
        let sched = sched();
        let inside = entry::with_p(|_, mut p| {
            let owned = p.owned_mut();
            (owned.blocks.alloc(layout), owned.next_id(&sched.next_id))
        });
        let (block, id) =
            inside.unwrap_or_else(|_| (block::alloc_foreign(layout), sched.next_id.fetch_add(1, Ordering::Relaxed)));
        let delayed = block.cast::<Delayed<C>>();
        let g = GRef::new(delayed.cast());
        // SAFETY: the caller owns the block, which has this layout. The handle is the goroutine's
        // only handle.
        let this = unsafe {
            delayed.write(Delayed {
                task: Task::new(&Delayed::<C>::VTABLE, id, closure, None, JoinWord::new(), site),
                timer: Timer::new(begin, g.as_ptr().cast_const().cast()),
            });
            Self { handle: JoinHandle::of(g), timer: NonNull::from(&(*delayed.as_ptr()).timer) }
        };
        // SAFETY: I2: the handle exists until this function returns.
        unsafe { arming::arm(this.timer.as_ref(), when) }.unwrap_or_else(park::reacquire_p);
        this
    }

    /// Cancels the pending call, like Go's `Timer.Stop`.
    ///
    /// Returns `true` if the closure has not started, and so never will. In this case the closure
    /// is dropped on the calling thread before this returns. Returns `false` if the call was
    /// stopped before, or if its time had been reached. In the latter case the closure is running,
    /// has run, or was dropped because no stack was available for it. Does not wait for a running
    /// closure, and never parks.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let call = greenthread::time::after_func(Duration::from_secs(3600), || unreachable!());
    /// assert!(call.stop(), "it had not begun");
    /// assert!(!call.stop(), "it is stopped already");
    /// ```
    pub fn stop(&self) -> bool {
        // SAFETY: I2: the handle exists.
        let stopped = unsafe { self.timer.as_ref() }.disarm();
        if stopped {
            // SAFETY: I1: the timer was disarmed here, so the caller owns the goroutine, which will
            // not be queued.
            unsafe { self.handle.drop_unstarted() };
        }
        stopped
    }
}

/// Counts and queues the goroutine of a timer that fires.
///
/// # Safety
/// The conditions of [`crate::time::p_timers::Fire`]; `arg` is the goroutine of the timer that
/// fires.
unsafe fn begin(arg: *const (), context: *mut ()) {
    // SAFETY: I1: this call owns the goroutine, which is alive; this is the call by `Fire`.
    unsafe {
        if let Some(g) = GRef::from_ptr(arg.cast_mut().cast()) {
            let p = Inside::from_context(context);
            p.count_spawned();
            ready::push_arrival(p, g);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::time::Duration;

    use super::*;
    use crate::api::entry_points::{after_func, num_goroutine};

    /// Returns how many blocks `n` successive calls have used, where each call is over when the
    /// next is made.
    fn blocks_used(n: usize, end: impl Fn(AfterFunc), duration: Duration) -> usize {
        let call = |_| {
            let call = after_func(duration, || ());
            let address = call.timer.addr();
            end(call);
            address
        };
        (0..n).map(call).collect::<HashSet<_>>().len()
    }

    #[test]
    fn blocks_are_reused() {
        let hour = Duration::from_secs(3600);
        let stopped = blocks_used(10_000, |call| assert!(call.stop()), hour);
        let fired = blocks_used(10_000, |call| call.handle.wait(), Duration::ZERO);
        let dropped_first = |call| {
            drop(call);
            while num_goroutine() > 0 || crate::diag::stats::stats().timers > 0 {
                thread::yield_now();
            }
        };
        let dropped = blocks_used(1000, dropped_first, Duration::ZERO);
        // The blocks are freed by one P and allocated by this thread, so up to two magazines of
        // each are in transit.
        assert!(stopped < 100 && fired < 2500 && dropped < 800, "{stopped}, {fired}, {dropped}");
    }
}
