//! The runtime's time: nanoseconds since the first look at the clock.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// How often something is looked at that nobody announces.
pub(crate) const POLL: Duration = Duration::from_millis(10);

/// The last moment that can be waited for; the largest number means "no deadline".
const LATEST: u64 = u64::MAX - 1;

fn base() -> Instant {
    static BASE: OnceLock<Instant> = OnceLock::new();
    *BASE.get_or_init(Instant::now)
}

/// Nanoseconds since the runtime first asked. A call costs 20 ns.
#[inline]
pub(crate) fn now() -> u64 {
    nanos(base().elapsed())
}

/// The duration in nanoseconds; the largest number for those beyond 584 years.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// When `duration` from now will have passed; [`LATEST`] if that is beyond it.
pub(crate) fn after(duration: Duration) -> u64 {
    now().saturating_add(nanos(duration)).min(LATEST)
}

/// When `instant` is; 0 if it was before the first look at the clock, [`LATEST`] if it is beyond it.
pub(crate) fn at(instant: Instant) -> u64 {
    nanos(instant.saturating_duration_since(base())).min(LATEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_of_all_times_have_a_place() {
        let (before, instant) = (now(), Instant::now());
        let after = now();
        assert!((before..=after).contains(&at(instant)));
        assert_eq!(at(instant + Duration::from_secs(60)), at(instant) + nanos(Duration::from_secs(60)));
        assert_eq!(at(base()), 0);
        assert_eq!(at(base().checked_sub(Duration::from_secs(1)).unwrap_or(base())), 0);
        let a_thousand_years = Duration::from_secs(1000 * 365 * 24 * 3600);
        assert_eq!(at(instant + a_thousand_years), LATEST);
        assert_eq!(super::after(a_thousand_years), LATEST);
    }
}
