//! The arithmetic of a rate limiter: tokens that arrive over time, tokens that waiters are queued
//! for, and tokens that are reserved.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// A bucket of tokens, as arithmetic only: nothing here waits.
///
/// 128 bits are enough for any sum of tokens that callers can ask for.
pub(super) struct Bucket {
    pub(super) period: Duration,
    pub(super) burst: usize,
    /// The tokens that have arrived and are neither taken nor reserved, as of `growing_since`.
    /// Negative if more tokens are reserved than have arrived.
    pub(super) tokens: i128,
    /// The tokens that waiters are queued for.
    pub(super) queued: i128,
    /// When the next token began to grow; `None` before the first call of `advance`.
    growing_since: Option<Instant>,
    /// The reservations that are not due yet, and perhaps some that are, in the order in which they
    /// were made.
    reserved: VecDeque<Reserved>,
    /// The position of the next reservation among all reservations.
    next_position: u64,
}

/// One reservation.
struct Reserved {
    position: u64,
    n: i128,
    due: Instant,
}

impl Bucket {
    /// Creates a full bucket.
    pub(super) const fn new(period: Duration, burst: usize) -> Self {
        let reserved = VecDeque::new();
        Self { period, burst, tokens: burst as i128, queued: 0, growing_since: None, reserved, next_position: 0 }
    }

    /// Adds the tokens that have arrived since the last call.
    pub(super) fn advance(&mut self, now: Instant) {
        while self.reserved.front().is_some_and(|first| first.due <= now) {
            self.reserved.pop_front();
        }
        let limit = self.burst as i128 + self.queued;
        let elapsed = now.duration_since(self.growing_since.unwrap_or(now)).as_nanos();
        let (come, rest) = match self.period.as_nanos() {
            0 => (limit - self.tokens, 0),
            // At most 2^94 nanoseconds.
            period => ((elapsed / period) as i128, elapsed % period),
        };
        self.tokens += come;
        self.growing_since = Some(if self.tokens < limit { before(now, rest) } else { now });
        self.tokens = self.tokens.min(limit);
    }

    /// Takes `n` tokens beyond the ones that waiters are queued for, if that many are available.
    pub(super) fn take(&mut self, n: usize) -> bool {
        let unlimited = self.period.is_zero();
        let enough = unlimited || self.tokens >= self.queued + n as i128;
        if enough && !unlimited {
            self.tokens -= n as i128;
        }
        enough
    }

    /// Queues a demand of `n` tokens; returns its position among the reservations.
    pub(super) fn enqueue(&mut self, n: usize) -> u64 {
        self.queued += n as i128;
        self.next_position
    }

    /// Takes `n` tokens for the first waiter of the queue, if that many are available. `position`
    /// is the waiter's position among the reservations.
    pub(super) fn take_queued(&mut self, n: usize, position: u64) -> bool {
        let enough = self.tokens + self.reserved_from(position) >= n as i128;
        if enough {
            self.tokens -= n as i128;
            self.queued -= n as i128;
        }
        enough
    }

    /// Returns the time by which `tokens` will have arrived for a waiter at `position` if none are
    /// taken, or `None` if the clock cannot express that time.
    pub(super) fn due(&self, tokens: i128, position: u64) -> Option<Instant> {
        let missing = (tokens - self.tokens - self.reserved_from(position)).max(0).unsigned_abs();
        self.growing_since?.checked_add(nanos(missing.saturating_mul(self.period.as_nanos()))?)
    }

    /// Returns the time by which `n` tokens will have arrived beyond the ones that waiters are
    /// queued for.
    pub(super) fn due_at_tail(&self, n: usize) -> Option<Instant> {
        self.due(self.queued + n as i128, self.next_position)
    }

    /// Returns the number of tokens that are reserved at `position` and behind it.
    fn reserved_from(&self, position: u64) -> i128 {
        self.reserved.iter().rev().take_while(|one| one.position >= position).map(|one| one.n).sum()
    }

