//! The list of foreign threads that block in our primitives, for the deadlock report
//! ([`crate::diag::deadlock`]).
//!
//! A foreign thread registers itself before it sleeps, when its commit step is over and only the
//! sleep is left, and removes itself after it was woken. That costs two acquisitions of a lock and
//! a system call or two, 0.2 us, beside a sleep and a wake-up of 20 us or more. A thread that waits
//! with a deadline does not register: it will wake up by itself.
//!
//! # Invariants
//! * I1: a thread in the list runs only the code between [`register`] and the drop of its result.
//! * I2: the parker of an entry exists as long as the entry does.
//! * I3: a token for a sleeper stays until the sleeper is out of the list. A sleeper that has taken
//!   its token and waits for the lock of the list would look like one that was never woken.
//!
//! # Rejected
//! *Counting instead of listing*: sysmon must know *which* thread keeps the process from a
//! deadlock, in order to sleep until that thread ends.

use std::ptr::NonNull;

use crate::gmp::reason::WaitReason;
use crate::gmp::scheduler::try_sched;
use crate::machine::sys::mutex::{Mutex, MutexGuard};
use crate::machine::sys::parker::Parker;
use crate::machine::sys::thread;

/// A foreign thread that sleeps.
pub(crate) struct Sleeper {
    pub(crate) thread: i32,
    pub(crate) reason: WaitReason,
    /// Where it sleeps, or `None` if no waker will come.
    parker: Option<NonNull<Parker>>,
}

// SAFETY: parkers are made to be reached from other threads, and I2 says for how long.
unsafe impl Send for Sleeper {}

impl Sleeper {
    /// Returns `true` if it was woken and has not removed itself from the list yet.
    pub(crate) fn is_woken(&self) -> bool {
        // SAFETY: I2; the list is locked as long as this entry can be reached.
        self.parker.is_some_and(|parker| unsafe { parker.as_ref() }.has_token())
    }
}

static SLEEPERS: Mutex<Vec<Sleeper>> = Mutex::new(Vec::new());

/// Locks the list of sleeping threads.
///
/// No thread comes or goes while the result is kept.
pub(crate) fn sleepers() -> MutexGuard<'static, Vec<Sleeper>> {
    SLEEPERS.lock()
}

/// Blocks the calling thread until `parker` has a token.
pub(crate) fn park(parker: &Parker, reason: WaitReason) {
    if !parker.take() {
        let asleep = register(reason, Some(NonNull::from(parker)));
        parker.wait_for_token();
        // I3: the token is taken only when the entry is gone.
        drop(asleep);
        parker.take();
    }
}

/// Counts the calling thread as asleep until the result is dropped.
///
/// The thread sleeps, or does nothing in the meantime that could wake another.
pub(crate) fn count_as_asleep(reason: WaitReason) -> impl Sized {
    register(reason, None)
}

/// The entry of the calling thread, removed on drop.
struct Asleep(i32);

fn register(reason: WaitReason, parker: Option<NonNull<Parker>>) -> Asleep {
    let thread = thread::id();
    sleepers().push(Sleeper { thread, reason, parker });
    // This may have been the last thread that was awake. If sysmon's check did not see the entry,
    // the lock orders this wake-up after that check.
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
