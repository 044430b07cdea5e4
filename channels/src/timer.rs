//! Channels that are fed by the clock: `after`, `at`, `tick`, and timers and tickers that can be
//! stopped and reset.
//!
//! ```
//! use greenthread::channel::timer::{Ticker, after};
//! use std::time::Duration;
//!
//! let ticker = Ticker::new(Duration::from_millis(1));
//! assert!(ticker.channel().recv().is_ok());
//! assert!(after(Duration::from_millis(1)).recv().is_ok());
//! ```
//!
//! A channel without waiting receivers costs only its memory: it has no thread and no entry in any
//! list. So an [`after`] in a loop leaves nothing behind, whether or not its message was received.
//! Creating, stopping and resetting a timer or ticker never blocks.
//!
//! No channel ever holds a stale message: [`Timer::stop`] and [`Timer::reset`] take effect at once
//! for all receivers (Go's rules since 1.23).

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::alarm::{Alarm, AlarmChan, Period};
use crate::handle::Receiver;

/// Creates a receiver that receives one message after `duration` (Go's `time.After`).
///
/// The message is the time at which it was due.
///
/// With a `duration` of zero the message is due at once. If the clock cannot express the time, the
/// message never arrives. The channel is never closed: after the message, a receive blocks forever.
/// The channel does not have to be stopped, and leaves nothing behind when it is dropped. Never
/// blocks.
///
/// ```
/// use greenthread::channel::{after, select, unbounded};
/// use std::time::Duration;
///
/// let (_tx, rx) = unbounded::<u8>();
/// let timed_out = select! {
///     recv(rx) -> _ => false,
///     recv(after(Duration::from_millis(1))) -> _ => true,
/// };
/// assert!(timed_out);
/// ```
pub fn after(duration: Duration) -> Receiver<Instant> {
    at(from_now(duration))
}

/// Creates a receiver that receives one message at `when` (Go's `time.After(time.Until(when))`).
///
/// The message is `when`. It is due at once if `when` has passed.
///
/// In all other respects it is like [`after`].
///
/// ```
/// use greenthread::channel::at;
/// use std::time::{Duration, Instant};
///
/// let when = Instant::now() + Duration::from_millis(1);
/// assert_eq!(at(when).recv(), Ok(when));
/// assert!(Instant::now() >= when);
/// assert_eq!(at(when).try_recv(), Ok(when), "it has passed");
/// ```
pub fn at(when: Instant) -> Receiver<Instant> {
    Receiver::from_alarm(alarm_chan(Some(when), Period::Once))
}

/// Creates a receiver that receives a message every `duration` (Go's `time.Tick`).
///
/// The message is the time at which it was due.
///
/// At most one message waits to be received. The next message is due `duration` after the previous
/// message was due, or after a receiver asked for the previous message if it did so later. This is
/// crossbeam's rule. [`Ticker`] follows Go's rule, and can be stopped. If the clock cannot express
/// the time, the message never arrives.
///
/// With a `duration` of zero a message is always due, as in crossbeam. (In Go no message ever is,
/// because `time.Tick(0)` is nil.)
///
/// The channel is never closed, and leaves nothing behind when it is dropped. Never blocks.
///
/// ```
/// use greenthread::channel::tick;
/// use std::time::{Duration, Instant};
///
/// let start = Instant::now();
/// let ticks = tick(Duration::from_millis(2));
/// ticks.recv().unwrap();
/// ticks.recv().unwrap();
/// assert!(start.elapsed() >= Duration::from_millis(4));
/// ```
pub fn tick(duration: Duration) -> Receiver<Instant> {
    Receiver::from_alarm(alarm_chan(Some(from_now(duration)), Period::AfterLast(duration)))
}

/// Returns the time after `duration`.
///
/// If the clock cannot express it, returns a time 584 years from now, which is as good as never.
fn from_now(duration: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(duration).unwrap_or_else(|| now + Duration::from_nanos(u64::MAX))
}

fn alarm_chan(when: Option<Instant>, period: Period) -> Arc<AlarmChan<Instant>> {
    Arc::new(AlarmChan { alarm: Alarm::new(when, period), message: |due| due })
}

