//! `RateLimiter`: so many events in a time, and who comes too early waits (golang.org/x/time/rate).
//!
//! # How it works
//! A bucket holds tokens. One more comes each period, unless the bucket is full; each event takes one out. Nothing moves while
//! nobody looks: each look adds what has come since, in whole tokens, and notes since when the next one grows. So nothing is
//! rounded, and no error adds up.
//!
//! A caller that must wait says how many tokens it wants, and queues up at a semaphore of one permit. The one that has the permit
//! is in front: it alone watches the clock. Tokens that are wanted count as gone: the bucket fills up beyond them. So
//! waiters that are woken late lose no token by that, as Go's reservations do not. Unlike a reservation, nothing is promised
//! for a certain time: when a waiter gives up, all behind it move up; a new period counts for all that wait.
//!
//! A *reservation* takes its tokens at once, those that have yet to come too, so there may be fewer than none; and it is told when
//! they will have come, behind all that wait at that moment. They must not lose anything by it, so each waiter knows its place
//! among the reservations: for it, what was reserved later is still there. The time of a reservation stays what it is,
//! whatever happens. So if a waiter or a reservation before it goes, what this one had is given back only as far as it exceeds
//! what was reserved behind it: two would act at the same time otherwise, which is a burst that nobody allowed. (Go does the same.)

use std::fmt;
use std::time::{Duration, Instant};

use greenthread_channels::timer::Timer;
use greenthread_ctx::{Context, Error, RecvError};

use crate::sync::{LazyLock, Mutex, MutexGuard, Semaphore};

mod bucket;

use bucket::Bucket;

/// Lets so many events happen in a time: a token bucket, as `rate.Limiter` of golang.org/x/time is.
///
/// Each event takes a token. The bucket is full in the beginning; when it is not full, one token comes each period. So
/// in any time *t* there are at most *burst* + *t* / *period* tokens. Who waits has a right to the tokens that come
/// from then on, be it that he is woken late: so the rate is kept on a busy machine too, and two events may then be
/// closer than a period.
///
/// Strictly first come, first served: whoever has to wait does so behind all that wait already. While nobody waits there is
/// no timer, and there never is a goroutine.
///
/// There are three ways to ask for tokens, as in Go: to [`wait`](Self::wait) for them, to [`try_take`](Self::try_take) them, and to
/// [`reserve`](Self::reserve) them and be told how long to wait.
///
/// It is no handle, and has no clones: use it by reference, in an [`Arc`](std::sync::Arc), or make it a `static`, which
/// a limit for a whole program often is.
///
/// A period of zero is no limit at all, Go's `rate.Inf`. With one that is too long for the clock there are the tokens
/// of the beginning, and no more.
///
/// ```
/// use greenthread::{ctx::Context, patterns::RateLimiter, sync::WaitGroup};
/// use std::time::{Duration, Instant};
///
/// static REQUESTS: RateLimiter = RateLimiter::bursty(Duration::from_millis(1), 3);
///
/// let (begin, wg) = (Instant::now(), WaitGroup::new());
/// for _request in 0..8 {
///     wg.go(|| REQUESTS.wait(&Context::background()).unwrap());
/// }
/// wg.wait();
/// assert!(begin.elapsed() >= Duration::from_millis(5), "three at once, and five more");
/// ```
pub struct RateLimiter {
    bucket: Mutex<Bucket>,
    /// Whoever has its permit is in front.
    turn: Semaphore,
    /// Set by the waiter in front, and received from by it alone.
    clock: LazyLock<Timer>,
}

impl RateLimiter {
    /// One event each period, the first at once: a bucket of one token. Go's `rate.NewLimiter(rate.Every(period), 1)`.
    ///
    /// Time in which nothing happens is not made up for: after it there is one token, not more.
    ///
    /// ```
    /// use greenthread::{ctx::Context, patterns::RateLimiter};
    /// use std::time::{Duration, Instant};
    ///
    /// let (ctx, begin) = (Context::background(), Instant::now());
    /// let limiter = RateLimiter::steady(Duration::from_millis(1));
    /// for _ in 0..4 {
    ///     limiter.wait(&ctx).unwrap();
    /// }
    /// assert!(begin.elapsed() >= Duration::from_millis(3));
    /// ```
    pub const fn steady(period: Duration) -> Self {
        Self::bursty(period, 1)
    }

