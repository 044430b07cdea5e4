//! `heartbeat`: a goroutine that reports to its owner that it makes progress.
//!
//! # How it works
//! A beat stores its time, which [`Heartbeat::wait_quiet`] reads. If the period allows it and there
//! is room, the beat also puts a value into a channel of capacity one. So a beat never waits, and
//! `wait_quiet` does not depend on whether anything reads the channel.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use greenthread_channels::{Receiver, Sender, bounded, never, select_biased, timer};
use greenthread_ctx::{Cancel, Context, Error, RecvError};

use crate::task::{self, JoinHandle};

/// Runs `f` in a goroutine with a [`Pulse`] that lets `f` report its progress.
///
/// Does not block.
///
/// Go programs use two kinds of heartbeat, and this function serves both:
/// * **At an interval**, even while the goroutine waits for work: use a `period`, and
///   [`Pulse::recv`] (or [`Pulse::due`] in a `select!`) where the goroutine waits. A beat that
///   comes sooner than `period` after the previous one is not sent, so the innermost loop may call
///   [`Pulse::beat`].
/// * **At the beginning of each piece of work**: use a `period` of zero, and call [`Pulse::beat`]
///   there. A test can then wait for the first beat instead of sleeping and hoping.
///
/// The context of `f`, [`Pulse::ctx`], is a child of `ctx`. It is canceled when the [`Heartbeat`]
/// is dropped.
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
/// assert!(worker.beats().iter().take(3).is_sorted(), "it beats even while there are no jobs");
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
    let (beat_tx, beats) = bounded(1);
    let clock = Arc::new(BeatClock { begin: Instant::now(), last: AtomicU64::new(0) });
    let pulse = Pulse { ctx, period, clock: Arc::clone(&clock), next_beat: AtomicU64::new(0), beat_tx };
    Heartbeat { goroutine: task::spawn(move || f(&pulse)), beats, clock, cancel }
}

/// The time of the last beat.
struct BeatClock {
    begin: Instant,
    /// In nanoseconds since `begin`.
    last: AtomicU64,
}

impl BeatClock {
    fn now(&self) -> u64 {
        nanos(self.begin.elapsed())
    }

    fn last(&self) -> Instant {
        self.begin + Duration::from_nanos(self.last.load(Ordering::Relaxed))
    }
}

/// Returns the nanoseconds of `duration`, or the largest number if `duration` is more than 584
/// years.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Reports progress to the owner of a [`heartbeat`] goroutine.
///
/// Several goroutines, such as the goroutines of a [`scope`](crate::scope()), can use it at once.
pub struct Pulse {
    ctx: Context,
    period: Duration,
    clock: Arc<BeatClock>,
    /// The earliest time at which the next beat is sent, in nanoseconds since the clock's `begin`.
    next_beat: AtomicU64,
    beat_tx: Sender<Instant>,
}

impl Pulse {
    /// Reports that the goroutine makes progress.
    ///
    /// Never blocks, and costs a read of the clock.
    ///
    /// [`Heartbeat::beats`] receives at most one beat per period, and none while the previous one
    /// is unread.
    ///
    /// ```
    /// use greenthread::{ctx::Context, patterns::heartbeat};
    /// use std::time::Duration;
    ///
    /// let hour = Duration::from_secs(3600);
    /// let work = heartbeat(&Context::background(), hour, |pulse| {
    ///     (0..1000).for_each(|_| pulse.beat());
    /// });
    /// assert_eq!(work.beats().iter().count(), 1, "the other beats came within the hour");
    /// work.join().unwrap();
    /// ```
    pub fn beat(&self) {
        let now = self.clock.now();
        self.clock.last.fetch_max(now, Ordering::Relaxed);
        let next = self.next_beat.load(Ordering::Relaxed);
        let after = now.saturating_add(nanos(self.period));
        // If several goroutines beat when a beat is due, only one of them sends.
        let sends =
            now >= next && self.next_beat.compare_exchange(next, after, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if sends {
            // Fails if the last beat is unread, or the owner is gone.
            let _ = self.beat_tx.try_send(self.clock.begin + Duration::from_nanos(now));
        }
    }

    /// Returns the context of the goroutine.
    ///
    /// It ends when the context passed to [`heartbeat`] ends, or when the [`Heartbeat`] is canceled
    /// or dropped.
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

    /// Returns a channel that receives a message when the next beat is due, which is `period` after
    /// the last beat that was sent.
    ///
    /// It is for a goroutine that waits in its own `select!`. With a period of zero, no message
    /// ever arrives.
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
        timer::at(self.clock.begin + Duration::from_nanos(self.next_beat.load(Ordering::Relaxed)))
    }