/// A single message at a future time, which can be stopped (Go's `time.Timer` from
/// `time.NewTimer`).
///
/// Receivers that wait for the message are served in the order of their arrival. A `Timer` may be
/// used by many goroutines and threads at once. Dropping it drops its message, unless a clone of
/// its channel still exists.
///
/// ```
/// use greenthread::channel::timer::Timer;
/// use std::time::Duration;
///
/// let timer = Timer::new(Duration::from_secs(3600));
/// assert!(timer.reset(Duration::from_millis(1)), "it was still to come");
/// timer.channel().recv().unwrap();
/// assert!(!timer.stop(), "it has come");
/// ```
pub struct Timer {
    chan: Arc<AlarmChan<Instant>>,
    receiver: Receiver<Instant>,
}

impl Timer {
    /// Creates a timer that sends its message after `duration` (Go's `time.NewTimer`).
    ///
    /// With a `duration` of zero the message is due at once. If the clock cannot express the time,
    /// the message never arrives, but the timer can still be stopped.
    ///
    /// ```
    /// use greenthread::channel::timer::Timer;
    /// use std::time::Duration;
    ///
    /// assert!(Timer::new(Duration::ZERO).channel().try_recv().is_ok());
    /// assert!(Timer::new(Duration::MAX).stop());
    /// ```
    pub fn new(duration: Duration) -> Self {
        let chan = alarm_chan(Some(from_now(duration)), Period::Once);
        Self { receiver: Receiver::from_alarm(Arc::clone(&chan)), chan }
    }

    /// Returns the channel of the message (Go's field `C`).
    ///
    /// The message is the time at which it was due. Clones of the channel also receive from this
    /// timer, and keep it running when the `Timer` is dropped.
    ///
    /// ```
    /// use greenthread::channel::timer::Timer;
    /// use std::time::{Duration, Instant};
    ///
    /// let timer = Timer::new(Duration::from_millis(1));
    /// assert!(timer.channel().recv().unwrap() <= Instant::now());
    /// ```
    pub fn channel(&self) -> &Receiver<Instant> {
        &self.receiver
    }

    /// Stops the timer (Go's `Timer.Stop`).
    ///
    /// Returns `true` if the message had not been received, so that no receiver will get it.
    /// Returns `false` if the message was received or the timer was stopped before. Receivers that
    /// wait for the message continue to wait. Never blocks.
    ///
    /// A message that is due but has not been received yet also counts as not received, so the
    /// channel does not have to be drained (as in Go since 1.23).
    ///
    /// ```
    /// use greenthread::channel::timer::Timer;
    /// use std::time::Duration;
    ///
    /// let timer = Timer::new(Duration::ZERO);
    /// assert!(timer.stop(), "it was due, but not received");
    /// assert!(timer.channel().try_recv().is_err());
    /// assert!(!timer.stop(), "it is stopped");
    /// ```
    pub fn stop(&self) -> bool {
        self.chan.alarm.set(None, Period::Once)
    }

    /// Resets the timer to send its message after `duration` (Go's `Timer.Reset`).
    ///
    /// The message may have been received, or the timer stopped, before this call. Returns `true`
    /// in the same cases as [`stop`](Self::stop). Receivers that already wait now wait for the new
    /// time. Never blocks.
    ///
    /// ```
    /// use greenthread::channel::timer::Timer;
    /// use std::time::Duration;
    ///
    /// let timer = Timer::new(Duration::ZERO);
    /// assert!(timer.reset(Duration::from_secs(3600)), "it was due, but not received");
    /// assert!(timer.channel().try_recv().is_err(), "that one was called off");
    /// assert!(timer.reset(Duration::ZERO));
    /// timer.channel().recv().unwrap();
    /// assert!(!timer.reset(Duration::ZERO), "it was received");
    /// timer.channel().recv().unwrap();
    /// ```
    pub fn reset(&self, duration: Duration) -> bool {
        self.chan.alarm.set(Some(from_now(duration)), Period::Once)
    }
}