    /// One event each period, and up to `burst` at once after a time without: a bucket of `burst` tokens. Go's
    /// `rate.NewLimiter(rate.Every(period), burst)`.
    ///
    /// With a `burst` of zero nothing is saved up: the first event too has to wait for a period, and
    /// [`try_take`](Self::try_take) takes nothing.
    ///
    /// ```
    /// use greenthread::patterns::RateLimiter;
    /// use std::time::Duration;
    ///
    /// let limiter = RateLimiter::bursty(Duration::from_secs(3600), 3);
    /// assert_eq!((0..10).filter(|_| limiter.try_take()).count(), 3);
    /// ```
    pub const fn bursty(period: Duration, burst: usize) -> Self {
        let bucket = Mutex::new(Bucket::new(period, burst));
        Self { bucket, turn: Semaphore::new(1), clock: LazyLock::new(|| Timer::new(Duration::MAX)) }
    }

    /// Takes a token; blocks until there is one for the caller and all who came before are served. Go's `Wait`.
    ///
    /// # Errors
    /// As [`wait_n`](Self::wait_n).
    ///
    /// ```
    /// use greenthread::ctx::{Context, Error};
    /// use greenthread::patterns::RateLimiter;
    /// use std::time::Duration;
    ///
    /// let limiter = RateLimiter::steady(Duration::from_secs(3600));
    /// let (ctx, _cancel) = Context::background().with_timeout(Duration::from_secs(1));
    /// assert_eq!(limiter.wait(&ctx), Ok(()));
    /// assert_eq!(limiter.wait(&ctx), Err(Error::DeadlineExceeded), "said at once: an hour is too long");
    /// ```
    pub fn wait(&self, ctx: &Context) -> Result<(), Error> {
        self.wait_n(ctx, 1)
    }

    /// Takes `n` tokens for one event that counts as so many; blocks until there are enough and all who came before are
    /// served. Go's `WaitN`.
    ///
    /// `n` may be more than the bucket holds: it then waits for as long as it takes for so many to come, and others
    /// wait behind it. (In Go that is an error.) None are taken one by one: a wait that fails leaves to those behind
    /// what it would have got.
    ///
    /// # Errors
    /// If the context has ended, or ends first; and with [`DeadlineExceeded`](Error::DeadlineExceeded), at once, if the
    /// tokens will come only after the context's deadline. No token is taken then.
    ///
    /// ```
    /// use greenthread::{ctx::Context, patterns::RateLimiter};
    /// use std::time::{Duration, Instant};
    ///
    /// // A megabyte each second, and pieces of up to 4 KiB at once.
    /// let (ctx, begin) = (Context::background(), Instant::now());
    /// let bytes = RateLimiter::bursty(Duration::from_micros(1), 4096);
    /// for piece in [&[0; 4096][..], &[0; 1000], &[0; 5000]] {
    ///     bytes.wait_n(&ctx, piece.len()).unwrap();
    /// }
    /// assert!(begin.elapsed() >= Duration::from_micros(6000));
    /// ```
    pub fn wait_n(&self, ctx: &Context, n: usize) -> Result<(), Error> {
        if let Some(error) = ctx.err() {
            return Err(error);
        }
        let Some(place) = self.begin(ctx, n)? else { return Ok(()) };
        let served = self.turn.acquire_ctx(ctx, 1).and_then(|_turn| self.wait_in_front(ctx, n, place));
        if served.is_err() {
            self.look().give_up(n, place);
        }
        served
    }

    /// Takes the tokens if there is nobody to wait for (none); or else they are wanted, and the caller has this place.
    fn begin(&self, ctx: &Context, n: usize) -> Result<Option<u64>, Error> {
        let mut bucket = self.look();
        if bucket.wanted == 0 && bucket.take(n) {
            return Ok(None);
        }
        in_time(ctx, bucket.due_behind_all(n))?;
        Ok(Some(bucket.want(n)))
    }

