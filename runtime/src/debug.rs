//! Tools for inspecting the running program: what hangs, what waits, and how busy the scheduler is.
//!
//! | to | use |
//! | --- | --- |
//! | see all goroutines and their stacks | [`dump`], or `kill -QUIT` |
//! | work with them | [`goroutines`] |
//! | find those that have waited for a long time | [`blocked_for`] |
//! | watch the scheduler's counters | [`stats`] |
//! | trace the scheduler | `GODEBUG=schedtrace=1000,scheddetail=1` |
//!
//! ```
//! use greenthread::debug;
//! use std::time::Duration;
//!
//! for goroutine in debug::blocked_for(Duration::from_secs(60)) {
//!     let (id, site) = (goroutine.id, goroutine.spawned_at);
//!     eprintln!("{id} from {site} hangs: {:?}", goroutine.backtrace());
//! }
//! ```
//!
//! # SIGQUIT
//! The signal SIGQUIT (Ctrl-\\) prints the dump on stderr and ends the process with status 2, as in
//! Go. The runtime installs its handler when it starts, if the signal has its default effect at
//! that time. A handler that the program installed earlier stays. A handler that the program
//! installs later, even through `signal::notify`, replaces the runtime's handler. A signal that is
//! ignored stays ignored. A shell without job control, as in a script, starts background commands
//! (`&`) with SIGQUIT ignored: write `set -m` before such a command, or print the dump on a signal
//! of your choice.
//!
//! # How stacks are read
//! The stacks of parked goroutines are read from outside, without the goroutines noticing. The
//! threads of running goroutines are interrupted by SIGURG, the signal that Go uses for preemption.
//! A system call that the signal interrupts is restarted, but `poll`, `nanosleep`, and reads with a
//! timeout fail with `EINTR`, as they may at any time. This works on x86-64 Linux only: elsewhere,
//! no stacks are available, and SIGQUIT has its usual effect. Function names and line numbers need
//! symbols and debug information in the program (`debug = "line-tables-only"`).
//!
//! # Deadlocks
//! If every goroutine is parked and nothing is left that could wake one, the process prints Go's
//! "fatal error: all goroutines are asleep - deadlock!" and all goroutines, and ends with status 2.
//! This never happens to a program that could continue. Each of these prevents it: a pending timer,
//! a goroutine that waits for I/O or for signals, a goroutine in a blocking call, and a thread of
//! your own (unless it is also waiting in a channel, a lock, or a join of this crate). So a
//! deadlock is silent in a program with other threads, such as a test harness, and so is a deadlock
//! among some goroutines while others continue. Use [`blocked_for`] to find those.
//!
//! The report needs `/proc`, so it exists on Linux only.
//! [`Config::deadlock`](crate::config::Config::deadlock) switches it off. On kernels before 6.9 the
//! report may be up to a minute late: if the last thread that could have woken a goroutine is a
//! foreign thread, the runtime looks for the end of that thread only now and then.

pub use greenthread_scheduler::{Fallback, Fallbacks, Frame, GoroutineInfo, GoroutineState, Stats, WaitReason};

use std::time::Duration;

use greenthread_scheduler as scheduler;

/// Returns the scheduler's counters: goroutines, Ps, threads, timers, stacks, waits for I/O.
///
/// Never parks, but takes the scheduler's lock for a moment. Go has more counters in
/// `runtime/metrics`.
///
/// ```
/// greenthread::spawn(|| ()).join().unwrap();
/// assert!(greenthread::debug::stats().procs >= 1);
/// ```
pub fn stats() -> Stats {
    scheduler::stats()
}

/// Returns all goroutines that have begun, with their stacks, as text in Go's traceback format.
///
/// Running goroutines come first, then the others by id; goroutines with equal stacks are shown
/// together. The dump is taken while everything keeps running, like Go's
/// `runtime.Stack(buf, true)`.
///
/// Blocks the OS thread for a few milliseconds. The first call blocks for as long as it takes to
/// read the program's debug information. It may be called from anywhere except signal handlers. A
/// running goroutine that does not answer within a tenth of a second is shown without its stack.
///
/// ```standalone_crate
/// fn consumer(rx: greenthread::channel::Receiver<()>) {
///     let _ = rx.recv();
/// }
///
/// let (tx, rx) = greenthread::channel::bounded(0);
/// let handle = greenthread::spawn(move || consumer(rx));
/// while !greenthread::debug::dump().contains("[chan receive]:") {
///     greenthread::yield_now();
/// }
/// drop(tx);
/// handle.join().unwrap();
/// ```
pub fn dump() -> String {
    scheduler::dump()
}

/// Returns all goroutines that have begun, ordered by id.
///
/// Each entry shows the goroutine's state, what it waits for, where it was spawned, and its stack.
/// The entries are collected while everything keeps running, so a goroutine may have continued by
/// the time the caller reads its entry.
///
/// Blocks as [`dump`] does. Go's `runtime.GoroutineProfile` returns less information.
///
/// ```
/// use greenthread::debug::{self, GoroutineState, WaitReason};
///
/// let (tx, rx) = greenthread::channel::bounded::<()>(0);
/// let handle = greenthread::spawn(move || rx.recv());
/// let waits = |id| {
///     let all = debug::goroutines();
///     let waiting = GoroutineState::Waiting(WaitReason::ChanReceive);
///     all.iter().any(|goroutine| goroutine.id == id && goroutine.state == waiting)
/// };
/// while !waits(handle.id()) {
///     greenthread::yield_now();
/// }
/// drop(tx);
/// assert!(handle.join().unwrap().is_err());
/// ```
pub fn goroutines() -> Vec<GoroutineInfo> {
    scheduler::goroutines()
}

/// Returns the goroutines that have waited for others for longer than `duration`, longest first.
///
/// These goroutines wait in a channel, a `select!`, a lock, a `WaitGroup`, a join, or something
/// similar. Goroutines that sleep in [`time::sleep`](crate::time::sleep) or wait for I/O are left
/// out. The result lists only suspects: an idle worker also waits. (Go has no such call; its dumps
/// show the minutes.)
///
/// The time is accurate to a few tens of milliseconds, and tends to be too short rather than too
/// long. A wait with a timeout counts like any other wait, and so does a wait on a timer's channel,
/// as in [`Context::sleep`](crate::ctx::Context::sleep). Blocks as [`goroutines`] does; the
/// goroutines are collected while everything runs.
///
/// ```standalone_crate
/// use greenthread::{channel, debug, spawn};
/// use std::time::Duration;
///
/// let (tx, rx) = channel::bounded::<()>(0);
/// let stuck = spawn(move || rx.recv());
/// let suspects = loop {
///     let suspects = debug::blocked_for(Duration::from_millis(50));
///     if !suspects.is_empty() {
///         break suspects;
///     }
/// };
/// assert_eq!(suspects[0].id, stuck.id());
/// assert_eq!(suspects[0].state, debug::GoroutineState::Waiting(debug::WaitReason::ChanReceive));
/// drop(tx);
/// assert!(stuck.join().unwrap().is_err());
/// assert!(debug::blocked_for(Duration::ZERO).is_empty());
/// ```
pub fn blocked_for(duration: Duration) -> Vec<GoroutineInfo> {
    scheduler::blocked_for(duration)
}
