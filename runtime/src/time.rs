//! Time for goroutines: sleeping, timers and delayed calls, as in Go and crossbeam-channel.
//!
//! Of the functions and types below, only [`sleep`] makes its caller wait.
//!
//! | to | use | in Go |
//! | --- | --- | --- |
//! | wait | [`sleep`] | `time.Sleep` |
//! | limit the wait for something else | [`after`], [`at`] | `time.After` |
//! | the same, with a stop or a reset | [`Timer`] | `time.NewTimer` |
//! | do something periodically | [`Ticker`], [`tick`] | `time.NewTicker`, `time.Tick` |
//! | call something later, once | [`after_func`] | `time.AfterFunc` |
//! | the same, with a reset | [`FuncTimer`] | `time.AfterFunc`, `Timer.Reset` |
//! | stop all calls of one piece of work | [`ctx`](crate::ctx) | `context.WithTimeout` |
//!
//! ```
//! use greenthread::{channel, select, time};
//! use std::time::Duration;
//!
//! let (_tx, answers) = channel::bounded::<u32>(0);
//! let ticker = time::Ticker::new(Duration::from_millis(1));
//! let limit = time::after(Duration::from_millis(10));
//! let mut ticks = 0;
//! loop {
//!     select! {
//!         recv(answers) -> _ => unreachable!("no one answers"),
//!         recv(ticker.channel()) -> _ => ticks += 1,
//!         recv(limit) -> _ => break,
//!     }
//! }
//! println!("no answer after {ticks} ticks");
//! ```
//!
//! The rules are the ones that Go has had since 1.23. After a timer or ticker has been stopped or
//! reset, nothing that was due earlier can be received from it, so there is nothing to drain. A
//! dropped timer leaves nothing behind. A time that has passed is due at once, and a time that is
//! too far away for the clock never arrives. Nothing fires early, and nothing is rounded to
//! milliseconds.

use std::fmt;
use std::mem;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::time::Duration;

use greenthread_scheduler as scheduler;

pub use greenthread_channels::timer::{Ticker, Timer, after, at, tick};
pub use greenthread_scheduler::AfterFunc;

use crate::sync::Mutex;

/// Blocks the caller for at least `duration` (Go's `time.Sleep`).
///
/// A goroutine parks. Any other thread sleeps, as with [`std::thread::sleep`]. A duration of zero
/// returns at once; a duration too long for the clock never ends. Timers are accurate to about 50
/// µs on an idle machine: nothing is rounded to milliseconds.
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

/// Calls `f` in a new goroutine when `duration` has passed (Go's `time.AfterFunc`).
///
/// Until then there is neither a goroutine nor a waiter: the closure and its timer are one block of
/// memory. [`AfterFunc::stop`] cancels the call; dropping the handle does not. Zero means as soon
/// as possible, and a duration too long for the clock means never. The handle has no `reset`, since
/// `f` can be called only once: stop this call and make another, or use [`FuncTimer`].
///
/// Does not block; works from any thread. A panic in `f` ends only its goroutine, as with
/// [`go!`](crate::go!). If no stack can be had for the goroutine when the time arrives, it waits
/// for one ahead of all others.
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

/// A closure that is called later, in a new goroutine each time, and can be stopped or reset (Go's
/// `time.Timer`, as `time.AfterFunc` makes it).
///
/// For a closure that is called once, [`after_func`] is cheaper, and takes any [`FnOnce`]. With a
/// `FuncTimer`, [`new`](Self::new) and each [`reset`](Self::reset) schedule a call, and at most one
/// call is pending at a time. The timer does not wait for a call that has begun, so that call may
/// still be running when the next one begins. Hence the closure has to be [`Fn`] and [`Sync`].
///
/// Any number of goroutines and threads may use the timer at once, and so may the closure. The
/// first wins: either a pending call begins, or one of the callers that stop or reset the timer is
/// told that it did not. Dropping a `FuncTimer` does not cancel a pending call. The closure is
/// dropped with its `FuncTimer`, or with the last call if that ends later. A panic in the closure
/// ends only the goroutine of that call, and the timer can still be reset.
///
/// ```
/// use greenthread::time::{self, FuncTimer};
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicBool, Ordering};
/// use std::time::Duration;
///
/// // Marks a connection as idle when no message has arrived for a while.
/// let idle = Arc::new(AtomicBool::new(false));
/// let limit = Duration::from_secs(60);
/// let watch = FuncTimer::new(limit, {
///     let idle = Arc::clone(&idle);
///     move || idle.store(true, Ordering::Relaxed)
/// });
/// for _message in 0..3 {
///     time::sleep(Duration::from_millis(1));
///     watch.reset(limit);
/// }
/// assert!(watch.stop() && !idle.load(Ordering::Relaxed));
/// ```
///
/// A closure that resets its own timer needs a weak reference to it, and must not be called before
/// that reference can be upgraded. So schedule the first call after the timer has been created.
///
/// ```
/// use greenthread::{channel, time::FuncTimer};
/// use std::sync::{Arc, Weak};
/// use std::time::Duration;
///
/// let (tx, rx) = channel::unbounded();
/// let beat = Arc::new_cyclic(|this: &Weak<FuncTimer>| {
///     let this = this.clone();
///     FuncTimer::new(Duration::MAX, move || {
///         let _ = tx.send("beat");
///         if let Some(timer) = this.upgrade() {
///             timer.reset(Duration::from_millis(1));
///         }
///     })
/// });
/// beat.reset(Duration::ZERO);
/// assert_eq!(rx.iter().take(3).count(), 3);
/// drop(beat);
/// ```
pub struct FuncTimer {
    f: Arc<dyn Fn() + Send + Sync>,
    // The call that was scheduled last. No user code is dropped under this lock, since `f` also
    // holds the closure.
    call: Mutex<AfterFunc>,
}

