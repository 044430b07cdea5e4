//! `heartbeat`: a goroutine that tells its owner that it still gets on.
//!
//! # How it works
//! A beat is two stores: when it was, which [`Heartbeat::wait_quiet`] reads, and a value in a channel of capacity one,
//! if there is room and the period allows it. So a beat waits for nobody, and whether somebody reads the channel has no
//! influence on `wait_quiet`.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use greenthread_channels::{Receiver, Sender, bounded, never, select_biased, timer};
use greenthread_ctx::{Cancel, Context, Error, RecvError};

use crate::task::{self, JoinHandle};

/// Runs `f` in a goroutine, with a [`Pulse`] by which it tells that it gets on. Does not block.
///
/// It serves the two kinds of heartbeat that Go's programs have:
/// * **At an interval**, also while it waits for something to do: with a `period`, and [`Pulse::recv`] (or
///   [`Pulse::due`] in a `select!`) where it waits. Beats that come sooner than `period` after the one before are not
///   sent, so [`Pulse::beat`] may stand in the innermost loop.
/// * **At the beginning of each piece of work**: with a `period` of zero, and [`Pulse::beat`] at that place. A test can
///   then wait for the first beat instead of sleeping and hoping.
///
/// `f` works under a child of `ctx`, [`Pulse::ctx`], which the [`Heartbeat`] cancels when it is dropped.
///
/// ```
/// use greenthread::{channel, ctx::Context, patterns::heartbeat};
/// use std::time::Duration;
///
/// let ctx = Context::background();
/// let (jobs, queue) = channel::bounded(0);
/// let worker = heartbeat(&ctx, Duration::from_millis(1), move |pulse| {
///     let mut sum = 0;
///     while let Ok(job) = pulse.recv(&queue) {
///         sum += job;
///     }
///     sum
/// });
/// jobs.send(3).unwrap();
/// assert!(worker.beats().iter().take(3).is_sorted(), "it beats also while there are no jobs");
/// jobs.send(4).unwrap();
/// drop(jobs);
/// assert_eq!(worker.join().unwrap(), 7);
/// ```
#[track_caller]
pub fn heartbeat<T, F>(ctx: &Context, period: Duration, f: F) -> Heartbeat<T>
where
    F: FnOnce(&Pulse) -> T + Send + 'static,
    T: Send + 'static,
{
    let (ctx, cancel) = ctx.with_cancel();
    let (beating, beats) = bounded(1);
    let times = Arc::new(Times { begin: Instant::now(), last: AtomicU64::new(0) });
    let pulse = Pulse { ctx, period, times: Arc::clone(&times), next: AtomicU64::new(0), beating };
    Heartbeat { goroutine: task::spawn(move || f(&pulse)), beats, times, cancel }
}

/// When the last beat was.
struct Times {
    begin: Instant,
    /// In nanoseconds since `begin`.
    last: AtomicU64,
}

impl Times {
    fn now(&self) -> u64 {
        nanos(self.begin.elapsed())
    }

    fn last(&self) -> Instant {
        self.begin + Duration::from_nanos(self.last.load(Ordering::Relaxed))
    }
}

/// Beyond 584 years: as many.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// What a goroutine with a [`heartbeat`] tells its owner with. May be used by many at once, such as the goroutines of a
/// [`scope`](crate::scope()).
pub struct Pulse {
    ctx: Context,
    period: Duration,
    times: Arc<Times>,
    /// Before when no beat is sent, in nanoseconds since the beginning.
    next: AtomicU64,
    beating: Sender<Instant>,
}

