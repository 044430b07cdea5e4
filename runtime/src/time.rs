//! Time for goroutines.

use std::time::Duration;

use greenthread_scheduler as scheduler;

pub use greenthread_channels::timer::{Ticker, Timer, after, at, tick};

/// Parks the calling goroutine for at least `duration`: Go's `time.Sleep`.
///
/// Zero returns at once. Timers are exact to some 50 us on an idle machine: nothing is rounded to milliseconds. A thread that is no goroutine
/// sleeps as with [`std::thread::sleep`].
///
/// ```
/// use std::time::{Duration, Instant};
///
/// let begin = Instant::now();
/// greenthread::spawn(|| greenthread::time::sleep(Duration::from_millis(2))).join().unwrap();
/// assert!(begin.elapsed() >= Duration::from_millis(2));
/// ```
pub fn sleep(duration: Duration) {
    scheduler::sleep(duration);
}
