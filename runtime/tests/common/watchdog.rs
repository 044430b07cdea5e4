//! Ends a test program that hangs, with a dump.

// Not every program that includes this uses all of it.
#![allow(dead_code, unreachable_pub)]

use std::env;
use std::io::{self, Write as _};
use std::process;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use greenthread::debug;

/// The limit of a test on the slowest machine.
pub const LIMIT: Duration = Duration::from_secs(60);

/// Returns `limit`, times the number in `GREENTHREAD_PATIENCE` if that is set: on a machine that is
/// emulated, everything takes many times as long.
pub fn patiently(limit: Duration) -> Duration {
    limit * env::var("GREENTHREAD_PATIENCE").ok().and_then(|times| times.parse().ok()).unwrap_or(1)
}

/// A guard that aborts the process unless it is dropped in time, so that a test that hangs fails
/// and shows where.
#[must_use]
pub struct Watchdog(Option<mpsc::Sender<()>>, Option<thread::JoinHandle<()>>);

/// Starts a watchdog with the usual [`LIMIT`] for the test on this thread.
pub fn watchdog(what: &str) -> Watchdog {
    watchdog_after(LIMIT, what)
}

/// Starts a watchdog for the test on this thread.
pub fn watchdog_after(limit: Duration, what: &str) -> Watchdog {
    let limit = patiently(limit);
    let name = format!("{} ({what})", thread::current().name().unwrap_or("a test"));
    let (alive, gone) = mpsc::channel();
    let thread = thread::spawn(move || {
        if gone.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
            // Not with `println!`, whose output the harness captures and loses when the process
            // aborts.
            let _ = writeln!(io::stderr(), "{name}: still running after {limit:?}");
            // On a thread of its own, since the dump may need what hangs.
            thread::spawn(|| writeln!(io::stderr(), "{}", debug::dump()));
            thread::sleep(patiently(Duration::from_secs(5)));
            process::abort();
        }
    });
    Watchdog(Some(alive), Some(thread))
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.0.take());
        self.1.take().expect("dropped once").join().expect("a watchdog does not panic");
    }
}