    /// Takes tokens that are wanted, for the waiter in front.
    fn wait_in_front(&self, ctx: &Context, n: usize, place: u64) -> Result<(), Error> {
        loop {
            let mut bucket = self.look();
            if bucket.take_wanted(n, place) {
                return Ok(());
            }
            // Looked at again, since the period may have changed.
            let due = bucket.due(n as i128, place);
            in_time(ctx, due)?;
            // Under the lock, so that it does not undo what `look_again` does.
            self.clock.reset(due.map_or(Duration::MAX, |due| due.saturating_duration_since(Instant::now())));
            drop(bucket);
            if let Err(RecvError::Ended(error)) = ctx.recv(self.clock.channel()) {
                return Err(error);
            }
        }
    }

    /// Takes a token if there is one that nobody waits for. Never waits for one. Go's `Allow`.
    ///
    /// ```
    /// use greenthread::patterns::RateLimiter;
    /// use std::time::Duration;
    ///
    /// // A line about the same thing at most once an hour.
    /// let log = RateLimiter::steady(Duration::from_secs(3600));
    /// assert!(log.try_take());
    /// assert!(!log.try_take());
    /// ```
    #[must_use = "no token was taken if it is false"]
    pub fn try_take(&self) -> bool {
        self.try_take_n(1)
    }

    /// Takes `n` tokens if there are so many that nobody waits for; or else none. Never waits for them. Go's `AllowN`.
    ///
    /// More than the bucket holds there never are, unless the period is zero.
    ///
    /// ```
    /// use greenthread::patterns::RateLimiter;
    /// use std::time::Duration;
    ///
    /// let limiter = RateLimiter::bursty(Duration::from_secs(3600), 5);
    /// assert!(!limiter.try_take_n(6));
    /// assert!(limiter.try_take_n(4));
    /// assert!(!limiter.try_take_n(2));
    /// assert!(limiter.try_take_n(1));
    /// ```
    #[must_use = "no token was taken if it is false"]
    pub fn try_take_n(&self, n: usize) -> bool {
        self.look().take(n)
    }

