//! `retry`: repeats an operation that fails, with growing pauses.

use std::time::{Duration, Instant};

use greenthread_ctx::Context;

/// Calls `f` until it succeeds, and pauses after each failure as `backoff` says.
///
/// `f` gets the number of the attempt, counted from 1.
///
/// Runs `f` on the calling goroutine or thread, and blocks during the pauses. Every error leads to
/// another attempt; if some errors are final, use [`retry_if`]. A panic of `f` reaches the caller,
/// as with any closure.
///
/// Go has no such function; its programs have a loop with a `select`, like the one [written by
/// hand](https://github.com/greenthread-rs/greenthread/blob/main/docs/guide/src/by_hand.md#retry-with-back-off).
///
/// # Errors
/// The error of the last attempt, if no further attempt will be made: because `backoff` allows no
/// more, because the context ends during a pause, or at once because the pause would last beyond
/// the context's deadline. That error says more than "context canceled" would. Call
/// [`ctx.err()`](Context::err) to distinguish the cases.
///
/// The first attempt is made even if the context has ended, because otherwise there would be no
/// error to return. If `f` takes a long time, it must check the context itself, because nothing
/// interrupts it.
///
/// ```
/// use greenthread::ctx::Context;
/// use greenthread::patterns::{Backoff, retry};
/// use std::time::Duration;
///
/// let backoff = Backoff::exponential(Duration::from_micros(100)).max_attempts(5);
/// let connected = retry(&Context::background(), backoff, |attempt| match attempt {
///     1 | 2 => Err("connection refused"),
///     _ => Ok(attempt),
/// });
/// assert_eq!(connected, Ok(3));
///
/// let mut attempts = 0;
/// let failed: Result<(), _> = retry(&Context::background(), backoff, |attempt| {
///     attempts = attempt;
///     Err("connection refused")
/// });
/// assert_eq!((failed, attempts), (Err("connection refused"), 5));
/// ```
pub fn retry<T, E>(ctx: &Context, backoff: Backoff, f: impl FnMut(u32) -> Result<T, E>) -> Result<T, E> {
    retry_if(ctx, backoff, |_| true, f)
}

/// Calls `f` until it succeeds or returns a final error.
///
/// Like [`retry`], but makes another attempt only if `is_retryable` returns `true` for the error.
///
/// # Errors
/// See [`retry`]. An error that is not retryable is returned at once.
///
/// ```
/// use greenthread::ctx::Context;
/// use greenthread::patterns::{Backoff, retry_if};
/// use std::io::{self, ErrorKind};
///
/// let refused = |error: &io::Error| error.kind() == ErrorKind::ConnectionRefused;
/// let mut attempts = 0;
/// let (ctx, backoff) = (Context::background(), Backoff::default());
/// let result: io::Result<()> = retry_if(&ctx, backoff, refused, |attempt| {
///     attempts = attempt;
///     Err(ErrorKind::PermissionDenied.into())
/// });
/// assert_eq!(result.unwrap_err().kind(), ErrorKind::PermissionDenied);
/// assert_eq!(attempts, 1);
/// ```
pub fn retry_if<T, E>(
    ctx: &Context,
    backoff: Backoff,
    mut is_retryable: impl FnMut(&E) -> bool,
    mut f: impl FnMut(u32) -> Result<T, E>,
) -> Result<T, E> {
    let end = backoff.max_elapsed.and_then(|limit| Instant::now().checked_add(limit));
    let end = end.into_iter().chain(ctx.deadline()).min();
    let mut delays = backoff.delays();
    let mut attempt = 1;
    loop {
        let error = match f(attempt) {
            Err(error) if is_retryable(&error) => error,
            result => return result,
        };
        let Some(delay) = delays.next().filter(|delay| ends_by(*delay, end)) else { return Err(error) };
        if ctx.sleep(delay).is_err() {
            return Err(error);
        }
        // There are at most `u32::MAX` attempts.
        attempt += 1;
    }
}