    /// Removes the demand of a waiter that gave up at `position`.
    ///
    /// The waiters behind it get its tokens, except for the tokens that reservations behind it rely
    /// on.
    pub(super) fn dequeue(&mut self, n: usize, position: u64) {
        self.queued -= n as i128;
        self.tokens -= self.reserved_from(position).min(n as i128);
    }

    /// Takes `n` tokens behind the queued demand, even tokens that have yet to arrive.
    ///
    /// Returns the position of the reservation and the time by which its tokens will have arrived,
    /// or `None` if the clock cannot express that time.
    pub(super) fn reserve(&mut self, now: Instant, n: usize) -> Option<(u64, Instant)> {
        let due = self.due_at_tail(n)?.max(now);
        let position = self.next_position;
        self.next_position += 1;
        if !self.period.is_zero() {
            self.tokens -= n as i128;
        }
        if due > now {
            self.reserved.push_back(Reserved { position, n: n as i128, due });
        }
        Some((position, due))
    }

    /// Returns the tokens reserved at `position` to the bucket, except for tokens that later
    /// reservations rely on. Does nothing if the reservation was due.
    pub(super) fn cancel(&mut self, now: Instant, position: u64) {
        let Ok(index) = self.reserved.binary_search_by_key(&position, |one| one.position) else { return };
        if self.reserved[index].due <= now {
            return;
        }
        if let Some(one) = self.reserved.remove(index) {
            let given_back = (one.n - self.reserved_from(position)).max(0);
            self.tokens = (self.tokens + given_back).min(self.burst as i128 + self.queued);
        }
    }

    /// Returns the number of tokens beyond the queued demand, including the part of the next token
    /// that has already grown.
    pub(super) fn available(&self, now: Instant) -> f64 {
        let grown = now.duration_since(self.growing_since.unwrap_or(now)).as_secs_f64();
        let part = if self.period.is_zero() { 0.0 } else { grown / self.period.as_secs_f64() };
        (self.tokens - self.queued) as f64 + part
    }

    pub(super) fn set_period(&mut self, now: Instant, period: Duration) {
        self.advance(now);
        let old = self.period.as_nanos().max(1);
        let grown = now.duration_since(self.growing_since.unwrap_or(now)).as_nanos();
        self.growing_since = Some(before(now, grown.saturating_mul(period.as_nanos()) / old));
        self.period = period;
    }

    pub(super) fn set_burst(&mut self, now: Instant, burst: usize) {
        self.advance(now);
        self.burst = burst;
        self.advance(now);
    }
}

/// Returns the time `ago` nanoseconds before `now`, or `now` if the clock cannot express that.
fn before(now: Instant, ago: u128) -> Instant {
    nanos(ago).and_then(|ago| now.checked_sub(ago)).unwrap_or(now)
}

