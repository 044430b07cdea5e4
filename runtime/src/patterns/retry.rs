//! `retry`: what may fail for a while, again and again, with pauses that grow.

use std::time::{Duration, Instant};

use greenthread_ctx::Context;

/// Calls `f` until it succeeds, with a pause after each failure, as `backoff` says. `f` gets the number of the attempt, from 1.
///
/// Runs `f` on the calling goroutine or thread, and blocks in the pauses. All errors are worth another attempt; see
/// [`retry_if`] for those of which some are final. A panic of `f` is the caller's, as that of any closure it calls.
///
/// Go has nothing like it; its programs have a loop with a `select`, as the one
/// [made by hand](https://github.com/greenthread-rs/greenthread/blob/main/docs/guide/src/by_hand.md#retry-with-back-off).
///
/// # Errors
/// That of the last attempt, if there is not to be another: when `backoff` allows no more, when the context ends in a
/// pause, or at once when the pause would last beyond its deadline. It says more than "context canceled" would; ask
/// [`ctx.err()`](Context::err) to tell the two apart.
///
/// Even under a context that has ended the first attempt is made, as without it there is no error to return. An `f`
/// that takes long looks at the context itself: nothing interrupts it.
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

/// As [`retry`], for errors of which some are final: there is another attempt only if `worth` says that the error is worth one.
///
/// # Errors
/// As [`retry`]; and one that is not worth another attempt, at once.
///
/// ```
/// use greenthread::ctx::Context;
/// use greenthread::patterns::{Backoff, retry_if};
/// use std::io::{self, ErrorKind};
///
/// let refused = |error: &io::Error| error.kind() == ErrorKind::ConnectionRefused;
/// let mut attempts = 0;
/// let result: io::Result<()> = retry_if(&Context::background(), Backoff::default(), refused, |attempt| {
///     attempts = attempt;
///     Err(ErrorKind::PermissionDenied.into())
/// });
/// assert_eq!(result.unwrap_err().kind(), ErrorKind::PermissionDenied);
/// assert_eq!(attempts, 1);
/// ```
pub fn retry_if<T, E>(
    ctx: &Context,
    backoff: Backoff,
    mut worth: impl FnMut(&E) -> bool,
    mut f: impl FnMut(u32) -> Result<T, E>,
) -> Result<T, E> {
    let end = backoff.max_elapsed.and_then(|limit| Instant::now().checked_add(limit));
    let end = end.into_iter().chain(ctx.deadline()).min();
    let mut delays = backoff.delays();
    let mut attempt = 1;
    loop {
        let error = match f(attempt) {
            Err(error) if worth(&error) => error,
            result => return result,
        };
        let Some(delay) = delays.next().filter(|delay| in_time(*delay, end)) else { return Err(error) };
        if ctx.sleep(delay).is_err() {
            return Err(error);
        }
        // There are at most `u32::MAX` attempts.
        attempt += 1;
    }
}

/// Whether a pause that begins now is over by `end`.
fn in_time(delay: Duration, end: Option<Instant>) -> bool {
    end.is_none_or(|end| delay <= end.saturating_duration_since(Instant::now()))
}

/// How often to try, and how long to wait in between: see [`retry`].
///
/// Each pause is `factor` times as long as the one before, up to a longest one. With [`Jitter::Full`], the default, a
/// random part of that is waited for.
///
/// ```
/// use greenthread::patterns::{Backoff, Jitter};
/// use std::time::Duration;
///
/// let ms = Duration::from_millis;
/// let backoff = Backoff::exponential(ms(100)).max_delay(ms(500)).max_attempts(6).jitter(Jitter::None);
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

/// How much of a pause is left to chance.
///
/// Clients of one server that failed at the same time come back at the same time, unless they wait differently long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Jitter {
    /// Nothing: the pause is as long as computed.
    None,
    /// All: any length from zero to the one computed, each equally likely. Spreads clients best, and halves the mean pause.
    #[default]
    Full,
}

impl Backoff {
    /// Pauses that begin with `initial` and double each time, up to 10 s (or `initial`, if that is longer), for 10 attempts, with
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

    /// How many times as long as the one before each pause is. With 1 they are all the same.
    ///
    /// # Panics
    /// If `factor` is less than 1, or no number.
    ///
    /// ```
    /// use greenthread::patterns::{Backoff, Jitter};
    /// use std::time::Duration;
    ///
    /// let second = Duration::from_secs(1);
    /// let constant = Backoff::exponential(second).factor(1.0).max_attempts(4).jitter(Jitter::None);
    /// assert!(constant.delays().eq([second; 3]));
    /// ```
    #[must_use]
    pub fn factor(self, factor: f64) -> Self {
        assert!(
            factor >= 1.0,
            "retry: pauses cannot shrink, a factor of {factor} is not possible; 1 keeps them the same"
        );
        Self { factor, ..self }
    }

    /// The longest pause, also for the first one.
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

    /// The most attempts, the first included, which is always made: zero is as one. With `u32::MAX` only the context and
    /// [`max_elapsed`](Self::max_elapsed) limit them.
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

    /// The time after which no attempt is begun, counted from the beginning of the first. There is no pause that would
    /// last beyond it.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// use greenthread::patterns::{Backoff, Jitter, retry};
    /// use std::time::Duration;
    ///
    /// let backoff = Backoff::exponential(Duration::from_secs(3600)).max_elapsed(Duration::from_secs(60)).jitter(Jitter::None);
    /// assert_eq!(retry(&Context::background(), backoff, Err::<(), u32>), Err(1), "at once: an hour is too long");
    /// ```
    #[must_use]
    pub fn max_elapsed(self, max_elapsed: Duration) -> Self {
        Self { max_elapsed: Some(max_elapsed), ..self }
    }

    /// How much of each pause is left to chance.
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

    /// The pauses, one less than attempts; for a loop of one's own. With jitter they are others each time.
    /// [`max_elapsed`](Self::max_elapsed) is not counted.
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
                Jitter::Full => part_of(delay, greenthread_scheduler::random()),
            }
        })
    }
}

/// For calls over a network: 10 attempts, with pauses from 0.1 s up to 10 s, [full jitter](Jitter::Full), 33 s in all at most.
impl Default for Backoff {
    fn default() -> Self {
        Self::exponential(Duration::from_millis(100))
    }
}

/// From zero, with the smallest number, to all of `delay`, with the largest; to the nanosecond. Beyond 584 years it is
/// a part of those.
fn part_of(delay: Duration, random: u64) -> Duration {
    let nanos = u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX);
    Duration::from_nanos((((u128::from(nanos) + 1) * u128::from(random)) >> 64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_reaches_from_zero_to_all() {
        let delay = Duration::from_nanos(9);
        assert_eq!(part_of(delay, 0), Duration::ZERO);
        assert_eq!(part_of(delay, u64::MAX / 2 + 1), Duration::from_nanos(5));
        assert_eq!(part_of(delay, u64::MAX), delay);
        assert_eq!(part_of(Duration::ZERO, u64::MAX), Duration::ZERO);
        assert_eq!(part_of(Duration::MAX, u64::MAX), Duration::from_nanos(u64::MAX));
    }
}
