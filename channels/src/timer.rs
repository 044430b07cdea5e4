//! Channels that receive from the clock: `after`, `at`, `tick`, and timers and tickers that can be stopped and set anew.
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
//! None of them costs anything while nobody waits for it: no thread, no entry in any list, only its own memory, until
//! its last handle is dropped. Making, stopping and setting them anew never blocks. So an [`after`] in a loop leaves
//! nothing behind, received or not. And none ever holds a stale message: [`Timer::stop`] and [`Timer::reset`] take
//! effect at once, for all receivers (Go's rules since 1.23).

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::alarm::{Alarm, AlarmChan, Period};
use crate::handle::Receiver;

/// Makes a receiver that receives one message, `duration` from now: the time at which it was due. Go's `time.After`.
///
/// Zero is due at once. One too long for the clock never comes. The channel is never closed: after the message, a receive blocks
/// for ever. Nothing needs to be stopped: dropped, received or not, it leaves nothing behind. Never blocks.
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

/// Makes a receiver that receives one message, `when`, at that time, or at once if it has passed. Go's
/// `time.After(time.Until(when))`.
///
/// Otherwise it is as [`after`].
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

/// Makes a receiver that receives a message every `duration`: the time at which it was due. Go's `time.Tick`.
///
/// At most one message waits to be received. The next one is due `duration` after the last one was, or after it was asked for
/// if that was later: crossbeam's rule. [`Ticker`] has Go's, and can be stopped. One too long for the clock never comes.
///
/// With a `duration` of zero a message is always due, as in crossbeam. (In Go nothing ever is: `time.Tick(0)` is nil.)
///
/// The channel is never closed. Dropped, it leaves nothing behind. Never blocks.
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

/// When `duration` from now is. In place of what the clock cannot express: so late that nobody sees it, 584 years from now.
fn from_now(duration: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(duration).unwrap_or_else(|| now + Duration::from_nanos(u64::MAX))
}

fn alarm_chan(when: Option<Instant>, period: Period) -> Arc<AlarmChan<Instant>> {
    Arc::new(AlarmChan { alarm: Alarm::new(when, period), message: |due| due })
}

/// A message at some time in the future, that can be called off: Go's `time.Timer`, as `time.NewTimer` makes it.
///
/// Those who wait for the message are served in the order in which they came. A `Timer` may be used from any goroutine or
/// thread, by many at once. Dropping it drops its message, unless somebody still has a clone of its channel.
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
    /// A timer that sends its message `duration` from now: Go's `time.NewTimer`. Zero is due at once; one too long for
    /// the clock never comes, and can be stopped.
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

    /// Where the message is received: the time at which it was due. Go's field `C`. Its clones receive from this timer
    /// too, and keep it going when the `Timer` is dropped.
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

    /// Calls the message off: Go's `Timer.Stop`. True if nobody has received it, and so nobody will; false if it was
    /// received or called off before. Whoever waits for it waits on. Never blocks.
    ///
    /// A message that is due, but was not received, counts as not received: nothing has to be drained, as in Go since 1.23.
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

    /// Sets the timer anew: it sends its message `duration` from now, whether it has been received or called off before or
    /// not. Go's `Timer.Reset`. True as for [`stop`](Self::stop). Whoever waits already waits for the new time. Never blocks.
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

/// A message at every multiple of some duration, that can be called off: Go's `time.Ticker`.
///
/// A receiver that is too slow does not get those it has missed: at most one message waits. The later ones come at the
/// same multiples as before. A `Ticker` may be used from any goroutine or thread, by many at once; each message goes to
/// one of those who wait, the first that came. Dropping it drops its messages, unless somebody still has a clone of its
/// channel.
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
    /// A ticker whose first message comes one `period` from now: Go's `time.NewTicker`. One too long for the clock never comes.
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

    /// Where the messages are received: the times at which they were due. Go's field `C`. As [`Timer::channel`].
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

    /// Calls all further messages off, also one that waits to be received: Go's `Ticker.Stop`. Does not close the
    /// channel: whoever waits waits on. Never blocks.
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

    /// Sets the ticker anew: the next message comes one `period` from now, also if it was stopped. Go's `Ticker.Reset`.
    /// Whoever waits already waits for that one. Never blocks.
    ///
    /// # Panics
    /// If `period` is zero, as in Go; the ticker then goes on as before.
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
        assert!(!period.is_zero(), "non-positive interval for Ticker");
        self.chan.alarm.set(Some(from_now(period)), Period::Grid(period));
    }
}

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
