//! Time for goroutines: sleeping, and what happens later. Go's timers, and crossbeam-channel's.
//!
//! None of it keeps a thread or a goroutine waiting but [`sleep`].
//!
//! | to | use | in Go |
//! | --- | --- | --- |
//! | wait | [`sleep`] | `time.Sleep` |
//! | stop waiting for something else | [`after`], [`at`] | `time.After` |
//! | the same, and change one's mind | [`Timer`] | `time.NewTimer` |
//! | do something again and again | [`Ticker`], [`tick`] | `time.NewTicker`, `time.Tick` |
//! | call something later, once | [`after_func`] | `time.AfterFunc` |
//! | the same, and set it anew | [`FuncTimer`] | `time.AfterFunc`, `Timer.Reset` |
//! | stop all that belongs to one piece of work | [`ctx`](crate::ctx) | `context.WithTimeout` |
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
//!         recv(answers) -> _ => unreachable!("nobody answers"),
//!         recv(ticker.channel()) -> _ => ticks += 1,
//!         recv(limit) -> _ => break,
//!     }
//! }
//! println!("no answer after {ticks} ticks");
//! ```
//!
//! The rules are those of Go since 1.23: nobody receives from a timer or ticker what was due before it was stopped or
//! set anew, so nothing has to be drained; and what is dropped leaves nothing behind. Times that have passed are due at
//! once, and those that are too far away for the clock never come. Nothing is early, and nothing is rounded to
//! milliseconds.

use std::fmt;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use greenthread_scheduler as scheduler;

pub use greenthread_channels::timer::{Ticker, Timer, after, at, tick};
pub use greenthread_scheduler::AfterFunc;

use crate::sync::Mutex;

/// Parks the calling goroutine for at least `duration`: Go's `time.Sleep`.
///
/// Zero returns at once; a duration too long for the clock never ends. Timers are exact to some 50 us on an idle
/// machine: nothing is rounded to milliseconds. A thread that is no goroutine sleeps as with [`std::thread::sleep`].
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
/// Until then there is no goroutine and nobody waits: the closure and its timer are one block of memory.
/// [`AfterFunc::stop`] calls it off. Dropping the handle does not. A `duration` of zero means as soon as possible, one
/// too long for the clock never. There is no `reset`, since `f` can be called once only: stop this one and make
/// another, or use [`FuncTimer`].
///
/// Does not block; works from any thread. A panic in `f` ends its goroutine alone, as with [`go!`](crate::go!). If there
/// is no stack for that goroutine when the time has come, `f` is dropped without having been called, and stderr says so:
/// a waiter that depends on the call can be told of it by a destructor of something that `f` has captured.
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

/// A closure that is called some time later, in a goroutine of its own each time, and can be called off or set anew: Go's
/// `time.Timer`, as `time.AfterFunc` makes it.
///
/// For a closure that is to be called once, [`after_func`] is cheaper, and takes any [`FnOnce`]. Here a call is set by
/// [`new`](Self::new) and by each [`reset`](Self::reset), and at most one is to come at any time; one that has begun is
/// not waited for, so it may still run when the next one does. Hence [`Fn`] and [`Sync`].
///
/// Any goroutine or thread may use it, many at once; the closure may too. Who gets there first wins: either a call
/// begins or one of those who stop it or set it anew is told that it did not. Dropping a `FuncTimer` does not call off
/// a call that is to come. The closure is dropped with its `FuncTimer`, or with the last call if that ends later. A
/// panic in it ends that goroutine alone, and the timer can be set anew.
///
/// ```
/// use greenthread::time::{self, FuncTimer};
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicBool, Ordering};
/// use std::time::Duration;
///
/// // Says that a connection is idle when nothing has come for some time.
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
/// A closure that sets its own timer needs a weak reference to it, and must not be called before that leads somewhere: so the
/// first call is set when the timer is there.
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
    // The call that was set last. Nothing of the user's is dropped under this lock: the closure is held above too.
    call: Mutex<AfterFunc>,
}

impl FuncTimer {
    /// Has `f` called when `duration` has passed: Go's `time.AfterFunc`. Zero means as soon as possible, and a duration
    /// too long for the clock never. Does not block.
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

    /// Has the closure called when `duration` from now has passed, and not before: Go's `Timer.Reset`.
    ///
    /// True if a call was still to come, which this one replaces. False if it had begun, or was called off: then this
    /// is one more. Waits for nobody but others who stop or set this timer at the same moment.
    ///
    /// ```
    /// use greenthread::{channel, time::FuncTimer};
    /// use std::time::Duration;
    ///
    /// let (tx, rx) = channel::unbounded();
    /// let timer = FuncTimer::new(Duration::from_secs(3600), move || tx.send("now").unwrap());
    /// assert!(timer.reset(Duration::ZERO), "it was to be called in an hour");
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
        // It may hold the payload of a panic.
        drop(before);
        replaces
    }

    /// Calls the call off: Go's `Timer.Stop`. True if one was to come, and will not. False if it has begun, be it
    /// running or over, or was called off before. Waits for nobody but others who stop or set this timer at the same
    /// moment.
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