impl Pulse {
    /// Tells that the goroutine gets on. Never blocks; costs a look at the clock.
    ///
    /// To [`Heartbeat::beats`] goes a beat a period at most, and none while the one before is still unread.
    ///
    /// ```
    /// use greenthread::{ctx::Context, patterns::heartbeat};
    /// use std::time::Duration;
    ///
    /// let work = heartbeat(&Context::background(), Duration::from_secs(3600), |pulse| (0..1000).for_each(|_| pulse.beat()));
    /// assert_eq!(work.beats().iter().count(), 1, "the others came within the hour");
    /// work.join().unwrap();
    /// ```
    pub fn beat(&self) {
        let now = self.times.now();
        self.times.last.fetch_max(now, Ordering::Relaxed);
        let next = self.next.load(Ordering::Relaxed);
        let after = now.saturating_add(nanos(self.period));
        // Of several that are in time, one sends.
        let sends =
            now >= next && self.next.compare_exchange(next, after, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if sends {
            // Nobody has read the last one, or nobody will read any.
            let _ = self.beating.try_send(self.times.begin + Duration::from_nanos(now));
        }
    }

    /// The context of the goroutine: it ends with the one given to [`heartbeat`], and when the [`Heartbeat`] is
    /// cancelled or dropped.
    ///
    /// ```
    /// use greenthread::{ctx::Context, patterns::heartbeat};
    /// use std::time::Duration;
    ///
    /// let ctx = Context::background().with_value("request 7");
    /// let work = heartbeat(&ctx, Duration::ZERO, |pulse| *pulse.ctx().value::<&str>().unwrap());
    /// assert_eq!(work.join().unwrap(), "request 7");
    /// ```
    pub fn ctx(&self) -> &Context {
        &self.ctx
    }

    /// A channel on which a message comes when the next beat is due, `period` after the last one that was sent: for a
    /// goroutine that waits in a `select!` of its own. With a period of zero none ever comes.
    ///
    /// ```
    /// use greenthread::{channel, ctx::Context, patterns::heartbeat, select};
    /// use std::time::Duration;
    ///
    /// let (stop, stopped) = channel::bounded::<()>(0);
    /// let idle = heartbeat(&Context::background(), Duration::from_millis(1), move |pulse| loop {
    ///     select! {
    ///         recv(stopped) -> _ => return,
    ///         recv(pulse.ctx().done()) -> _ => return,
    ///         recv(pulse.due()) -> _ => pulse.beat(),
    ///     }
    /// });
    /// assert_eq!(idle.beats().iter().take(3).count(), 3);
    /// drop(stop);
    /// idle.join().unwrap();
    /// ```
    pub fn due(&self) -> Receiver<Instant> {
        if self.period.is_zero() {
            return never();
        }
        timer::at(self.times.begin + Duration::from_nanos(self.next.load(Ordering::Relaxed)))
    }

    /// Beats, and receives a value as [`Context::recv`] does with [`ctx`](Self::ctx); beats each period as long as it
    /// waits. Blocks.
    ///
    /// # Errors
    /// If the context ends first, or has ended; and if the channel is closed and nothing is left in it.
    ///
    /// ```
    /// use greenthread::ctx::{Context, Error, RecvError};
    /// use greenthread::{channel, patterns::heartbeat};
    /// use std::time::Duration;
    ///
    /// let (_tx, rx) = channel::bounded::<()>(0);
    /// let waits = heartbeat(&Context::background(), Duration::from_millis(1), move |pulse| pulse.recv(&rx));
    /// assert_eq!(waits.beats().iter().take(3).count(), 3);
    /// waits.cancel();
    /// assert_eq!(waits.join().unwrap(), Err(RecvError::Ended(Error::Canceled)));
    /// ```
    pub fn recv<T>(&self, rx: &Receiver<T>) -> Result<T, RecvError> {
        loop {
            self.beat();
            select_biased! {
                recv(self.ctx.done()) -> end => return Err(self.ctx.ended(end).into()),
                recv(rx) -> value => return value.map_err(|_| RecvError::Disconnected),
                recv(self.due()) -> _ => {}
            }
        }
    }
}

/// A goroutine that beats, from its owner's side: see [`heartbeat`].
///
/// Dropping it cancels the goroutine's context, and does not wait for its end.
#[must_use = "dropping it cancels the goroutine's context at once"]
pub struct Heartbeat<T> {
    goroutine: JoinHandle<T>,
    beats: Receiver<Instant>,
    times: Arc<Times>,
    cancel: Cancel,
}

impl<T> Heartbeat<T> {
    /// The beats, each with its time; for `recv` arms of a `select!`. At most one waits to be read. Closed when the
    /// goroutine has ended.
    ///
    /// ```
    /// use greenthread::{ctx::Context, patterns::heartbeat, select};
    /// use std::time::Duration;
    ///
    /// let worker = heartbeat(&Context::background(), Duration::ZERO, |pulse| {
    ///     pulse.beat();
    ///     let _ = pulse.ctx().done().recv(); // hangs
    /// });
    /// worker.beats().recv().expect("it begins to work");
    /// select! {
    ///     recv(worker.beats()) -> _ => unreachable!("it hangs"),
    ///     default(Duration::from_millis(10)) => worker.cancel(),
    /// }
    /// worker.join().unwrap();
    /// ```
    pub fn beats(&self) -> &Receiver<Instant> {
        &self.beats
    }

