//! Whether the goroutines that a poll has made runnable are worth waking another M for.
//!
//! What a server does for a request is often over sooner than a woken M comes, and then the woken one does nothing for
//! it but take a CPU, a queue's cache line, and the next few events, one at a time, from the M that would have taken
//! all of them at once. So each P knows how long its goroutines have kept it lately, on average, and the M that polls
//! wakes another for a batch that will take [`WORTH_A_WAKE`] at this pace. It is the mean, not the median: with one
//! request in a thousand that computes for 10 ms, a batch of ten is worth it again. A batch that surprises all the same
//! is seen by the monitor, which wakes a searcher for a queue beside a goroutine that keeps its P.

use std::time::Duration;

/// The length of the local queue from which on goroutines that have never run go to the backlog
/// (the length of Go's queue). Each of these may take a page fault.
pub(crate) const LOCAL_QUEUE_CAP: usize = 256;

/// The length from which on a queue is worth a thief, however quick its P is.
pub(crate) const ALWAYS_STEAL_LEN: usize = 16;

/// How much work is worth a wake. A wake costs 7 us, and 20 more until the woken one is there; it then shares the rest.
/// TCP echo over 64 connections on two Ps and two CPUs, one of which the client takes: 9.4 us for a request if any second
/// goroutine is worth it, 7.8 from 70 us on, 7.2 from 140 us on, 7.0 if nothing is.
const WORTH_A_WAKE: Duration = Duration::from_micros(140);

/// How long goroutines keep one P, on average.
pub(crate) struct Pace {
    /// In nanoseconds.
    mean: u64,
    /// When the measurement began, and how many dispatches the P had had; 0 if there is none.
    since: u64,
    dispatches: u32,
}

impl Pace {
    /// Of a P that has run nothing yet: everything is worth a wake.
    pub(crate) fn new() -> Self {
        Self { mean: WORTH_A_WAKE.as_nanos() as u64, since: 0, dispatches: 0 }
    }

    /// The M has polled, and begins to run what it has found.
    pub(crate) fn begin(&mut self, now: u64, dispatches: u32) {
        (self.since, self.dispatches) = (now, dispatches);
    }

    /// The M polls again: what has run since counts an eighth.
    pub(crate) fn end(&mut self, now: u64, dispatches: u32) {
        let ran = dispatches.wrapping_sub(self.dispatches);
        if self.since != 0 && ran > 0 {
            let each = now.saturating_sub(self.since) / u64::from(ran);
            self.mean = self.mean - self.mean / 8 + each / 8;
        }
        self.since = 0;
    }

    /// Whether so many goroutines are worth waking an M.
    pub(crate) fn is_worth_a_wake(&self, goroutines: usize) -> bool {
        self.mean.saturating_mul(goroutines as u64) >= WORTH_A_WAKE.as_nanos() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pace after a hundred batches of ten in which each goroutine took so many microseconds.
    fn after(each: impl Fn(u64) -> u64) -> Pace {
        let mut pace = Pace::new();
        for batch in 0..100 {
            pace.begin(1, 7);
            pace.end(1 + (0..10).map(|g| each(batch * 10 + g)).sum::<u64>() * 1000, 17);
        }
        pace
    }

    #[test]
    fn what_is_unknown_is_worth_a_wake() {
        assert!(Pace::new().is_worth_a_wake(1) && !Pace::new().is_worth_a_wake(0));
    }

    #[test]
    fn few_short_goroutines_are_not() {
        let pace = after(|_| 4);
        assert!(!pace.is_worth_a_wake(20) && pace.is_worth_a_wake(40));
        assert!(after(|_| 100).is_worth_a_wake(2));
    }

    #[test]
    fn rare_long_ones_count() {
        let pace = after(|g| if g % 1000 == 995 { 10_000 } else { 4 });
        assert!(pace.is_worth_a_wake(2));
    }

    #[test]
    fn time_in_which_nothing_ran_does_not_count() {
        let mut pace = after(|_| 4);
        pace.begin(1, 17);
        pace.end(1_000_000_000, 17);
        pace.end(2_000_000_000, 18);
        assert!(!pace.is_worth_a_wake(20));
    }
}
