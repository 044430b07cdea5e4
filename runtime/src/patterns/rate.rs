//! `RateLimiter`: so many events in a time, and who comes too early waits (golang.org/x/time/rate).
//!
//! # How it works
//! A bucket holds tokens. One more comes each period, unless the bucket is full; each event takes one out. Nothing moves while
//! nobody looks: who looks adds what has come since, in whole tokens, and notes since when the next one grows. So nothing is
//! rounded, and no error adds up.
//!
//! Who must wait says how many tokens he wants, and queues up at a semaphore of one permit. Who has the permit is in
//! front: he alone watches the clock. Tokens that are wanted count as gone: the bucket fills up beyond them. So those
//! who are woken late lose no token by that, as Go's reservations do not. Unlike a reservation, nothing is promised for
//! a certain time: who gives up leaves the queue, and all behind him move up; a new period counts for all who wait.

use std::fmt;
use std::time::{Duration, Instant};

use greenthread_channels::timer::Timer;
use greenthread_ctx::{Context, Error, RecvError};

use crate::sync::{LazyLock, Mutex, MutexGuard, Semaphore};

/// Lets so many events happen in a time: a token bucket, as `rate.Limiter` of golang.org/x/time is.
///
/// Each event takes a token. The bucket is full in the beginning; when it is not full, one token comes each period. So
/// in any time *t* there are at most *burst* + *t* / *period* tokens. Who waits has a right to the tokens that come
/// from then on, be it that he is woken late: so the rate is kept on a busy machine too, and two events may then be
/// closer than a period.
///
/// Strictly first come, first served: who has to wait does so behind all who wait already. While nobody waits there is
/// no timer, and there never is a goroutine.
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
    /// Who has its permit is in front.
    turn: Semaphore,
    /// Set by who is in front, and received from by him alone.
    clock: LazyLock<Timer>,
}