    /// How long ago the last beat was, or the start if there was none yet; whether it was sent and read or not.
    ///
    /// ```
    /// use greenthread::{ctx::Context, patterns::heartbeat};
    /// use std::time::Duration;
    ///
    /// let work = heartbeat(&Context::background(), Duration::ZERO, |pulse| pulse.ctx().done().recv().is_err());
    /// greenthread::time::sleep(Duration::from_millis(1));
    /// assert!(work.quiet_for() >= Duration::from_millis(1));
    /// ```
    pub fn quiet_for(&self) -> Duration {
        self.times.last().elapsed()
    }

    /// Blocks until there has been no beat for `limit`: true. False if the goroutine has ended. A `limit` too long for
    /// the clock is never reached.
    ///
    /// Every call of [`Pulse::beat`] counts, whatever the period, and whoever reads [`beats`](Self::beats). It wakes up
    /// no more often than once in `limit`. Give a goroutine that beats at an interval a few of them: on a busy machine
    /// it may come late.
    ///
    /// # Errors
    /// If `ctx` ends first, or has ended.
    ///
    /// ```
    /// use greenthread::{ctx::Context, patterns::heartbeat};
    /// use std::time::Duration;
    ///
    /// let ctx = Context::background();
    /// let limit = Duration::from_millis(5);
    /// let stuck = heartbeat(&ctx, Duration::ZERO, |pulse| pulse.ctx().done().recv().is_err());
    /// assert_eq!(stuck.wait_quiet(&ctx, limit), Ok(true));
    /// stuck.cancel();
    /// assert!(stuck.join().unwrap(), "it was told to end");
    /// ```
    pub fn wait_quiet(&self, ctx: &Context, limit: Duration) -> Result<bool, Error> {
        loop {
            let quiet = self.times.last().checked_add(limit).map_or_else(never, timer::at);
            select_biased! {
                recv(ctx.done()) -> end => return Err(ctx.ended(end)),
                recv(self.done()) -> _ => return Ok(false),
                recv(quiet) -> _ => if self.quiet_for() >= limit {
                    return Ok(true);
                },
            }
        }
    }

    /// A channel that closes when the goroutine ends, as [`JoinHandle::done`].
    ///
    /// ```
    /// use greenthread::{ctx::Context, patterns::heartbeat};
    /// use std::time::Duration;
    ///
    /// let work = heartbeat(&Context::background(), Duration::ZERO, |pulse| pulse.beat());
    /// assert!(work.done().recv().is_err());
    /// assert_eq!(work.beats().len(), 1, "not read yet");
    /// ```
    pub fn done(&self) -> &Receiver<Infallible> {
        self.goroutine.done()
    }

    /// Cancels the goroutine's context, as dropping does; its result can still be had. Does not wait for its end.
    ///
    /// ```
    /// use greenthread::ctx::{Context, Error};
    /// use greenthread::patterns::heartbeat;
    /// use std::time::Duration;
    ///
    /// let work = heartbeat(&Context::background(), Duration::ZERO, |pulse| {
    ///     pulse.ctx().done().recv().unwrap_err();
    ///     pulse.ctx().err()
    /// });
    /// work.cancel();
    /// assert_eq!(work.join().unwrap(), Some(Error::Canceled));
    /// ```
    pub fn cancel(&self) {
        self.cancel.cancel();
    }

    /// Waits for the goroutine to end and returns its result, as [`JoinHandle::join`]. Does not cancel its context.
    ///
    /// # Errors
    /// As [`JoinHandle::join`]: the payload of the panic that ended the goroutine, so that who watches it can start
    /// another. Hand it to [`resume_unwind`](std::panic::resume_unwind) otherwise.
    ///
    /// ```
    /// use greenthread::{ctx::Context, patterns::heartbeat};
    /// use std::time::Duration;
    ///
    /// let ctx = Context::background();
    /// let fails = heartbeat(&ctx, Duration::ZERO, |_| if true { panic!("oh") });
    /// assert_eq!(fails.join().unwrap_err().downcast_ref(), Some(&"oh"));
    /// let answers = heartbeat(&ctx, Duration::ZERO, |_| 42);
    /// assert_eq!(answers.join().unwrap(), 42);
    /// ```
    pub fn join(self) -> thread::Result<T> {
        // What else is in `self` goes after that: the context is not cancelled before.
        self.goroutine.join()
    }
}

impl fmt::Debug for Pulse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pulse").field("period", &self.period).field("last", &self.times.last()).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Heartbeat<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut all = f.debug_struct("Heartbeat");
        all.field("goroutine", &self.goroutine).field("quiet_for", &self.quiet_for()).finish_non_exhaustive()
    }
}
