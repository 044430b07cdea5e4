//! Looking at the running program.
//!
//! # Deadlocks
//! If every goroutine is parked and nobody is left who could wake one, the process prints Go's "fatal error: all goroutines are asleep - deadlock!" and all goroutines, and ends
//! with status 2. That is never said of a program that could go on: a pending timer, a goroutine that waits for I/O or for signals or sits in a
//! blocking call, a thread of yours (unless it, too, waits in a channel, a lock or a join of this crate) all keep it off. So in a program with
//! other threads, as a test harness has, a deadlock is silent, and [`blocked_since`] is the way to find it; as it is for a deadlock among some goroutines while others go on. The
//! report is for Linux, since it needs `/proc`, and [`Config::deadlock`](crate::config::Config::deadlock) switches it off. On kernels before 6.9 it may be late: a foreign
//! thread that ends, and was the last hope, is noticed when something else happens.

pub use greenthread_scheduler::{Blocked, Stats, WaitReason};

use std::time::Duration;

use greenthread_scheduler as scheduler;

/// The scheduler's numbers: goroutines, Ps, threads, timers, stacks, waits for I/O. Takes the scheduler's lock for a moment.
///
/// ```
/// greenthread::spawn(|| ()).join().unwrap();
/// assert!(greenthread::debug::stats().procs >= 1);
/// ```
pub fn stats() -> Stats {
    scheduler::stats()
}

/// All goroutines that have begun, a line each, with what they wait for and where they were spawned, under the scheduler's state in the format of
/// Go's `GODEBUG=schedtrace=1,scheddetail=1`. Taken while everything runs.
///
/// ```
/// let (tx, rx) = greenthread::channel::bounded::<()>(0);
/// let handle = greenthread::spawn(move || rx.recv());
/// while !greenthread::debug::dump().contains("[chan receive]") {
///     greenthread::yield_now();
/// }
/// drop(tx);
/// assert!(handle.join().unwrap().is_err());
/// ```
pub fn dump() -> String {
    scheduler::dump()
}

/// Goroutines that have waited for others for longer than `duration`, those that have waited longest first: in a channel, a `select!`, a lock, a `WaitGroup`, a join and the like,
/// but not in a sleep or for I/O. They are suspects, nothing more: a worker that has no jobs waits too. (Go has no such call; its dumps show the minutes.)
///
/// The time is exact to some tens of milliseconds, and rather too short. A wait with a timeout counts like one without. Does not block; taken while everything runs, so a goroutine that is being
/// woken may be in the list or not. Costs a look at every stack that was ever made.
///
/// ```
/// use greenthread::{channel, debug, spawn};
/// use std::time::Duration;
///
/// let (tx, rx) = channel::bounded::<()>(0);
/// let stuck = spawn(move || rx.recv());
/// let suspects = loop {
///     let suspects = debug::blocked_since(Duration::from_millis(50));
///     if !suspects.is_empty() {
///         break suspects;
///     }
/// };
/// assert_eq!((suspects[0].id, suspects[0].reason.as_str()), (stuck.id(), "chan receive"));
/// drop(tx);
/// assert!(stuck.join().unwrap().is_err());
/// assert!(debug::blocked_since(Duration::ZERO).is_empty());
/// ```
pub fn blocked_since(duration: Duration) -> Vec<Blocked> {
    scheduler::blocked_since(duration)
}
