//! Time for goroutines: sleeping, and what happens later. None of it keeps a thread or a goroutine waiting but [`sleep`].

use std::time::Duration;

use greenthread_scheduler as scheduler;

pub use greenthread_channels::timer::{Ticker, Timer, after, at, tick};
pub use greenthread_scheduler::AfterFunc;

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

/// Calls `f` in a goroutine of its own when `duration` has passed: Go's `time.AfterFunc`.
///
/// Until then there is no goroutine and nobody waits: the closure and its timer are one block of memory. [`AfterFunc::stop`] calls it off.
/// Dropping the handle does not. A `duration` of zero means as soon as possible, one too long for the clock
/// never. Go's `Reset` is missing, since `f` can be called once only: stop this one and make another.
///
/// Does not block; works from any thread. A panic in `f` ends its goroutine alone, as with [`go!`](crate::go!).
///
/// ```
/// use greenthread::{channel, time};
/// use std::time::Duration;
///
/// let (tx, rx) = channel::bounded(1);
/// time::after_func(Duration::from_millis(1), move || tx.send("now").unwrap());
/// assert_eq!(rx.recv(), Ok("now"));
///
/// let never = time::after_func(Duration::from_secs(3600), || unreachable!());
/// assert!(never.stop(), "it had not begun");
/// assert!(!never.stop(), "it is stopped already");
/// ```
#[track_caller]
pub fn after_func(duration: Duration, f: impl FnOnce() + Send + 'static) -> AfterFunc {
    scheduler::after_func(duration, f)
}
