//! The arithmetic of a rate limiter: tokens that come with the time, those that are wanted, and those that are reserved.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// A bucket of tokens. Nothing here waits. 128 bits are enough for any sum of tokens that callers can ask for.
pub(super) struct Bucket {
    pub(super) period: Duration,
    pub(super) burst: usize,
    /// What has come and is neither taken nor reserved, as of `since`. Negative if more is reserved than has come.
    pub(super) tokens: i128,
    /// What those want that wait.
    pub(super) wanted: i128,
    /// When the next token began to grow; none before the first look.
    since: Option<Instant>,
    /// The reservations that are not due yet, and perhaps some that are, in the order in which they were made.
    reserved: VecDeque<Reserved>,
    /// The place of the next reservation among all.
    next_place: u64,
}

/// One reservation.
struct Reserved {
    place: u64,
    n: i128,
    due: Instant,
}

impl Bucket {
    /// A full bucket.
    pub(super) const fn new(period: Duration, burst: usize) -> Self {
        let reserved = VecDeque::new();
        Self { period, burst, tokens: burst as i128, wanted: 0, since: None, reserved, next_place: 0 }
    }

    /// Adds what has come since the last look.
    pub(super) fn advance(&mut self, now: Instant) {
        while self.reserved.front().is_some_and(|first| first.due <= now) {
            self.reserved.pop_front();
        }
        let limit = self.burst as i128 + self.wanted;
        let elapsed = now.duration_since(self.since.unwrap_or(now)).as_nanos();
        let (come, rest) = match self.period.as_nanos() {
            0 => (limit - self.tokens, 0),
            // At most 2^94 nanoseconds.
            period => ((elapsed / period) as i128, elapsed % period),
        };
        self.tokens += come;
        self.since = Some(if self.tokens < limit { before(now, rest) } else { now });
        self.tokens = self.tokens.min(limit);
    }

    /// Takes tokens beyond those that are wanted, if there are so many.
    pub(super) fn take(&mut self, n: usize) -> bool {
        let unlimited = self.period.is_zero();
        let enough = unlimited || self.tokens >= self.wanted + n as i128;
        if enough && !unlimited {
            self.tokens -= n as i128;
        }
        enough
    }

    /// Wants `n` tokens for one that waits from now on; returns its place among the reservations.
    pub(super) fn want(&mut self, n: usize) -> u64 {
        self.wanted += n as i128;
        self.next_place
    }

    /// Takes tokens that are wanted, if there are so many, for the first of those that wait, which is at `place`.
    pub(super) fn take_wanted(&mut self, n: usize, place: u64) -> bool {
        let enough = self.tokens + self.reserved_from(place) >= n as i128;
        if enough {
            self.tokens -= n as i128;
            self.wanted -= n as i128;
        }
        enough
    }

    /// When so many tokens will have come for one at `place`, if none are taken; none if that is beyond the clock.
    pub(super) fn due(&self, tokens: i128, place: u64) -> Option<Instant> {
        let missing = (tokens - self.tokens - self.reserved_from(place)).max(0).unsigned_abs();
        self.since?.checked_add(nanos(missing.saturating_mul(self.period.as_nanos()))?)
    }

    /// When `n` more tokens than those that are wanted will have come.
    pub(super) fn due_behind_all(&self, n: usize) -> Option<Instant> {
        self.due(self.wanted + n as i128, self.next_place)
    }

    /// What was reserved at `place` and behind it.
    fn reserved_from(&self, place: u64) -> i128 {
        self.reserved.iter().rev().take_while(|one| one.place >= place).map(|one| one.n).sum()
    }

    /// One that waited at `place` for `n` tokens waits no more. Those behind it get them, but not as far as reservations behind it
    /// were made as if they were gone.
    pub(super) fn give_up(&mut self, n: usize, place: u64) {
        self.wanted -= n as i128;
        self.tokens -= self.reserved_from(place).min(n as i128);
    }

