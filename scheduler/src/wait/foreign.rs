//! The list of foreign threads that are blocked in our primitives, for the deadlock report
//! ([`crate::diag::deadlock`]).
//!
//! A foreign thread registers itself before it sleeps, after its commit step, when only the sleep
//! remains. It removes itself after it is woken. That costs two lock acquisitions and a system call
//! or two, 0.2 us, compared with 20 us or more for a sleep and a wake-up. A thread that waits with
//! a deadline does not register, because it will wake up by itself.
//!
//! # Invariants
//! * I1: a thread in the list runs only the code between [`register`] and the drop of its result.
//! * I2: the parker of an entry exists as long as the entry does.
//! * I3: a sleeper's token stays until the sleeper has left the list. A sleeper that had taken its
//!   token and was waiting for the list's lock would look like a sleeper that was never woken.
//!
//! # Rejected
//! *Counting instead of listing*: sysmon must know *which* thread rules out a deadlock, so that it
//! can sleep until that thread ends.

use std::ptr::NonNull;

use crate::gmp::reason::WaitReason;
use crate::gmp::scheduler::try_sched;
use crate::machine::sys::mutex::{Mutex, MutexGuard};
use crate::machine::sys::parker::Parker;
use crate::machine::sys::thread;

/// A sleeping foreign thread.
pub(crate) struct Sleeper {
    pub(crate) thread: i32,
    pub(crate) reason: WaitReason,
    /// The parker on which it sleeps, or `None` if no waker will arrive.
    parker: Option<NonNull<Parker>>,
}

// SAFETY: parkers may be used from other threads, and I2 says how long they exist.
unsafe impl Send for Sleeper {}

impl Sleeper {
    /// Returns `true` if the thread was woken and has not yet removed itself from the list.
    pub(crate) fn is_woken(&self) -> bool {
        // SAFETY: I2; the list stays locked while this entry can be reached.
        self.parker.is_some_and(|parker| unsafe { parker.as_ref() }.has_token())
    }
}

static SLEEPERS: Mutex<Vec<Sleeper>> = Mutex::new(Vec::new());

/// Locks the list of sleeping threads.
///
/// No thread enters or leaves the list while the guard is held.
pub(crate) fn sleepers() -> MutexGuard<'static, Vec<Sleeper>> {
    SLEEPERS.lock()
}

/// Blocks the calling thread until `parker` has a token.
pub(crate) fn park(parker: &Parker, reason: WaitReason) {
    if !parker.take() {
        let asleep = register(reason, Some(NonNull::from(parker)));
        parker.wait_for_token();
        // I3: the token is taken only after the entry is removed.
        drop(asleep);
        parker.take();
    }
}

/// Counts the calling thread as asleep until the result is dropped.
///
/// Until then, the thread sleeps or does nothing that could wake another thread.
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