    /// Takes a token at once, be it that it has yet to come, and says when. Never waits: the caller sleeps until it is
    /// [due](Reservation::due), or [cancels](Reservation::cancel). Go's `Reserve`.
    ///
    /// `None` if the token comes only beyond what the clock can express.
    ///
    /// ```
    /// use greenthread::{patterns::RateLimiter, time};
    /// use std::time::Duration;
    ///
    /// let limiter = RateLimiter::steady(Duration::from_millis(2));
    /// assert!(limiter.reserve().unwrap().delay().is_zero(), "there is one");
    /// let next = limiter.reserve().unwrap();
    /// assert!(next.delay() <= Duration::from_millis(2));
    /// time::sleep(next.delay());
    /// // Now it may happen.
    /// ```
    #[must_use = "the token is taken, also if the reservation is dropped"]
    pub fn reserve(&self) -> Option<Reservation<'_>> {
        self.reserve_n(1)
    }

    /// Takes `n` tokens as [`reserve`](Self::reserve) takes one. Go's `ReserveN`.
    ///
    /// `n` may be more than the bucket holds: it then takes as long as it takes for so many to come. (In Go that is refused.)
    ///
    /// The reservation comes behind all that wait now, and before all that come later, and keeps its time, also if the period is
    /// changed.
    ///
    /// ```
    /// use greenthread::patterns::RateLimiter;
    /// use std::time::Duration;
    ///
    /// let bytes = RateLimiter::bursty(Duration::from_secs(1), 10);
    /// assert!(bytes.reserve_n(10).unwrap().delay().is_zero());
    /// assert!(bytes.reserve_n(5).unwrap().delay() > Duration::from_secs(4));
    /// assert!(bytes.reserve_n(5).unwrap().delay() > Duration::from_secs(9));
    /// ```
    #[must_use = "the tokens are taken, also if the reservation is dropped"]
    pub fn reserve_n(&self, n: usize) -> Option<Reservation<'_>> {
        let now = Instant::now();
        let mut bucket = self.bucket.lock();
        bucket.advance(now);
        let (place, due) = bucket.reserve(now, n)?;
        Some(Reservation { limiter: self, place, due })
    }

    /// How many tokens there are that nobody waits for, with the part of the next one that has come. Negative if
    /// more is reserved or waited for than there is. Never waits for one. Go's `Tokens`.
    ///
    /// ```
    /// use greenthread::patterns::RateLimiter;
    /// use std::time::Duration;
    ///
    /// let limiter = RateLimiter::bursty(Duration::from_secs(3600), 3);
    /// assert!(limiter.try_take());
    /// assert_eq!(limiter.tokens().floor(), 2.0);
    /// let _later = limiter.reserve_n(4);
    /// assert_eq!(limiter.tokens().floor(), -2.0);
    /// ```
    pub fn tokens(&self) -> f64 {
        let now = Instant::now();
        let mut bucket = self.bucket.lock();
        bucket.advance(now);
        bucket.available(now)
    }

    /// How many tokens the bucket holds at most. Go's `Burst`.
    ///
    /// ```
    /// use greenthread::patterns::RateLimiter;
    /// use std::time::Duration;
    ///
    /// assert_eq!(RateLimiter::bursty(Duration::from_secs(1), 3).burst(), 3);
    /// ```
    pub fn burst(&self) -> usize {
        self.bucket.lock().burst
    }

    /// Changes how many tokens the bucket holds at most. Go's `SetBurst`. Never waits for a token.
    ///
    /// What there is stays, as far as there is room for it; a bucket that gets larger is not full at once.
    ///
    /// ```
    /// use greenthread::patterns::RateLimiter;
    /// use std::time::Duration;
    ///
    /// let limiter = RateLimiter::bursty(Duration::from_secs(3600), 5);
    /// limiter.set_burst(2);
    /// assert!(limiter.try_take_n(2) && !limiter.try_take());
    /// ```
    pub fn set_burst(&self, burst: usize) {
        self.bucket.lock().set_burst(Instant::now(), burst);
    }

    /// How many tokens come in a second: the inverse of the [`period`](Self::period), infinite if that is zero. Go's `Limit`.
    ///
    /// ```
    /// use greenthread::patterns::RateLimiter;
    /// use std::time::Duration;
    ///
    /// assert_eq!(RateLimiter::steady(Duration::from_millis(20)).limit(), 50.0);
    /// assert_eq!(RateLimiter::steady(Duration::ZERO).limit(), f64::INFINITY);
    /// ```
    pub fn limit(&self) -> f64 {
        self.period().as_secs_f64().recip()
    }

    /// Changes how many tokens come in a second, as [`set_period`](Self::set_period) does by the inverse, which is rounded to
    /// nanoseconds, and is at least one. Infinitely many are no limit at all; with zero no more tokens come. Go's `SetLimit`.
    ///
    /// # Panics
    /// If `per_second` is negative or no number.
    ///
    /// ```
    /// use greenthread::patterns::RateLimiter;
    /// use std::time::Duration;
    ///
    /// let limiter = RateLimiter::steady(Duration::from_secs(1));
    /// limiter.set_limit(100.0);
    /// assert_eq!(limiter.period(), Duration::from_millis(10));
    /// ```
    pub fn set_limit(&self, per_second: f64) {
        assert!(per_second >= 0.0, "rate: a limit of {per_second} tokens per second makes no sense; use zero or more");
        self.set_period(if per_second.is_infinite() {
            Duration::ZERO
        } else {
            Duration::try_from_secs_f64(per_second.recip())
                .map_or(Duration::MAX, |one| one.max(Duration::from_nanos(1)))
        });
    }

    /// The time in which a token comes: the inverse of the [`limit`](Self::limit).
    ///
    /// ```
    /// use greenthread::patterns::RateLimiter;
    /// use std::time::Duration;
    ///
    /// assert_eq!(RateLimiter::steady(Duration::from_secs(1)).period(), Duration::from_secs(1));
    /// ```
    pub fn period(&self) -> Duration {
        self.bucket.lock().period
    }

    /// Changes the period, also for those who wait. Go's `SetLimit`, which leaves those who wait as they are. Never
    /// waits for a token.
    ///
    /// What there is stays. Of the token that is about to come the same part has grown afterwards as before.
    ///
    /// ```
    /// use greenthread::{ctx::Context, go, patterns::RateLimiter};
    /// use std::{sync::Arc, time::Duration};
    ///
    /// let limiter = Arc::new(RateLimiter::bursty(Duration::from_secs(3600), 0));
    /// let throttle = Arc::clone(&limiter);
    /// go!(move || throttle.set_period(Duration::from_millis(1)));
    /// limiter.wait(&Context::background()).unwrap();
    /// ```
    pub fn set_period(&self, period: Duration) {
        let mut bucket = self.bucket.lock();
        bucket.set_period(Instant::now(), period);
        self.look_again(&bucket);
    }

    /// Lets the waiter in front look again, if somebody waits. Under the lock.
    fn look_again(&self, bucket: &Bucket) {
        if bucket.wanted > 0 {
            self.clock.reset(Duration::ZERO);
        }
    }

    /// The bucket as it is now.
    fn look(&self) -> MutexGuard<'_, Bucket> {
        let mut bucket = self.bucket.lock();
        bucket.advance(Instant::now());
        bucket
    }
}