    /// Beats, and receives a value; while it waits, it beats once per period.
    ///
    /// Like [`Context::recv`] on [`ctx`](Self::ctx) otherwise. Blocks.
    ///
    /// # Errors
    /// If the context ends first or has ended already, or if the channel is closed and empty.
    ///
    /// ```
    /// use greenthread::ctx::{Context, Error, RecvError};
    /// use greenthread::{channel, patterns::heartbeat};
    /// use std::time::Duration;
    ///
    /// let (_tx, rx) = channel::bounded::<()>(0);
    /// let period = Duration::from_millis(1);
    /// let waits = heartbeat(&Context::background(), period, move |pulse| pulse.recv(&rx));
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

/// The owner's handle to a goroutine that [`heartbeat`] started.
///
/// Dropping it cancels the goroutine's context, and does not wait for the goroutine to end.
#[must_use = "dropping it cancels the goroutine's context at once"]
pub struct Heartbeat<T> {
    goroutine: JoinHandle<T>,
    beats: Receiver<Instant>,
    clock: Arc<BeatClock>,
    cancel: Cancel,
}

impl<T> Heartbeat<T> {
    /// Returns the channel of the beats, whose values are the times of the beats, for `recv` arms
    /// of a `select!`.
    ///
    /// It holds at most one unread beat. It closes when the goroutine has ended.
    ///
    /// ```
    /// use greenthread::{ctx::Context, patterns::heartbeat, select};
    /// use std::time::Duration;
    ///
    /// let worker = heartbeat(&Context::background(), Duration::ZERO, |pulse| {
    ///     pulse.beat();
    ///     let _ = pulse.ctx().done().recv(); // hangs
    /// });
    /// worker.beats().recv().expect("it starts to work");
    /// select! {
    ///     recv(worker.beats()) -> _ => unreachable!("it hangs"),
    ///     default(Duration::from_millis(10)) => worker.cancel(),
    /// }
    /// worker.join().unwrap();
    /// ```
    pub fn beats(&self) -> &Receiver<Instant> {
        &self.beats
    }

    /// Returns the time since the last beat, or since the start if there was none yet.
    ///
    /// Every beat counts, even one that was not sent or not read.
    ///
    /// ```
    /// use greenthread::{ctx::Context, patterns::heartbeat};
    /// use std::time::Duration;
    ///
    /// let ctx = Context::background();
    /// let work = heartbeat(&ctx, Duration::ZERO, |pulse| pulse.ctx().done().recv().is_err());
    /// greenthread::time::sleep(Duration::from_millis(1));
    /// assert!(work.quiet_for() >= Duration::from_millis(1));
    /// ```
    pub fn quiet_for(&self) -> Duration {
        self.clock.last().elapsed()
    }

    /// Waits until there has been no beat for `limit` and returns `true`, or returns `false` if the
    /// goroutine has ended.
    ///
    /// If the clock cannot represent a time that far ahead, `limit` is never reached.
    ///
    /// Every call to [`Pulse::beat`] counts, whatever the period, and whether or not
    /// [`beats`](Self::beats) is read. The waiter wakes at most once per `limit`. For a goroutine
    /// that beats at an interval, set a limit of several periods, because a beat may be late on a
    /// busy machine.
    ///
    /// # Errors
    /// If `ctx` ends first, or has ended already.
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
            let quiet = self.clock.last().checked_add(limit).map_or_else(never, timer::at);
            select_biased! {
                recv(ctx.done()) -> end => return Err(ctx.ended(end)),
                recv(self.done()) -> _ => return Ok(false),
                recv(quiet) -> _ => if self.quiet_for() >= limit {
                    return Ok(true);
                },
            }
        }
    }

    /// Returns a channel that closes when the goroutine ends, like [`JoinHandle::done`].
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

    /// Cancels the goroutine's context.
    ///
    /// Dropping the [`Heartbeat`] also cancels the context, but after `cancel` you can still join
    /// the goroutine. Does not wait for the goroutine to end.
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

    /// Waits for the goroutine to end and returns its result, like [`JoinHandle::join`].
    ///
    /// Does not cancel the goroutine's context.
    ///
    /// # Errors
    /// If the goroutine panicked: the payload of the panic. A supervisor can then start another
    /// goroutine; other callers should pass the payload to
    /// [`resume_unwind`](std::panic::resume_unwind).
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
        // The remaining fields of `self` are dropped afterward, so the context is not canceled
        // before the goroutine ends.
        self.goroutine.join()
    }
}

impl fmt::Debug for Pulse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pulse").field("period", &self.period).field("last", &self.clock.last()).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Heartbeat<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut all = f.debug_struct("Heartbeat");
        all.field("goroutine", &self.goroutine).field("quiet_for", &self.quiet_for()).finish_non_exhaustive()
    }
}
