//! `RateLimiter`: a token-bucket rate limiter, like golang.org/x/time/rate.
//!
//! # How it works
//! A bucket holds tokens. One token comes each period, unless the bucket is full; each event takes
//! one out. No timer fills the bucket: each call adds the tokens that have come since the last one,
//! as whole tokens, and records when the next token began to grow. So nothing is rounded, and no
//! error adds up.
//!
//! A caller that must wait records its demand, then queues at a semaphore with one permit. The
//! waiter that holds the permit is in front: it alone watches the clock. Queued demand counts as
//! taken, and the bucket fills up beyond it. So, like Go's reservations, waiters that wake late
//! lose no token. Unlike a reservation, a queued waiter is promised no particular time: when a
//! waiter gives up, all waiters behind it move up, and a new period applies to all of them.
//!
//! A *reservation* takes its tokens at once, even those that have yet to come, so the number of
//! tokens may be negative; the caller learns when they will have come, behind all waiters of that
//! moment. Those waiters must not lose anything by it. So each waiter knows its position among the
//! reservations: for it, tokens that were reserved later are still there. The time of a reservation
//! never changes. So when a waiter or a reservation before it goes away, its tokens are given back
//! only as far as they exceed what was reserved behind it; otherwise, two events would happen at
//! the same time, which is a burst that the limit does not allow. (Go does the same.)

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::{Duration, Instant};

use greenthread_channels::timer::Timer;
use greenthread_ctx::{Context, Error, RecvError};

use crate::sync::{LazyLock, Mutex, MutexGuard, Semaphore};

mod bucket;

use bucket::Bucket;

/// A token-bucket rate limiter, like `rate.Limiter` of golang.org/x/time.
///
/// Each event takes a token. The bucket is full at the beginning; while it is not full, one token
/// comes each period. So in any time *t*, at most *burst* + *t* / *period* tokens are taken. A
/// waiter is entitled to the tokens that come after it began to wait, even if it wakes late: so the
/// limiter keeps its rate on a busy machine too, and two events may then be closer than a period.
///
/// Strictly first come, first served: a new waiter queues behind all others. While nothing waits
/// there is no timer, and there never is a goroutine.
///
/// As in Go, there are three ways to ask for tokens: [`wait`](Self::wait) for them,
/// [`try_take`](Self::try_take) them, or [`reserve`](Self::reserve) them and learn how long to
/// wait.
///
/// A `RateLimiter` cannot be cloned: share it by reference, in an [`Arc`](std::sync::Arc), or as a
/// `static`, which suits a limit for a whole program.
///
/// A period of zero means no limit, like Go's `rate.Inf`. If the period is too long for the clock,
/// there are only the tokens of the beginning.
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
/// assert!(begin.elapsed() >= Duration::from_millis(5), "three at once, then five more");
/// ```
pub struct RateLimiter {
    bucket: Mutex<Bucket>,
    /// The waiter that holds its permit is in front.
    front: Semaphore,
    /// Set for the waiter in front, which alone receives from it.
    clock: LazyLock<Timer>,
}

// A panic leaves nothing half done, since the type holds no user data.
impl UnwindSafe for RateLimiter {}
impl RefUnwindSafe for RateLimiter {}

impl RateLimiter {
    /// Creates a limiter that allows one event each period, the first at once: a bucket of one
    /// token.
    ///
    /// Go's `rate.NewLimiter(rate.Every(period), 1)`.
    ///
    /// After a time without events there is one token, not more.
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