fn nanos(nanos: u128) -> Option<Duration> {
    const SECOND: u128 = 1_000_000_000;
    let seconds = u64::try_from(nanos / SECOND).ok()?;
    Some(Duration::new(seconds, (nanos % SECOND) as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_nanos(7);

    /// Returns a bucket, and the time at which it was filled.
    fn bucket(period: Duration, burst: usize) -> (Bucket, Instant) {
        let mut bucket = Bucket::new(period, burst);
        let begin = Instant::now();
        bucket.advance(begin);
        (bucket, begin)
    }

    /// Returns the time at which there will be `tokens` tokens beyond the reserved ones.
    fn due(bucket: &Bucket, tokens: i128) -> Option<Instant> {
        bucket.due(tokens, bucket.next_position)
    }

    #[test]
    fn no_nanosecond_is_lost() {
        let (mut bucket, begin) = bucket(PERIOD, 1_000_000_000);
        assert!(bucket.take(1_000_000_000));
        // Calls at odd times add up to the same number of tokens as one call at the end.
        let (mut now, mut looks) = (begin, 0);
        while looks < 100_000 {
            looks += 1;
            now += Duration::from_nanos(looks % 23);
            bucket.advance(now);
        }
        let elapsed = now.duration_since(begin).as_nanos();
        assert_eq!(bucket.tokens, (elapsed / 7) as i128);
        assert_eq!(due(&bucket, bucket.tokens + 1), Some(begin + PERIOD * (bucket.tokens as u32 + 1)));
    }

    #[test]
    fn token_comes_at_its_nanosecond() {
        let (mut bucket, begin) = bucket(PERIOD, 2);
        assert!(bucket.take(2));
        for (elapsed, tokens) in [(0, 0), (6, 0), (7, 1), (13, 1), (14, 2), (1000, 2)] {
            bucket.advance(begin + Duration::from_nanos(elapsed));
            assert_eq!(bucket.tokens, tokens, "after {elapsed} ns");
        }
        // A full bucket does not save up part of the next token, either.
        assert!(bucket.take(1));
        bucket.advance(begin + Duration::from_nanos(1006));
        assert_eq!((bucket.tokens, due(&bucket, 2)), (1, Some(begin + Duration::from_nanos(1007))));
    }

    #[test]
    fn queued_tokens_come_beyond_the_bucket_size() {
        let (mut bucket, begin) = bucket(PERIOD, 1);
        assert!(bucket.take(1));
        bucket.queued = 5;
        // The waiters wake late: each gets the token that arrived for it, and then the bucket is
        // full.
        bucket.advance(begin + PERIOD * 100);
        assert_eq!(bucket.tokens, 6);
        assert!(!bucket.take(2), "only one is not queued for");
        assert!(bucket.take_queued(5, 0) && bucket.take(1));
        assert_eq!((bucket.tokens, bucket.queued), (0, 0));
        // Waiters that have given up leave at most as many tokens as the bucket holds.
        bucket.queued = 50;
        bucket.advance(begin + PERIOD * 140);
        assert_eq!(bucket.tokens, 40);
        bucket.queued = 0;
        bucket.advance(begin + PERIOD * 140);
        assert_eq!(bucket.tokens, 1);
    }

    #[test]
    fn new_period_keeps_the_grown_part_of_a_token() {
        let (mut bucket, begin) = bucket(Duration::from_secs(10), 3);
        assert!(bucket.take(3));
        let now = begin + Duration::from_secs(15);
        bucket.set_period(now, Duration::from_secs(4));
        assert_eq!((bucket.tokens, due(&bucket, 2)), (1, Some(now + Duration::from_secs(2))));
        bucket.set_period(now, Duration::MAX);
        assert_eq!((bucket.tokens, due(&bucket, 2)), (1, None));
        bucket.set_period(now, Duration::ZERO);
        assert!(bucket.take(usize::MAX));
        bucket.set_period(now, Duration::from_secs(1));
        assert!(bucket.take(3) && !bucket.take(1), "the bucket was full");
        assert_eq!(due(&bucket, 1), Some(now + Duration::from_secs(1)));
    }

    #[test]
    fn extreme_numbers_do_not_overflow() {
        let (mut bucket, begin) = bucket(Duration::MAX, usize::MAX);
        assert!(bucket.take(usize::MAX) && !bucket.take(1));
        bucket.queued = usize::MAX as i128 * 1_000_000;
        assert_eq!(due(&bucket, bucket.queued), None);
        bucket.set_period(begin, Duration::from_nanos(1));
        bucket.advance(begin + Duration::from_nanos(u64::MAX));
        assert_eq!(bucket.tokens, i128::from(u64::MAX));
    }

    #[test]
    fn reservations_and_waiters_share_one_order() {
        let (mut bucket, begin) = bucket(PERIOD, 1);
        assert_eq!(bucket.reserve(begin, 1), Some((0, begin)), "the bucket has one token");
        let (_, first) = bucket.reserve(begin, 2).unwrap();
        assert_eq!(first, begin + PERIOD * 2);
        let position = bucket.enqueue(3);
        assert_eq!(bucket.due(3, position), Some(begin + PERIOD * 5));
        let (behind, second) = bucket.reserve(begin, 1).unwrap();
        assert_eq!(second, begin + PERIOD * 6);
        assert_eq!(bucket.due(3, position), Some(begin + PERIOD * 5), "the waiter came first");
        assert_eq!(bucket.due_at_tail(1), Some(begin + PERIOD * 7));
        bucket.advance(begin + PERIOD * 5);
        assert!(bucket.take_queued(3, position) && !bucket.take(1));
        bucket.cancel(begin + PERIOD * 5, behind);
        assert_eq!((bucket.tokens, bucket.reserved.len()), (0, 0));
    }

    #[test]
    fn canceled_reservation_gives_back_what_no_later_one_relies_on() {
        let (mut bucket, begin) = bucket(PERIOD, 1);
        assert!(bucket.take(1));
        let positions = [3, 1, 1].map(|n| bucket.reserve(begin, n).unwrap().0);
        bucket.cancel(begin, positions[0]);
        assert_eq!(bucket.tokens, -4, "one of three, since the others rely on two");
        bucket.cancel(begin, positions[0]);
        assert_eq!(bucket.tokens, -4, "a second cancellation does nothing");
        bucket.cancel(begin, positions[2]);
        bucket.cancel(begin, positions[1]);
        assert_eq!(bucket.tokens, -2);
        // Once the reservation is due, it can no longer be canceled.
        let (position, due) = bucket.reserve(begin, 1).unwrap();
        bucket.cancel(due, position);
        bucket.advance(due);
        assert_eq!((bucket.tokens, bucket.reserved.len()), (0, 0));
        // A cancellation cannot fill the bucket beyond its size.
        let (position, due) = bucket.reserve(due, 9).unwrap();
        bucket.burst = 0;
        bucket.cancel(due - PERIOD, position);
        assert_eq!(bucket.tokens, 0);
    }

    /// Checks that waiters and reservations never take more than the bucket and the elapsed time
    /// allow, even if they act as soon as possible and some of them give up or cancel.
    #[test]
    fn giving_up_before_a_reservation_causes_no_burst() {
        let (mut bucket, begin) = bucket(PERIOD, 1);
        assert!(bucket.take(1));
        let position = bucket.enqueue(1);
        assert_eq!(bucket.reserve(begin, 1).unwrap().1, begin + PERIOD * 2);
        bucket.dequeue(1, position);
        // Otherwise, the token would be due together with the reservation.
        assert_eq!(bucket.due_at_tail(1), Some(begin + PERIOD * 3));
        bucket.advance(begin + PERIOD * 2);
        assert!(!bucket.take(1));
    }

    #[test]
    fn set_burst_keeps_tokens_up_to_the_new_size() {
        let (mut bucket, begin) = bucket(PERIOD, 5);
        bucket.set_burst(begin, 2);
        assert!(bucket.take(2) && !bucket.take(1));
        bucket.set_burst(begin + PERIOD, 4);
        assert_eq!(bucket.tokens, 1);
        bucket.advance(begin + PERIOD * 100);
        assert_eq!(bucket.tokens, 4);
    }

    #[test]
    fn available_counts_parts_of_tokens() {
        let (mut bucket, begin) = bucket(Duration::from_secs(4), 2);
        assert!(bucket.take(2));
        let now = begin + Duration::from_secs(5);
        bucket.advance(now);
        assert_eq!(bucket.available(now), 1.25);
        bucket.enqueue(3);
        assert_eq!(bucket.available(now), -1.75);
        bucket.set_period(now, Duration::ZERO);
        bucket.dequeue(3, 0);
        bucket.advance(now);
        assert_eq!(bucket.available(now), 2.0);
    }
}