// A panic leaves nothing half done: the closure is called only by goroutines of its own.
impl UnwindSafe for FuncTimer {}
impl RefUnwindSafe for FuncTimer {}

impl FuncTimer {
    /// Creates a timer that calls `f` when `duration` has passed (Go's `time.AfterFunc`).
    ///
    /// Zero means as soon as possible, and a duration too long for the clock means never. Does not
    /// block.
    ///
    /// ```
    /// use greenthread::{channel, time::FuncTimer};
    /// use std::time::Duration;
    ///
    /// let (tx, rx) = channel::bounded(1);
    /// let timer = FuncTimer::new(Duration::from_millis(1), move || tx.send("now").unwrap());
    /// assert_eq!(rx.recv(), Ok("now"));
    /// # drop(timer);
    /// ```
    #[track_caller]
    pub fn new(duration: Duration, f: impl Fn() + Send + Sync + 'static) -> Self {
        let f: Arc<dyn Fn() + Send + Sync> = Arc::new(f);
        let call = Mutex::new(call_after(duration, &f));
        Self { f, call }
    }

    /// Reschedules the call to `duration` from now (Go's `Timer.Reset`).
    ///
    /// Returns `true` if a call was pending; the new call replaces it. Returns `false` if that call
    /// had already begun or was stopped; the new call is then an additional one. Waits only for
    /// concurrent callers that stop or reset this timer.
    ///
    /// ```
    /// use greenthread::{channel, time::FuncTimer};
    /// use std::time::Duration;
    ///
    /// let (tx, rx) = channel::unbounded();
    /// let timer = FuncTimer::new(Duration::from_secs(3600), move || tx.send("now").unwrap());
    /// assert!(timer.reset(Duration::ZERO), "the call was due in an hour");
    /// assert_eq!(rx.recv(), Ok("now"));
    /// assert!(!timer.reset(Duration::ZERO), "it was called");
    /// assert_eq!(rx.recv(), Ok("now"));
    /// ```
    #[track_caller]
    pub fn reset(&self, duration: Duration) -> bool {
        let mut call = self.call.lock();
        let replaces = call.stop();
        let before = mem::replace(&mut *call, call_after(duration, &self.f));
        drop(call);
        // The former handle may hold the payload of a panic.
        drop(before);
        replaces
    }

    /// Cancels the pending call (Go's `Timer.Stop`).
    ///
    /// Returns `true` if a call was pending; it will not be made. Returns `false` if the call has
    /// begun, whether or not it is still running, or was stopped before. Waits only for concurrent
    /// callers that stop or reset this timer.
    ///
    /// ```
    /// use greenthread::time::FuncTimer;
    /// use std::time::Duration;
    ///
    /// let timer = FuncTimer::new(Duration::from_secs(3600), || unreachable!());
    /// assert!(timer.stop(), "it had not begun");
    /// assert!(!timer.stop(), "it is stopped already");
    /// assert!(!timer.reset(Duration::from_secs(3600)), "it was stopped");
    /// assert!(timer.stop());
    /// ```
    pub fn stop(&self) -> bool {
        self.call.lock().stop()
    }
}

#[track_caller]
fn call_after(duration: Duration, f: &Arc<dyn Fn() + Send + Sync>) -> AfterFunc {
    let f = Arc::clone(f);
    after_func(duration, move || f())
}

impl fmt::Debug for FuncTimer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("FuncTimer { .. }")
    }
}
