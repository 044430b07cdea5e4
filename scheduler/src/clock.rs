//! The runtime's time: nanoseconds since the first look at the clock.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// How often something is looked at that nobody announces.
pub(crate) const POLL: Duration = Duration::from_millis(10);

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

/// When `duration` from now will have passed. Never [`u64::MAX`], which means "no deadline".
pub(crate) fn after(duration: Duration) -> u64 {
    now().saturating_add(nanos(duration)).min(u64::MAX - 1)
}
