//! Channels that receive from the clock: `after`, `at`, `tick`, and timers and tickers that can be stopped and set anew.
//!
//! None of them costs anything while nobody waits for it: no thread, no entry in any list, only its own memory, until
//! its last handle is dropped. So an [`after`] in a loop leaves nothing behind, received or not. And none ever holds a
//! stale message: [`Timer::stop`] and [`Timer::reset`] take effect at once, for all receivers (Go's rules since 1.23).

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::alarm::{Alarm, Alarmed, Period};
use crate::handle::{Receiver, never};

/// Makes a receiver that receives one message, `duration` from now (Go's `time.After`): the time at which it was due.
///
/// It is never closed: after the message, a receive blocks for ever.
///
/// ```
/// use greenthread_channels::{after, select, unbounded};
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
    first(Instant::now().checked_add(duration), Period::Once)
}

/// Makes a receiver that receives one message, `when`, at that time, or at once if it has passed.
///
/// It is never closed: after the message, a receive blocks for ever.
///
/// ```
/// use greenthread_channels::at;
/// use std::time::{Duration, Instant};
///
/// let when = Instant::now() + Duration::from_millis(1);
/// assert_eq!(at(when).recv(), Ok(when));
/// assert!(Instant::now() >= when);
/// ```
pub fn at(when: Instant) -> Receiver<Instant> {
    first(Some(when), Period::Once)
}

/// Makes a receiver that receives a message every `duration` (Go's `time.Tick`): the time at which it was due.
///
/// At most one message waits to be received. The next one is due `duration` after the last one was, or after it was asked for
/// if that was later.
///
/// ```
/// use greenthread_channels::tick;
/// use std::time::{Duration, Instant};
///
/// let start = Instant::now();
/// let ticks = tick(Duration::from_millis(2));
/// ticks.recv().unwrap();
/// ticks.recv().unwrap();
/// assert!(start.elapsed() >= Duration::from_millis(4));
/// ```
pub fn tick(duration: Duration) -> Receiver<Instant> {
    first(Instant::now().checked_add(duration), Period::AfterLast(duration))
}

/// A receiver whose first message comes at `when`; none if that is too far away for the clock.
fn first(when: Option<Instant>, period: Period) -> Receiver<Instant> {
    when.map_or_else(never, |when| Receiver::alarmed(alarmed(Some(when), period)))
}

fn alarmed(when: Option<Instant>, period: Period) -> Arc<Alarmed<Instant>> {
    Arc::new(Alarmed { alarm: Alarm::new(when, period), message: |due| due })
}

/// A message at some time in the future, that can be called off (Go's `time.Timer`).
///
/// ```
/// use greenthread_channels::timer::Timer;
/// use std::time::Duration;
///
/// let timer = Timer::new(Duration::from_secs(3600));
/// assert!(timer.reset(Duration::from_millis(1)), "it was still to come");
/// timer.channel().recv().unwrap();
/// assert!(!timer.stop(), "it has come");
/// ```
pub struct Timer {
    alarmed: Arc<Alarmed<Instant>>,
    receiver: Receiver<Instant>,
}

impl Timer {
    /// A timer that sends its message `duration` from now. One that is too far away for the clock never comes.
    pub fn new(duration: Duration) -> Self {
        let alarmed = alarmed(Instant::now().checked_add(duration), Period::Once);
        Self { receiver: Receiver::alarmed(Arc::clone(&alarmed)), alarmed }
    }

    /// Where the message is received (Go's field `C`): the time at which it was due. Its clones receive from this timer
    /// too, and keep it going when the `Timer` is dropped.
    pub fn channel(&self) -> &Receiver<Instant> {
        &self.receiver
    }

    /// Calls the message off; true if nobody has received it, and so nobody will. Never blocks.
    pub fn stop(&self) -> bool {
        self.alarmed.alarm.set(None, Period::Once)
    }

    /// Sets the timer anew: it sends its message `duration` from now, whether it has been received or called off before or
    /// not. True as for [`stop`](Self::stop). Whoever waits already waits for the new time. Never blocks.
    pub fn reset(&self, duration: Duration) -> bool {
        self.alarmed.alarm.set(Instant::now().checked_add(duration), Period::Once)
    }
}

/// A message at every multiple of some duration, that can be called off (Go's `time.Ticker`).
///
/// A receiver that is too slow does not get those it has missed: at most one message waits. The later ones come at
/// the same multiples as before.
///
/// ```
/// use greenthread_channels::timer::Ticker;
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
    alarmed: Arc<Alarmed<Instant>>,
    receiver: Receiver<Instant>,
}

impl Ticker {
    /// A ticker whose first message comes one `period` from now.
    ///
    /// # Panics
    /// If `period` is zero, as in Go.
    pub fn new(period: Duration) -> Self {
        let alarmed = alarmed(None, Period::Once);
        let ticker = Self { receiver: Receiver::alarmed(Arc::clone(&alarmed)), alarmed };
        ticker.reset(period);
        ticker
    }

    /// Where the messages are received (Go's field `C`): the times at which they were due. As [`Timer::channel`].
    pub fn channel(&self) -> &Receiver<Instant> {
        &self.receiver
    }

    /// Calls all further messages off, also one that waits to be received. Does not close the channel. Never blocks.
    pub fn stop(&self) {
        self.alarmed.alarm.set(None, Period::Once);
    }

    /// Sets the ticker anew: the next message comes one `period` from now. Never blocks.
    ///
    /// # Panics
    /// If `period` is zero, as in Go.
    pub fn reset(&self, period: Duration) {
        assert!(!period.is_zero(), "non-positive interval for Ticker");
        self.alarmed.alarm.set(Instant::now().checked_add(period), Period::Grid(period));
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