/// Returns `true` if a pause that begins now is over by `end`.
fn ends_by(delay: Duration, end: Option<Instant>) -> bool {
    end.is_none_or(|end| delay <= end.saturating_duration_since(Instant::now()))
}

/// How often [`retry`] calls its function, and how long it pauses in between.
///
/// Each pause is `factor` times as long as the one before, up to a maximum. With [`Jitter::Full`],
/// the default, the actual pause is a random part of that length.
///
/// ```
/// use greenthread::patterns::{Backoff, Jitter};
/// use std::time::Duration;
///
/// let ms = Duration::from_millis;
/// let backoff = Backoff::exponential(ms(100)).max_delay(ms(500)).max_attempts(6);
/// let backoff = backoff.jitter(Jitter::None);
/// assert!(backoff.delays().eq([ms(100), ms(200), ms(400), ms(500), ms(500)]));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    initial: Duration,
    factor: f64,
    max_delay: Duration,
    max_attempts: u32,
    max_elapsed: Option<Duration>,
    jitter: Jitter,
}

/// The random part of a pause.
///
/// If the requests of several clients fail at the same time, all of them come back at the same
/// time, unless their pauses differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Jitter {
    /// No randomness: the pause is as long as computed.
    None,
    /// Any length from zero to the computed one, with equal probability. This spreads clients best,
    /// and halves the mean pause.
    #[default]
    Full,
}

impl Backoff {
    /// Creates a back-off whose pauses begin with `initial` and double each time.
    ///
    /// The longest pause is 10 s (or `initial`, if that is longer). There are 10 attempts, with
    /// [full jitter](Jitter::Full).
    ///
    /// ```
    /// use greenthread::patterns::Backoff;
    /// use std::time::Duration;
    ///
    /// let backoff = Backoff::exponential(Duration::from_secs(1));
    /// assert_eq!(backoff.delays().count(), 9);
    /// assert!(backoff.delays().all(|delay| delay <= Duration::from_secs(10)));
    /// ```
    pub fn exponential(initial: Duration) -> Self {
        let max_delay = initial.max(Duration::from_secs(10));
        Self { initial, factor: 2.0, max_delay, max_attempts: 10, max_elapsed: None, jitter: Jitter::Full }
    }

    /// Sets the ratio of each pause to the one before it.
    ///
    /// With 1, all pauses are the same.
    ///
    /// # Panics
    /// If `factor` is less than 1 or not a number.
    ///
    /// ```
    /// use greenthread::patterns::{Backoff, Jitter};
    /// use std::time::Duration;
    ///
    /// let second = Duration::from_secs(1);
    /// let constant = Backoff::exponential(second).factor(1.0).max_attempts(4);
    /// let constant = constant.jitter(Jitter::None);
    /// assert!(constant.delays().eq([second; 3]));
    /// ```
    #[must_use]
    pub fn factor(self, factor: f64) -> Self {
        assert!(factor >= 1.0, "retry: a back-off factor of {factor} would shrink the pauses; use 1 or more");
        Self { factor, ..self }
    }

    /// Sets the longest pause, which also limits the first one.
    ///
    /// ```
    /// use greenthread::patterns::Backoff;
    /// use std::time::Duration;
    ///
    /// let second = Duration::from_secs(1);
    /// assert!(Backoff::default().max_delay(second).delays().all(|delay| delay <= second));
    /// ```
    #[must_use]
    pub fn max_delay(self, max_delay: Duration) -> Self {
        Self { max_delay, ..self }
    }

