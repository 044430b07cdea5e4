//! Looking at the running program.

pub use greenthread_scheduler::Stats;

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