    /// Creates a limiter that allows one event each period, and up to `burst` at once after a quiet
    /// time: a bucket of `burst` tokens.
    ///
    /// Go's `rate.NewLimiter(rate.Every(period), burst)`.
    ///
    /// With a `burst` of zero, no token is saved up: even the first event has to wait for a period,
    /// and [`try_take`](Self::try_take) takes nothing.
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
        Self { bucket, front: Semaphore::new(1), clock: LazyLock::new(|| Timer::new(Duration::MAX)) }
    }

    /// Takes a token, blocking until there is one and all earlier waiters have been served.
    ///
    /// Go's `Wait`.
    ///
    /// # Errors
    /// See [`wait_n`](Self::wait_n).
    ///
    /// ```
    /// use greenthread::ctx::{Context, Error};
    /// use greenthread::patterns::RateLimiter;
    /// use std::time::Duration;
    ///
    /// let limiter = RateLimiter::steady(Duration::from_secs(3600));
    /// let (ctx, _cancel) = Context::background().with_timeout(Duration::from_secs(1));
    /// assert_eq!(limiter.wait(&ctx), Ok(()));
    /// // Returns at once: an hour is too long.
    /// assert_eq!(limiter.wait(&ctx), Err(Error::DeadlineExceeded));
    /// ```
    pub fn wait(&self, ctx: &Context) -> Result<(), Error> {
        self.wait_n(ctx, 1)
    }

    /// Takes `n` tokens for one event that counts as `n`, blocking until there are enough and all
    /// earlier waiters have been served.
    ///
    /// Go's `WaitN`.
    ///
    /// `n` may be more than the bucket holds: the call then waits until that many tokens have come,
    /// and later waiters queue behind it. (In Go that is an error.) Tokens are not taken one by
    /// one: a wait that fails leaves everything it would have got to the waiters behind it.
    ///
    /// # Errors
    /// If the context has ended, or ends first; and with
    /// [`DeadlineExceeded`](Error::DeadlineExceeded), at once, if the tokens will come only after
    /// the context's deadline. No token is taken then.
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
        let Some(position) = self.take_or_enqueue(ctx, n)? else { return Ok(()) };
        let served = self.front.acquire_ctx(ctx, 1).and_then(|_permit| self.wait_in_front(ctx, n, position));
        if served.is_err() {
            self.lock_bucket().dequeue(n, position);
        }
        served
    }

    /// Takes the tokens and returns `None` if no waiter is queued and there are enough; otherwise
    /// queues the demand and returns its position among the reservations.
    fn take_or_enqueue(&self, ctx: &Context, n: usize) -> Result<Option<u64>, Error> {
        let mut bucket = self.lock_bucket();
        if bucket.queued == 0 && bucket.take(n) {
            return Ok(None);
        }
        check_deadline(ctx, bucket.due_at_tail(n))?;
        Ok(Some(bucket.enqueue(n)))
    }

    /// Takes queued tokens for the waiter in front.
    fn wait_in_front(&self, ctx: &Context, n: usize, position: u64) -> Result<(), Error> {
        loop {
            let mut bucket = self.lock_bucket();
            if bucket.take_queued(n, position) {
                return Ok(());
            }
            // Computed in each iteration, since the period may have changed.
            let due = bucket.due(n as i128, position);
            check_deadline(ctx, due)?;
            // Under the lock, so that this does not undo what `wake_front` does.
            self.clock.reset(due.map_or(Duration::MAX, |due| due.saturating_duration_since(Instant::now())));
            drop(bucket);
            if let Err(RecvError::Ended(error)) = ctx.recv(self.clock.channel()) {
                return Err(error);
            }
        }
    }

    /// Takes a token if there is one that no waiter is queued for.
    ///
    /// Never waits. Go's `Allow`.
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
    #[must_use = "`false` means that no token was taken"]
    pub fn try_take(&self) -> bool {
        self.try_take_n(1)
    }

    /// Takes `n` tokens if there are that many beyond those that waiters are queued for, and
    /// otherwise none.
    ///
    /// Never waits. Go's `AllowN`.
    ///
    /// There are never more than the bucket holds, unless the period is zero.
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
    #[must_use = "`false` means that no token was taken"]
    pub fn try_take_n(&self, n: usize) -> bool {
        self.lock_bucket().take(n)
    }

    /// Takes a token at once, even one that has yet to come, and returns when it will.
    ///
    /// Never waits: the caller sleeps until the reservation is [due](Reservation::due), or
    /// [cancels](Reservation::cancel) it. Go's `Reserve`.
    ///
    /// Returns `None` if the clock cannot express when the token will come.
    ///
    /// ```
    /// use greenthread::{patterns::RateLimiter, time};
    /// use std::time::Duration;
    ///
    /// let limiter = RateLimiter::steady(Duration::from_millis(2));
    /// assert!(limiter.reserve().unwrap().delay().is_zero(), "the bucket is full");
    /// let next = limiter.reserve().unwrap();
    /// assert!(next.delay() <= Duration::from_millis(2));
    /// time::sleep(next.delay());
    /// // Now the event may happen.
    /// ```
    #[must_use = "the token stays taken even if the reservation is dropped"]
    pub fn reserve(&self) -> Option<Reservation<'_>> {
        self.reserve_n(1)
    }

    /// Takes `n` tokens at once, even those that have yet to come, and returns when they will.
    ///
    /// Like [`reserve`](Self::reserve) otherwise. Go's `ReserveN`.
    ///
    /// `n` may be more than the bucket holds: it then takes as long as it takes for that many
    /// tokens to come. (In Go that is refused.)
    ///
    /// The reservation comes behind all current waiters, and before all later ones. It keeps its
    /// time even if the period changes.
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
    #[must_use = "the tokens stay taken even if the reservation is dropped"]
    pub fn reserve_n(&self, n: usize) -> Option<Reservation<'_>> {
        let now = Instant::now();
        let mut bucket = self.bucket.lock();
        bucket.advance(now);
        let (position, due) = bucket.reserve(now, n)?;
        Some(Reservation { limiter: self, position, due })
    }

    /// Returns the number of tokens that no waiter is queued for, including the part of the next
    /// one that has come.
    ///
    /// Negative if more tokens are reserved or waited for than there are. Never waits for a token.
    /// Go's `Tokens`.
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

    /// Returns the largest number of tokens that the bucket holds.
    ///
    /// Go's `Burst`.
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

    /// Changes the largest number of tokens that the bucket holds.
    ///
    /// Go's `SetBurst`. Never waits for a token.
    ///
    /// The current tokens stay, as far as there is room for them; a bucket that becomes larger is
    /// not full at once.
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

    /// Returns the number of tokens that come each second: the inverse of the
    /// [`period`](Self::period), and infinite if that is zero.
    ///
    /// Go's `Limit`.
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

    /// Changes the number of tokens that come each second.
    ///
    /// Like [`set_period`](Self::set_period) with the inverse, which is rounded to nanoseconds and
    /// is at least one. With infinity there is no limit; with zero no more tokens come. Go's
    /// `SetLimit`.
    ///
    /// # Panics
    /// If `per_second` is negative or not a number.
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
        assert!(per_second >= 0.0, "rate limiter: {per_second} tokens per second is not a rate; use zero or more");
        self.set_period(if per_second.is_infinite() {
            Duration::ZERO
        } else {
            Duration::try_from_secs_f64(per_second.recip())
                .map_or(Duration::MAX, |one| one.max(Duration::from_nanos(1)))
        });
    }

    /// Returns the time in which a token comes: the inverse of the [`limit`](Self::limit).
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

    /// Changes the period, even for queued waiters.
    ///
    /// Go's `SetLimit` leaves queued waiters as they are. Never waits for a token.
    ///
    /// The current tokens stay. The part of the next token that has grown stays the same, too.
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
        self.wake_front(&bucket);
    }

    /// Wakes the waiter in front, if there is one, to check again. Call it under the lock.
    fn wake_front(&self, bucket: &Bucket) {
        if bucket.queued > 0 {
            self.clock.reset(Duration::ZERO);
        }
    }

    /// Locks the bucket and adds the tokens that have come.
    fn lock_bucket(&self) -> MutexGuard<'_, Bucket> {
        let mut bucket = self.bucket.lock();
        bucket.advance(Instant::now());
        bucket
    }
}

