//! The runtime's time: nanoseconds since the clock was first read.
//!
//! # The coarse clock
//! Every park records its time, and reading the real clock takes 20 ns, which would be most of the
//! cost of a park. So the runtime keeps a number that other code advances and that a single load
//! reads:
//!
//! * Sysmon advances it at each of its checks, every 2 ms while a P is in use.
//! * The thread that ends sysmon's long sleep advances it, since the number stood still during that
//!   sleep.
//! * An M that returns without a P advances it, since sysmon does not see that M.
//!
//! It counts in steps of 2^[`COARSE_SHIFT`] ns, so that a goroutine stores it in four bytes.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// The interval for checking things that no wake-up announces.
pub(crate) const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// The latest time that can be waited for.
///
/// `u64::MAX` means "no deadline".
const LATEST_NS: u64 = u64::MAX - 1;

fn base() -> Instant {
    static BASE: OnceLock<Instant> = OnceLock::new();
    *BASE.get_or_init(Instant::now)
}

/// Returns the nanoseconds since the runtime first read the clock, at a cost of 20 ns.
#[inline]
pub(crate) fn now() -> u64 {
    nanos(base().elapsed())
}

/// The number of bits in a step of the coarse clock; a step is 17 ms.
///
/// 32 bits of steps cover two years and three months; a longer wait is reported as too short.
const COARSE_SHIFT: u32 = 24;

static COARSE_NOW: AtomicU32 = AtomicU32::new(0);

/// Sets the coarse clock to `now`.
pub(crate) fn advance_coarse(now: u64) {
    COARSE_NOW.store((now >> COARSE_SHIFT) as u32, Ordering::Relaxed);
}

/// Returns the step that the coarse clock shows.
#[inline]
pub(crate) fn coarse() -> u32 {
    COARSE_NOW.load(Ordering::Relaxed)
}

/// Returns the time since the coarse clock showed `then`, or up to two steps less.
pub(crate) fn since_coarse(then: u32) -> Duration {
    let steps = ((now() >> COARSE_SHIFT) as u32).wrapping_sub(then).saturating_sub(1);
    Duration::from_nanos(u64::from(steps) << COARSE_SHIFT)
}

/// Converts a duration to nanoseconds, saturating at `u64::MAX` (584 years).
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Returns the time that is `duration` from now, at most [`LATEST_NS`].
pub(crate) fn after(duration: Duration) -> u64 {
    now().saturating_add(nanos(duration)).min(LATEST_NS)
}

/// Returns the runtime's time at `instant`: 0 if it was before the first reading of the clock, and
/// at most [`LATEST_NS`].
pub(crate) fn at(instant: Instant) -> u64 {
    nanos(instant.saturating_duration_since(base())).min(LATEST_NS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coarse_clock_never_overstates_a_duration() {
        let begin = now();
        let then = (begin >> COARSE_SHIFT) as u32;
        assert!(nanos(since_coarse(then)) <= now() - begin);
        assert!(since_coarse(then.wrapping_sub(10)) >= Duration::from_nanos(9 << COARSE_SHIFT));
    }

    #[test]
    fn instants_of_any_age_convert_to_nanoseconds() {
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
