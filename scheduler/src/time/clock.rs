//! The runtime's time: nanoseconds since the first look at the clock.
//!
//! # The coarse clock
//! Every park notes its time, and a look at the real clock, 20 ns, would be most of what a park costs. So there is a
//! number that somebody else advances: the monitor at each of its looks, every 2 ms while a P is in use; whoever ends
//! its long sleep, since it stood still meanwhile; and an M that comes back without a P, which the monitor does not
//! see. One load reads it. It counts in steps of [`COARSE_SHIFT`], so that a goroutine keeps it in four bytes.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How often something is looked at that nobody announces.
pub(crate) const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// The last moment that can be waited for; the largest number means "no deadline".
const LATEST_NS: u64 = u64::MAX - 1;

fn base() -> Instant {
    static BASE: OnceLock<Instant> = OnceLock::new();
    *BASE.get_or_init(Instant::now)
}

/// Nanoseconds since the runtime first asked. A call costs 20 ns.
#[inline]
pub(crate) fn now() -> u64 {
    nanos(base().elapsed())
}

/// Bits of a step of the coarse clock: 17 ms. 32 bits of steps are two years and three months; a wait that lasts longer
/// shows too short.
const COARSE_SHIFT: u32 = 24;

static COARSE_NOW: AtomicU32 = AtomicU32::new(0);

/// Has the coarse clock show `now`.
pub(crate) fn advance_coarse(now: u64) {
    COARSE_NOW.store((now >> COARSE_SHIFT) as u32, Ordering::Relaxed);
}

/// What the coarse clock shows.
#[inline]
pub(crate) fn coarse() -> u32 {
    COARSE_NOW.load(Ordering::Relaxed)
}

/// How long ago the coarse clock showed `then`; up to two steps less.
pub(crate) fn since_coarse(then: u32) -> Duration {
    let steps = ((now() >> COARSE_SHIFT) as u32).wrapping_sub(then).saturating_sub(1);
    Duration::from_nanos(u64::from(steps) << COARSE_SHIFT)
}

/// The duration in nanoseconds; the largest number for those beyond 584 years.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// When `duration` from now will have passed; [`LATEST_NS`] if that is beyond it.
pub(crate) fn after(duration: Duration) -> u64 {
    now().saturating_add(nanos(duration)).min(LATEST_NS)
}

/// When `instant` is; 0 if it was before the first look at the clock, [`LATEST_NS`] if it is beyond it.
pub(crate) fn at(instant: Instant) -> u64 {
    nanos(instant.saturating_duration_since(base())).min(LATEST_NS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_coarse_clock_never_says_too_much() {
        let begin = now();
        let then = (begin >> COARSE_SHIFT) as u32;
        assert!(nanos(since_coarse(then)) <= now() - begin);
        assert!(since_coarse(then.wrapping_sub(10)) >= Duration::from_nanos(9 << COARSE_SHIFT));
    }

    #[test]
    fn instants_of_all_times_have_a_place() {
        let (before, instant) = (now(), Instant::now());
        let after = now();
        assert!((before..=after).contains(&at(instant)));
        assert_eq!(at(instant + Duration::from_secs(60)), at(instant) + nanos(Duration::from_secs(60)));
        assert_eq!(at(base()), 0);
        assert_eq!(at(base().checked_sub(Duration::from_secs(1)).unwrap_or(base())), 0);
        let a_thousand_years = Duration::from_secs(1000 * 365 * 24 * 3600);
        assert_eq!(at(instant + a_thousand_years), LATEST_NS);
        assert_eq!(super::after(a_thousand_years), LATEST_NS);
    }
}