/// An error if what is due then comes too late for the context.
fn in_time(ctx: &Context, due: Option<Instant>) -> Result<(), Error> {
    match ctx.deadline() {
        Some(deadline) if due.is_none_or(|due| due > deadline) => Err(Error::DeadlineExceeded),
        _ => Ok(()),
    }
}

/// Tokens that were taken ahead of time. Go's `Reservation`.
///
/// Dropping it changes nothing: the tokens stay taken.
///
/// ```
/// use greenthread::patterns::{RateLimiter, Reservation};
/// use std::time::Duration;
///
/// static UPLOADS: RateLimiter = RateLimiter::steady(Duration::from_secs(10));
///
/// /// Begins one at once, or says when to try again.
/// fn begin() -> Result<(), Duration> {
///     let place: Reservation<'static> = UPLOADS.reserve().unwrap();
///     match place.delay() {
///         Duration::ZERO => Ok(()),
///         later => {
///             place.cancel(); // nobody waits here
///             Err(later)
///         }
///     }
/// }
///
/// assert!(begin().is_ok());
/// assert!(begin().unwrap_err() > Duration::from_secs(9));
/// ```
#[derive(Debug)]
pub struct Reservation<'a> {
    limiter: &'a RateLimiter,
    place: u64,
    due: Instant,
}

impl Reservation<'_> {
    /// When the event may happen.
    ///
    /// ```
    /// use greenthread::patterns::RateLimiter;
    /// use std::time::{Duration, Instant};
    ///
    /// let limiter = RateLimiter::steady(Duration::from_secs(1));
    /// assert!(limiter.reserve().unwrap().due() <= Instant::now());
    /// ```
    pub fn due(&self) -> Instant {
        self.due
    }

    /// How long to wait from now on until the event may happen; zero if it may happen now. Go's `Delay`.
    ///
    /// ```
    /// use greenthread::patterns::RateLimiter;
    /// use std::time::Duration;
    ///
    /// let limiter = RateLimiter::bursty(Duration::from_secs(1), 0);
    /// assert!(limiter.reserve().unwrap().delay() > Duration::ZERO);
    /// ```
    pub fn delay(&self) -> Duration {
        self.due.saturating_duration_since(Instant::now())
    }

    /// Gives the tokens back: the event will not happen. Go's `Cancel`. Never waits for a token.
    ///
    /// If the reservation is due already, nothing is given back. Nor is what later reservations rely on: they keep their times, and
    /// two of them must not become one burst.
    ///
    /// ```
    /// use greenthread::patterns::RateLimiter;
    /// use std::time::Duration;
    ///
    /// let limiter = RateLimiter::bursty(Duration::from_secs(3600), 0);
    /// let large = limiter.reserve_n(100).unwrap();
    /// large.cancel();
    /// assert!(limiter.reserve().unwrap().delay() <= Duration::from_secs(3600));
    /// ```
    pub fn cancel(self) {
        let now = Instant::now();
        let mut bucket = self.limiter.bucket.lock();
        bucket.advance(now);
        bucket.cancel(now, self.place);
        self.limiter.look_again(&bucket);
    }
}

impl fmt::Debug for RateLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bucket = self.look();
        let mut all = f.debug_struct("RateLimiter");
        all.field("period", &bucket.period).field("burst", &bucket.burst);
        all.field("tokens", &bucket.tokens).field("wanted", &bucket.wanted).finish()
    }
}
