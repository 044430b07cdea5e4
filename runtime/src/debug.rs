//! Looking at the running program: for whoever wants to know what hangs, what waits, and how busy the scheduler is.
//!
//! | to | use | in Go |
//! | --- | --- | --- |
//! | see all goroutines and their stacks | [`dump`], or `kill -QUIT` | `kill -QUIT`, `runtime.Stack` |
//! | work with them | [`goroutines`] | `runtime.GoroutineProfile` |
//! | find those that have waited for long | [`blocked_for`] | nothing |
//! | watch the scheduler's numbers | [`stats`] | `runtime/metrics` |
//! | trace the scheduler | `GODEBUG=schedtrace=1000,scheddetail=1` | the same |
//!
//! ```
//! use greenthread::debug;
//! use std::time::Duration;
//!
//! for goroutine in debug::blocked_for(Duration::from_secs(60)) {
//!     eprintln!("{} from {} hangs: {:?}", goroutine.id, goroutine.spawned_at, goroutine.backtrace());
//! }
//! ```
//!
//! # SIGQUIT
//! The signal SIGQUIT (Ctrl-\\) prints the dump on stderr and ends the process with status 2, as in Go. That is
//! installed when the runtime starts, if the signal has its default effect then: a handler that the program has
//! installed stays, and one that it installs later wins, with [`signal::notify`](crate::signal::notify) too. A signal that
//! is ignored stays ignored, and a shell without job control, as in a script, starts what it puts into the background by
//! `&` with SIGQUIT ignored: say `set -m` before, or dump at a signal of your own.
//!
//! # What it takes
//! Goroutines that are parked are read from outside, and go on as if nothing had been. The threads of those that run
//! are interrupted by SIGURG, the signal that Go uses for the like; a system call in which one sits is begun anew, but
//! `poll`, `nanosleep`, and reads with a timeout fail with `EINTR`, as they may at any time. On x86-64 Linux only:
//! elsewhere there are no stacks, and SIGQUIT has its usual effect. Names of functions and lines need symbols and debug
//! information in the program (`debug = "line-tables-only"`).
//!
//! # Deadlocks
//! If every goroutine is parked and nobody is left who could wake one, the process prints Go's "fatal error: all
//! goroutines are asleep - deadlock!" and all goroutines, and ends with status 2. That is never said of a program that
//! could go on: a pending timer, a goroutine that waits for I/O or for signals or sits in a blocking call, a thread of
//! yours (unless it, too, waits in a channel, a lock or a join of this crate) all keep it off. So in a program with
//! other threads, as a test harness has, a deadlock is silent, and [`blocked_for`] is the way to find it; as it is
//! for a deadlock among some goroutines while others go on. The report is for Linux, since it needs `/proc`, and
//! [`Config::deadlock`](crate::config::Config::deadlock) switches it off. On kernels before 6.9 it may be late: a
//! foreign thread that ends, and was the last hope, is noticed when something else happens.

pub use greenthread_scheduler::{Frame, GoroutineInfo, GoroutineState, Stats, WaitReason};

use std::time::Duration;

use greenthread_scheduler as scheduler;

/// The scheduler's numbers: goroutines, Ps, threads, timers, stacks, waits for I/O. Never parks; takes the scheduler's lock for a
/// moment. Go has more of them in `runtime/metrics`.
///
/// ```
/// greenthread::spawn(|| ()).join().unwrap();
/// assert!(greenthread::debug::stats().procs >= 1);
/// ```
pub fn stats() -> Stats {
    scheduler::stats()
}

/// All goroutines that have begun, with their stacks, as text in the format of Go's tracebacks: those that run first,
/// then by number, those with the same stack as one. Taken while everything runs.
///
/// Blocks the OS thread, for some milliseconds, and the first time for as long as it takes to read the program's debug
/// information; to be called from anywhere but signal handlers. A goroutine that runs and does not answer in a tenth of
/// a second has no stack in it. Go's `runtime.Stack(buf, true)`.
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

/// All goroutines that have begun, by number: what they do, what they wait for, where they were spawned, and their
/// stacks. Taken while everything runs: a goroutine may have gone on when the caller looks.
///
/// Blocks as [`dump`] does. Go's `runtime.GoroutineProfile`, with more in it.
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

/// Goroutines that have waited for others for longer than `duration`, those that have waited longest first: in a channel, a
/// `select!`, a lock, a `WaitGroup`, a join and the like, but not in [`time::sleep`](crate::time::sleep) or for I/O. They are
/// suspects, nothing more: a worker that has no jobs waits too. (Go has no such call; its dumps show the minutes.)
///
/// The time is exact to some tens of milliseconds, and rather too short. A wait with a timeout counts like one without, and so
/// does one for a timer's channel, as in [`Context::sleep`](crate::ctx::Context::sleep). Blocks as [`goroutines`] does; taken
/// while everything runs.
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