/// Returns an error if `due` is too late for the context.
fn check_deadline(ctx: &Context, due: Option<Instant>) -> Result<(), Error> {
    match ctx.deadline() {
        Some(deadline) if due.is_none_or(|due| due > deadline) => Err(Error::DeadlineExceeded),
        _ => Ok(()),
    }
}

/// Tokens that were taken ahead of time.
///
/// Go's `Reservation`.
///
/// Dropping it changes nothing: the tokens stay taken.
///
/// ```
/// use greenthread::patterns::{RateLimiter, Reservation};
/// use std::time::Duration;
///
/// static UPLOADS: RateLimiter = RateLimiter::steady(Duration::from_secs(10));
///
/// /// Starts an upload at once, or returns when to try again.
/// fn begin() -> Result<(), Duration> {
///     let place: Reservation<'static> = UPLOADS.reserve().unwrap();
///     match place.delay() {
///         Duration::ZERO => Ok(()),
///         later => {
///             place.cancel(); // this caller does not wait
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
    position: u64,
    due: Instant,
}

impl Reservation<'_> {
    /// Returns when the event may happen.
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

    /// Returns how long to wait from now until the event may happen, or zero if it may happen now.
    ///
    /// Go's `Delay`.
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

    /// Gives the tokens back, as the event will not happen.
    ///
    /// Go's `Cancel`. Never waits for a token.
    ///
    /// If the reservation is due already, nothing is given back; neither are tokens that later
    /// reservations rely on: those keep their times, and two of them must not become one burst.
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
        bucket.cancel(now, self.position);
        self.limiter.wake_front(&bucket);
    }
}

impl fmt::Debug for RateLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bucket = self.lock_bucket();
        let mut all = f.debug_struct("RateLimiter");
        all.field("period", &bucket.period).field("burst", &bucket.burst);
        all.field("tokens", &bucket.tokens).field("queued", &bucket.queued).finish()
    }
}