    /// Takes `n` tokens behind those that are wanted, be it that they have yet to come: the place of the reservation, and when they
    /// will have come. None if that is beyond the clock.
    pub(super) fn reserve(&mut self, now: Instant, n: usize) -> Option<(u64, Instant)> {
        let due = self.due_behind_all(n)?.max(now);
        let place = self.next_place;
        self.next_place += 1;
        if !self.period.is_zero() {
            self.tokens -= n as i128;
        }
        if due > now {
            self.reserved.push_back(Reserved { place, n: n as i128, due });
        }
        Some((place, due))
    }

    /// Gives back what was reserved at `place`, unless it was due, as far as no later reservation was made as if it were gone.
    pub(super) fn cancel(&mut self, now: Instant, place: u64) {
        let Ok(index) = self.reserved.binary_search_by_key(&place, |one| one.place) else { return };
        if self.reserved[index].due <= now {
            return;
        }
        if let Some(one) = self.reserved.remove(index) {
            let given_back = (one.n - self.reserved_from(place)).max(0);
            self.tokens = (self.tokens + given_back).min(self.burst as i128 + self.wanted);
        }
    }

    /// What there is beyond what is wanted, with the part of the next token that has grown.
    pub(super) fn available(&self, now: Instant) -> f64 {
        let grown = now.duration_since(self.since.unwrap_or(now)).as_secs_f64();
        let part = if self.period.is_zero() { 0.0 } else { grown / self.period.as_secs_f64() };
        (self.tokens - self.wanted) as f64 + part
    }

    pub(super) fn set_period(&mut self, now: Instant, period: Duration) {
        self.advance(now);
        let old = self.period.as_nanos().max(1);
        let grown = now.duration_since(self.since.unwrap_or(now)).as_nanos();
        self.since = Some(before(now, grown.saturating_mul(period.as_nanos()) / old));
        self.period = period;
    }

