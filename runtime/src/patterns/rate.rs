//! `RateLimiter`: a token-bucket rate limiter, like golang.org/x/time/rate.
//!
//! # How it works
//! A bucket holds tokens. One token arrives each period, unless the bucket is full, and each event
//! removes one. No timer fills the bucket. Instead, each call adds the whole tokens that have
//! arrived since the last call, and records when the next token began to grow. So nothing is
//! rounded, and no error accumulates.
//!
//! A caller that must wait records its demand, then queues at a semaphore with one permit. The
//! waiter that holds the permit is in front: it alone watches the clock. Queued demand counts as
//! taken, and the bucket fills up beyond it. So, as with Go's reservations, waiters that wake late
//! lose no tokens. Unlike a reservation, a queued waiter is not promised a particular time: when a
//! waiter gives up, all waiters behind it move up, and a change of the period applies to all of
//! them.
//!
//! A *reservation* takes its tokens at once, even tokens that have yet to arrive, so the number of
//! tokens may be negative. The caller learns when the tokens will have arrived, behind all current
//! waiters. Those waiters must not lose any tokens to the reservation. So each waiter knows its
//! position among the reservations, and tokens that were reserved behind that position are still
//! available to it. The time of a reservation never changes. So when an earlier waiter or
//! reservation goes away, its tokens return to the bucket only insofar as they exceed the tokens
//! reserved behind it. Otherwise, two events would happen at the same time, which is a burst that
//! the limit does not allow. (Go does the same.)

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
/// Each event takes a token. The bucket starts out full. While it is not full, one token arrives
/// each period. So in any time *t*, at most *burst* + *t* / *period* tokens are taken. A waiter is
/// entitled to the tokens that arrive after it began to wait, even if it wakes late. So the limiter
/// keeps its rate even on a busy machine, where two events may be closer together than a period.
///
/// Waiters are served strictly in order: a new waiter queues behind all others. The limiter has no
/// timer while nothing waits, and it never has a goroutine.
///
/// As in Go, there are three ways to get tokens: [`wait`](Self::wait) for them,
/// [`try_take`](Self::try_take) them if they are available, or [`reserve`](Self::reserve) them and
/// learn how long to wait.
///
/// A `RateLimiter` cannot be cloned: share it by reference, in an [`Arc`](std::sync::Arc), or as a
/// `static`, which suits a limit for a whole program.
///
/// A period of zero means no limit, like Go's `rate.Inf`. If the clock cannot represent the period,
/// the bucket never gets more tokens than its initial ones.
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
    /// The waiter that holds the semaphore's permit is in front.
    front: Semaphore,
    /// Set for the waiter in front, the only one that receives from this timer.
    clock: LazyLock<Timer>,
}

// A panic leaves nothing half done, since the type holds no user data.
impl UnwindSafe for RateLimiter {}
impl RefUnwindSafe for RateLimiter {}

impl RateLimiter {
    /// Creates a limiter that allows one event each period, and the first one at once: a bucket of
    /// one token.
    ///
    /// Like Go's `rate.NewLimiter(rate.Every(period), 1)`.
    ///
    /// After a time without events, there is one token, but not more.
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
    /// Like Go's `rate.NewLimiter(rate.Every(period), burst)`.
    ///
    /// With a `burst` of zero, no tokens are saved up: even the first event has to wait for a
    /// period, and [`try_take`](Self::try_take) takes nothing.
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

    /// Takes a token, blocking until one is available and all earlier waiters have been served.
    ///
    /// Like Go's `Wait`.
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

    /// Takes `n` tokens for one event that counts as `n`, blocking until enough are available and
    /// all earlier waiters have been served.
    ///
    /// Like Go's `WaitN`.
    ///
    /// `n` may be more than the bucket holds: the call then waits until that many tokens have
    /// arrived, and later waiters queue behind it. (In Go, this is an error.) Tokens are not taken
    /// one by one: a wait that fails leaves all of its tokens to the waiters behind it.
    ///
    /// # Errors
    /// If the context has ended already, or ends first. If the tokens would arrive only after the
    /// context's deadline, the call fails at once with
    /// [`DeadlineExceeded`](Error::DeadlineExceeded). A call that fails takes no token.
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