/// A series of messages, one at every multiple of a duration, that can be stopped (Go's
/// `time.Ticker`).
///
/// A slow receiver misses messages, because at most one message waits. Later messages are due at
/// the same multiples as before. A `Ticker` may be used by many goroutines and threads at once.
/// Each message goes to the longest-waiting receiver. Dropping the ticker drops its messages,
/// unless a clone of its channel still exists.
///
/// ```
/// use greenthread::channel::timer::Ticker;
/// use std::time::Duration;
///
/// let ticker = Ticker::new(Duration::from_millis(1));
/// let first = ticker.channel().recv().unwrap();
/// let second = ticker.channel().recv().unwrap();
/// assert_eq!((second - first).as_nanos() % 1_000_000, 0);
/// ticker.stop();
/// assert!(ticker.channel().try_recv().is_err());
/// ```
pub struct Ticker {
    chan: Arc<AlarmChan<Instant>>,
    receiver: Receiver<Instant>,
}

impl Ticker {
    /// Creates a ticker whose first message is due after one `period` (Go's `time.NewTicker`).
    ///
    /// If the clock cannot express the time, the message never arrives.
    ///
    /// # Panics
    /// If `period` is zero, as in Go.
    ///
    /// ```
    /// use greenthread::channel::timer::Ticker;
    /// use std::time::{Duration, Instant};
    ///
    /// let (begin, period) = (Instant::now(), Duration::from_millis(1));
    /// assert!(Ticker::new(period).channel().recv().unwrap() >= begin + period);
    /// ```
    pub fn new(period: Duration) -> Self {
        let chan = alarm_chan(None, Period::Once);
        let ticker = Self { receiver: Receiver::from_alarm(Arc::clone(&chan)), chan };
        ticker.reset(period);
        ticker
    }

    /// Returns the channel of the messages (Go's field `C`).
    ///
    /// Each message is the time at which it was due. Clones of the channel also receive from this
    /// ticker, and keep it running when the `Ticker` is dropped.
    ///
    /// ```
    /// use greenthread::channel::timer::Ticker;
    /// use std::time::Duration;
    ///
    /// let ticker = Ticker::new(Duration::from_millis(1));
    /// assert!(ticker.channel().iter().take(3).is_sorted());
    /// ```
    pub fn channel(&self) -> &Receiver<Instant> {
        &self.receiver
    }

    /// Stops the ticker (Go's `Ticker.Stop`).
    ///
    /// It also drops a message that has not been received yet. It does not close the channel, so
    /// waiting receivers continue to wait. Never blocks.
    ///
    /// ```
    /// use greenthread::channel::timer::Ticker;
    /// use std::time::Duration;
    ///
    /// let ticker = Ticker::new(Duration::from_nanos(1));
    /// assert!(ticker.channel().try_recv().is_ok());
    /// ticker.stop();
    /// assert!(ticker.channel().try_recv().is_err());
    /// ```
    pub fn stop(&self) {
        self.chan.alarm.set(None, Period::Once);
    }

    /// Resets the ticker, so that the next message is due after one `period` (Go's `Ticker.Reset`).
    ///
    /// This also starts a stopped ticker. Receivers that already wait now wait for that message.
    /// Never blocks.
    ///
    /// # Panics
    /// If `period` is zero, as in Go. The ticker then continues as before.
    ///
    /// ```
    /// use greenthread::channel::timer::Ticker;
    /// use std::time::Duration;
    ///
    /// let ticker = Ticker::new(Duration::from_secs(3600));
    /// ticker.reset(Duration::from_millis(1));
    /// ticker.channel().recv().unwrap();
    /// ```
    pub fn reset(&self, period: Duration) {
        assert!(!period.is_zero(), "non-positive interval for Ticker: pass a period longer than zero");
        self.chan.alarm.set(Some(from_now(period)), Period::Grid(period));
    }
}

// A panic leaves nothing half done: a timer or ticker is set in one step.
impl UnwindSafe for Timer {}
impl RefUnwindSafe for Timer {}
impl UnwindSafe for Ticker {}
impl RefUnwindSafe for Ticker {}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("Timer { .. }")
    }
}

impl fmt::Debug for Ticker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("Ticker { .. }")
    }
}