    pub(super) fn set_burst(&mut self, now: Instant, burst: usize) {
        self.advance(now);
        self.burst = burst;
        self.advance(now);
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

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_nanos(7);

    /// A bucket, and when it was filled.
    fn bucket(period: Duration, burst: usize) -> (Bucket, Instant) {
        let mut bucket = Bucket::new(period, burst);
        let begin = Instant::now();
        bucket.advance(begin);
        (bucket, begin)
    }

    /// When there will be so many tokens, without what is reserved.
    fn due(bucket: &Bucket, tokens: i128) -> Option<Instant> {
        bucket.due(tokens, bucket.next_place)
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
        assert_eq!(bucket.tokens, (elapsed / 7) as i128);
        assert_eq!(due(&bucket, bucket.tokens + 1), Some(begin + PERIOD * (bucket.tokens as u32 + 1)));
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
        assert_eq!((bucket.tokens, due(&bucket, 2)), (1, Some(begin + Duration::from_nanos(1007))));
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
        assert!(bucket.take_wanted(5, 0) && bucket.take(1));
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
        assert_eq!((bucket.tokens, due(&bucket, 2)), (1, Some(now + Duration::from_secs(2))));
        bucket.set_period(now, Duration::MAX);
        assert_eq!((bucket.tokens, due(&bucket, 2)), (1, None));
        bucket.set_period(now, Duration::ZERO);
        assert!(bucket.take(usize::MAX));
        bucket.set_period(now, Duration::from_secs(1));
        assert!(bucket.take(3) && !bucket.take(1), "it was full");
        assert_eq!(due(&bucket, 1), Some(now + Duration::from_secs(1)));
    }

    #[test]
    fn numbers_of_any_size() {
        let (mut bucket, begin) = bucket(Duration::MAX, usize::MAX);
        assert!(bucket.take(usize::MAX) && !bucket.take(1));
        bucket.wanted = usize::MAX as i128 * 1_000_000;
        assert_eq!(due(&bucket, bucket.wanted), None);
        bucket.set_period(begin, Duration::from_nanos(1));
        bucket.advance(begin + Duration::from_nanos(u64::MAX));
        assert_eq!(bucket.tokens, i128::from(u64::MAX));
    }

    #[test]
    fn reservations_are_in_line_with_those_that_wait() {
        let (mut bucket, begin) = bucket(PERIOD, 1);
        assert_eq!(bucket.reserve(begin, 1), Some((0, begin)), "there is one");
        let (_, first) = bucket.reserve(begin, 2).unwrap();
        assert_eq!(first, begin + PERIOD * 2);
        let place = bucket.want(3);
        assert_eq!(bucket.due(3, place), Some(begin + PERIOD * 5));
        let (behind, second) = bucket.reserve(begin, 1).unwrap();
        assert_eq!(second, begin + PERIOD * 6);
        assert_eq!(bucket.due(3, place), Some(begin + PERIOD * 5), "it came first");
        assert_eq!(bucket.due_behind_all(1), Some(begin + PERIOD * 7));
        bucket.advance(begin + PERIOD * 5);
        assert!(bucket.take_wanted(3, place) && !bucket.take(1));
        bucket.cancel(begin + PERIOD * 5, behind);
        assert_eq!((bucket.tokens, bucket.reserved.len()), (0, 0));
    }

    #[test]
    fn a_cancelled_reservation_gives_back_what_no_later_one_relies_on() {
        let (mut bucket, begin) = bucket(PERIOD, 1);
        assert!(bucket.take(1));
        let places = [3, 1, 1].map(|n| bucket.reserve(begin, n).unwrap().0);
        bucket.cancel(begin, places[0]);
        assert_eq!(bucket.tokens, -4, "one of three, since two are gone to the others");
        bucket.cancel(begin, places[0]);
        assert_eq!(bucket.tokens, -4, "once");
        bucket.cancel(begin, places[2]);
        bucket.cancel(begin, places[1]);
        assert_eq!(bucket.tokens, -2);
        // As soon as it is due it cannot be taken back.
        let (place, due) = bucket.reserve(begin, 1).unwrap();
        bucket.cancel(due, place);
        bucket.advance(due);
        assert_eq!((bucket.tokens, bucket.reserved.len()), (0, 0));
        // A full bucket is not fuller afterwards.
        let (place, due) = bucket.reserve(due, 9).unwrap();
        bucket.burst = 0;
        bucket.cancel(due - PERIOD, place);
        assert_eq!(bucket.tokens, 0);
    }

    /// If all who wait and reserve act as soon as they may, there are never more than the bucket and the time allow, also if some
    /// give up and cancel.
    #[test]
    fn what_is_given_up_before_a_reservation_makes_no_burst() {
        let (mut bucket, begin) = bucket(PERIOD, 1);
        assert!(bucket.take(1));
        let place = bucket.want(1);
        assert_eq!(bucket.reserve(begin, 1).unwrap().1, begin + PERIOD * 2);
        bucket.give_up(1, place);
        // Else it would be due together with the one that is reserved.
        assert_eq!(bucket.due_behind_all(1), Some(begin + PERIOD * 3));
        bucket.advance(begin + PERIOD * 2);
        assert!(!bucket.take(1));
    }

    #[test]
    fn another_burst() {
        let (mut bucket, begin) = bucket(PERIOD, 5);
        bucket.set_burst(begin, 2);
        assert!(bucket.take(2) && !bucket.take(1));
        bucket.set_burst(begin + PERIOD, 4);
        assert_eq!(bucket.tokens, 1);
        bucket.advance(begin + PERIOD * 100);
        assert_eq!(bucket.tokens, 4);
    }

    #[test]
    fn parts_of_tokens_can_be_seen() {
        let (mut bucket, begin) = bucket(Duration::from_secs(4), 2);
        assert!(bucket.take(2));
        let now = begin + Duration::from_secs(5);
        bucket.advance(now);
        assert_eq!(bucket.available(now), 1.25);
        bucket.want(3);
        assert_eq!(bucket.available(now), -1.75);
        bucket.set_period(now, Duration::ZERO);
        bucket.give_up(3, 0);
        bucket.advance(now);
        assert_eq!(bucket.available(now), 2.0);
    }
}