/// The arithmetic, without waiting. 128 bits are enough for any sum of tokens that callers can ask for.
struct Bucket {
    period: Duration,
    burst: usize,
    /// What has come and is not taken, as of `since`.
    tokens: u128,
    /// What those want who wait.
    wanted: u128,
    /// When the next token began to grow; none before the first look.
    since: Option<Instant>,
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
        let bucket = Bucket { period, burst, tokens: burst as u128, wanted: 0, since: None };
        Self { bucket: Mutex::new(bucket), turn: Semaphore::new(1), clock: LazyLock::new(|| Timer::new(Duration::MAX)) }
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
        if self.begin(ctx, n)? {
            return Ok(());
        }
        let served = self.turn.acquire_ctx(1, ctx).and_then(|_turn| self.wait_in_front(ctx, n));
        if served.is_err() {
            self.bucket.lock().wanted -= n as u128;
        }
        served
    }

    /// Takes the tokens if there is nobody to wait for; or else false, and they are wanted.
    fn begin(&self, ctx: &Context, n: usize) -> Result<bool, Error> {
        let mut bucket = self.look();
        if bucket.wanted == 0 && bucket.take(n) {
            return Ok(true);
        }
        in_time(ctx, bucket.due(bucket.wanted + n as u128))?;
        bucket.wanted += n as u128;
        Ok(false)
    }

    /// Takes tokens that are wanted, for who is in front.
    fn wait_in_front(&self, ctx: &Context, n: usize) -> Result<(), Error> {
        loop {
            let mut bucket = self.look();
            if bucket.take_wanted(n) {
                return Ok(());
            }
            // Looked at again, since the period may have changed.
            let due = bucket.due(n as u128);
            in_time(ctx, due)?;
            // Under the lock, so that it does not undo what `set_period` does.
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

    /// The time in which a token comes. (Go's `Limit` is its inverse.)
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
        if bucket.wanted > 0 {
            // Who is in front looks again.
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

impl Bucket {
    /// Adds what has come since the last look.
    fn advance(&mut self, now: Instant) {
        let limit = self.burst as u128 + self.wanted;
        let elapsed = now.duration_since(self.since.unwrap_or(now)).as_nanos();
        let (come, rest) = match self.period.as_nanos() {
            0 => (limit, 0),
            period => (elapsed / period, elapsed % period),
        };
        self.tokens += come;
        self.since = Some(if self.tokens < limit { before(now, rest) } else { now });
        self.tokens = self.tokens.min(limit);
    }

    /// Takes tokens beyond those that are wanted, if there are so many.
    fn take(&mut self, n: usize) -> bool {
        let unlimited = self.period.is_zero();
        let enough = unlimited || self.tokens >= self.wanted + n as u128;
        if enough && !unlimited {
            self.tokens -= n as u128;
        }
        enough
    }

    /// Takes tokens that are wanted, if there are so many.
    fn take_wanted(&mut self, n: usize) -> bool {
        let enough = self.tokens >= n as u128;
        if enough {
            self.tokens -= n as u128;
            self.wanted -= n as u128;
        }
        enough
    }

    /// When there will be so many tokens in all, if none are taken; none if that is beyond the clock.
    fn due(&self, tokens: u128) -> Option<Instant> {
        let missing = tokens.saturating_sub(self.tokens);
        self.since?.checked_add(nanos(missing.saturating_mul(self.period.as_nanos()))?)
    }

    fn set_period(&mut self, now: Instant, period: Duration) {
        self.advance(now);
        let old = self.period.as_nanos().max(1);
        let grown = now.duration_since(self.since.unwrap_or(now)).as_nanos();
        self.since = Some(before(now, grown.saturating_mul(period.as_nanos()) / old));
        self.period = period;
    }
}

/// So many nanoseconds before `now`; `now` if the clock cannot say that.
fn before(now: Instant, ago: u128) -> Instant {
    nanos(ago).and_then(|ago| now.checked_sub(ago)).unwrap_or(now)
}

fn nanos(nanos: u128) -> Option<Duration> {
    const SECOND: u128 = 1_000_000_000;
    let seconds = u64::try_from(nanos / SECOND).ok()?;
    Some(Duration::new(seconds, (nanos % SECOND) as u32))
}

impl fmt::Debug for RateLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bucket = self.look();
        let mut all = f.debug_struct("RateLimiter");
        all.field("period", &bucket.period).field("burst", &bucket.burst);
        all.field("tokens", &bucket.tokens).field("wanted", &bucket.wanted).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_nanos(7);

    /// A bucket, and when it was filled.
    fn bucket(period: Duration, burst: usize) -> (Bucket, Instant) {
        let mut bucket = RateLimiter::bursty(period, burst).bucket.into_inner();
        let begin = Instant::now();
        bucket.advance(begin);
        (bucket, begin)
    }

    #[test]
    fn no_nanosecond_is_lost() {
        let (mut bucket, begin) = bucket(PERIOD, 1_000_000_000);
        assert!(bucket.take(1_000_000_000));
        // Looks at odd times add up to what one look at the end would find.
        let (mut now, mut looks) = (begin, 0);
        while looks < 100_000 {
            looks += 1;
            now += Duration::from_nanos(looks % 23);
            bucket.advance(now);
        }
        let elapsed = now.duration_since(begin).as_nanos();
        assert_eq!(bucket.tokens, elapsed / 7);
        assert_eq!(bucket.due(bucket.tokens + 1), Some(begin + PERIOD * (bucket.tokens as u32 + 1)));
    }

    #[test]
    fn a_token_comes_at_its_nanosecond() {
        let (mut bucket, begin) = bucket(PERIOD, 2);
        assert!(bucket.take(2));
        for (elapsed, tokens) in [(0, 0), (6, 0), (7, 1), (13, 1), (14, 2), (1000, 2)] {
            bucket.advance(begin + Duration::from_nanos(elapsed));
            assert_eq!(bucket.tokens, tokens, "after {elapsed} ns");
        }
        // A full bucket saves up nothing of the next token either.
        assert!(bucket.take(1));
        bucket.advance(begin + Duration::from_nanos(1006));
        assert_eq!((bucket.tokens, bucket.due(2)), (1, Some(begin + Duration::from_nanos(1007))));
    }

    #[test]
    fn what_is_wanted_comes_on_top_of_what_the_bucket_holds() {
        let (mut bucket, begin) = bucket(PERIOD, 1);
        assert!(bucket.take(1));
        bucket.wanted = 5;
        // They are woken late: each gets the token that came for it, and then the bucket is full.
        bucket.advance(begin + PERIOD * 100);
        assert_eq!(bucket.tokens, 6);
        assert!(!bucket.take(2), "there is one that nobody wants");
        assert!(bucket.take_wanted(5) && bucket.take(1));
        assert_eq!((bucket.tokens, bucket.wanted), (0, 0));
        // Those who have given up leave no more than the bucket holds.
        bucket.wanted = 50;
        bucket.advance(begin + PERIOD * 140);
        assert_eq!(bucket.tokens, 40);
        bucket.wanted = 0;
        bucket.advance(begin + PERIOD * 140);
        assert_eq!(bucket.tokens, 1);
    }

    #[test]
    fn a_new_period_keeps_the_part_that_has_grown() {
        let (mut bucket, begin) = bucket(Duration::from_secs(10), 3);
        assert!(bucket.take(3));
        let now = begin + Duration::from_secs(15);
        bucket.set_period(now, Duration::from_secs(4));
        assert_eq!((bucket.tokens, bucket.due(2)), (1, Some(now + Duration::from_secs(2))));
        bucket.set_period(now, Duration::MAX);
        assert_eq!((bucket.tokens, bucket.due(2)), (1, None));
        bucket.set_period(now, Duration::ZERO);
        assert!(bucket.take(usize::MAX));
        bucket.set_period(now, Duration::from_secs(1));
        assert!(bucket.take(3) && !bucket.take(1), "it was full");
        assert_eq!(bucket.due(1), Some(now + Duration::from_secs(1)));
    }

    #[test]
    fn numbers_of_any_size() {
        let (mut bucket, begin) = bucket(Duration::MAX, usize::MAX);
        assert!(bucket.take(usize::MAX) && !bucket.take(1));
        bucket.wanted = usize::MAX as u128 * 1_000_000;
        assert_eq!(bucket.due(bucket.wanted), None);
        bucket.set_period(begin, Duration::from_nanos(1));
        bucket.advance(begin + Duration::from_nanos(u64::MAX));
        assert_eq!(bucket.tokens, u128::from(u64::MAX));
    }
}