    /// Sets the largest number of attempts, including the first.
    ///
    /// The first attempt is always made, so zero is the same as one. With `u32::MAX`, only the
    /// context and [`max_elapsed`](Self::max_elapsed) limit the attempts.
    ///
    /// ```
    /// use greenthread::{ctx::Context, patterns::{Backoff, retry}};
    ///
    /// let once = Backoff::default().max_attempts(1);
    /// assert_eq!(retry(&Context::background(), once, Err::<(), u32>), Err(1));
    /// ```
    #[must_use]
    pub fn max_attempts(self, max_attempts: u32) -> Self {
        Self { max_attempts, ..self }
    }

    /// Sets the time after which no attempt begins, counted from the start of the first attempt.
    ///
    /// If a pause would last beyond that time, no further attempt is made.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// use greenthread::patterns::{Backoff, Jitter, retry};
    /// use std::time::Duration;
    ///
    /// let (hour, minute) = (Duration::from_secs(3600), Duration::from_secs(60));
    /// let backoff = Backoff::exponential(hour).jitter(Jitter::None).max_elapsed(minute);
    /// // Returns at once: an hour is too long.
    /// assert_eq!(retry(&Context::background(), backoff, Err::<(), u32>), Err(1));
    /// ```
    #[must_use]
    pub fn max_elapsed(self, max_elapsed: Duration) -> Self {
        Self { max_elapsed: Some(max_elapsed), ..self }
    }

    /// Sets the random part of each pause.
    ///
    /// ```
    /// use greenthread::patterns::{Backoff, Jitter};
    /// use std::time::Duration;
    ///
    /// let exact = Backoff::default().jitter(Jitter::None);
    /// assert_eq!(exact.delays().next(), Some(Duration::from_millis(100)));
    /// ```
    #[must_use]
    pub fn jitter(self, jitter: Jitter) -> Self {
        Self { jitter, ..self }
    }

    /// Returns the pauses, one fewer than the number of attempts, for a loop of your own.
    ///
    /// With jitter, each call returns different pauses. [`max_elapsed`](Self::max_elapsed) has no
    /// effect here.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// use greenthread::patterns::Backoff;
    /// use std::time::Duration;
    ///
    /// let ctx = Context::background();
    /// let mut tries = 1;
    /// for delay in Backoff::exponential(Duration::from_micros(10)).max_attempts(4).delays() {
    ///     tries += 1;
    ///     ctx.sleep(delay).unwrap();
    /// }
    /// assert_eq!(tries, 4);
    /// ```
    pub fn delays(self) -> impl Iterator<Item = Duration> {
        let mut next = self.initial;
        (1..self.max_attempts).map(move |_| {
            let delay = next.min(self.max_delay);
            next = Duration::try_from_secs_f64(delay.as_secs_f64() * self.factor).unwrap_or(Duration::MAX);
            match self.jitter {
                Jitter::None => delay,
                Jitter::Full => scale(delay, greenthread_scheduler::random()),
            }
        })
    }
}

/// A back-off for calls over a network: 10 attempts, with pauses from 0.1 s up to 10 s, [full
/// jitter](Jitter::Full), and at most 33 s in all.
impl Default for Backoff {
    fn default() -> Self {
        Self::exponential(Duration::from_millis(100))
    }
}

/// Scales `delay` by `random`: zero for the smallest number, all of `delay` for the largest, to the
/// nanosecond. A delay of more than 584 years counts as 584 years.
fn scale(delay: Duration, random: u64) -> Duration {
    let nanos = u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX);
    Duration::from_nanos((((u128::from(nanos) + 1) * u128::from(random)) >> 64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_ranges_from_zero_to_the_whole_delay() {
        let delay = Duration::from_nanos(9);
        assert_eq!(scale(delay, 0), Duration::ZERO);
        assert_eq!(scale(delay, u64::MAX / 2 + 1), Duration::from_nanos(5));
        assert_eq!(scale(delay, u64::MAX), delay);
        assert_eq!(scale(Duration::ZERO, u64::MAX), Duration::ZERO);
        assert_eq!(scale(Duration::MAX, u64::MAX), Duration::from_nanos(u64::MAX));
    }
}
