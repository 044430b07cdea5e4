//! Threads of others that block in our primitives: who they are, for the deadlock report ([`crate::diag::deadlock`]).
//!
//! A thread that the runtime did not start enters itself before it sleeps, when its commit step is over and nothing is
//! left to do but to sleep, and takes itself out when it has been woken. That costs two looks at a lock and a system
//! call or two, 0.2 us, beside a sleep and a wake-up of 20 us or more. One that waits with a deadline does not enter
//! itself: it will wake up.
//!
//! # Invariants
//! * I1: a thread that is in the list runs nothing but the code between [`register`] and the drop of what it returns.
//! * I2: the parker of an entry is there as long as the entry is.
//! * I3: a token for a sleeper stays until it is out of the list: one that has taken its token, and waits for the lock
//!   of the list, would look like one that was never woken.
//!
//! # Rejected
//! Counting instead of listing: the monitor must know *which* thread keeps the hope up, to sleep until that one ends.

use std::ptr::NonNull;

use crate::gmp::reason::WaitReason;
use crate::gmp::scheduler::try_sched;
use crate::machine::sys::mutex::{Mutex, MutexGuard};
use crate::machine::sys::parker::Parker;
use crate::machine::sys::thread;

/// A thread that sleeps.
pub(crate) struct Sleeper {
    pub(crate) thread: i32,
    pub(crate) reason: WaitReason,
    /// What it sleeps on; none if nobody will wake it.
    parker: Option<NonNull<Parker>>,
}

// SAFETY: parkers are made to be reached from other threads; I2 says for how long.
unsafe impl Send for Sleeper {}

impl Sleeper {
    /// Whether it has been woken, and has not yet come to take itself out.
    pub(crate) fn is_woken(&self) -> bool {
        // SAFETY: I2: whoever has this entry has the lock of the list.
        self.parker.is_some_and(|parker| unsafe { parker.as_ref() }.has_token())
    }
}

static SLEEPERS: Mutex<Vec<Sleeper>> = Mutex::new(Vec::new());

/// The threads that sleep. None comes or goes while the result is kept.
pub(crate) fn sleepers() -> MutexGuard<'static, Vec<Sleeper>> {
    SLEEPERS.lock()
}

/// Blocks the calling thread until `parker` has a token.
pub(crate) fn park(parker: &Parker, reason: WaitReason) {
    if !parker.take() {
        let asleep = register(reason, Some(NonNull::from(parker)));
        parker.wait_for_token();
        // I3.
        drop(asleep);
        parker.take();
    }
}

/// The calling thread sleeps, or does nothing that could wake anybody, until the result is dropped.
pub(crate) fn count_as_asleep(reason: WaitReason) -> impl Sized {
    register(reason, None)
}

/// The entry of the calling thread.
struct Asleep(i32);

fn register(reason: WaitReason, parker: Option<NonNull<Parker>>) -> Asleep {
    let thread = thread::id();
    sleepers().push(Sleeper { thread, reason, parker });
    // It may have been the last one that was awake. The lock orders this after the monitor's look, if that did not see it.
    if let Some(sched) = try_sched() {
        sched.wake_sysmon();
    }
    Asleep(thread)
}

impl Drop for Asleep {
    fn drop(&mut self) {
        let mut sleepers = sleepers();
        if let Some(at) = sleepers.iter().position(|sleeper| sleeper.thread == self.0) {
            sleepers.swap_remove(at);
        }
    }
}