    /// Takes the tokens and returns `None` if no waiter is queued and enough tokens are available.
    /// Otherwise queues the demand and returns its position among the reservations.
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
            // Computed in each iteration, because the period may have changed.
            let due = bucket.due(n as i128, position);
            check_deadline(ctx, due)?;
            // Under the lock, so that this does not undo a concurrent `wake_front`.
            self.clock.reset(due.map_or(Duration::MAX, |due| due.saturating_duration_since(Instant::now())));
            drop(bucket);
            if let Err(RecvError::Ended(error)) = ctx.recv(self.clock.channel()) {
                return Err(error);
            }
        }
    }

    /// Takes a token if one is available that no waiter is queued for.
    ///
    /// Never waits. Like Go's `Allow`.
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

    /// Takes `n` tokens if that many are available beyond the ones that waiters are queued for, and
    /// otherwise takes none.
    ///
    /// Never waits. Like Go's `AllowN`.
    ///
    /// There are never more tokens than the bucket holds, unless the period is zero.
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

    /// Takes a token at once, even one that has yet to arrive, and returns a [`Reservation`] that
    /// knows when it arrives.
    ///
    /// Never waits: the caller sleeps until the reservation is [due](Reservation::due), or
    /// [cancels](Reservation::cancel) it. Like Go's `Reserve`.
    ///
    /// Returns `None` if the clock cannot express the time at which the token will arrive.
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

    /// Takes `n` tokens at once, even tokens that have yet to arrive, and returns a [`Reservation`]
    /// that knows when they arrive.
    ///
    /// Like [`reserve`](Self::reserve) otherwise. Like Go's `ReserveN`.
    ///
    /// `n` may be more than the bucket holds: the reservation is then due when that many tokens
    /// have arrived. (In Go, such a reservation is refused.)
    ///
    /// The reservation is queued behind all current waiters, and ahead of all later ones. It keeps
    /// its time even if the period changes.
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
    /// token that has already grown.
    ///
    /// The number is negative if more tokens are reserved or waited for than are available. Never
    /// waits for a token. Like Go's `Tokens`.
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
    /// Like Go's `Burst`.
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
    /// Like Go's `SetBurst`. Never waits for a token.
    ///
    /// The current tokens stay, insofar as the bucket has room for them. A bucket that becomes
    /// larger is not immediately full.
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

    /// Returns the number of tokens that arrive each second: the inverse of the
    /// [`period`](Self::period), or infinity if the period is zero.
    ///
    /// Like Go's `Limit`.
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

    /// Changes the number of tokens that arrive each second.
    ///
    /// Like [`set_period`](Self::set_period) with the inverse of `per_second`, rounded to
    /// nanoseconds and at least one nanosecond. With infinity, there is no limit; with zero, no
    /// more tokens arrive. Like Go's `SetLimit`.
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

    /// Returns the time from one token to the next: the inverse of the [`limit`](Self::limit).
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

    /// Changes the period, including for queued waiters.
    ///
    /// Go's `SetLimit` leaves queued waiters as they are. Never waits for a token.
    ///
    /// The current tokens stay, and so does the part of the next token that has already grown.
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

    /// Wakes the waiter in front, if there is one, so that it checks again. Must be called under
    /// the lock.
    fn wake_front(&self, bucket: &Bucket) {
        if bucket.queued > 0 {
            self.clock.reset(Duration::ZERO);
        }
    }

    /// Locks the bucket and adds the tokens that have arrived.
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
/// Like Go's `Reservation`.
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
    /// Returns the time at which the event may happen.
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
    /// Like Go's `Delay`.
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

    /// Returns the tokens to the limiter, because the event will not happen.
    ///
    /// Like Go's `Cancel`. Never waits for a token.
    ///
    /// If the reservation is due already, no tokens are returned. Tokens that later reservations
    /// rely on are not returned either: those reservations keep their times, and two of them must
    /// not become one burst.
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
